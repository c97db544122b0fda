"""From the replica's callbacks, on whatever thread, to futures of one event loop.

Waking an event loop from another thread costs a system call and a turn of the interpreter lock.
When a log entry is applied, all its callers are answered one after the other, so one wake-up serves
them all. Invariant: a reply settles exactly once, at the latest at its deadline, whether or not
the replica ever calls back and whether or not anybody still waits.
"""

from __future__ import annotations

import asyncio
import copy
import threading
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

from namestore.errors import NamestoreError

T = TypeVar("T")


class Mailbox:
    """Work for an event loop, left there by any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._work: list[Callable[[], None]] = []

    def post(self, deliver: Callable[[], None]) -> None:
        """Has `deliver` called on the loop, in the order of posting. Any thread; never blocks."""
        with self._lock:
            self._work.append(deliver)
            if len(self._work) > 1:
                return  # whoever posted the first one wakes the loop
        try:
            self._loop.call_soon_threadsafe(self._deliver_all)
        except RuntimeError:
            # The loop is closed: nobody can be waiting on it any more.
            with self._lock:
                self._work.clear()

    def _deliver_all(self) -> None:
        with self._lock:
            work, self._work = self._work, []
        for deliver in work:
            deliver()


class Reply(Generic[T]):
    """An answer that is under way. Made and awaited on the loop; `post` is for any thread.

    Args:
        mailbox: Of the running loop.
        timeout: Seconds until it settles by itself.
        late: What it settles with then.
        settled: Called once, on the loop, when it settles: by then nothing is under way for it.
    """

    def __init__(
        self,
        mailbox: Mailbox,
        timeout: float,
        late: Callable[[], NamestoreError],
        settled: Callable[[], None],
    ) -> None:
        loop = asyncio.get_running_loop()
        self.future: asyncio.Future[T] = loop.create_future()
        self._mailbox = mailbox
        self._settled: Callable[[], None] | None = settled
        self._timer = loop.call_later(max(0.0, timeout), lambda: self.settle(late()))

    def post(self, result: T | NamestoreError) -> None:
        """The replica's answer."""
        self._mailbox.post(partial(self.settle, result))

    def settle(self, result: T | NamestoreError) -> None:
        """Ends the waiting; later answers are ignored. On the loop only."""
        settled, self._settled = self._settled, None
        if settled is None:
            return
        self._timer.cancel()
        settled()
        if self.future.done():  # whoever waited was cancelled
            return
        if isinstance(result, NamestoreError):
            # One error may answer many callers; each raises one of its own.
            self.future.set_exception(copy.copy(result))
        else:
            self.future.set_result(result)
