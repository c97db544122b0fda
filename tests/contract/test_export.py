"""Exports of a whole node on a real disk: over gRPC and in the caller's process, both flavours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from namestore import NameStore, aio, embedded, errors
from namestore.client import grpc_network
from namestore.server import exporting
from tests.support.eventually import eventually
from tests.support.served_node import ServedNode, served_node

NAMES = [f"user:{number:05}" for number in range(3500)]


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little is on its way between a node and a caller who does not read."""
    options = [*grpc_network._OPTIONS, ("grpc.http2.bdp_probe", 0)]
    monkeypatch.setattr(grpc_network, "_OPTIONS", options)


@pytest.fixture(params=("grpc", "embedded"))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NameStore]:
    """A registry that holds `NAMES`."""
    if request.param == "grpc":
        with served_node(tmp_path) as node, NameStore(node.endpoint, timeout=60) as made:
            yield filled(made)
    else:
        with embedded.open(tmp_path, timeout=60) as made:
            yield filled(made)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[ServedNode]:
    with served_node(tmp_path) as served:
        yield served


def filled(store: NameStore) -> NameStore:
    assert all(store.register_many(NAMES, "ann", b"p" * 900, timeout=60))
    return store


def test_an_export_shows_one_revision(store: NameStore) -> None:
    """Whatever moves while it is taken: nothing is gone, nothing twice, nothing new."""
    before = list(store.list("user:"))
    with store.export("user:") as export:
        taken = list(islice(export, 1))
        store.rename(NAMES[-1], "user:00000a", "ann")
        store.release(NAMES[-2], "ann")
        store.register(NAMES[-2], "bob")
        last = store.update(NAMES[-3], "ann", payload=b"changed")
        taken += export
    assert taken == before
    assert export.revision == len(NAMES)
    assert export.time >= before[-1].create_time
    with store.export() as export:
        assert export.revision == last.mod_revision
        after = list(export)
    assert after == list(store.list())
    assert "user:00000a" in [record.name for record in after]


def test_an_export_that_is_left_makes_room(store: NameStore) -> None:
    """Closing it lets the node's picture go: one more than a node holds at once can follow."""
    for _ in range(exporting.EXPORTS_MAX + 1):
        with store.export("user:0") as export:
            assert next(iter(export)).name == NAMES[0]


def test_an_export_of_nothing_is_an_export(store: NameStore) -> None:
    """It has a revision and no record; a bad prefix is refused."""
    with store.export("post:") as export:
        assert (export.revision, list(export)) == (len(NAMES), [])
    with pytest.raises(errors.InvalidRequest, match="prefix"):
        store.export("x" * 600)


def test_too_many_at_once_are_overloaded(store: NameStore) -> None:
    """Certainly nothing was done; the others go on."""
    running = [store.export() for _ in range(exporting.EXPORTS_MAX)]
    with pytest.raises(errors.Overloaded, match="exports are under way"):
        store.export(timeout=0.5)
    assert [len(list(export)) for export in running] == [len(NAMES)] * exporting.EXPORTS_MAX


async def test_the_asyncio_flavour_exports(tmp_path: Path) -> None:
    """The same, awaited; leaving early frees its thread and the node's picture."""
    async with await embedded.open_async(tmp_path) as names:
        await names.register_many(NAMES, "ann", b"p" * 900, timeout=60)
        async with await names.export("user:") as export:
            await names.release(NAMES[-1], "ann")
            taken = [record.name async for record in export]
        assert (taken, export.revision) == (NAMES, len(NAMES))
        for _ in range(exporting.EXPORTS_MAX + 1):
            async with await names.export() as export:
                async for record in export:
                    assert record.name == NAMES[0]
                    break


async def test_a_cancelled_export_lets_its_stream_go(node: ServedNode) -> None:
    """Of asyncio: whoever is cancelled while it begins leaves nothing open at the node."""
    async with aio.NameStore(node.endpoint, timeout=60) as names:
        await names.register("user:a")
        for _ in range(exporting.EXPORTS_MAX + 1):
            beginning = asyncio.ensure_future(names.export())
            await asyncio.sleep(0)
            beginning.cancel()
            await asyncio.gather(beginning, return_exceptions=True)
        async with await names.export() as export:
            assert [record.name async for record in export] == ["user:a"]


@pytest.mark.parametrize("bound", ("UNREAD_SECONDS_MAX", "HELD_SECONDS_MAX"))
def test_a_caller_who_does_not_read_is_ended(
    node: ServedNode, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    """What is on its way arrives; then it hears that the node let the picture go."""
    monkeypatch.setattr(exporting, bound, 0.2)
    with NameStore(node.endpoint, timeout=60) as store:
        records = iter(filled(store).export())
        assert next(records).name == NAMES[0]
        ended = _watch_ends(monkeypatch)
        eventually(lambda: ended, "the picture is let go")
        with pytest.raises(errors.Overloaded, match="was ended"):
            list(records)


def test_a_node_that_stops_ends_its_exports(node: ServedNode) -> None:
    """The drain does not wait for them, and what was taken does not pass for the whole."""
    with NameStore(node.endpoint, timeout=60) as store:
        records = iter(filled(store).export())
        assert next(records).name == NAMES[0]
        node.stop()
        with pytest.raises(errors.Unavailable):
            list(records)


def test_closing_an_embedded_registry_ends_its_exports(tmp_path: Path) -> None:
    """The directory is free at once, and what was taken does not pass for the whole."""
    with embedded.open(tmp_path, timeout=60) as store:
        records = iter(filled(store).export())
        assert next(records).name == NAMES[0]
    with pytest.raises(errors.NamestoreError):
        list(records)
    with embedded.open(tmp_path, timeout=60) as store, store.export() as export:
        assert len(list(export)) == len(NAMES)


def _watch_ends(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What pictures are ended with, from now on."""
    ended: list[object] = []
    end: Callable[..., Any] = exporting._Picture.end

    def noted(picture: Any, error: errors.NamestoreError) -> None:
        end(picture, error)
        ended.append(error)

    monkeypatch.setattr(exporting._Picture, "end", noted)
    return ended
