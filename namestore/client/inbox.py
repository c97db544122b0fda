"""Answers from networks' threads to the futures of an event loop, many with one wake-up.

Invariant: what was put is delivered, once, unless the loop is closed by then.
"""

from __future__ import annotations

import asyncio
from collections import deque

from google.protobuf.message import Message

from namestore.client.network import Failure


class Inbox:
    """Answers for the tasks of one loop: one wake-up for all that came until it was heard.

    Takes no lock: `put` looks at the flag after it appended, and `_deliver` clears the flag before
    it takes, so an answer that finds the flag set is taken by a delivery that is still to come.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._answers: deque[tuple[asyncio.Future[Message | Failure], Message | Failure]] = deque()
        self._woken = False

    def put(self, answered: asyncio.Future[Message | Failure], answer: Message | Failure) -> None:
        """Has a future of the loop settled. Any thread."""
        self._answers.append((answered, answer))
        if self._woken:
            return
        self._woken = True
        try:
            self.loop.call_soon_threadsafe(self._deliver)
        except RuntimeError:
            self._answers.clear()  # the loop was closed: nobody is left who waits

    def _deliver(self) -> None:
        self._woken = False
        while self._answers:
            answered, answer = self._answers.popleft()
            if not answered.done():
                answered.set_result(answer)
