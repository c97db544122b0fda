"""Exports: one revision, bounded pictures, and none of them closed under its reader."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest

from namestore import errors
from namestore.config import dev_config
from namestore.server import exporting
from namestore.server.gateway import Gateway
from namestore.storage.interfaces import StateView
from namestore.v1 import registry_pb2 as pb
from tests.support.registry_driver import register, release
from tests.support.replica import FakeReplica

WAIT = 30.0
Pages = AsyncGenerator[pb.ExportResponse, None]


class Watched(FakeReplica):
    """Counts the views that are open; a read of one may be held up."""

    def __init__(self) -> None:
        super().__init__()
        self.open_views = 0
        self.may_read = threading.Event()
        self.may_read.set()
        self.is_read = threading.Event()

    @contextmanager
    def view(self) -> Iterator[StateView]:  # type: ignore[override]  # the same face
        with super().view() as view:
            self.open_views += 1
            is_open, scan = [True], view.scan

            def held_up(start: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
                self.is_read.set()
                assert self.may_read.wait(WAIT)
                assert is_open, "the view was closed under its reader"
                return scan(start, prefix)

            view.scan = held_up  # type: ignore[method-assign]
            try:
                yield view
            finally:
                is_open.clear()
                self.open_views -= 1


@pytest.fixture
def replica(monkeypatch: pytest.MonkeyPatch) -> Watched:
    """Holds user:0 to user:4, and pages have two names."""
    monkeypatch.setattr(exporting, "_PAGE_NAMES_MAX", 2)
    made = Watched()
    for number in range(5):
        made.registry.decide(register(f"user:{number}", f"user:{number}"))
    return made


@pytest.fixture
def gateway(replica: Watched) -> Gateway:
    return Gateway(replica, dev_config("unused"), "dev")


def export(gateway: Gateway, prefix: str = "user:") -> Pages:
    return gateway.export(pb.ExportRequest(prefix=prefix), WAIT)


async def until_closed(replica: Watched) -> None:
    async with asyncio.timeout(WAIT):
        while replica.open_views:  # noqa: ASYNC110  # a thread lets it go
            await asyncio.sleep(0.001)


async def test_all_pages_are_of_one_revision(gateway: Gateway, replica: Watched) -> None:
    """What moves while the pages are taken is not seen: not gone, not there, not twice."""
    pages = export(gateway)
    taken = [await anext(pages)]
    replica.registry.decide(release("user:4", "user:4"))
    replica.registry.decide(register("user:3a", "user:3a"))
    replica.registry.decide(register("user:0a", "user:0a"))
    taken += [page async for page in pages]
    assert [record.name for page in taken for record in page.records] == [
        f"user:{number}" for number in range(5)
    ]
    assert {page.revision for page in taken} == {5}
    assert [page.time.ToMilliseconds() for page in taken] == [replica.registry.clock_ms] * 3
    assert replica.open_views == 0


async def test_the_last_page_says_how_many_names_there_were(gateway: Gateway) -> None:
    """And no other does: whoever misses a page knows it."""
    pages = [page async for page in export(gateway)]
    assert [page.HasField("name_count") for page in pages] == [False, False, True]
    assert pages[-1].name_count == 5


async def test_an_export_of_nothing_says_its_revision(gateway: Gateway) -> None:
    """One page."""
    (page,) = [page async for page in export(gateway, "post:")]
    assert (page.revision, page.HasField("name_count"), page.name_count) == (5, True, 0)
    assert not page.records


async def test_pages_are_bounded_in_bytes(
    gateway: Gateway, replica: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much their names hold: a page is over when it has outgrown its size."""
    monkeypatch.setattr(exporting, "_PAGE_NAMES_MAX", 1000)
    monkeypatch.setattr(exporting, "_PAGE_BYTES_MAX", 50)
    assert [len(page.records) async for page in export(gateway)] == [2, 2, 1]


