"""One call or one stream as a node's server holds it: what gRPC's own classes are in production."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc

from namestore.server import frames
from tests.simulation.simulated_loop import SimulatedLoop
from tests.simulation.wire import StatedError

# How an item of a stream is answered when nobody foresaw what happened.
_UNFORESEEN = frames._unforeseen().message
# Either what a handler returned, or how it failed.
Reply = Callable[[bytes | StatedError], None]


class Aborted(Exception):
    """A handler ended its call with a status."""

    def __init__(self, error: StatedError) -> None:
        super().__init__(str(error))
        self.error = error


class Context:
    """What a handler sees of its call; the part of `grpc.aio.ServicerContext` that is used."""

    def __init__(self, loop: SimulatedLoop, deadline: float) -> None:
        self._loop, self._deadline = loop, deadline

    def time_remaining(self) -> float:
        return max(0.0, self._deadline - self._loop.time())

    async def abort(self, code: Any, text: str, metadata: tuple[tuple[str, Any], ...]) -> NoReturn:
        raise Aborted(StatedError(code, text, metadata))


@dataclass(eq=False)
class Call:
    """One call as the server has it. `given_up`: nobody waits for it any more."""

    path: str
    data: bytes
    timeout: float
    reply: Reply
    task: asyncio.Task[None] | None = None
    given_up: bool = False


class Conversation:
    """A stream in both directions, as a handler sees it and as its line does.

    Messages come in by `feed`, and go out to `out`, as bytes. `unforeseen` hears of answers that
    stand for an exception.
    """

    def __init__(
        self, loop: SimulatedLoop, handler: Any, out: Reply, unforeseen: Callable[[], None]
    ) -> None:
        self.unforeseen = unforeseen
        self._loop, self._handler, self._out = loop, handler, out
        self._inbox: deque[bytes] = deque()
        self._reader: asyncio.Future[None] | None = None
        self.task: asyncio.Task[None] | None = None
        loop.call_soon_threadsafe(self._start)

    # -- the line's end ---------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """A message arrived."""
        self._inbox.append(data)
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def give_up(self) -> None:
        """The caller is gone."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._cancel)

    # -- on the loop ------------------------------------------------------------------------

    async def read(self) -> Any:
        """The next message."""
        while not self._inbox:
            self._reader = self._loop.create_future()
            await self._reader
        return self._handler.request_deserializer(self._inbox.popleft())

    async def write(self, message: Any) -> None:
        """Sends a message."""
        if any(answer.error.message == _UNFORESEEN for answer in message.answers):
            self.unforeseen()
        self._out(self._handler.response_serializer(message))

    async def abort(self, code: Any, text: str, metadata: tuple[tuple[str, Any], ...]) -> NoReturn:
        """Ends the stream with a status."""
        raise Aborted(StatedError(code, text, metadata))

    def _start(self) -> None:
        self.task = self._loop.create_task(self._run())

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()

    async def _run(self) -> None:
        try:
            await self._handler.stream_stream(None, self)
        except Aborted as aborted:
            self._out(aborted.error)


def unavailable(text: str) -> StatedError:
    """What a channel makes of a connection that is not there, or is not any more."""
    return StatedError(grpc.StatusCode.UNAVAILABLE, text)


def too_late() -> StatedError:
    """What a caller's own clock makes of silence."""
    return StatedError(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
