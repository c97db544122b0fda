"""Redis: one primary and two replicas, as Debian has it, called through redis-py."""

from __future__ import annotations

import asyncio
import importlib
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers.interface import OWNER, Address, BenchmarkError, Facts, Needs
from benchmarks.processes import Servers, run
from namestore.localcluster.ports import HOST, free_ports

_SERVERS = ("r1", "r2", "r3")
_PRIMARY = _SERVERS[0]
_REPLICAS_WAITED_FOR = 1  # with the primary, two of three
_WAIT_MS = 30_000


class RedisClient:
    """Callers have a pool of connections, one each: WAIT holds the connection that says it."""

    def __init__(self, host: str, port: int, callers: int) -> None:
        redis: Any = importlib.import_module("redis.asyncio")
        pool = redis.BlockingConnectionPool(host=host, port=port, max_connections=callers)
        self._client = redis.Redis(connection_pool=pool)

    @classmethod
    async def connect(cls, address: Address, callers: int) -> RedisClient:
        client = cls(address["host"][0], int(address["port"][0]), callers)
        # All connections are made before anybody counts.
        await asyncio.gather(*(client._client.ping() for _ in range(callers)))
        return client

    async def register(self, name: str) -> bool:
        return await self.register_each([name]) == 1

    async def register_each(self, names: Sequence[str]) -> int:
        pipeline = self._client.pipeline(transaction=False)
        for name in names:
            pipeline.set(name, OWNER, nx=True)
        return await self._majority(pipeline)

    async def register_all(self, names: Sequence[str]) -> bool:
        """MSETNX: all of these keys, or none."""
        pipeline = self._client.pipeline(transaction=False)
        pipeline.msetnx(dict.fromkeys(names, OWNER))
        return await self._majority(pipeline) == 1

    async def _majority(self, pipeline: Any) -> int:
        """Runs it and waits until a replica has it; how many of its commands did something."""
        pipeline.wait(_REPLICAS_WAITED_FOR, _WAIT_MS)
        *results, replicas = await pipeline.execute()
        if replicas < _REPLICAS_WAITED_FOR:
            raise BenchmarkError(f"only {replicas} replicas acknowledged in {_WAIT_MS} ms")
        return sum(map(bool, results))

    async def lookup(self, name: str) -> bool:
        return await self._client.get(name) is not None

    async def close(self) -> None:
        await self._client.aclose()


class Redis:
    """A primary with replicas of its own."""

    name = "redis"
    needs = Needs({"redis-server": "redis-server"}, {"redis": "redis"})
    facts = Facts(
        title="Redis, 1 + 2 replicas",
        durable="after the primary's fsync (appendfsync always) and WAIT 1; WAIT is no consensus: "
        "a failover may lose what was acknowledged",
        client="redis-py (asyncio), one connection for each caller",
        batch="a pipeline of SET NX and one WAIT; or MSETNX and WAIT",
        lookup="GET at the primary: linearizable as long as nothing fails",
    )

    def __init__(self) -> None:
        self._servers: Servers | None = None
        self._directory = Path()
        self._ports: dict[str, int] = {}

    def version(self) -> str:
        return run(["redis-server", "--version"]).split("v=")[1].split()[0]

    def start(self, directory: Path) -> None:
        self._directory, self._servers = directory, Servers(directory)
        self._ports = dict(zip(_SERVERS, free_ports(len(_SERVERS)), strict=True))
        for server in _SERVERS:
            self._spawn(server)
        self._servers.wait_until(self._in_step, "replicating to every replica")

    def stop(self) -> None:
        if self._servers is not None:
            self._servers.end_all()

    def address(self) -> Address:
        return {"host": [HOST], "port": [str(self._ports[_PRIMARY])]}

    def pids(self) -> dict[str, list[int]]:
        return self._servers.pids() if self._servers else {}

    def data(self) -> dict[str, Path]:
        return {server: self._directory / server for server in _SERVERS}

    @staticmethod
    async def connect(address: Address, callers: int) -> RedisClient:
        return await RedisClient.connect(address, callers)

    # -- inside ---------------------------------------------------------------------------------

    def _spawn(self, server: str) -> None:
        data = self._directory / server
        data.mkdir()
        options = {
            "bind": HOST,
            "port": str(self._ports[server]),
            "dir": str(data),
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
            "daemonize": "no",
        }
        if server != _PRIMARY:
            options["replicaof"] = f"{HOST} {self._ports[_PRIMARY]}"
        config = self._directory / f"{server}.conf"
        quoted = {key: value or '""' for key, value in options.items()}
        config.write_text("".join(f"{key} {value}\n" for key, value in quoted.items()))
        assert self._servers is not None
        self._servers.start(server, ["redis-server", str(config)])

    def _in_step(self) -> bool:
        try:
            with socket.create_connection((HOST, self._ports[_PRIMARY]), timeout=1.0) as link:
                link.sendall(b"INFO replication\r\n")
                text = link.recv(65536).decode()
        except OSError:
            return False
        return text.count("state=online") == len(_SERVERS) - 1
