"""Stock unary calls from a load generator written in C (h2load, of nghttp2), side by side.

Each request is the same bytes, so the name is taken after the first: what is measured is the whole
way of a write that is refused. For comparison an asyncio handler of grpcio that does nothing, in
as many processes. Invariant: every response was of the size of a refusal; an error is shorter.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import grpc

from benchmarks.peers import etcd_client
from benchmarks.peers.etcd import Etcd
from benchmarks.peers.interface import OWNER, BenchmarkError, Peer, renew
from benchmarks.peers.namestore import Namestore
from benchmarks.processes import Servers, as_user, cpu_seconds, find_program
from benchmarks.samples import P50, P99, RATE, SERVER_CPU
from benchmarks.spreads import percentile
from benchmarks.workloads.context import Context, in_turn
from namestore.localcluster.ports import HOST, free_ports
from namestore.v1 import registry_pb2

PACKAGE = "nghttp2-client"
EMPTY = "empty-handler"
WORKLOADS = {
    "unary": "unary calls from h2load, a third to each node, the name taken",
    "unary-leader": "unary calls from h2load, all to the leader, the name taken",
}
_STREAMS = 16
_CONNECTIONS = 12  # in all, so 192 calls at a time
_FRAME_BYTES = 5
_PROCESSES = 3
_PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Target:
    """Where the same call goes again and again.

    Attributes:
        path: Of the method.
        message: Of the request.
        endpoints: The leader first.
        pids: Of all servers.
    """

    path: str
    message: bytes
    endpoints: Sequence[str]
    pids: Sequence[int]


def available() -> bool:
    return find_program("h2load") is not None


def run(context: Context) -> None:
    """Of those peers that speak gRPC, and the empty handler."""
    directory = context.fleet.new_directory(EMPTY)
    servers = Servers(directory)
    try:
        # Looked up anew each time: the leader may have changed.
        targets = {
            name: partial(_target, peer)
            for name, peer in context.fleet.running.items()
            if name in (Namestore.name, Etcd.name)
        }
        empty = _empty(servers)
        targets[EMPTY] = partial(replace, empty)
        renew(context.fleet.running.values())
        for workload in WORKLOADS:
            for number in range(context.plan.rounds):
                for name in in_turn(list(targets), number):
                    context.take(
                        workload,
                        name,
                        number,
                        partial(_measure, context, targets[name], workload, directory),
                    )
    finally:
        servers.end_all()


def _target(peer: Peer) -> Target:
    pids = [pid for each in peer.pids().values() for pid in each]
    endpoints = peer.address()["endpoints"]
    if peer.name == Etcd.name:
        message = etcd_client.take(["user:unary"]).SerializeToString()
        return Target("/etcdserverpb.KV/Txn", message, endpoints, pids)
    return Target("/namestore.v1.NameRegistry/Register", _register(), endpoints, pids)


def _register() -> bytes:
    """Without a request id: each call is a request of its own, not a repetition of the first."""
    return bytes(registry_pb2.RegisterRequest(name="user:unary", owner=OWNER).SerializeToString())


def _empty(servers: Servers) -> Target:
    endpoints = [f"{HOST}:{port}" for port in free_ports(_PROCESSES)]
    for number, endpoint in enumerate(endpoints):
        servers.start(
            f"empty-{number}",
            [sys.executable, "-m", "benchmarks.empty_handler", endpoint],
            environment={"PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        )
    pids = [pid for each in servers.pids().values() for pid in each]
    target = Target("/namestore.v1.NameRegistry/Register", _register(), endpoints, pids)
    servers.wait_until(lambda: all(_answers(target, end) for end in endpoints), "answering")
    return target


def _answers(target: Target, endpoint: str) -> bool:
    try:
        _one_call(target, endpoint)
    except BenchmarkError:
        return False
    return True


def _one_call(target: Target, endpoint: str) -> int:
    """Makes the call once; how long the answer's message is."""
    with grpc.insecure_channel(endpoint) as channel:
        call: Callable[..., bytes] = channel.unary_unary(target.path)
        try:
            return len(call(target.message, timeout=10.0))
        except grpc.RpcError as error:
            raise BenchmarkError(f"{target.path}: {error}") from error


def _measure(
    context: Context, find: Callable[[], Target], workload: str, directory: Path
) -> dict[str, float]:
    target = find()
    endpoints = target.endpoints if workload == "unary" else target.endpoints[:1]
    sizes = [_one_call(target, endpoint) for endpoint in [*endpoints, *endpoints]]
    body = directory / "body"
    body.write_bytes(b"\0" + len(target.message).to_bytes(4, "big") + target.message)
    loads = [
        _Load(target, endpoint, _CONNECTIONS // len(endpoints), directory) for endpoint in endpoints
    ]
    _run_all(loads, f"-D{round(context.plan.warm_seconds * 1000)}ms")
    before = cpu_seconds(target.pids)
    outputs = _run_all(loads, f"-D{round(context.plan.seconds * 1000)}ms")
    spent = cpu_seconds(target.pids) - before
    rate = sum(rate_of(output, min(sizes)) for output in outputs)
    latencies = [latency for load in loads for latency in load.latencies_ms()]
    p50, p99 = (percentile(latencies, percent) for percent in (50, 99))
    return {RATE: rate, P50: p50, P99: p99, SERVER_CPU: spent / len(latencies) * 1e6}


class _Load:
    """One h2load, for one server."""

    def __init__(self, target: Target, endpoint: str, connections: int, directory: Path) -> None:
        self._log = directory / f"h2load-{endpoint.rpartition(':')[2]}"
        self._command = [
            *as_user(None),
            *("h2load", "-t1", f"-c{connections}", f"-m{_STREAMS}", f"-d{directory / 'body'}"),
            *("-Hcontent-type: application/grpc", "-Hte: trailers", f"--log-file={self._log}"),
            f"http://{endpoint}{target.path}",
        ]

    def start(self, how_long: str) -> subprocess.Popen[str]:
        self._log.unlink(missing_ok=True)
        command = [*self._command[:-1], how_long, self._command[-1]]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def latencies_ms(self) -> list[float]:
        return [int(line.split("\t")[2]) / 1e3 for line in self._log.read_text().splitlines()]


def _run_all(loads: Sequence[_Load], how_long: str) -> list[str]:
    """Runs them at the same time; what they printed."""
    running = [load.start(how_long) for load in loads]
    try:
        return [each.communicate(timeout=_PATIENCE_SECONDS)[0] for each in running]
    except subprocess.TimeoutExpired as error:
        raise BenchmarkError("h2load did not end") from error
    finally:
        for each in running:
            each.kill()
            each.communicate()


def rate_of(output: str, message_bytes: int) -> float:
    """Requests a second, from what h2load printed.

    Args:
        output: Its standard output.
        message_bytes: Of the message in each answer.

    Raises:
        BenchmarkError: It printed something else, or answers were shorter.
    """
    rate = re.search(r"finished in .*, ([\d.]+) req/s", output)
    counts = re.search(r"requests: (\d+) total, .* (\d+) failed, (\d+) errored", output)
    data = re.search(r"traffic: .*\((\d+)\) data", output)
    if rate is None or counts is None or data is None:
        raise BenchmarkError(f"h2load said:\n{output}")
    done, failed, errored = map(int, counts.groups())
    each = int(data[1]) / max(done, 1)  # a little more: of the calls under way at the end as well
    if failed or errored or not done or each < message_bytes + _FRAME_BYTES:
        raise BenchmarkError(f"{failed + errored} of {done} calls failed; {each:.1f} bytes each")
    return float(rate[1])
