"""ZooKeeper, three nodes, as Debian has it, called through kazoo."""

from __future__ import annotations

import importlib
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers.interface import OWNER, Address, BenchmarkError, Facts, Needs
from benchmarks.processes import Servers, run
from namestore.localcluster.ports import HOST, free_ports

_SERVERS = ("z1", "z2", "z3")
_JAR = "/usr/share/java/zookeeper.jar"
_LOGGING_JAR = "/usr/share/java/slf4j-simple.jar"
_ROOT = "/names"
_VALUE = OWNER.encode()
# What a transaction that was refused says of each of its parts.
_REFUSALS = ("NodeExistsError", "RolledBackError", "RuntimeInconsistency")


class ZooKeeperClient:
    """Threads share one KazooClient, which has one session and one connection."""

    def __init__(self, hosts: str) -> None:
        kazoo: Any = importlib.import_module("kazoo.client")
        self._exceptions: Any = importlib.import_module("kazoo.exceptions")
        self._client = kazoo.KazooClient(hosts, timeout=10.0, randomize_hosts=False)
        self._client.start(timeout=30.0)

    def register(self, name: str) -> bool:
        try:
            self._client.create(_path(name), _VALUE)
        except self._exceptions.NodeExistsError:
            return False
        return True

    def register_each(self, names: Sequence[str]) -> int:
        """All are sent before the first is answered: there is no such batch."""
        pending = [self._client.create_async(_path(name), _VALUE) for name in names]
        granted = 0
        for each in pending:
            try:
                each.get()
            except self._exceptions.NodeExistsError:
                continue
            granted += 1
        return granted

    def register_all(self, names: Sequence[str]) -> bool:
        transaction = self._client.transaction()
        for name in names:
            transaction.create(_path(name), _VALUE)
        results = transaction.commit()
        refused = [result for result in results if isinstance(result, Exception)]
        allowed = tuple(getattr(self._exceptions, name) for name in _REFUSALS)
        for result in refused:
            if not isinstance(result, allowed):
                raise result
        return not refused

    def lookup(self, name: str) -> bool:
        synced = self._client.sync_async(_ROOT)
        found = self._client.exists_async(_path(name))  # answered after the sync: one session
        synced.get()
        return found.get() is not None

    def close(self) -> None:
        self._client.stop()
        self._client.close()


def _path(name: str) -> str:
    return f"{_ROOT}/{name}"


class ZooKeeper:
    """An ensemble of its own."""

    name = "zookeeper"
    needs = Needs(
        {"java": "default-jre-headless", _JAR: "zookeeper", _LOGGING_JAR: "libslf4j-java"},
        {"kazoo": "kazoo"},
    )
    facts = Facts(
        title="ZooKeeper, 3 nodes",
        durable="after a majority's fsync (ZooKeeper's default; forceSync=yes)",
        client="kazoo: threads, one KazooClient connected to the leader",
        batch="as many create() as names, sent without waiting; or one transaction",
        lookup="sync, then exists, in one session",
    )

    def __init__(self) -> None:
        self._servers: Servers | None = None
        self._directory = Path()
        self._ports: dict[str, int] = {}

    def version(self) -> str:
        text = run(["dpkg-query", "--show", "--showformat=${Version}", "zookeeper"])
        return text.partition("-")[0]

    def start(self, directory: Path) -> None:
        self._directory, self._servers = directory, Servers(directory)
        ports = free_ports(3 * len(_SERVERS))
        self._ports = dict(zip(_SERVERS, ports, strict=False))
        ensemble = [
            f"server.{number}={HOST}:{ports[2 + number]}:{ports[5 + number]}"
            for number in range(1, len(_SERVERS) + 1)
        ]
        for number, server in enumerate(_SERVERS, start=1):
            self._spawn(server, number, ensemble)
        self._servers.wait_until(lambda: self._leader() is not None, "one leader")
        self._servers.wait_until(lambda: all(map(self._mode, _SERVERS)), "serving")
        client = ZooKeeperClient(self.address()["hosts"][0])
        client._client.ensure_path(_ROOT)
        client.close()

    def stop(self) -> None:
        if self._servers is not None:
            self._servers.end_all()

    def address(self) -> Address:
        leader = self._leader()
        if leader is None:
            raise BenchmarkError("ZooKeeper has no leader")
        others = [server for server in _SERVERS if server != leader]
        return {"hosts": [f"{HOST}:{self._ports[server]}" for server in (leader, *others)]}

    def pids(self) -> dict[str, list[int]]:
        return self._servers.pids() if self._servers else {}

    def data(self) -> dict[str, Path]:
        return {server: self._directory / server for server in _SERVERS}

    @staticmethod
    def connect_blocking(address: Address, callers: int) -> ZooKeeperClient:
        return ZooKeeperClient(",".join(address["hosts"]))

    # -- inside ---------------------------------------------------------------------------------

    def _spawn(self, server: str, number: int, ensemble: Sequence[str]) -> None:
        data = self._directory / server
        data.mkdir()
        (data / "myid").write_text(f"{number}\n")
        config = self._directory / f"{server}.cfg"
        lines = [
            "tickTime=2000",  # the Debian package's example, as initLimit and syncLimit
            "initLimit=10",
            "syncLimit=5",
            f"dataDir={data}",
            f"clientPort={self._ports[server]}",
            f"clientPortAddress={HOST}",
            "maxClientCnxns=0",
            "forceSync=yes",
            "admin.enableServer=false",
            "4lw.commands.whitelist=srvr",
            *ensemble,
        ]
        config.write_text("\n".join(lines) + "\n")
        assert self._servers is not None
        self._servers.start(
            server,
            [
                *("java", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"),
                *("-Dzookeeper.jmx.log4j.disable=true", "-cp", f"{_JAR}:{_LOGGING_JAR}"),
                *("org.apache.zookeeper.server.quorum.QuorumPeerMain", str(config)),
            ],
        )

    def _leader(self) -> str | None:
        return next((server for server in _SERVERS if self._mode(server) == "leader"), None)

    def _mode(self, server: str) -> str:
        """leader or follower; empty: it does not serve yet."""
        try:
            with socket.create_connection((HOST, self._ports[server]), timeout=1.0) as link:
                link.sendall(b"srvr")
                text = b"".join(iter(lambda: link.recv(4096), b"")).decode()
        except OSError:
            time.sleep(0.05)
            return ""
        modes = [line.partition(": ")[2] for line in text.splitlines() if "Mode: " in line]
        return modes[0] if modes else ""
