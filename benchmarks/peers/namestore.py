"""namestore, three nodes, called through its own asyncio client."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import namestore
from benchmarks.peers.interface import OWNER, Address, BenchmarkError, Facts, Needs
from benchmarks.processes import as_user, family
from namestore import aio
from namestore.localcluster import LocalCluster
from namestore.localcluster.node_process import SERVER_COMMAND

_CALL_SECONDS = 30.0
_LONG_SECONDS = 1800.0


class NamestoreClient:
    """All callers of one process share one `NameStore`, as its documentation asks."""

    def __init__(self, endpoints: str) -> None:
        self._store = aio.NameStore(endpoints, timeout=_CALL_SECONDS)

    async def register(self, name: str) -> bool:
        return bool(await self._store.register(name, OWNER))

    async def register_each(self, names: Sequence[str]) -> int:
        return sum(map(bool, await self._store.register_many(names, OWNER)))

    async def register_all(self, names: Sequence[str]) -> bool:
        return all(await self._store.register_many(names, OWNER, all_or_nothing=True))

    async def lookup(self, name: str) -> bool:
        return await self._store.lookup(name) is not None

    async def close(self) -> None:
        await self._store.close()


class Namestore:
    """A local cluster of its own."""

    name = "namestore"
    needs = Needs({}, {})
    facts = Facts(
        title="namestore, 3 nodes",
        durable="after a majority's sync, the leader's own among them (there is no other mode)",
        client="namestore.aio, one NameStore for all callers",
        batch="register_many; or the same with all_or_nothing=True",
        lookup="linearizable lookup (stale=False)",
    )

    def __init__(self) -> None:
        self._cluster: LocalCluster | None = None
        # As etcd's and for its reasons: [1, 2) seconds, and heartbeats each 100 ms.
        self._election_ms = 1000

    def version(self) -> str:
        return namestore.__version__

    def set_election_timeout(self, least_ms: int) -> None:
        self._election_ms = least_ms

    def start(self, directory: Path) -> None:
        raft = {
            "heartbeat_ms": 100,
            "election_timeout_ms_min": self._election_ms,
            "election_timeout_ms_max": 2 * self._election_ms,
        }
        self._cluster = LocalCluster.create(
            directory / "c",
            nodes=3,
            base_port=0,
            settings={"raft": raft},
            command=[*as_user(None), *SERVER_COMMAND],  # ends when we are killed
        )
        self._cluster.start()
        self._cluster.wait_until_serving(timeout=60.0)

    def stop(self) -> None:
        if self._cluster is not None:
            self._cluster.end(timeout=30.0)

    def address(self) -> Address:
        cluster = self._running()
        leader = self.leader()
        others = [node for node in cluster.node_ids if node != leader]
        return {"endpoints": [cluster.endpoint(node) for node in (leader, *others)]}

    def pids(self) -> dict[str, list[int]]:
        cluster = self._running()
        roots = {node: cluster.process(node).pid for node in cluster.node_ids}
        return {node: list(family(pid)) for node, pid in roots.items() if pid is not None}

    def data(self) -> dict[str, Path]:
        cluster = self._running()
        return {node: cluster.config.node(node).data_dir for node in cluster.node_ids}

    @staticmethod
    async def connect(address: Address, callers: int) -> NamestoreClient:
        return NamestoreClient(",".join(address["endpoints"]))

    @staticmethod
    async def connect_persistent(address: Address) -> NamestoreClient:
        """As ever: that is how its client works."""
        return NamestoreClient(",".join(address["endpoints"]))

    def leader(self) -> str:
        return self._running().wait_for_leader()

    def term(self) -> int:
        """Of the leader: each election makes it greater."""
        leader = self.leader()
        view = self._running().views([leader])[leader]
        if view.status is None:
            raise BenchmarkError(f"{leader} says nothing of itself")
        return view.status.term

    def kill(self, server: str) -> None:
        self._running().kill(server)

    def restart(self, server: str) -> None:
        self._running().start(server)
        self._running().wait_until_serving(server, timeout=_LONG_SECONDS)

    def _running(self) -> LocalCluster:
        if self._cluster is None:
            raise BenchmarkError("namestore was not started")
        return self._cluster
