"""Callers that watch: they follow the change feed, slowly or fast, leave it and come back.

They use the client library's real feeds (`namestore.client.watching`): where a feed stands, and how
it goes on when its stream breaks, is the library's; here its effects are carried out. What was
handed out is kept, to be judged by `follow_judge`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from random import Random
from typing import Any

from namestore.client import watching
from namestore.client.values import NameEvent
from namestore.client.watching import Following
from namestore.errors import NamestoreError, RevisionCompacted, Unavailable
from tests.simulation.callers_real import Client
from tests.simulation.flows import FlowDriver
from tests.simulation.lines import Lines
from tests.simulation.plan import Plan
from tests.simulation.watch import Violation
from tests.simulation.world import World
from tests.support.history import Operation

_PREFIXES = ("", "life:", "page:l", "user:")
_SLOW_S = (0.0, 0.0, 0.05, 0.5)
_STAYS_S = 6.0
_FROM_NOW, _FROM_THE_FIRST = 0, 1


@dataclass
class Followed:
    """One feed and what it handed out.

    Attributes:
        asked: The first revision wanted; 0: from now on.
        squash: It was to leave out what a later change replaced.
        called: When it was asked for.
        begun: When it had begun; infinite: it had not.
        first: The first revision that it tells, once it has begun.
        reached: Everything wanted up to this one was handed out.
        caught_up: How far it was when it had caught up; None: it has not yet.
        events: Each with when it was handed out.
        gone: The oldest revision that was kept, when it could not go on.
    """

    prefix: str
    asked: int
    squash: bool
    called: float
    begun: float = inf
    first: int = 0
    reached: int = 0
    caught_up: int | None = None
    events: list[tuple[float, NameEvent]] = field(default_factory=list)
    gone: int | None = None


class Follower:
    """One caller that follows.

    Attributes:
        feeds: All that it has followed, the present one last.
        record: Empty: what is judged by others.
        stopped: It opens no other feed; the one that it has goes on.
        idle: As far as others wait for it.
        served: How many events it was handed out, and how often a feed began.
    """

    def __init__(self, world: World, client: Client, lines: Lines, plan: Plan, number: int) -> None:
        self.world, self.plan, self.number = world, plan, number
        self.feeds: list[Followed] = []
        self.record: list[Operation] = []
        self.stopped, self.idle, self.served = False, True, 0
        self._session = client.session
        self._driver = FlowDriver(world, client.network, lines)
        self._rng = Random(world.rng.getrandbits(64))
        self._slow_s = self._rng.choice(_SLOW_S)
        self._feed: Following | None = None

    def begin(self) -> None:
        """Opens a feed."""
        rng, last = self._rng, self.feeds[-1] if self.feeds else None
        prefix, asked = rng.choice(_PREFIXES), rng.choice([_FROM_NOW, _FROM_THE_FIRST])
        if last is not None and last.reached and rng.random() < 0.6:
            prefix, asked = last.prefix, last.reached + 1
        if last is not None and last.gone is not None:
            asked = max(asked, last.gone)
        followed = Followed(prefix, asked, rng.random() < 0.3, self.world.now)
        feed = watching.following(prefix, asked, followed.squash)
        self.feeds.append(followed)
        self._feed = feed
        seconds = self.plan.lines.call_timeout

        def begun(result: Any) -> None:
            if isinstance(result, NamestoreError):
                self._failed(followed, result)
                return
            followed.begun, followed.first = self.world.now, feed.next_revision
            self._note(followed, feed)
            self.served += 1
            self.world.after(_STAYS_S * rng.random(), lambda: self._leave(feed))
            self._next(followed, feed)

        self._driver.run(watching.begin(self._session, feed, seconds), begun)

    def _next(self, followed: Followed, feed: Following) -> None:
        def heard(result: Any) -> None:
            if isinstance(result, NamestoreError):
                self._failed(followed, result)
            elif isinstance(result, NameEvent):
                followed.events.append((self.world.now, result))
                self.served += 1
                self._note(followed, feed)
                self._later(followed, feed)
            else:
                self._note(followed, feed)
                self.world.after(self._rng.random(), self.begin)

        self._driver.run(watching.next_event(self._session, feed), heard)

    def _later(self, followed: Followed, feed: Following) -> None:
        slow_s = 0.0 if self.stopped else self._slow_s * self._rng.random()
        self.world.after(slow_s, lambda: self._next(followed, feed))

    def _leave(self, feed: Following) -> None:
        if not self.stopped:
            feed.end()

    def _note(self, followed: Followed, feed: Following) -> None:
        followed.reached = max(0, feed.next_revision - 1)
        if followed.caught_up is None and not feed.squash:
            followed.caught_up = followed.reached

    def _failed(self, followed: Followed, error: NamestoreError) -> None:
        if isinstance(error, RevisionCompacted):
            followed.gone = int(error.metadata["oldest_revision"])
            self.served += 1  # as much of an answer as an event is
        elif not isinstance(error, Unavailable):
            raise Violation("feeds", f"a feed ended: {error}")
        self.world.after(self._rng.random(), self.begin)

    def note(self) -> None:
        """Takes down how far the present feed is."""
        if self._feed is not None and self.feeds[-1].begun < inf:
            self._note(self.feeds[-1], self._feed)

    def reached(self, revision: int) -> bool:
        """Its feed is as far as that."""
        self.note()
        return bool(self.feeds) and self.feeds[-1].reached >= revision
