"""A stream of a gateway in this process, taken by a thread that is not the gateway's.

Not responsible for when the process ends its loop: what is open then is given up there. Invariant:
the gateway's side of a stream is touched on its own loop only, and closed once the stream is over,
however it ended.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from typing import Any

from google.protobuf.message import Message

from namestore.client.network import Failure
from namestore.errors import NamestoreError

# Runs a coroutine on the gateway's loop. Raises `NamestoreError` when it ended, and runs nothing.
Begin = Callable[[Callable[[], Coroutine[Any, Any, Any]]], "concurrent.futures.Future[Any]"]


class InProcessStream:
    """One stream.

    Args:
        source: Of the gateway. What it yields as None is no message: it only says that it began.
        begin: See there.
        failure: What an exception on the gateway's side means to the session.
    """

    def __init__(
        self,
        source: AsyncGenerator[Message | None, None],
        begin: Begin,
        failure: Callable[[BaseException], Failure],
    ) -> None:
        self._source = source
        self._begin = begin
        self._failure = failure
        # Of the loop: whoever waits for the next message there.
        self._taking: asyncio.Task[Any] | None = None
        self._closed = False

    def messages(self) -> Iterator[Message]:
        """The messages, blocking; raises as `Network.call` does."""
        try:
            while (message := self._next()) is not None:
                yield message
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Ends the stream; whoever waits for its next message hears so. Any thread; twice."""
        try:
            self._begin(self._close)
        except NamestoreError:
            return  # the loop closes it, and everything else, at its end

    def _next(self) -> Message | None:
        future = self._begin(self._take)
        try:
            message: Message | None = future.result()
        except (Exception, concurrent.futures.CancelledError) as error:
            raise self._failure(error) from error
        return message

    async def _take(self) -> Message | None:
        if self._closed:
            raise asyncio.CancelledError
        self._taking = asyncio.current_task()
        try:
            async for message in self._source:
                if message is not None:
                    return message
            return None
        finally:
            self._taking = None

    async def _close(self) -> None:
        self._closed = True
        if self._taking is not None:
            self._taking.cancel()
            await asyncio.wait({self._taking})
        await self._source.aclose()
