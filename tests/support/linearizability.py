"""Two judges of a registry's history, independent of namestore and of each other.

`check_revisions` believes the revisions that the answers carry and checks that they can be true:
one order of all changes that agrees with real time, in which every answer is what that order
gives. O(n log n).

`check_names` believes nothing but the answers: for each name it searches for some order that agrees
with real time and explains every answer (Wing and Gong 1993; the memory of configurations tried is
Lowe's, 2017). Names are independent, so the searches are small.

Both take an unknown outcome as done at any time after its call, or as never done.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from math import inf
from typing import NamedTuple

from tests.support.history import Ask, Operation, Said, requests


class Violation(AssertionError):
    """The history cannot be that of one registry. The message shows where it breaks."""


class Holder(NamedTuple):
    """Who holds a name, and since which revision; 0: not known yet."""

    owner: str
    revision: int


CHANGES = (Said.GRANTED, Said.RELEASED)


def check(operations: list[Operation]) -> None:
    """Both judges. Raises `Violation`."""
    check_revisions(operations)
    check_names(operations)


# -- by revision ------------------------------------------------------------------------------


def check_revisions(operations: list[Operation]) -> None:
    """Raises `Violation` unless the revisions of the answers are one order that explains them.

    Answers without a revision are left to the other judge.
    """
    merged = _merged(operations)
    for operation in merged:
        if operation.said in CHANGES and not operation.revision:
            raise Violation(f"a change without its revision: {operation}")
    answered = [each for each in merged if each.answered and each.revision is not None]
    answered.sort(key=_place)
    _check_distinct(answered)
    _check_real_time(answered)
    _replay(answered, [operation for operation in merged if not operation.answered])


def _place(operation: Operation) -> tuple[int, bool]:
    """Changes stand before what was read from the state they made."""
    return _revision(operation), operation.said not in CHANGES


def _revision(operation: Operation) -> int:
    return operation.revision or 0


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
    taken = {_revision(operation) for operation in answered if operation.said in CHANGES}
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
            self.revision = _revision(operation)

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
        last = _revision(operation) - (operation.said in CHANGES)
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


def holder_after(operation: Operation, before: Holder | None) -> Holder | None:
    """Who holds the name once the answer was given."""
    match operation.said:
        case Said.GRANTED:
            return Holder(operation.owner, _revision(operation))
        case Said.RELEASED | Said.NOT_FOUND:
            return None
        case _:
            return before


# -- by search --------------------------------------------------------------------------------


def check_names(operations: list[Operation]) -> None:
    """Raises `Violation` unless each name's answers have some order that explains them."""
    by_name: dict[str, list[Operation]] = defaultdict(list)
    for operation in _merged(operations):
        by_name[operation.name].append(operation)
    for name, group in by_name.items():
        group.sort(key=lambda operation: operation.called)
        if not _explained(group):
            told = "\n  ".join(map(str, group))
            raise Violation(f"no order explains what was answered about {name!r}:\n  {told}")


def _explained(operations: list[Operation]) -> bool:
    """Depth-first over (what was placed, who holds the name), each tried once."""
    all_answered = sum(1 << place for place, each in enumerate(operations) if each.answered)
    tried: set[tuple[int, Holder | None]] = set()
    waiting: list[tuple[int, Holder | None]] = [(0, None)]
    while waiting:
        configuration = waiting.pop()
        if configuration in tried:
            continue
        tried.add(configuration)
        placed, holder = configuration
        if placed & all_answered == all_answered:
            return True
        waiting.extend(_next(operations, placed, holder))
    return False


def _next(
    operations: list[Operation], placed: int, holder: Holder | None
) -> list[tuple[int, Holder | None]]:
    """Whatever answer may come next: none unplaced had returned before it was asked for.

    An answer that is true now and changes nothing comes next, without a choice: every order in
    which it comes later stays good when it is moved here. Requests of unknown outcome are placed
    only to make an answer true that is not, and no more of them than it takes: whatever comes
    afterwards is explained as well with more of them left.
    """
    open_places = [place for place in range(len(operations)) if not placed >> place & 1]
    answered = [place for place in open_places if operations[place].answered]
    horizon = min(operations[place].returned for place in answered)
    choices: list[tuple[int, Holder | None]] = []
    for place in answered:
        operation = operations[place]
        if operation.called > horizon:
            break
        with_this, results = placed | 1 << place, list(_results(operation, holder))
        if holder in results:
            return [(with_this, holder)]
        if not results:
            steps = _steps(operation, holder)
            used = _use(operations, open_places, steps, horizon)
            if used is None:
                continue
            with_this |= used
            wanted = None if steps[-1][0] is Ask.RELEASE else Holder(steps[-1][1], 0)
            results = list(_results(operation, wanted))
        choices.extend((with_this, after) for after in results)
    return choices


def _steps(operation: Operation, holder: Holder | None) -> list[tuple[Ask, str]]:
    """What must have been done meanwhile if the answer is to be true: at most two requests."""
    steps = [] if holder is None else [(Ask.RELEASE, holder.owner)]
    match operation.said:
        case Said.GRANTED | Said.NOT_FOUND:
            return steps
        case Said.RELEASED:
            return [*steps, (Ask.REGISTER, operation.owner)]
        case _:
            return [*steps, (Ask.REGISTER, operation.holder_owner)]


def _use(
    operations: list[Operation],
    open_places: list[int],
    steps: list[tuple[Ask, str]],
    horizon: float,
) -> int | None:
    """Uses the earliest requests of unknown outcome that take these steps; None: there are none."""
    used = 0
    for ask, owner in steps:
        fitting = (
            place
            for place in open_places
            if not operations[place].answered
            and (operations[place].ask, operations[place].owner) == (ask, owner)
            and operations[place].called <= horizon
        )
        place = next(fitting, None)
        if place is None:
            return None
        used |= 1 << place
    return used


def _results(operation: Operation, holder: Holder | None) -> Iterator[Holder | None]:
    """Who holds the name afterwards, if the answer can be given here."""
    mine = holder is not None and holder.owner == operation.owner
    match operation.said:
        case Said.GRANTED | Said.NOT_FOUND:
            if holder is None:
                yield holder_after(operation, None)
        case Said.RELEASED:
            if mine:
                yield None
        case _:
            refused_its_owner = operation.said is Said.NOT_OWNER and mine
            if holder is not None and not refused_its_owner:
                yield from _as_told(operation, holder)


def _as_told(operation: Operation, holder: Holder) -> Iterator[Holder]:
    """The holder, if it is the one the answer tells of; its revision, if only now known."""
    told = operation.holder_revision
    if holder.owner == operation.holder_owner and 0 in (
        told,
        holder.revision,
        told - holder.revision,
    ):
        yield Holder(holder.owner, holder.revision or told)


def _merged(operations: list[Operation]) -> list[Operation]:
    try:
        return requests(operations)
    except AssertionError as error:
        raise Violation(str(error)) from error
