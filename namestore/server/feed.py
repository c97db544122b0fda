"""The feed of changes as a node reads it for its watchers.

Those who keep up share what is read (`tail`); those who are behind read the state in bounded steps,
in a thread, at their own pace, and nothing is kept in memory for them. Not responsible for who
watches. Belongs to the gateway's event loop.

Invariant: between two parts of one reader, the second asked for from where the first one ended,
nothing that is wanted is missing, unless `RevisionCompacted` says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar

from namestore.core import reading
from namestore.core.squashing import latest
from namestore.core.state import StateMeta
from namestore.errors import RevisionCompacted
from namestore.raft.replica import Replica
from namestore.rpc.events import Wanted, event_message
from namestore.server.tail import EVENTS_MAX, Change, Part, Tail, change_of, subject_of
from namestore.storage.interfaces import StateView

T = TypeVar("T")

# So many changes are read on the event loop; more of them in a thread, and so many in one step.
_READ_AT_ONCE = 64
STEP_EVENTS_MAX = 256
# Watchers that are behind read two at a time: other calls want the disk and the interpreter too.
_READERS = 2
_READ_S_MAX = 5.0


class Reading(Protocol):
    """What a feed needs of a gateway."""

    async def read_aside(self, read: Callable[[StateView], T], deadline: float) -> T:
        """What `read` finds in a picture of the state, in a thread."""
        ...


class FeedReader:
    """Reads for all watchers of a node.

    Args:
        desk: The gateway.
        replica: Whose changes they are.
        clock: Monotonic seconds; the gateway's.
    """

    def __init__(self, desk: Reading, replica: Replica, clock: Callable[[], float]) -> None:
        self._desk = desk
        self._replica = replica
        self._clock = clock
        self._tail: Tail | None = None
        self._reading = asyncio.Lock()
        self._readers = asyncio.Semaphore(_READERS)

    async def part(self, what: Wanted, from_revision: int, *, squash: bool) -> Part:
        """What a watcher wants of what comes next, in order; waits for nothing to happen.

        Args:
            what: What it wants.
            from_revision: How far it is.
            squash: Leave out what a later change of the same name replaced.

        Raises:
            RevisionCompacted: That is not kept any more.
            Overloaded: The disk did not answer in time.
        """
        tail = self._tail
        if tail is None:
            tail = self._tail = Tail(self._replica.meta.revision + 1)
        if squash or from_revision < tail.first:
            return await self._part_behind(what, from_revision, squash=squash)
        if self._replica.meta.revision >= tail.next_revision:
            tail = await self._read_tail()
            if from_revision < tail.first:
                return await self._part_behind(what, from_revision, squash=False)
        return tail.part(from_revision, what.prefix)

    async def _part_behind(self, what: Wanted, from_revision: int, *, squash: bool) -> Part:
        def read(view: StateView) -> Part:
            found = reading.events(view, from_revision, STEP_EVENTS_MAX)
            if from_revision < found.oldest_revision:
                raise compacted(from_revision, found.oldest_revision)
            matching = [e for e in found.events if subject_of(e).startswith(what.prefix)]
            messages = map(event_message, latest(view, matching) if squash else matching)
            next_revision = from_revision + len(found.events)
            # A node that lags may not even have what came before.
            caught_up = from_revision - 1 <= view.meta.revision < next_revision
            return Part(tuple(messages), next_revision, caught_up)

        async with self._readers:
            return await self._desk.read_aside(read, self._clock() + _READ_S_MAX)

    async def _read_tail(self) -> Tail:
        """Brings the tail up to what this node has applied; whoever comes meanwhile waits."""
        async with self._reading:
            tail = self._tail or Tail(self._replica.meta.revision + 1)
            head = self._replica.meta.revision
            if head - tail.next_revision >= EVENTS_MAX:
                # Nobody followed closely: those who are behind read the rest for themselves.
                tail = Tail(head - STEP_EVENTS_MAX)
            while tail.next_revision <= head:
                if not await self._extend(tail, head):
                    tail = Tail(self._replica.meta.revision + 1)
                    break
            self._tail = tail
            return tail

    async def _extend(self, tail: Tail, head: int) -> bool:
        """One step; False: what comes next is not kept any more."""
        first, count = tail.next_revision, min(head - tail.next_revision + 1, STEP_EVENTS_MAX)

        def read(view: StateView) -> list[Change]:
            return [change_of(event) for event in reading.events(view, first, count).events]

        if count <= _READ_AT_ONCE:
            with self._replica.view() as view:
                changes = read(view)
        else:
            changes = await self._desk.read_aside(read, self._clock() + _READ_S_MAX)
        tail.extend(changes)
        return bool(changes)


def check_kept(revision: int, meta: StateMeta) -> None:
    """Raises `RevisionCompacted` if the feed no longer reaches back to a revision."""
    oldest = meta.oldest_revision or meta.revision + 1
    if revision < oldest:
        raise compacted(revision, oldest)


def compacted(revision: int, oldest_revision: int) -> RevisionCompacted:
    """What a watcher hears who wants what is not kept any more."""
    return RevisionCompacted(
        f"revision {revision} is not kept any more, the oldest one is {oldest_revision}; read the "
        "names anew, and follow from the revision of that",
        oldest_revision=str(oldest_revision),
    )
