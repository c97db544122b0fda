"""The client library's shared streams, on simulated time: the real frames over a simulated line.

`namestore.client.sharing` is run as it is but for its threads: deadlines are swept by events of
the world, and a stream is this module's. A stream keeps its order: what is lost is sent again and
holds up what follows. When its node dies, or the connection breaks, it ends, mostly at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf
from typing import Any, NoReturn

from google.protobuf.message import Message

from namestore.client.methods import SESSION, Method
from namestore.client.network import Done, NoAnswer, Silence
from namestore.client.sharing import SharingNetwork
from namestore.client.stream import Ends
from namestore.v1 import registry_pb2 as pb
from tests.simulation.lines import REFUSED, Lines, shown
from tests.simulation.served import Conversation
from tests.simulation.wire import StatedError

_WAKE_MAX_S = 0.0003
_RESENT_MIN_S = 0.2
_KEEPALIVE_MIN_S, _KEEPALIVE_MORE_S = 20.0, 10.0


class PlainLines:
    """What carries single attempts of one client; a `Conversing` but for streams."""

    def __init__(self, lines: Lines, client: str) -> None:
        self.lines, self.client = lines, client

    def submit(
        self,
        endpoint: str,
        method: Method[Any, Any],
        request: Message,
        timeout: float,
        done: Done,
        left: float | None = None,
    ) -> Callable[[], None]:
        """See `Network.submit`."""
        del left  # nothing waits here before it is sent
        self.lines.send(self.client, endpoint, method, request, timeout, done)
        return lambda: None

    def call(self, *arguments: Any) -> NoReturn:
        """Nothing blocks on simulated time."""
        raise NotImplementedError

    def stream(self, *arguments: Any) -> NoReturn:
        """No caller here watches."""
        raise NotImplementedError

    def converse(
        self, endpoint: str, method: Method[Any, Any], requests: Iterator[Message]
    ) -> NoReturn:
        """See `Stream`."""
        raise NotImplementedError

    def close(self) -> None:
        """Simulated clients end with their run."""


class SharedLines(SharingNetwork):
    """The real sharing of round trips; its deadlines are events of the world."""

    def __init__(self, inner: PlainLines) -> None:
        self._world = inner.lines.world
        self._planned = inf
        super().__init__(inner, lambda: self._world.now, sweeps=False, open_stream=_open)

    def _watch_for(self, deadline: float) -> None:
        super()._watch_for(deadline)
        self._plan(deadline)

    def _plan(self, when: float) -> None:
        if when < self._planned:
            self._planned = when
            self._world.at(when, lambda: self._sweep_at(when))

    def _sweep_at(self, when: float) -> None:
        if when == self._planned:
            self._planned = inf
            self._plan(max(self.sweep(), self._world.now + 1e-6))


class Stream:
    """Works as `namestore.client.stream.SessionStream`, without its threads."""

    def __init__(self, network: PlainLines, endpoint: str, ends: Ends) -> None:
        self._lines, self._world = network.lines, network.lines.world
        self._client, self._endpoint, self._ends = network.client, endpoint, ends
        self._host = self._lines.hosts[endpoint.partition(":")[0]]
        self._life = 0
        self._conversation: Conversation | None = None
        self._arrives = [0.0, 0.0]  # the last message there, and the last one back
        self._ended = False

    def wake(self) -> None:
        """There may be something to send."""
        self._world.after(_WAKE_MAX_S * self._world.rng.random(), self._send)

    def close(self) -> None:
        """Ends it."""
        self._end(None)

    def node_died(self) -> None:
        """Its process is gone: mostly the connection breaks; else its pings find out."""
        if self._world.rng.random() < REFUSED:
            self._end_after(self._lines.delay(), "Socket closed")
        else:
            self._end_after(
                _KEEPALIVE_MIN_S + _KEEPALIVE_MORE_S * self._world.rng.random(), "ping timeout"
            )

    # -- there ------------------------------------------------------------------------------

    def _send(self) -> None:
        request = None if self._ended else self._ends.take(self)  # type: ignore[arg-type]
        if request is None:
            return
        self._trace("->", request)
        if self._world.chance(self._lines.faults.break_chance):
            self._end_after(self._lines.delay(), "Connection reset by peer")
            if self._world.rng.random() < 0.5:
                return
        data = request.SerializeToString()
        self._world.at(self._arrival(0), lambda: self._arrive(data))

    def _arrive(self, data: bytes) -> None:
        host = self._host
        if not host.running:
            if self._conversation is None and self._world.rng.random() < REFUSED:
                self._end_after(self._lines.delay(), "connection refused")
            return
        if self._conversation is None and not self._ended:
            self._life = host.lives
            self._conversation = host.server.converse(f"{SESSION.path}", self._answer)
            host.attempts[self] = None
        if self._conversation is None or host.lives != self._life:
            self._end_after(self._lines.delay(), "Connection reset by peer")
        else:
            self._conversation.feed(data)

    # -- back -------------------------------------------------------------------------------

    def _answer(self, answer: bytes | StatedError) -> None:
        if self._world.chance(self._lines.faults.break_chance):
            self._end_after(self._lines.delay(), "Connection reset by peer")
            return  # what the node has done, nobody hears
        self._world.at(self._arrival(1), lambda: self._hear(answer))

    def _hear(self, answer: bytes | StatedError) -> None:
        if self._ended:
            return
        if isinstance(answer, StatedError):
            self._end(self._lines.decoded(self._endpoint, SESSION, answer))
            return
        response = pb.SessionResponse.FromString(answer)
        self._trace("<-", response)
        self._ends.heard(response)

    def _end_after(self, seconds: float, text: str) -> None:
        failure = NoAnswer(self._endpoint, Silence.LOST, text)
        self._world.after(seconds, lambda: self._end(failure))

    def _end(self, failure: Any) -> None:
        if self._ended:
            return
        self._ended = True
        self._host.attempts.pop(self, None)
        conversation = self._conversation
        if conversation is not None:
            self._world.at(self._arrival(0), conversation.give_up)
        self._trace("--", failure)
        self._ends.ended(self, failure)  # type: ignore[arg-type]

    def _arrival(self, direction: int) -> float:
        """When what is sent now is there: behind everything before it, at the earliest."""
        lines, now = self._lines, self._world.now
        seconds = lines.delay()
        while self._world.chance(lines.loss):
            seconds += _RESENT_MIN_S + self._world.rng.random()
        seconds += lines.silence(self._host.node_id)
        self._arrives[direction] = max(self._arrives[direction], now + seconds)
        return self._arrives[direction]

    def _trace(self, way: str, message: Any) -> None:
        if self._world.trace is not None:
            self._world.say(f"{self._client} {way} {self._endpoint} shared: {shown(message)}")


def _open(network: Any, endpoint: str, ends: Ends) -> Any:
    return Stream(network, endpoint, ends)


def network_of(lines: Lines, client: str, shares: bool) -> Any:
    """What a client sends its attempts over."""
    plain = PlainLines(lines, client)
    return SharedLines(plain) if shares else plain
