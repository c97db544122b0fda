"""The calls to one endpoint that share frames: what waits, what is sent, who is owed an answer.

Knows nothing of streams, threads or clocks: times are passed in, and whoever asks for a frame
sends it. Thread-safe; no method waits for anything but its own lock.

A lone call is a frame by itself, at once. While frames of a lane are under way, the calls that come
gather for the next; so frames grow with the load. Writes, linearizable and stale reads have a lane
each, because a call must not wait for one of another kind: a stale read is answered while nothing
else can be.

Invariant: every call that was put in leaves once: answered, expired, given up or failed.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from math import inf
from typing import Any

from google.protobuf.message import Message

from namestore.client.methods import Method
from namestore.client.network import Done
from namestore.errors import Overloaded

# Of one lane: enough to fill the time that a frame is under way.
FRAMES_UNDER_WAY_MAX = 2
# And more of them, as long as each has so many calls that it is worth its cost by itself.
LARGE_FRAMES_UNDER_WAY_MAX = 5
LARGE_FRAME_CALLS = 64
# A frame costs what many calls in it cost: beside one of many calls, one of few is not worth it.
CALLS_UNDER_WAY_FOR_EACH_MAX = 4
FRAME_CALLS_MAX = 500
FRAME_BYTES_MAX = 1024 * 1024
# Nothing was heard for so long since a frame was sent: nobody waits to be sent there any more.
SILENCE_SECONDS = 1.0
# Of one endpoint, not yet sent: more would be late anyway.
WAITING_CALLS_MAX = 100_000
WAITING_BYTES_MAX = 64 * 1024 * 1024


class Kind(Enum):
    """Which lane a call takes."""

    WRITE = auto()
    LINEARIZABLE_READ = auto()
    STALE_READ = auto()


@dataclass(slots=True, eq=False)
class Frame:
    """Calls of one lane that were sent together, and how many of them are owed an answer."""

    lane: Lane
    sent_at: float
    owed: int = 0


@dataclass(slots=True, eq=False)
class Call:
    """One attempt of somebody's call.

    Attributes:
        field: Its place in an item of a session.
        deadline: Seconds of the clock. Once it is sent, no later than its `patience` from then.
        patience: Seconds.
        done: See `Network.submit`.
        number: Once it is sent: the id of its item.
        frame: Once it is sent: what it was sent with.
        ended: It is in no lane any more.
        cancel: Gives it up where it went instead.
    """

    kind: Kind
    field: str
    method: Method[Any, Any]
    request: Message
    deadline: float
    patience: float
    done: Done
    size: int = 0
    number: int = 0
    frame: Frame | None = None
    ended: bool = False
    cancel: Callable[[], None] | None = None


@dataclass(slots=True, eq=False)
class Lane:
    """The calls of one kind.

    Attributes:
        waiting: May hold calls that have ended: they are passed over.
        frames: Under way.
        owed: Calls in them that are not answered.
    """

    waiting: deque[Call] = field(default_factory=deque)
    frames: int = 0
    owed: int = 0

    @property
    def may_send(self) -> bool:
        """There is something to send, and not too much under way for it."""
        waiting = len(self.waiting)
        if self.frames < FRAMES_UNDER_WAY_MAX:
            return waiting > 0 and self.owed <= CALLS_UNDER_WAY_FOR_EACH_MAX * waiting
        return waiting >= LARGE_FRAME_CALLS and self.frames < LARGE_FRAMES_UNDER_WAY_MAX


class Lanes:
    """All calls to one endpoint."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lanes = {kind: Lane() for kind in Kind}
        self._sent: dict[int, Call] = {}
        self._number = 0
        self._waiting_calls = 0
        self._waiting_bytes = 0
        # Somebody was told to `take`, and did not yet: one wake-up for all that came until then.
        self._told = False
        self._heard_at = -inf

    def put(self, call: Call) -> bool:
        """Takes a call in. True: somebody must `take` now.

        Raises:
            Overloaded: As much waits as may.
        """
        call.size = call.request.ByteSize()
        with self._lock:
            if (
                self._waiting_calls >= WAITING_CALLS_MAX
                or self._waiting_bytes + call.size > WAITING_BYTES_MAX
            ):
                raise Overloaded(
                    f"{self._waiting_calls} calls of this client wait to be sent, "
                    "and no more may; back off and try again"
                )
            self._waiting_calls += 1
            self._waiting_bytes += call.size
            lane = self._lanes[call.kind]
            lane.waiting.append(call)
            return lane.may_send and self._tell()

    def take(self, now: float) -> list[Call]:
        """What is to be sent now, in one message: at most a frame of each lane. May be empty."""
        taken: list[Call] = []
        with self._lock:
            self._told = False
            for lane in self._lanes.values():
                if lane.may_send:
                    self._fill(lane, taken, now)
        return taken

    def answered(self, numbers: Iterable[int], now: float) -> tuple[list[Call | None], bool]:
        """Whose answers these are (None: nobody's any more), and whether to `take` now."""
        calls: list[Call | None] = []
        with self._lock:
            self._heard_at = now
            for number in numbers:
                call = self._sent.pop(number, None)
                calls.append(call)
                if call is not None:
                    self._settle(call)
            return calls, self._may_send()

    def give_up(self, call: Call) -> tuple[bool, bool]:
        """Nobody waits for it any more; it is not sent if it was not yet.

        Returns:
            Whether it was still to end; and whether to `take` now.
        """
        with self._lock:
            if call.ended:
                return False, False
            self._drop(call)
            return True, self._may_send()

    def expire(self, now: float) -> tuple[list[Call], float, bool]:
        """Ends the calls whose time is up; in a silence also those that wait to be sent.

        Returns:
            These calls; the next deadline of those left; and whether to `take` now.
        """
        late: list[Call] = []
        earliest = inf
        with self._lock:
            silent = self._is_silent(now)
            for call in self._all():
                if call.deadline <= now or (silent and call.frame is None):
                    late.append(call)
                else:
                    earliest = min(earliest, call.deadline)
            for call in late:
                self._drop(call)
            return late, earliest, self._may_send()

    def fail_all(self) -> list[Call]:
        """Ends every call, the sent ones (they have a `number`) and those that still wait."""
        with self._lock:
            self._told = False
            calls = self._all()
            for call in calls:
                self._drop(call)
            for lane in self._lanes.values():
                lane.waiting.clear()
        return calls

    # -- within, under the lock ---------------------------------------------------------------

    def _may_send(self) -> bool:
        return any(lane.may_send for lane in self._lanes.values()) and self._tell()

    def _tell(self) -> bool:
        told, self._told = self._told, True
        return not told

    def _is_silent(self, now: float) -> bool:
        """Something was sent a while ago, is owed an answer, and nothing at all came since."""
        return any(
            call.frame is not None
            and call.deadline <= now
            and self._heard_at < call.frame.sent_at <= now - SILENCE_SECONDS
            for call in self._sent.values()
        )

    def _fill(self, lane: Lane, taken: list[Call], now: float) -> None:
        """Moves a frame of the lane into `taken`: at least one call, unless all have ended."""
        frame = Frame(lane, now)
        size = 0
        while lane.waiting and frame.owed < FRAME_CALLS_MAX:
            call = lane.waiting[0]
            if not call.ended:
                if frame.owed and size + call.size > FRAME_BYTES_MAX:
                    break
                size += call.size
                frame.owed += 1
                self._leaves_queue(call)
                self._number += 1
                call.number, call.frame = self._number, frame
                call.deadline = min(call.deadline, now + call.patience)
                self._sent[call.number] = call
                taken.append(call)
            lane.waiting.popleft()
        if frame.owed:
            lane.frames += 1
            lane.owed += frame.owed

    def _drop(self, call: Call) -> None:
        if call.frame is None:
            self._leaves_queue(call)
            call.ended = True
        else:
            del self._sent[call.number]
            self._settle(call)

    def _settle(self, call: Call) -> None:
        """A call that was sent has ended; the last one of a frame makes room for another frame."""
        call.ended = True
        frame = call.frame
        if frame is not None:
            frame.owed -= 1
            frame.lane.owed -= 1
            if not frame.owed:
                frame.lane.frames -= 1

    def _leaves_queue(self, call: Call) -> None:
        self._waiting_calls -= 1
        self._waiting_bytes -= call.size

    def _all(self) -> list[Call]:
        waiting = [c for lane in self._lanes.values() for c in lane.waiting if not c.ended]
        return [*self._sent.values(), *waiting]
