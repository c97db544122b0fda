"""Linearizable reads without a log write: ReadIndex (Raft thesis, section 6.4).

A read needs three things: the index that was committed when it came, proof that this leader still
leads at some moment after it came, and the state applied up to that index. The proof is one round
of heartbeats; all reads that came before the round began share it.

Invariant: a read is answered only after a round that began after it came.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from namestore.errors import NamestoreError, Overloaded, ShuttingDown
from namestore.logs import get_logger
from namestore.raft.replica import BarrierDone

_log = get_logger(__name__)


@dataclass(slots=True, eq=False)
class Read:
    """One caller that wants to see everything answered before it came.

    Attributes:
        deadline: `clock` seconds.
        origin: The node that asks on its caller's behalf, and the number it asks under; None:
            the caller is ours.
        round: The confirmation round it waits for; 0: not begun.
        index: What must be applied before it may be answered.
    """

    deadline: float
    done: BarrierDone | None = None
    origin: tuple[str, int] | None = None
    round: int = 0
    index: int = 0
    answered: bool = False


class Reads:
    """The engine's book on its reads. Engine thread only, but for `put` and `left`.

    Attributes:
        waiting: Not yet part of a round, or (on a follower) not yet sent to the leader.
        confirming: On the leader: part of a round that is under way.
        asked: On a follower: by number, when they were sent to the leader.
        applying: Confirmed; wait until their index is applied here.
    """

    def __init__(self, reads_max: int) -> None:
        self._reads_max = reads_max
        self._lock = threading.Lock()
        self._incoming: deque[Read] = deque()
        self._count = 0
        self._closed: NamestoreError | None = None
        self.waiting: deque[Read] = deque()
        self.confirming: deque[Read] = deque()
        self.asked: dict[int, tuple[float, list[Read]]] = {}
        self.applying: list[Read] = []

    def put(self, read: Read) -> NamestoreError | None:
        """Takes a read in, from any thread; or says why not."""
        with self._lock:
            if self._closed is not None:
                return self._closed
            if self._count >= self._reads_max:
                return Overloaded(
                    f"{self._count} reads wait on this node, which is all it lets wait; "
                    "back off and retry"
                )
            self._count += 1
            self._incoming.append(read)
        return None

    @property
    def empty(self) -> bool:
        """Nothing came in."""
        return not self._incoming

    def take_in(self) -> None:
        """Moves what came in to what waits."""
        if not self._incoming:
            return
        with self._lock:
            self.waiting.extend(self._incoming)
            self._incoming.clear()

    def answer(self, read: Read, error: NamestoreError | None) -> None:
        """Tells our caller, once."""
        if read.answered:
            return
        read.answered = True
        if read.done is not None:
            with self._lock:
                self._count -= 1
            try:
                read.done(error)
            except Exception:  # noqa: BLE001  a caller's fault must not stop consensus: defect 12
                _log.exception("read.callback.failed")

    def try_again(self) -> None:
        """The leader changed: no round counts any more. Other nodes' reads are theirs to repeat."""
        again = list(self.confirming)
        again += [read for _, batch in self.asked.values() for read in batch]
        self.confirming.clear()
        self.asked.clear()
        self.waiting.extend(read for read in again if not read.answered)
        self.waiting = deque(read for read in self.waiting if read.origin is None)
        for read in self.waiting:
            read.round = read.index = 0

    def ask_again(self, sent_before: float) -> None:
        """What was asked before that moment, and not answered, waits to be asked anew."""
        for number in [n for n, (sent_at, _) in self.asked.items() if sent_at < sent_before]:
            self.waiting.extend(r for r in self.asked.pop(number)[1] if not r.answered)

    def expire(self, now: float, why_not: NamestoreError) -> None:
        """Answers everybody whose deadline has passed."""
        late = [read for read in self._all() if read.deadline <= now]
        if not late:
            return
        for read in late:
            self.answer(read, why_not)
        self.waiting = deque(read for read in self.waiting if not read.answered)
        self.confirming = deque(read for read in self.confirming if not read.answered)
        self.applying = [read for read in self.applying if not read.answered]
        for number in [n for n, (_, batch) in self.asked.items() if all(r.answered for r in batch)]:
            del self.asked[number]

    def fail_all(self) -> None:
        """Answers everybody, because the node stops."""
        error = ShuttingDown("this node is shutting down; retry at another one")
        with self._lock:
            self._closed = error
        self.take_in()
        for read in self._all():
            self.answer(read, error)
        self.waiting.clear()
        self.confirming.clear()
        self.asked.clear()
        self.applying.clear()

    @property
    def idle(self) -> bool:
        """Nobody is waiting here; what has only come in has not been looked at yet."""
        return not (self.waiting or self.confirming or self.asked or self.applying)

    def _all(self) -> list[Read]:
        asked = [read for _, batch in self.asked.values() for read in batch]
        return [*self.waiting, *self.confirming, *asked, *self.applying]
