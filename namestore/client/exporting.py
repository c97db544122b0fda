"""An export as applications take it: all names under a prefix, as they were at one revision.

Not responsible for beginning again when one breaks off: what was taken of it is of a revision that
no node may be able to show any more, so only the caller knows what becomes of that. Invariant: an
export that ends without an exception is whole, in order, and of one revision.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Self

from namestore.client import methods
from namestore.client.flow import Flow
from namestore.client.network import NoAnswer, Operation
from namestore.client.requests import checked_owner
from namestore.client.retry import blames_endpoint
from namestore.client.session import Session, opened
from namestore.client.times import time_from
from namestore.client.values import NameRecord, record_from
from namestore.errors import InvariantViolation, NamestoreError, Unavailable
from namestore.v1 import registry_pb2 as registry

# A page is one short read of a disk. Longer than a node waits for a caller who does not read.
_PAGE_SECONDS = 60.0


class Opened:
    """An export that has begun: its first page is there. One thread at a time."""

    def __init__(self, session: Session, flow: Flow, first: registry.ExportResponse) -> None:
        self.revision = first.revision
        self.time = time_from(first.time)
        self._session = session
        self._flow = flow
        self._first: registry.ExportResponse | None = first
        self._count = 0
        self._newest = ""
        self._whole = False

    def next_page(self) -> list[NameRecord] | None:
        """The records of the next page; None: that was all. May block for a minute.

        Raises:
            Unavailable: It broke off, or the node ended it.
            InvariantViolation: The node sent what no export is.
        """
        page, self._first = self._first, None
        try:
            message: Any = page or self._flow.take(_PAGE_SECONDS)
            return self._taken(message)
        except (NamestoreError, NoAnswer) as failure:
            self.close()
            if blames_endpoint(failure):
                self._session.endpoints.note_failure(self._flow.endpoint, self._session.clock())
            if isinstance(failure, NamestoreError):
                raise
            raise Unavailable(f"the export broke off ({failure}); begin another one") from failure

    def close(self) -> None:
        """Ends it. Any thread, and more than once."""
        self._flow.close()

    def _taken(self, page: registry.ExportResponse | None) -> list[NameRecord] | None:
        if page is None:
            if not self._whole:
                raise Unavailable("the export ended before its last page; begin another one")
            return None
        records = [record_from(record) for record in page.records]
        self._count += len(records)
        self._whole = page.HasField("name_count")
        if page.revision != self.revision:
            raise InvariantViolation(
                f"a page of an export of revision {self.revision} is of revision {page.revision}"
            )
        if self._whole and page.name_count != self._count:
            raise InvariantViolation(
                f"an export of {page.name_count} names sent {self._count} of them"
            )
        for record in records:
            # Code point order is the byte order of UTF-8.
            if record.name <= self._newest:
                raise InvariantViolation(
                    f"the registry exports {record.name!a} after {self._newest!a}"
                )
            self._newest = record.name
        return records


def begin(session: Session, prefix: str, timeout: float | None) -> Operation[Opened]:
    """See `NameStore.export`."""
    request = registry.ExportRequest(prefix=checked_owner(prefix, "prefix"))
    seconds = session.seconds(timeout)
    flow, first = yield from opened(session, methods.EXPORT, request, seconds, anywhere=True)
    return Opened(session, flow, first)


class _Stated:
    """What both flavours of an export say of it."""

    def __init__(self, begun: Opened) -> None:
        self._opened = begun

    @property
    def revision(self) -> int:
        """The one revision that every record is as of."""
        return self._opened.revision

    @property
    def time(self) -> datetime:
        """That moment, in the log's time."""
        return self._opened.time


class Export(_Stated):
    """Records in byte order, as all of them were at `revision`. Iterate it, once.

    Leave it early only through `close` or the end of a `with`: until then a node holds that picture
    of its state. Iterating raises `Unavailable` when the node ended it, stops, or is not heard any
    more: begin another export, whose revision may be later.
    """

    def __init__(self, begun: Opened) -> None:
        super().__init__(begun)
        self._records = self._read()

    def __iter__(self) -> Iterator[NameRecord]:
        return self._records

    def close(self) -> None:
        """Ends it. May be called twice."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> Iterator[NameRecord]:
        while (page := self._opened.next_page()) is not None:
            yield from page


class AsyncExport(_Stated):
    """`Export` for asyncio: `async for`, `async with`."""

    def __init__(self, begun: Opened) -> None:
        super().__init__(begun)
        self._records = self._read()
        # A thread of its own: what waits for a page must not use up the loop's.
        self._reader = ThreadPoolExecutor(1, "namestore-export")

    def __aiter__(self) -> AsyncIterator[NameRecord]:
        return self._records

    async def close(self) -> None:
        """Ends it. May be called twice."""
        self._opened.close()
        self._reader.shutdown(wait=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _read(self) -> AsyncIterator[NameRecord]:
        loop = asyncio.get_running_loop()
        try:
            while (page := await self._next_page(loop)) is not None:
                for record in page:
                    yield record
        finally:
            await self.close()

    async def _next_page(self, loop: asyncio.AbstractEventLoop) -> list[NameRecord] | None:
        return await loop.run_in_executor(self._reader, self._opened.next_page)
