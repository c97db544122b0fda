"""The feed of changes as applications hold it, blocking and for asyncio.

Holds no logic: `watching` decides what becomes of a feed. Invariant: a feed that was closed, or
that nobody holds any more, holds no stream.
"""

from __future__ import annotations

import threading
import weakref
from typing import Self

from namestore.client import watching
from namestore.client.drivers import AsyncDriver, BlockingDriver
from namestore.client.session import Session
from namestore.client.values import NameEvent
from namestore.client.watching import Following
from namestore.errors import ClientMisuse


class _Stated:
    """What both flavours of a feed say of it."""

    def __init__(self, session: Session, following: Following) -> None:
        self._session = session
        self._following = following
        self._taken = threading.Lock()
        weakref.finalize(self, following.end).atexit = False

    @property
    def revision(self) -> int:
        """Everything wanted up to this one was handed out: a later feed goes on from the next.

        It moves on, too, while nothing matches. 0: nothing yet.
        """
        return max(0, self._following.next_revision - 1)

    @property
    def caught_up(self) -> bool:
        """True unless `squash` was asked for and what was missed is still being told."""
        return not self._following.squash

    @property
    def resumes(self) -> int:
        """How often it went on by itself after its stream broke."""
        return self._following.resumes

    def _enter(self) -> None:
        if not self._taken.acquire(blocking=False):
            raise ClientMisuse("somebody else waits for the next event of this feed; open another")


class Feed(_Stated):
    """What changes, event by event, without end; see `namestore.NameStore.watch`.

    Used by one thread at a time, but for `close`.
    """

    def __init__(
        self, driver: BlockingDriver, session: Session, following: Following, timeout: float | None
    ) -> None:
        super().__init__(session, following)
        self._driver = driver
        driver.run(watching.begin(session, following, timeout))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> NameEvent:
        self._enter()
        try:
            event = self._driver.run(watching.next_event(self._session, self._following))
        except BaseException:
            # An interrupt may have come between a message's arrival and its taking.
            self._following.let_go()
            raise
        finally:
            self._taken.release()
        if event is None:
            raise StopIteration
        return event

    def close(self) -> None:
        """Ends it, also from another thread: whoever waits for an event finds the feed at its end.

        At once if it has a stream, else within a few seconds. May be called twice.
        """
        self._following.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncFeed(_Stated):
    """`Feed` for asyncio: `async for`, `async with`. It begins when it is entered or iterated.

    Giving up waiting for an event, as `asyncio.wait_for` does, loses none.
    """

    def __init__(
        self, driver: AsyncDriver, session: Session, following: Following, timeout: float | None
    ) -> None:
        super().__init__(session, following)
        self._driver = driver
        self._timeout = timeout
        self._begun = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> NameEvent:
        self._enter()
        try:
            await self._begin()
            event = await self._driver.run(watching.next_event(self._session, self._following))
        finally:
            self._taken.release()
        if event is None:
            raise StopAsyncIteration
        return event

    async def close(self) -> None:
        """Ends it; whoever waits for an event finds the feed at its end. May be called twice."""
        self._following.end()

    async def __aenter__(self) -> Self:
        self._enter()
        try:
            await self._begin()
        finally:
            self._taken.release()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _begin(self) -> None:
        if not self._begun and not self._following.ended:
            begin = watching.begin(self._session, self._following, self._timeout)
            await self._driver.run(begin)
            self._begun = True
