"""PostgreSQL: one node, or one with two synchronous standbys; called through psycopg 3."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import shutil
import signal
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers.interface import OWNER, Address, Facts, Needs
from benchmarks.processes import Servers, run
from namestore.localcluster.ports import HOST, free_ports

_VERSION = "15"
_BIN = f"/usr/lib/postgresql/{_VERSION}/bin"
_CONNECTIONS = 32  # as many as a pool of one application would have
_ONE = "INSERT INTO names VALUES (%s, %s) ON CONFLICT DO NOTHING RETURNING 1"
_EACH = "INSERT INTO names SELECT unnest(%s::text[]), %s ON CONFLICT DO NOTHING RETURNING 1"
_ALL = "INSERT INTO names SELECT unnest(%s::text[]), %s"
_FIND = "SELECT 1 FROM names WHERE name = %s"


class PostgresClient:
    """Callers take turns at a pool of connections, each in autocommit."""

    def __init__(self, connections: Sequence[Any]) -> None:
        self._psycopg: Any = importlib.import_module("psycopg")
        self._connections = connections
        self._free = list(connections)
        self._turns = asyncio.Semaphore(len(connections))  # a queue would let callers overtake

    @classmethod
    async def connect(cls, address: Address, callers: int) -> PostgresClient:
        connect = importlib.import_module("psycopg").AsyncConnection.connect
        return cls(
            [
                await connect(address["dsn"][0], autocommit=True)
                for _ in range(min(callers, _CONNECTIONS))
            ]
        )

    async def register(self, name: str) -> bool:
        return await self._rows(_ONE, (name, OWNER)) == 1

    async def register_each(self, names: Sequence[str]) -> int:
        return await self._rows(_EACH, (list(names), OWNER))

    async def register_all(self, names: Sequence[str]) -> bool:
        try:
            return await self._rows(_ALL, (list(names), OWNER)) == len(names)
        except self._psycopg.errors.UniqueViolation:
            return False

    async def lookup(self, name: str) -> bool:
        return await self._rows(_FIND, (name,)) == 1

    async def close(self) -> None:
        for connection in self._connections:
            await connection.close()

    async def _rows(self, statement: str, values: Sequence[Any]) -> int:
        async with self._connection() as connection:
            cursor = await connection.execute(statement, values)
            return int(cursor.rowcount)

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        async with self._turns:
            connection = self._free.pop()
            try:
                yield connection
            finally:
                self._free.append(connection)


class Postgres:
    """A server of its own, without replication."""

    name = "postgres"
    needs = Needs({f"{_BIN}/postgres": f"postgresql-{_VERSION}"}, {"psycopg": "psycopg[binary]"})
    facts = Facts(
        title="PostgreSQL, 1 node",
        durable="after its own fsync; a single machine: nothing is replicated",
        client=f"psycopg 3 (asyncio), a pool of at most {_CONNECTIONS} connections",
        batch="INSERT … SELECT unnest(…) ON CONFLICT DO NOTHING; or without ON CONFLICT",
        lookup="SELECT at the primary",
    )
    standbys = 0

    def __init__(self) -> None:
        self._servers: Servers | None = None
        self._directory = Path()
        self._ports: dict[str, int] = {}
        # It refuses to run as root.
        self._user = "postgres" if os.geteuid() == 0 else None

    def version(self) -> str:
        return run([f"{_BIN}/postgres", "--version"]).split()[2]

    def start(self, directory: Path) -> None:
        self._directory, self._servers = directory, Servers(directory)
        if self._user is not None:
            # The directories above are ours; it must be let through, and no more.
            directory.parent.chmod(0o711)
            shutil.chown(directory, self._user, self._user)
        names = ["primary", *(f"standby{number}" for number in range(1, self.standbys + 1))]
        self._ports = dict(zip(names, free_ports(len(names)), strict=True))
        self._initialise()
        self._spawn("primary")
        self._execute("CREATE TABLE names (name text PRIMARY KEY, owner text NOT NULL)")
        for name in names[1:]:
            self._add_standby(name)
        if self.standbys:
            listed = ", ".join(names[1:])
            self._execute(f"ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 ({listed})'")
            self._execute("SELECT pg_reload_conf()")
            self._servers.wait_until(self._in_step, "replicating to every standby")

    def stop(self) -> None:
        if self._servers is not None:
            self._servers.end_all(signal.SIGINT)  # "fast": it does not wait for sessions

    def address(self) -> Address:
        return {"dsn": [self._dsn("primary")]}

    def pids(self) -> dict[str, list[int]]:
        return self._servers.pids() if self._servers else {}

    def data(self) -> dict[str, Path]:
        return {name: self._directory / name for name in self._ports}

    @staticmethod
    async def connect(address: Address, callers: int) -> PostgresClient:
        return await PostgresClient.connect(address, callers)

    # -- inside ---------------------------------------------------------------------------------

    def _dsn(self, name: str) -> str:
        return f"host={HOST} port={self._ports[name]} user=postgres dbname=postgres"

    def _initialise(self) -> None:
        data = self._directory / "primary"
        run(
            [f"{_BIN}/initdb", "--auth=trust", "--username=postgres", "--pgdata", str(data)],
            user=self._user,
        )
        with (data / "postgresql.conf").open("a") as config:
            config.write(
                f"listen_addresses = '{HOST}'\nunix_socket_directories = ''\n"
                "max_connections = 300\n"
                "fsync = on\nsynchronous_commit = on\nfull_page_writes = on\n"
                "max_wal_size = 4GB\n"
            )

    def _add_standby(self, name: str) -> None:
        source = f"{self._dsn('primary')} application_name={name}"
        target = self._directory / name
        run(
            [
                *(f"{_BIN}/pg_basebackup", "--pgdata", str(target), "--dbname", source),
                *("--write-recovery-conf", "--checkpoint=fast", "--wal-method=stream"),
            ],
            user=self._user,
        )
        self._spawn(name)

    def _spawn(self, name: str) -> None:
        assert self._servers is not None
        data = self._directory / name
        command = [f"{_BIN}/postgres", "-D", str(data), "-p", str(self._ports[name])]
        self._servers.start(name, command, user=self._user)
        self._servers.wait_until(lambda: self._answers(name), f"{name} answering")

    def _answers(self, name: str) -> bool:
        psycopg: Any = importlib.import_module("psycopg")
        try:
            psycopg.connect(self._dsn(name), connect_timeout=1).close()
        except psycopg.OperationalError:
            return False
        return True

    def _in_step(self) -> bool:
        rows = self._execute("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'quorum'")
        return rows == self.standbys

    def _execute(self, statement: str) -> int:
        psycopg: Any = importlib.import_module("psycopg")
        with psycopg.connect(self._dsn("primary"), autocommit=True) as connection:
            return int(connection.execute(statement).rowcount)


class ReplicatedPostgres(Postgres):
    """One primary that waits for either of two standbys. A failover is somebody else's work."""

    name = "postgres-sync"
    facts = Facts(
        title="PostgreSQL, 1 + 2 standbys",
        durable="after its own fsync and that of one standby (synchronous_standby_names = ANY 1)",
        client=Postgres.facts.client,
        batch=Postgres.facts.batch,
        lookup=Postgres.facts.lookup,
    )
    standbys = 2
