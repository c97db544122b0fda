"""Concurrent calls share round trips: a `Network` around another one.

Calls of single names travel in the frames of one stream to each endpoint, and who asks a node for
its status joins those who do; everything else goes the way it came. Nobody asks for it: callers see
single attempts that end as a `Network` says. Not responsible for which calls go together, see
`lanes`, nor for the stream, see `line`.

Invariant: a call ends by its own deadline, whatever becomes of the others in its frame. One that
was sent and not answered is `LOST` or `TIMED_OUT`; one that never left is `UNSENT`, or `Overloaded`
if it was because its time was up.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from math import inf
from typing import Any

from google.protobuf.message import Message

from namestore.client import methods
from namestore.client.lanes import Call, Kind
from namestore.client.line import Line
from namestore.client.methods import Method
from namestore.client.network import Conversing, Done, Failure
from namestore.client.questions import Questions
from namestore.client.stream import OpenStream, SessionStream
from namestore.errors import ClientMisuse
from namestore.v1 import registry_pb2 as pb

_SWEEPER_JOIN_SECONDS = 5.0

# Which calls travel together, and what they are called in an item of a session.
SHARED = {
    methods.REGISTER.path: "register",
    methods.RELEASE.path: "release",
    methods.LOOKUP.path: "lookup",
    methods.UPDATE.path: "update",
    methods.CONFIRM.path: "confirm",
    methods.RENAME.path: "rename",
}


class SharingNetwork:
    """A `Network` whose calls share the streams of `inner`.

    Args:
        inner: Owned: closed with this one.
        clock: Monotonic seconds.
        sweeps: Starts a thread that ends calls at their deadlines; without it, `sweep` does.
        open_stream: See `Line`.
    """

    def __init__(
        self,
        inner: Conversing,
        clock: Callable[[], float] = time.monotonic,
        *,
        sweeps: bool = True,
        open_stream: OpenStream = SessionStream,
    ) -> None:
        self._inner = inner
        self._clock = clock
        self._lock = threading.Lock()
        self._due = threading.Condition(self._lock)
        self._lines: dict[str, Line] = {}
        self._questions = Questions(inner, clock)
        self._closed = False
        self._earliest = inf
        self._sweeps = sweeps
        self._open_stream = open_stream
        self._sweeper: threading.Thread | None = None

    def call(
        self,
        endpoint: str,
        method: Method[Any, Any],
        request: Message,
        timeout: float,
        left: float | None = None,
    ) -> Message:
        """See `Network.call`."""
        if method is not methods.STATUS and self._line(endpoint, method) is None:
            return self._inner.call(endpoint, method, request, timeout)
        waiter = _Waiter()
        return waiter.wait(self.submit(endpoint, method, request, timeout, waiter, left))

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
        line = self._line(endpoint, method)
        if line is not None:
            return self._submit(line, method, request, timeout, done, left)
        if method is methods.STATUS:
            return self._questions.ask(endpoint, method, request, timeout, done)
        return self._inner.submit(endpoint, method, request, timeout, done)

    def stream(
        self, endpoint: str, method: Method[Any, Any], request: Message
    ) -> tuple[Iterator[Message], Callable[[], None]]:
        """See `Network.stream`."""
        return self._inner.stream(endpoint, method, request)

    def close(self) -> None:
        """See `Network.close`."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            lines = list(self._lines.values())
            sweeper = self._sweeper
            self._due.notify_all()
        for line in lines:
            line.close()
        self._inner.close()
        if sweeper is not None and sweeper is not threading.current_thread():
            sweeper.join(_SWEEPER_JOIN_SECONDS)

    def sweep(self) -> float:
        """Ends the calls whose time is up; returns the next deadline, `inf` if there is none."""
        now = self._clock()
        with self._lock:
            self._earliest = inf
            lines = list(self._lines.values())
        earliest = min((line.expire(now) for line in lines), default=inf)
        with self._lock:
            self._earliest = min(self._earliest, earliest)
            return self._earliest

    # -- within -----------------------------------------------------------------------------

    def _line(self, endpoint: str, method: Method[Any, Any]) -> Line | None:
        """The way that calls of this method share; None: they go by themselves."""
        if method.path not in SHARED:
            return None
        with self._lock:
            if self._closed:
                raise ClientMisuse("this client is closed; make another NameStore")
            line = self._lines.get(endpoint)
            if line is None:
                line = Line(self._inner, endpoint, self._clock, self._watch_for, self._open_stream)
                self._lines[endpoint] = line
        return None if line.without_sessions else line

    def _submit(
        self,
        line: Line,
        method: Method[Any, Any],
        request: Message,
        timeout: float,
        done: Done,
        left: float | None,
    ) -> Callable[[], None]:
        deadline = self._clock() + (timeout if left is None else left)
        call = Call(_kind(request), SHARED[method.path], method, request, deadline, timeout, done)
        line.put(call)
        self._watch_for(deadline)
        return lambda: line.give_up(call)

    def _watch_for(self, deadline: float) -> None:
        """A call ends at `deadline`, at the latest."""
        if deadline >= self._earliest:
            return
        with self._lock:
            self._earliest = min(self._earliest, deadline)
            if self._sweeper is None and self._sweeps and not self._closed:
                self._sweeper = threading.Thread(
                    target=self._sweep_on, name="namestore-deadlines", daemon=True
                )
                self._sweeper.start()
            self._due.notify_all()

    def _sweep_on(self) -> None:
        """The sweeper's thread: sleeps until the earliest deadline there is."""
        while True:
            with self._lock:
                if self._closed:
                    return
                left = self._earliest - self._clock()
                if left > 0:
                    self._due.wait(None if left == inf else left)
                    continue
            self.sweep()


class _Waiter:
    """A thread that waits for one answer."""

    def __init__(self) -> None:
        self._answered = threading.Lock()
        self._answered.acquire()
        self._answer: Message | Failure | None = None

    def __call__(self, answer: Message | Failure) -> None:
        self._answer = answer
        self._answered.release()

    def wait(self, cancel: Callable[[], None]) -> Message:
        """Returns or raises the answer; interrupted, it gives the call up."""
        try:
            self._answered.acquire()
        except BaseException:
            cancel()
            raise
        answer = self._answer
        if isinstance(answer, Message):
            return answer
        raise answer if answer is not None else ClientMisuse("nothing was answered")


def _kind(request: Message) -> Kind:
    if not isinstance(request, pb.LookupRequest):
        return Kind.WRITE
    stale = request.consistency == pb.STALE
    return Kind.STALE_READ if stale else Kind.LINEARIZABLE_READ
