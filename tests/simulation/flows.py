"""Streams from a node to one caller, on simulated time: what gRPC does under `Watch` and `Export`.

A stream keeps its order: what is lost is sent again and holds up what follows. What nobody takes
fills the room that there is, and then the node's handler waits. When its node dies, or the
connection breaks, it ends, mostly at once; a silent one ends when its reader's patience does.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, NoReturn

from google.protobuf.message import Message

from namestore.client.methods import Method
from namestore.client.network import Effect, Failure, NoAnswer, Open, Silence, Take
from tests.simulation.callers_real import Driver
from tests.simulation.lines import REFUSED, Lines, shown
from tests.simulation.served import Aborted, Reply
from tests.simulation.simulated_loop import SimulatedLoop
from tests.simulation.wire import StatedError
from tests.simulation.world import World

_RESENT_MIN_S = 0.2
_ROOM = 8  # messages on their way or not taken
_ENDED = b""


class Outpour:
    """A stream as a handler sees it: one request, any number of answers.

    What `out` gets is bytes, how the stream failed, or `_ENDED` behind the last message.
    """

    def __init__(self, loop: SimulatedLoop, handler: Any, data: bytes, out: Reply) -> None:
        self._loop, self._handler, self._data, self._out = loop, handler, data, out
        self._untaken = 0
        self._room: asyncio.Future[None] | None = None
        self.task: asyncio.Task[None] | None = None
        loop.call_soon_threadsafe(self._start)

    # -- the line's end ---------------------------------------------------------------------

    def taken(self) -> None:
        """The caller took a message."""
        self._untaken -= 1
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def give_up(self) -> None:
        """The caller is gone."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._cancel)

    # -- the handler's end ------------------------------------------------------------------

    def time_remaining(self) -> None:
        """Nobody set a deadline."""

    async def send_initial_metadata(self, metadata: Any) -> None:
        """The stream has begun; no caller here looks at that."""

    async def write(self, message: Message) -> None:
        """Sends a message, once there is room."""
        while self._untaken >= _ROOM:
            self._room = self._loop.create_future()
            await self._room
        self._untaken += 1
        self._out(self._handler.response_serializer(message))

    async def abort(self, code: Any, text: str, metadata: tuple[tuple[str, Any], ...]) -> NoReturn:
        """Ends the stream with a status."""
        raise Aborted(StatedError(code, text, metadata))

    def _start(self) -> None:
        self.task = self._loop.create_task(self._run())

    def _wake(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def _cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()

    async def _run(self) -> None:
        try:
            await self._handler.unary_stream(self._handler.request_deserializer(self._data), self)
            self._out(_ENDED)
        except Aborted as aborted:
            self._out(aborted.error)


class Flow:
    """Works as `namestore.client.flow.Flow`, for who does not block: `take` calls back."""

    def __init__(self, lines: Lines, endpoint: str, method: Method[Any, Any]) -> None:
        self.endpoint = endpoint
        self._lines, self._world, self._method = lines, lines.world, method
        self._host = lines.hosts[endpoint.partition(":")[0]]
        self._ahead: deque[Message] = deque()
        self._end: Failure | None = None
        self._closed = self._broken = False
        self._waiting: Callable[[Any], None] | None = None
        self._outpour: Outpour | None = None
        self._arrives = 0.0

    # -- the caller's end -------------------------------------------------------------------

    def begin(self, request: Message) -> None:
        """Sends the request."""
        data = request.SerializeToString()
        if self._world.trace is not None:
            self._world.say(f"flow -> {self.endpoint}: {self._method.name} {shown(request)}")
        self._world.after(self._lines.delay(), lambda: self._reach(data))

    def take(self, seconds: float, then: Callable[[Any], None]) -> None:
        """Gives `then` the next message, or how the stream failed."""
        if self._closed:
            then(NoAnswer(self.endpoint, Silence.LOST, "the stream was closed"))
        elif self._ahead or self._end is not None:
            then(self._next())
        else:
            self._waiting = then
            self._world.after(seconds, lambda: self._too_late(then, seconds))

    def close(self) -> None:
        """Nobody takes any more."""
        if self._closed:
            return
        self._closed = True
        self._host.attempts.pop(self, None)
        outpour = self._outpour
        if outpour is not None:
            self._world.after(self._lines.delay(), outpour.give_up)
        self._hand_out()

    def node_died(self) -> None:
        """Its process is gone: mostly the connection breaks, and the caller is told."""
        if self._world.rng.random() < REFUSED:
            self._ends_after(self._lines.delay(), "Socket closed")

    # -- there and back ---------------------------------------------------------------------

    def _reach(self, data: bytes) -> None:
        host, lines, world = self._host, self._lines, self._world
        if self._closed or lines.silence(host.node_id):
            return
        if not host.running:
            if world.rng.random() < REFUSED:
                self._ends_after(lines.delay(), "connection refused")
            return
        host.attempts[self] = None
        self._outpour = host.server.pour(self._method.path, data, self._sent)

    def _sent(self, answer: bytes | StatedError) -> None:
        lines, world = self._lines, self._world
        if self._broken:
            return
        if world.chance(lines.faults.break_chance / 4):
            self._broken = True  # behind what is lost nothing arrives
            self._ends_after(lines.delay(), "Connection reset by peer")
            return
        seconds = lines.delay() + lines.silence(self._host.node_id)
        while world.chance(lines.loss):
            seconds += _RESENT_MIN_S + world.rng.random()
        self._arrives = max(self._arrives, world.now + seconds)
        world.at(self._arrives, lambda: self._arrive(answer))

    def _arrive(self, answer: bytes | StatedError) -> None:
        if self._closed or self._end is not None:
            return
        if answer == _ENDED:
            self._end = NoAnswer(self.endpoint, Silence.LOST, "ended the stream")
            self._hand_out()
            return
        heard = self._lines.decoded(self.endpoint, self._method, answer)
        if self._world.trace is not None:
            self._world.say(f"flow <- {self.endpoint}: {shown(heard)}")
        if isinstance(heard, Message):
            self._ahead.append(heard)
        else:
            self._end = heard
        self._hand_out()

    def _ends_after(self, seconds: float, text: str) -> None:
        def end() -> None:
            if self._end is None:
                self._end = NoAnswer(self.endpoint, Silence.LOST, text)
                self._hand_out()

        self._world.after(seconds, end)

    def _next(self) -> Any:
        if not self._ahead:
            return self._end
        if self._outpour is not None:
            self._outpour.taken()
        return self._ahead.popleft()

    def _hand_out(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self.take(0.0, waiting)

    def _too_late(self, then: Callable[[Any], None], seconds: float) -> None:
        if self._waiting is then:
            self._waiting = None
            then(NoAnswer(self.endpoint, Silence.TIMED_OUT, f"sent nothing for {seconds:g} s"))


class FlowDriver(Driver):
    """Carries out effects, those about streams among them."""

    def __init__(self, world: World, network: Any, lines: Lines) -> None:
        super().__init__(world, network)
        self._lines = lines

    def _perform(self, effect: Effect, then: Callable[[Any], None]) -> None:
        match effect:
            case Open():
                self._open(effect, then)
            case Take(flow, seconds):
                flow.take(seconds, lambda result: self.world.after(0.0, lambda: then(result)))
            case _:
                super()._perform(effect, then)

    def _open(self, effect: Open, then: Callable[[Any], None]) -> None:
        flow = Flow(self._lines, effect.endpoint, effect.method)
        flow.begin(effect.request)

        def begun(first: Any) -> None:
            if isinstance(first, Message):
                then((flow, first))
            else:
                flow.close()
                then(first)

        flow.take(effect.timeout, lambda first: self.world.after(0.0, lambda: begun(first)))
