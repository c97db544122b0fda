"""Answers without a revision, beside the order that the revisions of the others make.

Such an answer must be true at some revision that stood during its call: not before what was known
when it was called, and not after what was read by those who were called when it had returned.
Not responsible for whether the revisions can be true themselves (`revision_judge`).

Invariant: requests of unknown outcome explain whatever they can, each as often as it is wanted; so
what is refused here has no explanation at all.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from math import inf

from tests.support.answers import (
    CHANGES,
    Holder,
    Violation,
    holder_after,
    is_nameless,
    may_tell_of,
    revision_of,
)
from tests.support.history import Ask, Operation, Said


def check_moments(asked: list[Operation]) -> None:
    """Raises `Violation` for an answer that was true at no revision of its call.

    Args:
        asked: One operation per request.
    """
    moments = _Moments(asked)
    names = _names(asked)
    for operation in asked:
        if operation.answered and (operation.revision is None or is_nameless(operation)):
            low, high = moments.of(operation)
            if not names[operation.name].explains(operation, low, high):
                raise Violation(f"never true between revisions {low} and {high}: {operation}")


class _Moments:
    """What the revision was when, as far as callers could know."""

    def __init__(self, asked: list[Operation]) -> None:
        answered = [operation for operation in asked if operation.answered]
        seen = sorted((o.returned, max(revision_of(o), o.holder_revision)) for o in answered)
        self._returned = [returned for returned, _ in seen]
        self._newest = list(accumulate((at for _, at in seen), max, initial=0))
        read = sorted(
            ((o.called, _state_before(o)) for o in answered if o.revision is not None), reverse=True
        )
        oldest: list[float] = list(accumulate((at for _, at in read), min, initial=inf))
        self._called = [called for called, _ in reversed(read)]
        self._oldest = oldest[::-1]

    def of(self, operation: Operation) -> tuple[int, float]:
        """The first and the last revision at which it may have been answered."""
        if operation.revision is not None:
            return operation.revision, operation.revision
        low = self._newest[bisect_left(self._returned, operation.called)]
        return low, self._oldest[bisect_right(self._called, operation.returned)]


def _state_before(operation: Operation) -> int:
    """The revision of the state that the answer was made from."""
    return revision_of(operation) - (operation.said in CHANGES)


@dataclass
class _Name:
    """What happened to one name.

    Attributes:
        changes: That were answered, by their revisions.
        unknown: Requests of unknown outcome.
        taken: Revisions of all answered changes, of other names as well.
    """

    taken: set[int]
    changes: list[Operation] = field(default_factory=list)
    unknown: list[Operation] = field(default_factory=list)

    def explains(self, operation: Operation, low: int, high: float) -> bool:
        """Whether the answer was true at one of these revisions."""
        return any(
            _is_true(operation, holder) or self._comes_true(operation, holder, since, until)
            for holder, since, until in self._states(low, high)
        )

    def _states(self, low: int, high: float) -> Iterator[tuple[Holder | None, int, float]]:
        """Who held it, since which revision, and until which (none after `high`)."""
        place = bisect_right(self.changes, low, key=revision_of)
        holder, since = None, 0
        if place:
            last = self.changes[place - 1]
            holder, since = holder_after(last, None), revision_of(last)
        for change in self.changes[place:]:
            if revision_of(change) > high:
                break
            yield holder, since, revision_of(change) - 1
            holder, since = holder_after(change, None), revision_of(change)
            place += 1
        following = revision_of(self.changes[place]) - 1 if place < len(self.changes) else inf
        yield holder, since, min(high, following)

    def _comes_true(
        self, operation: Operation, holder: Holder | None, since: int, until: float
    ) -> bool:
        """Whether unknown requests make it true while no answered change was in between."""
        free = operation.said is Said.NOT_FOUND
        steps = (holder is not None) + (not free)
        told = operation.holder_revision
        if since + steps > (told or until) or told > until or told in self.taken:
            return False
        asked = [each for each in self.unknown if each.called <= operation.returned]
        if holder is not None and not any(
            each.ask is Ask.RELEASE and each.owner == holder.owner for each in asked
        ):
            return False
        return free or any(
            each.ask is Ask.REGISTER and may_tell_of(operation, each.owner) for each in asked
        )


def _is_true(operation: Operation, holder: Holder | None) -> bool:
    if holder is None or operation.said is Said.NOT_FOUND:
        return holder is None and operation.said is Said.NOT_FOUND
    same = operation.holder_revision in (0, holder.revision)
    return same and may_tell_of(operation, holder.owner)


def _names(asked: list[Operation]) -> dict[str, _Name]:
    changes = [each for each in asked if each.said in CHANGES]
    taken = {revision_of(each) for each in changes}
    names: dict[str, _Name] = defaultdict(lambda: _Name(taken))
    for each in sorted(changes, key=revision_of):
        names[each.name].changes.append(each)
    for each in asked:
        if not each.answered:
            names[each.name].unknown.append(each)
    return names
