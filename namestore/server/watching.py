"""`Watch` on a node: every change once, in order, to many watchers, each at its own pace.

A change that this node has applied is committed, so nobody is asked before it is sent. What is sent
is read by `feed`. One wake-up serves all watchers of a node, and one timer all that is due by time.
Belongs to the gateway's event loop.

Invariants: a watcher is sent every change that it wants from its first revision on, once, in order,
or is told why not; what is sent was applied here. A watcher costs bounded memory, and makes no
write and no other watcher wait.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractContextManager, aclosing
from dataclasses import dataclass, field
from typing import Protocol

from namestore.errors import NamestoreError, NoLeader, NoQuorum, Overloaded
from namestore.logs import get_logger
from namestore.raft.replica import Replica, Role
from namestore.rpc.events import Wanted, gathered, progress_message, wanted
from namestore.server.feed import FeedReader, Reading, check_kept
from namestore.v1 import registry_pb2 as pb

_log = get_logger(__name__)

# How often the timer looks: what is due comes at most so much later.
TICK_S = 0.1
# For each other watcher, who keeps up waits so long before it looks again: all feeds of a node send
# some thousand messages a second together, however many they are and however fast changes come.
LINGER_S = 0.001
LINGER_S_MAX = 0.25
# A node may be without a leader for as long as an election takes.
OUT_OF_TOUCH_S_MAX = 5.0


class Desk(Reading, Protocol):
    """What watches need of a gateway."""

    def chores(self) -> AbstractContextManager[None]:
        """Around work that a drain waits for; refused from its beginning on."""
        ...

    async def catch_up(self, timeout: float) -> None:
        """Returns once the replica's view reflects every write answered before."""
        ...

    def post(self, deliver: Callable[[], None]) -> None:
        """Has `deliver` called on the loop. Any thread."""
        ...


@dataclass(slots=True, eq=False)
class _Watcher:
    """One feed.

    Attributes:
        due: `clock` seconds at which it shall say how far it is, if nothing is sent before.
        stirred: There may be something to do.
        ended: Why it cannot go on.
    """

    wanted: Wanted
    due: float = float("inf")
    ended: NamestoreError | None = None
    stirred: asyncio.Event = field(default_factory=asyncio.Event)


