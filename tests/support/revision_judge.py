"""The judge that believes revisions: one order of all changes, and every answer true in it.

Answers without a revision of their own are `revision_moments`'. Invariant: what this judge refuses,
no order of the requests explains.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from math import inf

from tests.support.answers import (
    CHANGES,
    Holder,
    Violation,
    holder_after,
    is_nameless,
    merged,
    revision_of,
)
from tests.support.history import Ask, Operation, Said
from tests.support.revision_moments import check_moments


def check_revisions(operations: list[Operation]) -> None:
    """Raises `Violation` unless the revisions of the answers are one order that explains them.

    Answers without a revision must be true at one that stood during their call.
    """
    asked = merged(operations)
    for operation in asked:
        if operation.said in CHANGES and not operation.revision:
            raise Violation(f"a change without its revision: {operation}")
    placed = [each for each in asked if each.answered and each.revision is not None]
    placed.sort(key=_place)
    _check_distinct(placed)
    _check_real_time(placed)
    unknown = [operation for operation in asked if not operation.answered]
    _replay([each for each in placed if not is_nameless(each)], unknown)
    check_moments(asked)


def _place(operation: Operation) -> tuple[int, bool]:
    """Changes stand before what was read from the state they made."""
    return revision_of(operation), operation.said not in CHANGES


def _check_distinct(answered: list[Operation]) -> None:
    changes = [operation for operation in answered if operation.said in CHANGES]
    for first, second in pairwise(changes):
        if first.revision == second.revision:
            raise Violation(f"two changes at revision {first.revision}: {first}, {second}")


def _check_real_time(answered: list[Operation]) -> None:
    """What returned before another was called must not stand behind it."""
    earliest_return = inf
    culprit: Operation | None = None
    position = len(answered)
    while position:
        # Reads at one revision may stand in any order among themselves, so together.
        end = position
        while position and _place(answered[position - 1]) == _place(answered[end - 1]):
            position -= 1
        group = answered[position:end]
        for operation in group:
            if operation.called > earliest_return:
                raise Violation(f"{operation} was called after {culprit} had returned")
        for operation in group:
            if operation.returned < earliest_return:
                earliest_return, culprit = operation.returned, operation


def _replay(answered: list[Operation], unknown: list[Operation]) -> None:
    """Replays each name's answers; requests of unknown outcome may fill gaps, once each."""
    sequences: dict[str, list[Operation]] = defaultdict(list)
    for operation in answered:
        sequences[operation.name].append(operation)
    candidates: dict[str, list[Operation]] = defaultdict(list)
    for operation in sorted(unknown, key=lambda each: each.called):
        candidates[operation.name].append(operation)
    taken = {revision_of(operation) for operation in answered if operation.said in CHANGES}
    for name, sequence in sequences.items():
        _Replay(candidates[name], taken).run(sequence)


class _Replay:
    """One name's answers, in the order of their revisions."""

    def __init__(self, unknown: list[Operation], taken: set[int]) -> None:
        self.unknown = unknown  # by the time of their call
        self.taken = taken  # revisions that belong to answered changes
        self.holder: Holder | None = None
        self.revision = 0  # the last at which `holder` was seen

    def run(self, sequence: list[Operation]) -> None:
        for operation in sequence:
            before = self._before(operation)
            if before != self.holder and not self._bridged(before, operation):
                raise Violation(
                    f"{operation.name!r} was held by {self.holder} since revision "
                    f"{self.revision}, and nothing explains {operation}"
                )
            if operation.said is Said.NOT_OWNER and operation.owner == operation.holder_owner:
                raise Violation(f"the owner was refused: {operation}")
            self.holder = holder_after(operation, before)
            self.revision = revision_of(operation)

    def _before(self, operation: Operation) -> Holder | None:
        """Who must have held the name just before, if the answer is true."""
        match operation.said:
            case Said.GRANTED | Said.NOT_FOUND:
                return None
            case Said.RELEASED:
                # The answer does not say which holding ended: this owner's, whichever it was.
                mine = self.holder is not None and self.holder.owner == operation.owner
                return self.holder if mine else Holder(operation.owner, 0)
            case _:
                told = Holder(operation.holder_owner, operation.holder_revision)
                same = self.holder is not None and self.holder.owner == told.owner
                return self.holder if same and not told.revision else told

    def _bridged(self, wanted: Holder | None, operation: Operation) -> bool:
        """Whether requests of unknown outcome explain the step from `holder` to `wanted`."""
        last = revision_of(operation) - (operation.said in CHANGES)
        granted = last if wanted is None or not wanted.revision else wanted.revision
        steps = (self.holder is not None) + (wanted is not None)
        if not self.revision + steps <= granted <= last or (
            wanted is not None and wanted.revision in self.taken
        ):
            return False
        if self.holder and not self._take(Ask.RELEASE, self.holder.owner, operation):
            return False
        return wanted is None or self._take(Ask.REGISTER, wanted.owner, operation)

    def _take(self, ask: Ask, owner: str, before: Operation) -> bool:
        """Uses up the first request that fits and was called before that answer came."""
        for place, each in enumerate(self.unknown):
            if each.ask is ask and each.owner == owner and each.called <= before.returned:
                del self.unknown[place]
                return True
        return False
