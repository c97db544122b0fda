"""The callers that wait for a decision: a bounded queue, and who is owed what.

Invariants: every caller is answered exactly once, by its deadline; "certainly not applied" is said
only of commands that were never handed to a log; commands that may be in some log are proposed
again, under their request_ids, until they are decided or their deadline passes ("unknown").
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import inf

from namestore.core.commands import names_asked
from namestore.core.outcomes import Decision
from namestore.errors import (
    NamestoreError,
    NoLeader,
    OutcomeUnknown,
    Overloaded,
    ShuttingDown,
)
from namestore.logs import get_logger
from namestore.raft.replica import ProposalDone

_log = get_logger(__name__)


@dataclass(slots=True, eq=False)
class Proposal:
    """Commands of one caller, next to each other in the log.

    Attributes:
        deadline: `clock` seconds.
        relayed: Another node proposes them on its caller's behalf; it tries again by itself.
        attempted: They may be in some node's log: from here on the outcome can be unknown.
        size: Of the commands, in bytes; counted where they are taken in.
        names: How many they are about; counted there as well, unless it is known.
        answered: `done` was called.
    """

    commands: Sequence[bytes]
    deadline: float
    done: ProposalDone
    relayed: bool = False
    size: int = 0
    names: int = 0
    attempted: bool = False
    repeated: bool = False
    answered: bool = field(default=False)


class ProposalQueue:
    """Proposals on their way in: from any thread to the engine's, bounded."""

    def __init__(self, names_max: int, bytes_max: int) -> None:
        self._names_max = names_max
        self._bytes_max = bytes_max
        self._lock = threading.Lock()
        self._incoming: deque[Proposal] = deque()
        self._names = 0
        self._bytes = 0
        self._closed: NamestoreError | None = None

    def put(self, proposal: Proposal) -> NamestoreError | None:
        """Takes a proposal in, from any thread; or says why not: then it was not applied."""
        proposal.size = sum(map(len, proposal.commands))
        proposal.names = proposal.names or sum(map(names_asked, proposal.commands))
        with self._lock:
            if self._closed is not None:
                return self._closed
            # A single one is taken however many names it asks for.
            if (
                0 < self._names > self._names_max - proposal.names
                or self._bytes + proposal.size > self._bytes_max
            ):
                return Overloaded(
                    f"{self._names} names wait on this node, which is all it lets wait; "
                    "back off and retry"
                )
            self._names += proposal.names
            self._bytes += proposal.size
            self._incoming.append(proposal)
        return None

    def take(self) -> list[Proposal]:
        """All that came in since the last call, in order."""
        if not self._incoming:
            return []
        with self._lock:
            taken = list(self._incoming)
            self._incoming.clear()
        return taken

    def left(self, proposal: Proposal) -> None:
        """The proposal was answered: there is room for another."""
        with self._lock:
            self._names -= proposal.names
            self._bytes -= proposal.size

    def close(self) -> None:
        """Refuses everything from now on."""
        with self._lock:
            self._closed = ShuttingDown("this node is shutting down; retry at another one")

    @property
    def empty(self) -> bool:
        """Nothing came in."""
        return not self._incoming


class Proposals:
    """The engine's book on its proposals. Engine thread only, but for `queue`.

    Attributes:
        queue: Where proposals come in.
        waiting: Taken in, to be handed to a log, in order.
        in_log: By index of this leader's own log: the proposals in the entry there.
        forwarded: By number of the message: those that another node was asked to decide, and when.
    """

    def __init__(self, names_max: int, bytes_max: int) -> None:
        self.queue = ProposalQueue(names_max, bytes_max)
        self.waiting: deque[Proposal] = deque()
        self.in_log: dict[int, list[Proposal]] = {}
        self.forwarded: dict[int, tuple[float, list[Proposal]]] = {}
        # No deadline is earlier. Whoever looks for those that have passed looks at all proposals,
        # tens of thousands under load, so that is done only when there may be one.
        self._due_at = inf

    def take_in(self) -> None:
        """Moves what came in to what waits."""
        taken = self.queue.take()
        if taken:
            self._due_at = min(self._due_at, min(p.deadline for p in taken))
            self.waiting.extend(taken)

    def answer(self, proposal: Proposal, answer: list[Decision] | NamestoreError) -> None:
        """Tells the caller, once."""
        if proposal.answered:
            return
        proposal.answered = True
        self.queue.left(proposal)
        try:
            proposal.done(answer)
        except Exception:  # noqa: BLE001  a caller's fault must not stop consensus: defect 12
            _log.exception("proposal.callback.failed")

    def decided(self, proposals: list[Proposal], decisions: Sequence[Decision]) -> None:
        """Shares the decisions of one entry, or of one message, among its proposals."""
        start = 0
        for proposal in proposals:
            end = start + len(proposal.commands)
            self.answer(proposal, list(decisions[start:end]))
            start = end

    def try_again(self) -> None:
        """The leader changed: whatever was under way is proposed again, oldest first."""
        again = [p for _, batch in sorted(self.in_log.items()) for p in batch]
        again += [p for _, (_, batch) in sorted(self.forwarded.items()) for p in batch]
        self.in_log.clear()
        self.forwarded.clear()
        self.put_back(again)
        for proposal in [p for p in self.waiting if p.relayed]:
            self.answer(proposal, _unknown() if proposal.attempted else _not_leading())
        self.waiting = deque(p for p in self.waiting if not p.answered)

    def forward_again(self, sent_before: float) -> None:
        """What was forwarded before that moment, and not answered, waits to be forwarded anew."""
        late = [n for n, (sent_at, _) in self.forwarded.items() if sent_at < sent_before]
        self.put_back([p for number in late for p in self.forwarded.pop(number)[1]])

    def put_back(self, proposals: list[Proposal]) -> None:
        """Back to the head of what waits, in this order."""
        self.waiting.extendleft(p for p in reversed(proposals) if not p.answered)

    def hurry(self, now: float) -> None:
        """Nobody will serve soon what is in no log yet: its time is up now."""
        for proposal in self.waiting:
            if not proposal.attempted:
                proposal.deadline = min(proposal.deadline, now)
                self._due_at = min(self._due_at, now)

    def expire(self, now: float, why_not: NamestoreError) -> None:
        """Answers everybody whose deadline has passed."""
        if now < self._due_at:
            return
        self._due_at = inf
        for proposal in list(self._all()):
            if proposal.deadline <= now:
                self.answer(proposal, _unknown() if proposal.attempted else why_not)
            elif not proposal.answered:
                self._due_at = min(self._due_at, proposal.deadline)
        if any(p.answered for p in self.waiting):
            self.waiting = deque(p for p in self.waiting if not p.answered)

    def fail_all(self, why_not: NamestoreError) -> None:
        """Answers everybody, because the node stops."""
        self.queue.close()
        self.take_in()
        for proposal in list(self._all()):
            self.answer(proposal, _unknown() if proposal.attempted else why_not)
        self.waiting.clear()
        self.in_log.clear()
        self.forwarded.clear()

    @property
    def idle(self) -> bool:
        """Nobody is waiting here; what comes in through the queue has not been looked at yet."""
        return not (self.waiting or self.in_log or self.forwarded)

    def _all(self) -> Iterator[Proposal]:
        yield from self.waiting
        for batch in self.in_log.values():
            yield from batch
        for _, batch in self.forwarded.values():
            yield from batch


def _not_leading() -> NoLeader:
    return NoLeader("this node does not lead the cluster; retry")


def _unknown() -> OutcomeUnknown:
    return OutcomeUnknown(
        "the request was proposed, and no decision was heard in time; "
        "retry it with the same request_id"
    )