class Watches:
    """The watchers of one node.

    Args:
        desk: The gateway.
        replica: Whose changes are followed.
        watchers_max: Beyond them callers hear OVERLOADED.
        clock: Monotonic seconds.
        sleep: Waits for so many seconds.
    """

    def __init__(
        self,
        desk: Desk,
        replica: Replica,
        watchers_max: int,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._sleep = sleep
        self._desk = desk
        self._replica = replica
        self._watchers_max = watchers_max
        self._clock = clock
        # In the order in which they came, and so are they told.
        self._watchers: dict[_Watcher, None] = {}
        self._feed = FeedReader(desk, replica, clock)
        self._listens = False
        self._told = False
        self._ticks = False
        self._in_touch = True
        self._in_touch_at = 0.0

    @property
    def count(self) -> int:
        """How many watchers there are."""
        return len(self._watchers)

    async def watch(
        self, request: pb.WatchRequest, timeout: float
    ) -> AsyncGenerator[pb.Event | None, None]:
        """The events of one feed, without end. None: it has begun, with nothing to send yet.

        Args:
            request: Of a caller.
            timeout: Seconds until it has begun.

        Raises:
            InvalidRequest: The prefix is longer than any name.
            RevisionCompacted: What is wanted, or wanted next, is not kept any more.
            Unavailable: It cannot begin, or not go on, here: go on at another node.
        """
        watcher = _Watcher(wanted(request))
        try:
            # No chore is what follows: a drain does not wait for it.
            with self._desk.chores():
                self._admit(watcher)
            next_revision = await self._first_revision(watcher.wanted, timeout)
            if watcher.ended is not None:
                raise copy.copy(watcher.ended)
            yield None
            if watcher.wanted.progress_s:
                yield self._progress(watcher, next_revision, caught_up=False)
            async with aclosing(self._follow(watcher, next_revision)) as messages:
                async for message in messages:
                    yield message
        finally:
            self._watchers.pop(watcher, None)

    def end_all(self, error: NamestoreError) -> None:
        """Ends every feed. Those who do not read hear of it when they do."""
        under_way = [watcher for watcher in self._watchers if watcher.ended is None]
        if under_way:
            _log.info("watch.ended", watchers=len(under_way), reason=error.message)
        for watcher in under_way:
            watcher.ended = error
            watcher.stirred.set()

    # -- beginning --------------------------------------------------------------------------

    def _admit(self, watcher: _Watcher) -> None:
        if not self._listens:
            self._listens = True
            self._replica.on_change(self._changed)
        if len(self._watchers) >= self._watchers_max:
            raise Overloaded(
                f"{self._watchers_max} watchers follow this node, and no more may; watch at "
                "another one"
            )
        if not self._ticks:
            self._in_touch_at = self._clock()
            self._look_later()
        self._watchers[watcher] = None

    async def _first_revision(self, what: Wanted, timeout: float) -> int:
        asked = what.from_revision
        if asked:
            # As any call, it may wait for a leader. Whoever squashes comes from a node that left
            # out what changes had replaced that are still to come here: those are caught up with.
            if what.squash or not self._replica.status().serving:
                await self._desk.catch_up(timeout)
            self._in_touch, self._in_touch_at = True, self._clock()
            check_kept(asked, self._replica.meta)
            return asked
        # What this node had applied when the call came is exact if it led and served then: a leader
        # has applied what it answered and, once it serves, what those before it did. Anywhere else
        # the barrier says where the registry stands, at some moment after the call came.
        before = self._replica.status()
        await self._desk.catch_up(timeout)
        self._in_touch, self._in_touch_at = True, self._clock()
        after = self._replica.status()
        led = before.role is Role.LEADER and (after.role, after.term) == (Role.LEADER, before.term)
        exact = led and before.serving and before.applied_index >= before.commit_index
        return (before if exact else after).meta.revision + 1

    # -- following --------------------------------------------------------------------------

    async def _follow(
        self, watcher: _Watcher, next_revision: int
    ) -> AsyncGenerator[pb.Event, None]:
        what, behind = watcher.wanted, True
        while True:
            watcher.stirred.clear()
            if watcher.ended is not None:
                raise copy.copy(watcher.ended)
            part = await self._feed.part(what, next_revision, squash=what.squash and behind)
            for message in gathered(part.messages, what.events_max):
                yield message
            if part.messages:
                self._note_sent(watcher)
            next_revision = part.next_revision
            arrived = behind and part.caught_up
            behind = behind and not part.caught_up
            if what.progress_s and (arrived or self._is_due(watcher)):
                yield self._progress(watcher, next_revision, caught_up=part.caught_up)
            if part.messages and part.caught_up:
                await self._sleep(min((len(self._watchers) - 1) * LINGER_S, LINGER_S_MAX))
            if part.caught_up or next_revision > self._replica.meta.revision:
                await watcher.stirred.wait()

    # -- how far it is ------------------------------------------------------------------------

    def _progress(self, watcher: _Watcher, next_revision: int, *, caught_up: bool) -> pb.Event:
        self._note_sent(watcher)
        return progress_message(next_revision - 1, caught_up=caught_up)

    def _note_sent(self, watcher: _Watcher) -> None:
        if watcher.wanted.progress_s:
            watcher.due = self._clock() + watcher.wanted.progress_s

    def _is_due(self, watcher: _Watcher) -> bool:
        return self._in_touch and watcher.due <= self._clock()

    # -- being woken --------------------------------------------------------------------------

    def _changed(self) -> None:
        """The state has moved on. On the replica's thread; one wake-up until it was heard."""
        if self._watchers and not self._told:
            self._told = True
            self._desk.post(self._hear)

    def _hear(self) -> None:
        self._told = False
        for watcher in self._watchers:
            watcher.stirred.set()

    def _look_later(self) -> None:
        self._ticks = True
        asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def _tick(self) -> None:
        """Goes on for as long as there are watchers."""
        self._ticks = False
        if self._watchers:
            self._look_later()
            self.look()

    def look(self) -> None:
        """What is due by time: progress, and the end of feeds of a node that is out of touch."""
        now = self._clock()
        self._in_touch = self._replica.status().serving
        if self._in_touch:
            self._in_touch_at = now
        elif now - self._in_touch_at > OUT_OF_TOUCH_S_MAX:
            self.end_all(self._why_out_of_touch())
        for watcher in self._watchers:
            if self._in_touch and watcher.due <= now:
                watcher.stirred.set()

    def _why_out_of_touch(self) -> NamestoreError:
        if not self._replica.status().has_quorum:
            return NoQuorum("this node reaches no majority of the cluster; watch at another one")
        return NoLeader("this node knows no leader; watch at another one, or again")
