"""The messages of an open stream, read ahead by a thread, for callers of both flavours.

A stream that blocks is read on a thread of its own, so that whoever waits for its next message may
give up, be told to stop, or be a task of an event loop. Not responsible for ending the stream: its
`Flow` does. Invariants: messages are handed out in order, each once, and none is lost by somebody
who gave up waiting; what is read ahead is bounded, so a slow caller slows the node's sending.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress

from google.protobuf.message import Message

from namestore.client.network import Failure, NoAnswer, Silence
from namestore.errors import NamestoreError

# Each may hold as many events as a feed asks for.
MESSAGES_MAX = 8


class Incoming:
    """What is left of one stream. Messages are taken by one caller at a time.

    Args:
        endpoint: Where its node is.
        messages: Blocking, raising as `Network.call` does.
    """

    def __init__(self, endpoint: str, messages: Iterator[Message]) -> None:
        self._endpoint = endpoint
        self._messages = messages
        self._changed = threading.Condition()
        self._ahead: deque[Message] = deque()
        # How the stream ended; everything read before it is handed out first.
        self._end: Failure | None = None
        self._closed = False
        self._wake: Callable[[], None] | None = None
        threading.Thread(target=self._read, name=f"namestore-feed-{endpoint}", daemon=True).start()

    def take(self, timeout: float) -> Message:
        """The next message, waited for so many seconds.

        Raises:
            NamestoreError: Stated by the node.
            NoAnswer: The stream broke or was closed, or nothing came in time.
        """
        with self._changed:
            self._changed.wait_for(self._has_something, timeout)
            return self._next(timeout)

    async def taken(self, timeout: float) -> Message:
        """As `take`, for a task, which may be cancelled."""
        loop = asyncio.get_running_loop()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while (arrival := self._arrival(loop)) is not None:
                    await arrival
        with self._changed:
            return self._next(timeout)

    def close(self) -> None:
        """Nobody takes any more; whoever waits is told so. Any thread, also twice."""
        with self._changed:
            self._closed = True
            self._stir()

    # -- within -----------------------------------------------------------------------------

    def _has_something(self) -> bool:
        return bool(self._ahead) or self._end is not None or self._closed

    def _next(self, timeout: float) -> Message:
        """Under the lock."""
        if self._closed:
            raise NoAnswer(self._endpoint, Silence.LOST, "the stream was closed")
        if self._ahead:
            self._changed.notify_all()
            return self._ahead.popleft()
        if self._end is not None:
            raise self._end
        detail = f"sent nothing for {timeout:g} s"
        raise NoAnswer(self._endpoint, Silence.TIMED_OUT, detail)

    def _arrival(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None] | None:
        """Done when something may be there; None: it is."""
        arrival = loop.create_future()

        def settle() -> None:
            if not arrival.done():
                arrival.set_result(None)

        def wake() -> None:
            with suppress(RuntimeError):  # the loop was closed: nobody waits
                loop.call_soon_threadsafe(settle)

        with self._changed:
            if self._has_something():
                return None
            self._wake = wake
            return arrival

    def _stir(self) -> None:
        """Under the lock."""
        self._changed.notify_all()
        wake, self._wake = self._wake, None
        if wake is not None:
            wake()

    def _read(self) -> None:
        end: Failure = NoAnswer(self._endpoint, Silence.LOST, "ended the stream")
        try:
            for message in self._messages:
                if not self._keep(message):
                    return
        except (NamestoreError, NoAnswer) as failure:
            end = failure
        except Exception as error:  # noqa: BLE001  # whoever waits must hear that it has ended
            end = NoAnswer(self._endpoint, Silence.LOST, f"the stream failed: {error!r}")
            end.__cause__ = error
        with self._changed:
            self._end = end
            self._stir()

    def _keep(self, message: Message) -> bool:
        """Waits for room. False: nobody takes any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._ahead) < MESSAGES_MAX)
            if self._closed:
                return False
            self._ahead.append(message)
            self._stir()
            return True
