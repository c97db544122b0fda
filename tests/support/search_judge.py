"""The judge that believes nothing but the answers: for each name it searches for some order.

Invariant: it refuses a history only when every order that agrees with real time was tried.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tests.support.answers import Holder, Violation, holder_after, may_tell_of, merged
from tests.support.history import Ask, Operation, Said


def check_names(operations: list[Operation]) -> None:
    """Raises `Violation` unless each name's answers have some order that explains them."""
    by_name: dict[str, list[Operation]] = defaultdict(list)
    for operation in merged(operations):
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
        choices.extend((with_this, after) for after in results)
        if results:
            continue
        unknown = [each for each in open_places if not operations[each].answered]
        for steps in _ways(operation, holder, [operations[each] for each in unknown]):
            used = _use(operations, unknown, steps, horizon)
            if used is not None:
                wanted = None if steps[-1][0] is Ask.RELEASE else Holder(steps[-1][1], 0)
                choices.extend((with_this | used, each) for each in _results(operation, wanted))
    return choices


def _ways(
    operation: Operation, holder: Holder | None, unknown: list[Operation]
) -> Iterator[list[tuple[Ask, str]]]:
    """What may have been done meanwhile to make the answer true: at most two requests each."""
    steps = [] if holder is None else [(Ask.RELEASE, holder.owner)]
    match operation.said:
        case Said.GRANTED | Said.NOT_FOUND:
            yield steps
        case Said.RELEASED:
            yield [*steps, (Ask.REGISTER, operation.owner)]
        case _:
            registering = {each.owner for each in unknown if each.ask is Ask.REGISTER}
            for owner in sorted(registering):
                if may_tell_of(operation, owner):
                    yield [*steps, (Ask.REGISTER, owner)]


def _use(
    operations: list[Operation],
    unknown: list[int],
    steps: list[tuple[Ask, str]],
    horizon: float,
) -> int | None:
    """Uses the earliest requests of unknown outcome that take these steps; None: there are none."""
    used = 0
    for ask, owner in steps:
        fitting = (
            place
            for place in unknown
            if (operations[place].ask, operations[place].owner) == (ask, owner)
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
            if holder is not None and may_tell_of(operation, holder.owner):
                yield from _as_told(operation, holder)


def _as_told(operation: Operation, holder: Holder) -> Iterator[Holder]:
    """The holder, unless it holds since another revision; its revision, if only now known."""
    told = operation.holder_revision
    if 0 in (told, holder.revision, told - holder.revision):
        yield Holder(holder.owner, holder.revision or told)
