"""What a run has of callers of the whole API: who they are, and the judging of what they heard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from namestore.core import reading
from tests.simulation.callers_real import client_of
from tests.simulation.callers_whole import WholeCaller
from tests.simulation.follow_judge import FollowJudge
from tests.simulation.followers import Follower
from tests.simulation.names_asked import Asked
from tests.simulation.names_end import check_end, unfinished
from tests.simulation.names_judge import Judge
from tests.simulation.names_model import Ledger
from tests.simulation.names_times import check_lasting
from tests.simulation.names_watch import NamesWatch
from tests.simulation.signups import SignUp, Site

# A leader looks that often, and has to hear first what the others' clocks show.
_HOUSE_LATE_MS = 3000


class Whole:
    """Those callers of one run, and its watch.

    Attributes:
        callers: All of them.
    """

    def __init__(self, run: Any) -> None:
        self._run, self._watch = run, run.watch
        world, lines, hosts, plan = run.world, run.lines, run.hosts, run.plan
        self._whole: list[WholeCaller] = []
        for number in range(plan.lives.callers):
            if number % 2 == 0:
                client = client_of(world, lines, hosts, plan, f"whole {number}")
            self._whole.append(WholeCaller(world, client, plan, number, hosts, lines))
        self._followers = [
            Follower(world, client_of(world, lines, hosts, plan, f"watcher {n}"), lines, plan, n)
            for n in range(plan.lives.watchers)
        ]
        self._site = Site()
        self._signups = [
            SignUp(
                world,
                lambda name=f"sign-up {n}": client_of(world, lines, hosts, plan, name),  # type: ignore[misc]
                self._site,
                plan.pause,
                n,
            )
            for n in range(plan.lives.signups)
        ]
        self.callers = [*self._whole, *self._followers, *self._signups]

    @property
    def asked(self) -> list[Asked]:
        """Every call and what was heard."""
        asked = [asked for caller in (*self._whole, *self._signups) for asked in caller.asked]
        return asked + self._run.lines.late

    @property
    def counts(self) -> Counter[str]:
        """What happened how often."""
        return self._site.counts

    def judge(self, others: Iterable[bytes]) -> Ledger | None:
        """Judges what was heard, by all that was committed. Raises `Violation`.

        Args:
            others: request_ids of callers that are judged elsewhere.
        """
        if not isinstance(self._watch, NamesWatch):
            return None
        ledger, committed_at = self._watch.ledger(), self._watch.committed_at
        Judge(ledger, committed_at).judge(self.asked, others)
        check_lasting(ledger, self._watch.made_at, self._watch.apart_s, self._run.plan)
        for follower in self._followers:
            follower.note()
            FollowJudge(ledger, committed_at).judge(follower.feeds)
        return ledger

    def judge_end(self, ledger: Ledger | None, members: list[Any]) -> None:
        """The replicas, which are equal, hold what the model holds. Raises `Violation`."""
        if ledger is not None:
            check_end(ledger, _sound(members))
            self._site.judge(ledger.model)

    def left_undone(self, members: list[Any]) -> list[str]:
        """What is to be seen to: reservations that are over, pending policies, late watchers."""
        if not isinstance(self._watch, NamesWatch):
            return []
        clocks = sorted((host.skew_ms for host in members), reverse=True)
        state = _sound(members)
        passed_ms = int(self._run.world.now * 1000) + clocks[len(members) // 2] - _HOUSE_LATE_MS
        passed_ms = max(passed_ms, state.meta.time_ms)  # by the log it is over in any case
        late = [f for f in self._followers if not f.reached(state.meta.revision)]
        watchers = [f"watcher {follower.number}" for follower in late]
        return [*watchers, *unfinished(state, passed_ms), *self._still_reserved(state)]

    def _still_reserved(self, state: Any) -> list[str]:
        """What was reserved to sign somebody up, and has neither ended nor been confirmed."""
        if not self._signups:
            return []
        with state.view() as view:
            return [r.name for r in reading.records(view, "sign:") if r.expire_time_ms]


def _sound(members: list[Any]) -> Any:
    """The state of one whose disk was not damaged."""
    return next((host.state for host in members if not host.drive.damaged), members[0].state)
