"""The line to one endpoint: its lanes, and the stream that empties them while there is one.

A stream is opened by the first call and again by the first after it broke. Not responsible for
deadlines; see `sharing`. Any thread may use it.

Invariants: what is taken to be sent is taken by the stream of the moment, so that no call is lost
in one that has ended. When a stream ends, every call it owed an answer is told that the answer is
lost, and every call that waited, that it was not sent.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from math import inf

from google.protobuf.message import Message

from namestore.client.lanes import Call, Lanes
from namestore.client.network import Conversing, Failure, NoAnswer, Silence
from namestore.client.stream import Ends, OpenStream, SessionStream
from namestore.errors import AccessDenied, ClientMisuse, NotImplementedYet, Overloaded
from namestore.rpc.status import error_from_call_error
from namestore.v1 import registry_pb2 as pb

# How long a node that does not know sessions is not asked for one again.
WITHOUT_SESSIONS_SECONDS = 60.0


class Line:
    """All that shares a stream to `endpoint`.

    Args:
        clock: Monotonic seconds.
        watch_for: Has `expire` called at a time of that clock. For what `put` is given, whoever
            puts it sees to that.
        open_stream: Opens a stream that works as a `SessionStream` does.
    """

    def __init__(
        self,
        network: Conversing,
        endpoint: str,
        clock: Callable[[], float],
        watch_for: Callable[[float], None],
        open_stream: OpenStream = SessionStream,
    ) -> None:
        self._network = network
        self._endpoint = endpoint
        self._clock = clock
        self._watch_for = watch_for
        self._open_stream = open_stream
        self._lanes = Lanes()
        self._ends = Ends(self._take, self._heard, self._ended)
        self._lock = threading.Lock()
        self._stream: SessionStream | None = None
        self._without_until = -inf
        self._closed = False

    @property
    def without_sessions(self) -> bool:
        """The node there said, not long ago, that it does not know sessions."""
        return self._clock() < self._without_until

    def put(self, call: Call) -> None:
        """Sends a call with the next frame.

        Raises:
            Overloaded: Too much waits.
            ClientMisuse: Closed.
        """
        if self._lanes.put(call) and not self._wake():
            self._lanes.give_up(call)
            raise ClientMisuse("this client is closed; make another NameStore")

    def give_up(self, call: Call) -> None:
        """Nobody waits for the call any more."""
        given_up, may_send = self._lanes.give_up(call)
        if may_send:
            self._wake()
        if not given_up and call.cancel is not None:
            call.cancel()

    def expire(self, now: float) -> float:
        """Ends the calls whose time is up; returns the next deadline."""
        late, earliest, may_send = self._lanes.expire(now)
        if may_send:
            self._wake()
        for call in late:
            if call.number:
                call.done(NoAnswer(self._endpoint, Silence.TIMED_OUT, "does not answer in time"))
            elif call.deadline > now:
                call.done(NoAnswer(self._endpoint, Silence.UNSENT, "does not answer at all"))
            else:
                call.done(
                    Overloaded(
                        f"{self._endpoint} does not answer as fast as this client asks: "
                        "the call waited in the client and was not sent in time"
                    )
                )
        return earliest

    def close(self) -> None:
        """Ends the stream, and every call."""
        with self._lock:
            self._closed = True
            stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()
        self._fail(NoAnswer(self._endpoint, Silence.LOST, "the client was closed"))

    # -- the stream's ends --------------------------------------------------------------------

    def _wake(self) -> bool:
        """Has what may be sent taken, over a new stream if there is none. False: closed."""
        with self._lock:
            if self._closed:
                return False
            try:
                if self._stream is None:
                    self._stream = self._open_stream(self._network, self._endpoint, self._ends)
                self._stream.wake()
                return True
            except ClientMisuse:
                return False
            except RuntimeError as error:  # no thread is to be had
                failure = NoAnswer(self._endpoint, Silence.LOST, f"no stream: {error}")
        self._fail(failure)
        return True

    def _take(self, stream: SessionStream) -> pb.SessionRequest | None:
        now = self._clock()
        with self._lock:
            calls = self._lanes.take(now) if stream is self._stream else []
        if not calls:
            return None
        self._watch_for(min(call.deadline for call in calls))
        request = pb.SessionRequest()
        add = request.items.add
        for call in calls:
            # Rounded up: 0 would mean as long as the node likes.
            timeout_ms = max(1, int((call.deadline - now) * 1000) + 1)
            add(id=call.number, timeout_ms=timeout_ms, **{call.field: call.request})
        return request

    def _heard(self, response: pb.SessionResponse) -> None:
        answers = response.answers
        numbers = [answer.id for answer in answers]
        calls, may_send = self._lanes.answered(numbers, self._clock())
        if may_send:
            self._wake()
        for call, answer in zip(calls, answers, strict=True):
            if call is not None:
                call.done(self._answer(call, answer))

    def _answer(self, call: Call, answer: pb.SessionResponse.Answer) -> Message | Failure:
        kind = answer.WhichOneof("answer")
        if kind == call.field:
            message: Message = getattr(answer, kind)
            return message
        if kind == "error":
            return error_from_call_error(answer.error)
        return NoAnswer(self._endpoint, Silence.LOST, "the answer cannot be understood")

    def _ended(self, stream: SessionStream, failure: Failure | None) -> None:
        with self._lock:
            if stream is not self._stream:
                return  # closed: its calls were told
            self._stream = None
        if isinstance(failure, NotImplementedYet) or (
            isinstance(failure, NoAnswer) and failure.silence is Silence.FOREIGN
        ):
            self._without_until = self._clock() + WITHOUT_SESSIONS_SECONDS
            self._send_singly()
        else:
            self._fail(failure or NoAnswer(self._endpoint, Silence.LOST, "ended the stream"))

    def _fail(self, failure: Failure) -> None:
        detail = failure.detail if isinstance(failure, NoAnswer) else str(failure)
        for call in self._lanes.fail_all():
            if isinstance(failure, AccessDenied):
                call.done(copy.copy(failure))  # each raises its own
            else:
                silence = Silence.LOST if call.number else Silence.UNSENT
                call.done(NoAnswer(self._endpoint, silence, detail))

    def _send_singly(self) -> None:
        """The node is older than sessions, and looked at nothing: each call goes by itself."""
        for call in self._lanes.fail_all():
            left = max(call.deadline - self._clock(), 0.001)
            try:
                call.cancel = self._network.submit(
                    self._endpoint, call.method, call.request, left, call.done
                )
            except ClientMisuse as error:
                call.done(error)
