"""Exports of a real cluster while its names move, and while its nodes die."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice

import pytest

from namestore import NameStore, errors
from namestore.client import grpc_network
from namestore.client.histories import Holding
from namestore.localcluster import LocalCluster
from tests.support.cluster import SERVE_SECONDS
from tests.support.eventually import eventually

pytestmark = pytest.mark.cluster

NAMES = [f"user:{number:05}" for number in range(3000)]
MOVERS = 4


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little is on its way between a node and a caller who does not read."""
    options = [*grpc_network._OPTIONS, ("grpc.http2.bdp_probe", 0)]
    monkeypatch.setattr(grpc_network, "_OPTIONS", options)


class Movers:
    """Callers who rename names and give them to others, each in its own share of them."""

    def __init__(self, store: NameStore) -> None:
        self.moves = 0
        self._store = store
        self._stop = threading.Event()

    @contextmanager
    def moving(self) -> Iterator[None]:
        """While the block runs."""
        with ThreadPoolExecutor(MOVERS) as callers:
            under_way: list[Future[None]] = [
                callers.submit(self._move, NAMES[share::MOVERS]) for share in range(MOVERS)
            ]
            try:
                yield
            finally:
                self._stop.set()
                for mover in under_way:
                    mover.result(SERVE_SECONDS)

    def wait_for(self, more: int) -> None:
        """Returns once that many more moves were made."""
        goal = self.moves + more
        eventually(lambda: self.moves >= goal, f"{more} more moves", SERVE_SECONDS)

    def _move(self, names: list[str]) -> None:
        moved, turn = list(names), 0
        while not self._stop.is_set():
            # Far apart, so that what an export has passed comes again behind it, and before it.
            place = turn * 331 % len(names)
            name = moved[place]
            if turn % 3:
                away = name != names[place]
                moved[place] = names[place] if away else f"user:{99_999 - int(name[5:10])}-moved"
                assert self._store.rename(name, moved[place], "ann", timeout=SERVE_SECONDS)
            else:
                self._store.release(name, "ann", timeout=SERVE_SECONDS)
                assert self._store.register(name, "ann", timeout=SERVE_SECONDS)
            turn += 1
            self.moves += 1


def fill(store: NameStore) -> None:
    assert all(store.register_many(NAMES, "ann", b"p" * 1000, timeout=SERVE_SECONDS))


def held_at(revision: int, holdings: tuple[Holding, ...]) -> list[int]:
    """The holding of a name at that revision, by its history; none or one."""
    return [
        holding.create_revision
        for holding in holdings
        if holding.create_revision <= revision
        and (not holding.end_revision or revision < holding.end_revision)
    ]


@pytest.mark.timeout(240)
def test_an_export_is_the_registry_at_its_revision(cluster: LocalCluster) -> None:
    """Names move all the while; what History says of that revision is what was exported, exactly.

    Through each node, and slowly: between two of its pages names are moved behind it and before it.
    """
    exports: dict[int, dict[str, int]] = {}
    with NameStore(cluster.endpoints, timeout=SERVE_SECONDS) as store:
        fill(store)
        movers = Movers(store)
        with movers.moving():
            for node_id in cluster.node_ids:
                movers.wait_for(20)
                with NameStore(cluster.endpoint(node_id), timeout=SERVE_SECONDS) as near:
                    export = near.export("user:")
                    records = iter(export)
                    taken = {}
                    while page := list(islice(records, 500)):
                        taken |= {record.name: record.create_revision for record in page}
                        movers.wait_for(10)
                    exports[export.revision] = taken
        everything = {record.name for record in store.list()}.union(*exports.values())
        told = {name: store.history(name).holdings for name in sorted(everything)}
    assert len(exports) == len(cluster.node_ids)
    for revision, exported in exports.items():
        # A rename takes one name and gives one back; one that is released is away for a moment.
        assert len(NAMES) - MOVERS <= len(exported) <= len(NAMES)
        expected = {name: held_at(revision, holdings) for name, holdings in told.items()}
        assert {name: [held] for name, held in exported.items()} == {
            name: held for name, held in expected.items() if held
        }


@pytest.mark.timeout(240)
def test_an_export_breaks_with_its_node_and_begins_again_elsewhere(cluster: LocalCluster) -> None:
    """What was taken of it does not pass for the whole; the next one is whole."""
    with NameStore(cluster.endpoints, timeout=SERVE_SECONDS) as store:
        fill(store)
        export = store.export("user:")
        records = iter(export)
        assert next(records).name == NAMES[0]
        endpoint = export._opened._flow.endpoint
        cluster.kill(next(n for n in cluster.node_ids if cluster.endpoint(n) == endpoint))
        with pytest.raises(errors.Unavailable):
            list(records)
        assert [record.name for record in store.export("user:")] == NAMES
