"""etcd, three nodes, as Debian has it, called through grpcio."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import grpc

from benchmarks.peers import etcd_client
from benchmarks.peers.etcd_client import EtcdClient, PersistentEtcdClient
from benchmarks.peers.interface import Address, BenchmarkError, Facts, Needs
from benchmarks.processes import Servers, run
from namestore.localcluster.ports import HOST, free_ports

SERVERS = ("e1", "e2", "e3")
_QUOTA_BYTES = 16 * 1024**3  # the default of 2 GiB would end a run of millions of names


class Etcd:
    """A cluster of its own."""

    name = "etcd"
    needs = Needs({"etcd": "etcd-server", "etcdctl": "etcd-client"}, {"grpc_tools": "grpcio-tools"})
    facts = Facts(
        title="etcd, 3 nodes",
        durable="after a majority's fsync (etcd's default; unsafe-no-fsync is off)",
        client="grpcio (asyncio), etcd's own messages, one channel to the leader",
        batch="one Txn of one Txn for each name; or one Txn with a compare and a put for each name",
        lookup="linearizable Range (serializable=false)",
    )

    def __init__(self) -> None:
        self._servers: Servers | None = None
        self._directory = Path()
        self._client_ports: dict[str, int] = {}
        self._peer_ports: dict[str, int] = {}
        self._election_ms = 1000  # etcd's default

    def version(self) -> str:
        return run(["etcd", "--version"]).splitlines()[0].removeprefix("etcd Version: ")

    def set_election_timeout(self, least_ms: int) -> None:
        self._election_ms = least_ms

    def start(self, directory: Path) -> None:
        ports = free_ports(2 * len(SERVERS))
        self._client_ports = dict(zip(SERVERS, ports, strict=False))
        self._peer_ports = dict(zip(SERVERS, ports[len(SERVERS) :], strict=True))
        self._directory, self._servers = directory, Servers(directory)
        for server in SERVERS:
            self._spawn(server, "new")
        self._running().wait_until(lambda: all(map(self.serves, SERVERS)), "serving")

    def stop(self) -> None:
        if self._servers is not None:
            self._servers.end_all()

    def address(self) -> Address:
        leader = self.leader()
        others = [server for server in SERVERS if server != leader]
        return {"endpoints": [self.endpoint(server) for server in (leader, *others)]}

    def pids(self) -> dict[str, list[int]]:
        return self._running().pids()

    def data(self) -> dict[str, Path]:
        return {server: self._directory / server for server in SERVERS}

    @staticmethod
    async def connect(address: Address, callers: int) -> EtcdClient:
        return await EtcdClient.connect(address)

    @staticmethod
    async def connect_persistent(address: Address) -> PersistentEtcdClient:
        return PersistentEtcdClient(address)

    # -- one server -----------------------------------------------------------------------------

    def endpoint(self, server: str) -> str:
        return f"{HOST}:{self._client_ports[server]}"

    def peer_url(self, server: str) -> str:
        return f"http://{HOST}:{self._peer_ports[server]}"

    def leader(self) -> str:
        deadline = time.monotonic() + 10.0
        while time.monotonic() < deadline:
            for server in SERVERS:
                status = self._status(server)
                if status is not None and status[0]:
                    return server
            time.sleep(0.05)
        raise BenchmarkError("etcd has no leader")

    def serves(self, server: str) -> bool:
        """It answers a linearizable read, which takes a majority."""
        try:
            with grpc.insecure_channel(self.endpoint(server)) as channel:
                api = etcd_client.Api(channel)
                api.range(etcd_client.pb.RangeRequest(key=b"any"), timeout=1.0)
        except grpc.RpcError:
            return False
        return True

    def applied_index(self, server: str) -> int:
        """How far its log is applied; 0: it does not answer."""
        status = self._status(server)
        return status[1] if status is not None else 0

    def db_bytes(self, server: str) -> tuple[int, int]:
        """Of its database file: the size, and what of it is in use."""
        with grpc.insecure_channel(self.endpoint(server)) as channel:
            status = etcd_client.Api(channel).status(etcd_client.pb.StatusRequest(), timeout=10.0)
        return int(status.db_size), int(status.db_size_in_use)

    def kill(self, server: str) -> None:
        self._running().kill(server)

    def end(self, server: str) -> None:
        self._running().end(server)

    def restart(self, server: str, state: str = "existing") -> None:
        """Starts it again. `state` only counts for an empty directory."""
        self._spawn(server, state)
        self._running().wait_until(lambda: self.serves(server), f"{server} serving", 1800.0)

    def restart_all(self) -> None:
        """Starts all, which need one another to serve."""
        for server in SERVERS:
            self._spawn(server, "existing")
        self.wait_until(lambda: all(map(self.serves, SERVERS)), "serving", 1800.0)

    def renew(self) -> None:
        """Without the buffer that large transactions leave behind.

        etcd 3.4 copies its buffer of writes for each transaction and each read, at the size that
        it once had: after batches it does a third of what it did before.
        """
        self._running().end_all()
        self.restart_all()

    def wait_until(self, condition: Callable[[], bool], what: str, seconds: float) -> None:
        self._running().wait_until(condition, what, seconds)

    def etcdctl(self, server: str, *arguments: str) -> str:
        return run(
            [
                *("env", "ETCDCTL_API=3", "etcdctl", "--command-timeout=1800s"),
                *(f"--endpoints={self.endpoint(server)}", *arguments),
            ],
            seconds=1800.0,
        )

    # -- inside ---------------------------------------------------------------------------------

    def _running(self) -> Servers:
        if self._servers is None:
            raise BenchmarkError("etcd was not started")
        return self._servers

    def _status(self, server: str) -> tuple[bool, int] | None:
        """Whether it leads, and how far it is; None: no answer."""
        try:
            with grpc.insecure_channel(self.endpoint(server)) as channel:
                call = etcd_client.Api(channel).status
                status = call(etcd_client.pb.StatusRequest(), timeout=1.0)
        except grpc.RpcError:
            return None
        return status.leader != 0 and status.leader == status.header.member_id, int(
            status.raft_applied_index
        )

    def _spawn(self, server: str, state: str) -> None:
        client = f"http://{self.endpoint(server)}"
        members = ",".join(f"{each}={self.peer_url(each)}" for each in SERVERS)
        options = {
            "name": server,
            "data-dir": str(self._directory / server),
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": self.peer_url(server),
            "initial-advertise-peer-urls": self.peer_url(server),
            "initial-cluster": members,
            "initial-cluster-state": state,
            "heartbeat-interval": "100",
            "election-timeout": str(self._election_ms),
            "quota-backend-bytes": str(_QUOTA_BYTES),
            "max-txn-ops": "4096",
            "max-request-bytes": str(etcd_client.MESSAGE_BYTES_MAX),
            "logger": "zap",
            "log-level": "warn",
        }
        command = ["etcd", *(f"--{option}={value}" for option, value in options.items())]
        unset = {key: "" for key in os.environ if key.startswith("ETCD_")}
        self._running().start(server, command, environment=unset)
