"""What names that are already there cost, and what they do to the speed: one peer at a time.

Each size is reached in a cluster of its own, so that nothing else is in it. Not side by side: ten
million names of several peers do not fit into one machine's memory.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial

from benchmarks.generating import generate
from benchmarks.load import Task
from benchmarks.machine import available_bytes
from benchmarks.peers.catalogue import PEERS
from benchmarks.peers.interface import BenchmarkError, Peer, failures_of_peers, renew
from benchmarks.processes import cpu_seconds, disk_bytes, memory_bytes
from benchmarks.samples import DISK, LOADING, MEMORY, SERVER_CPU
from benchmarks.workloads.context import Context, say
from benchmarks.workloads.loading import load_names

COST, COST_TITLE = "cost", "what each name costs that is there"
_SETTLE_SECONDS = 10.0  # flushes, compactions and garbage collections end meanwhile
_MEMORY_SHARE_MAX = 0.8
_CALLERS = {"256": 256, "batch": 8}


def workload_name(kind: str, size: int) -> str:
    """Of the throughput with so many names already there."""
    return f"{kind}@{size}"


def titles(sizes: Sequence[int]) -> dict[str, str]:
    """Of all workloads here, by name."""
    found = {workload_name(COST, size): f"{COST_TITLE}: {size:,} names" for size in sizes if size}
    for kind, what in (("256", "256 callers register"), ("batch", "batches, each for itself")):
        for size in sizes:
            found[workload_name(kind, size)] = f"{what}, {size:,} names already there"
    return found


def run(context: Context, wanted: Sequence[str]) -> None:
    """All sizes of one peer after the other."""
    for name in wanted:
        expected_bytes = 0.0  # for each name, by what was seen at the size before
        for size in context.plan.sizes:
            if expected_bytes * size > _MEMORY_SHARE_MAX * available_bytes():
                need = f"about {expected_bytes * size / 2**30:.0f} GiB of memory would be needed"
                _give_up(context, name, size, need)
                continue
            try:
                with failures_of_peers(), context.fleet.only(PEERS[name]()) as peer:
                    expected_bytes = max(_one_size(context, peer, size), expected_bytes)
            except BenchmarkError as error:
                _give_up(context, name, size, str(error))


def _give_up(context: Context, name: str, size: int, why: str) -> None:
    def refuse() -> dict[str, float]:
        raise BenchmarkError(why)

    for workload in titles([size]):
        context.take(workload, name, 0, refuse)


def _one_size(context: Context, peer: Peer, size: int) -> float:
    """Bytes of memory for each name, on all nodes together; 0: there are none."""
    found = 0.0
    if size:
        say(f"{peer.name}: loading {size:,} names")
        cost = _load(context, peer, size)
        context.take(workload_name(COST, size), peer.name, 0, lambda: cost)
        found = cost[MEMORY] * len(peer.pids())
    plan = context.plan
    for kind, callers in _CALLERS.items():
        renew([peer])
        for number in range(plan.rounds):
            task = Task(
                peer=peer.name,
                address=peer.address(),
                kind="each" if kind == "batch" else "register",
                callers=callers,
                batch=plan.batch if kind == "batch" else 1,
                seconds=plan.seconds,
                prefix=f"{kind}/{size}/{number}",
            )
            context.take(
                workload_name(kind, size),
                peer.name,
                number,
                partial(generate, peer, task, plan.processes, plan.warm_seconds),
            )
    return found


def _load(context: Context, peer: Peer, size: int) -> dict[str, float]:
    servers = len(peer.pids())
    empty_memory, empty_cpu, _ = _used(peer)
    began = time.monotonic()
    asyncio.run(load_names(peer, size, context.plan.batch))
    seconds = time.monotonic() - began
    _, cpu, _ = _used(peer)
    time.sleep(_SETTLE_SECONDS)
    memory, _, disk = _used(peer)
    return {
        LOADING: size / seconds,
        SERVER_CPU: (cpu - empty_cpu) / size * 1e6,
        MEMORY: (memory - empty_memory) / size / servers,
        DISK: disk / size / servers,
    }


def _used(peer: Peer) -> tuple[float, float, float]:
    """Memory, CPU seconds and disk of all its servers together."""
    pids = [pid for each in peer.pids().values() for pid in each]
    disk = sum(disk_bytes(path) for path in peer.data().values())
    return memory_bytes(pids), cpu_seconds(pids), disk