async def test_the_prefix_is_canonical(gateway: Gateway, replica: Watched) -> None:
    """As in List; one that is longer than any name is refused."""
    replica.registry.decide(register("user:\u00e9a", "user:\u00e9a"))
    (page,) = [page async for page in export(gateway, "user:e\u0301")]
    assert [record.name for record in page.records] == ["user:\u00e9a"]
    with pytest.raises(errors.InvalidRequest, match="prefix"):
        await anext(export(gateway, "x" * 600))


async def test_it_begins_after_a_barrier(gateway: Gateway, replica: Watched) -> None:
    """It is linearizable: without a majority nothing is exported."""
    await anext(export(gateway))
    assert replica.calls.barriers == 1
    replica.switches.quorum = False
    with pytest.raises(errors.NoQuorum):
        await anext(export(gateway))


async def test_only_a_few_are_served_at_once(gateway: Gateway, replica: Watched) -> None:
    """The next one is OVERLOADED, before anything is done; one that ended makes room."""
    running = [export(gateway) for _ in range(exporting.EXPORTS_MAX)]
    for pages in running:
        await anext(pages)
    asked = replica.calls.barriers
    with pytest.raises(errors.Overloaded, match="exports are under way"):
        await anext(export(gateway))
    assert replica.calls.barriers == asked
    await running[0].aclose()
    assert (await anext(export(gateway))).revision == 5


async def test_those_who_waited_together_are_counted_too(
    gateway: Gateway, replica: Watched
) -> None:
    """Many that begin at the same moment hold no more pictures than others."""
    replica.switches.hold = True
    begun = [
        asyncio.ensure_future(anext(export(gateway))) for _ in range(exporting.EXPORTS_MAX + 2)
    ]
    async with asyncio.timeout(WAIT):
        while not replica.calls.barriers:  # noqa: ASYNC110  # a turn of the loop later
            await asyncio.sleep(0)
    replica.let_go()
    ended = await asyncio.gather(*begun, return_exceptions=True)
    assert [type(result) for result in ended].count(errors.Overloaded) == 2


async def test_a_drain_ends_exports(gateway: Gateway, replica: Watched) -> None:
    """Their pictures are let go at once, nobody waits for them, and their callers are told."""
    pages = export(gateway)
    await anext(pages)
    gateway.begin_drain()
    assert replica.open_views == 0
    await asyncio.wait_for(gateway.drained(), WAIT)
    with pytest.raises(errors.ShuttingDown):
        await anext(pages)


@pytest.mark.parametrize("bound", ("UNREAD_SECONDS_MAX", "HELD_SECONDS_MAX"))
async def test_a_picture_is_not_held_for_ever(
    gateway: Gateway, replica: Watched, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    """Neither for a caller who reads nothing, nor for one who takes too long."""
    monkeypatch.setattr(exporting, bound, 0.001)
    pages = export(gateway)
    await anext(pages)
    await until_closed(replica)
    with pytest.raises(errors.Overloaded, match="was ended"):
        await anext(pages)


async def test_a_caller_who_leaves_lets_the_picture_go(gateway: Gateway, replica: Watched) -> None:
    """But not under its reader."""
    replica.may_read.clear()
    first = asyncio.ensure_future(anext(export(gateway)))
    await asyncio.to_thread(replica.is_read.wait, WAIT)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert replica.open_views == 1
    replica.may_read.set()
    await until_closed(replica)


async def test_exports_leave_half_of_the_time_to_others(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are: one page is read at a time, and then none for as long as it took."""
    reads: list[tuple[float, float]] = []
    next_page = exporting._Picture.next_page

    def slow(picture: exporting._Picture) -> pb.ExportResponse | None:
        began = time.monotonic()
        time.sleep(0.005)
        try:
            return next_page(picture)
        finally:
            reads.append((began, time.monotonic()))

    monkeypatch.setattr(exporting._Picture, "next_page", slow)

    async def taken() -> int:
        return len([page async for page in export(gateway)])

    assert await asyncio.gather(taken(), taken(), taken()) == [3, 3, 3]
    assert len(reads) == 12
    for (began, ended), (then, _) in pairwise(reads):
        assert then - ended > 0.9 * (ended - began)
