"""The judge of followed feeds: every change once, in order, as the model has it; none too early.

Whoever squashes may miss what a later change of the same name replaced, until it has caught up; by
then it knows every name as it stands. See `names_model` for what happened.
"""

from __future__ import annotations

from math import inf
from typing import Any

from namestore.client.values import NameEvent
from tests.simulation.followers import Followed
from tests.simulation.names_model import Happened, Ledger
from tests.simulation.watch import Violation

_CHECK = "feeds"


class FollowJudge:
    """Judges the feeds of one run."""

    def __init__(self, ledger: Ledger, committed_at: dict[int, float]) -> None:
        self._ledger, self._committed_at = ledger, committed_at

    def judge(self, feeds: list[Followed]) -> None:
        """Raises `Violation`."""
        for followed in feeds:
            if followed.begun < inf:
                problem = self._problem(followed)
                if problem:
                    told = [event.revision for _, event in followed.events]
                    raise Violation(_CHECK, f"{problem}; {_shown(followed)}, told {told}")

    def _problem(self, followed: Followed) -> str:
        start = followed.asked or followed.first
        if not followed.asked and not self._is_now(followed):
            return "it did not begin with what was new"
        wanted = [
            happened
            for happened in self._ledger.happened[start - 1 : followed.reached]
            if happened.subject.startswith(followed.prefix)
        ]
        by_revision = {happened.revision: happened for happened in wanted}
        before = 0
        for when, event in followed.events:
            happened = by_revision.get(event.revision)
            if happened is None or _as_told(event) != _as_happened(happened):
                return f"{event} is not what happened: {happened}"
            if event.revision <= before:
                return f"{event.revision} came after {before}"
            if self._committed_at[happened.index] > when:
                return f"{event.revision} was told before it was committed"
            before = event.revision
        told = {event.revision for _, event in followed.events}
        missing = [happened for happened in wanted if happened.revision not in told]
        if followed.squash:
            missing = self._missing_though_squashed(followed, wanted, missing)
        return f"{[each.revision for each in missing]} are missing" if missing else ""

    def _missing_though_squashed(
        self, followed: Followed, wanted: list[Happened], missing: list[Happened]
    ) -> list[Happened]:
        """Of what was left out, what should not have been."""
        end = followed.reached if followed.caught_up is None else followed.caught_up
        latest: dict[str, int] = {}
        for each in wanted:
            if each.revision <= end:
                latest[each.subject] = each.revision
        return [
            each
            for each in missing
            if each.revision > end
            or each.kind.startswith("POLICY")
            or (latest[each.subject] == each.revision and followed.caught_up is not None)
        ]

    def _is_now(self, followed: Followed) -> bool:
        """What it begins behind was there at some moment while it was being opened."""
        revision = followed.first - 1
        index = self._ledger.happened[revision - 1].index if revision else 0
        if index and self._committed_at[index] > followed.begun:
            return False
        following = self._ledger.happened[revision:]
        # What was committed before it was asked for is old.
        return not following or self._committed_at[following[0].index] >= followed.called


def _as_told(event: NameEvent) -> tuple[Any, ...]:
    record: Any = event.record
    content = None
    if record is not None:
        content = (record.name, record.owner, record.payload)
        content += (record.create_revision, record.mod_revision)
    return event.revision, event.kind, event.other_name or "", _ms(event.time), content


def _as_happened(happened: Happened) -> tuple[Any, ...]:
    holding, content = happened.holding, None
    if holding is not None:
        content = (holding.name, holding.owner, holding.payload, holding.revision, holding.changed)
    return happened.revision, happened.kind, happened.other, happened.time_ms, content


def _ms(time: Any) -> int:
    return round(time.timestamp() * 1000)


def _shown(followed: Followed) -> str:
    return (
        f"feed of {followed.prefix!r} from {followed.asked} (squash {followed.squash}) began "
        f"behind {followed.first - 1}, reached {followed.reached}, caught up {followed.caught_up}"
    )
