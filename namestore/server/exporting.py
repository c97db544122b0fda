"""`Export` on a node: every name under a prefix, all from one picture of the state.

A picture that is held keeps RocksDB from tidying up what has changed since, so everything about it
is bounded: how many there are at once, how long one is held, and how long it waits for a caller who
does not read. Its pages are read when the caller wants the next, in a thread: one page at a time of
all exports, and after it a rest as long as it took, so that exports never have more than half of
the interpreter. Belongs to the gateway's event loop.

Invariants: all pages of an export are of one revision, at or after every write that was answered
before the call. A picture is let go exactly once, never under its reader, before the node stops.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Protocol

from namestore.core import reading
from namestore.errors import NamestoreError, Overloaded
from namestore.rpc import pages, responses
from namestore.server.orders import shutting_down
from namestore.storage.interfaces import StateView
from namestore.v1 import registry_pb2 as pb

EXPORTS_MAX = 4
HELD_SECONDS_MAX = 900.0
UNREAD_SECONDS_MAX = 30.0

# A page is one read of the disk and one message; small, since other calls want the interpreter too.
_PAGE_NAMES_MAX = 1000
_PAGE_BYTES_MAX = 512 * 1024

OpenView = Callable[[], AbstractContextManager[StateView]]


class Desk(Protocol):
    """What exports need of a gateway."""

    def chores(self) -> AbstractContextManager[None]:
        """Around work that a drain waits for; refused from its beginning on."""
        ...

    async def catch_up(self, timeout: float) -> None:
        """Returns once a view opened then reflects every write answered before."""
        ...


class Exports:
    """The exports of one node.

    Args:
        desk: The gateway.
        open_view: Of the replica.
    """

    def __init__(self, desk: Desk, open_view: OpenView) -> None:
        self._desk = desk
        self._open_view = open_view
        self._held: dict[_Picture, None] = {}  # the oldest first
        self._turn = asyncio.Lock()
        self._rests_until = 0.0

    async def export(
        self, request: pb.ExportRequest, timeout: float
    ) -> AsyncGenerator[pb.ExportResponse, None]:
        """The pages of one export. Close it, or take them all.

        Args:
            request: Of a caller.
            timeout: Seconds until the picture is taken.

        Raises:
            InvalidRequest: The prefix is longer than any name.
            Unavailable: It cannot begin, or not go on: begin another.
        """
        prefix = pages.canonical_prefix(request.prefix)
        picture = await self._picture(prefix, timeout)
        try:
            while (page := await self._page(picture)) is not None:
                loop = asyncio.get_running_loop()
                unread = loop.call_later(UNREAD_SECONDS_MAX, self._end, picture, _unread())
                try:
                    yield page
                finally:
                    unread.cancel()
        finally:
            self._end(picture, shutting_down())  # nobody is left to hear it

    def end_all(self) -> None:
        """Ends every export, since the node stops; what is read just now is let go right after."""
        for picture in tuple(self._held):
            self._end(picture, shutting_down())

    # -- within -----------------------------------------------------------------------------

    async def _picture(self, prefix: str, timeout: float) -> _Picture:
        with self._desk.chores():
            self._refuse_too_many()
            await self._desk.catch_up(timeout)
            self._refuse_too_many()  # others waited as well
            picture = _Picture(self._open_view(), prefix)
            self._held[picture] = None
            picture.timer = asyncio.get_running_loop().call_later(
                HELD_SECONDS_MAX, self._end, picture, _too_long()
            )
            return picture

    def _refuse_too_many(self) -> None:
        if len(self._held) >= EXPORTS_MAX:
            raise Overloaded(
                f"{EXPORTS_MAX} exports are under way at this node, and no more may be; try again "
                "later, or at another node"
            )

    async def _page(self, picture: _Picture) -> pb.ExportResponse | None:
        loop = asyncio.get_running_loop()
        async with self._turn:
            await asyncio.sleep(max(0.0, self._rests_until - loop.time()))
            began = loop.time()
            try:
                with self._desk.chores():
                    return await asyncio.to_thread(picture.next_page)
            finally:
                self._rests_until = 2 * loop.time() - began

    def _end(self, picture: _Picture, error: NamestoreError) -> None:
        if picture in self._held:
            del self._held[picture]
            if picture.timer is not None:
                picture.timer.cancel()
            picture.end(error)


class _Picture:
    """An open view and how far it was read. `next_page` is for any thread, one at a time.

    Attributes:
        timer: Ends it when it was held for too long.
    """

    def __init__(self, view: AbstractContextManager[StateView], prefix: str) -> None:
        self.timer: asyncio.TimerHandle | None = None
        self._opened = ExitStack()
        self._pages = export_pages(self._opened.enter_context(view), prefix)
        self._lock = threading.Lock()
        self._is_read = False
        self._ended: NamestoreError | None = None

    def next_page(self) -> pb.ExportResponse | None:
        """The next page; None: there is none. Raises what it was ended with."""
        with self._lock:
            if self._ended is not None:
                raise self._ended
            self._is_read = True
        try:
            return next(self._pages, None)
        finally:
            self._read()

    def end(self, error: NamestoreError) -> None:
        """Lets the picture go, after the page that is read just now. Called once; any thread."""
        with self._lock:
            self._ended = error
            if not self._is_read:
                self._opened.close()

    def _read(self) -> None:
        """A reader is done; it lets go what was ended meanwhile."""
        with self._lock:
            self._is_read = False
            if self._ended is not None:
                self._opened.close()


def export_pages(view: StateView, prefix: str) -> Iterator[pb.ExportResponse]:
    """All pages, at least one; the last says how many names there were."""
    page, size_bytes, count = _empty_page(view), 0, 0
    for record in reading.records(view, prefix):
        if len(page.records) == _PAGE_NAMES_MAX or size_bytes > _PAGE_BYTES_MAX:
            yield page
            page, size_bytes = _empty_page(view), 0
        message = page.records.add()
        responses.fill_record(message, record)
        size_bytes += message.ByteSize()
        count += 1
    page.name_count = count
    yield page


def _empty_page(view: StateView) -> pb.ExportResponse:
    page = pb.ExportResponse(revision=view.meta.revision)
    responses.fill_time(page.time, view.meta.time_ms)
    return page


def _unread() -> Overloaded:
    return Overloaded(
        f"the export was ended: its pages were not taken for {UNREAD_SECONDS_MAX:g} s; begin again"
    )


def _too_long() -> Overloaded:
    return Overloaded(
        f"the export was ended after {HELD_SECONDS_MAX:g} s, which is as long as a node holds one "
        "picture of its state; export by smaller prefixes, or at a node that has less to do"
    )
