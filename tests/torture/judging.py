"""Whether what the callers of a run were told can be true.

The order of everything is judged by `tests.support.linearizability`, whose two judges know nothing
of each other. Here are the questions those do not ask: stale reads, batches that take all or
nothing, names that nobody gave back; and how long nobody was answered.

Invariant: what is not known may have happened, at any time after it was asked, or never.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import ceil, inf

from tests.support.history import Ask, Operation, Said, requests
from tests.support.linearizability import Violation
from tests.torture.recording import StaleRead

# Owners of all-or-nothing batches: one for each batch, who asks for nothing else.
BATCH_OWNER = "batch/"


def check_stale(operations: Sequence[Operation], reads: Iterable[StaleRead]) -> None:
    """Raises `Violation` for a stale read that shows what never was, or not at its revision.

    The attempts of a request are one here: what a late one was granted, an early one may have got.
    """
    by_name: dict[str, list[Operation]] = defaultdict(list)
    for operation in requests(list(operations)):
        if operation.ask is not Ask.LOOKUP:
            by_name[operation.name].append(operation)
    for read in reads:
        about = by_name[read.name]
        if read.owner:
            _check_found(read, about)
        else:
            _check_absent(read, about)


def _check_found(read: StaleRead, about: list[Operation]) -> None:
    if read.create_revision > read.revision:
        raise Violation(f"a record from the future: {read}")
    mine = [o for o in about if o.ask is Ask.REGISTER and o.owner == read.owner]
    granted = [o for o in mine if o.said is Said.GRANTED and o.revision == read.create_revision]
    possible = granted or [o for o in mine if o.said is Said.UNKNOWN]
    if not any(o.called <= read.returned for o in possible):
        raise Violation(f"nobody asked for what was found: {read}")
    for other in about:
        if _changed(other) and read.create_revision < (other.revision or 0) <= read.revision:
            raise Violation(f"found after it had ended: {read}, {other}")


def _check_absent(read: StaleRead, about: list[Operation]) -> None:
    changes = [o for o in about if _changed(o) and (o.revision or 0) <= read.revision]
    if not changes:
        return
    last = max(changes, key=lambda operation: operation.revision or 0)
    if last.said is Said.GRANTED and not any(
        o.ask is Ask.RELEASE and o.said is Said.UNKNOWN and o.owner == last.owner for o in about
    ):
        raise Violation(f"not found though it was held: {read}, {last}")


def _changed(operation: Operation) -> bool:
    return operation.said in (Said.GRANTED, Said.RELEASED)


def check_batches(operations: Iterable[Operation]) -> None:
    """Raises `Violation` when some names of an all-or-nothing batch were granted, others not.

    Batches release nothing, and every name is looked up at the end: what a batch holds then is
    what it was granted.
    """
    asked: dict[str, set[str]] = defaultdict(set)
    held: dict[str, set[str]] = defaultdict(set)
    for operation in operations:
        if operation.owner.startswith(BATCH_OWNER) and operation.ask is Ask.REGISTER:
            asked[operation.owner].add(operation.name)
            if operation.said is Said.GRANTED:
                held[operation.owner].add(operation.name)
        if operation.holder_owner.startswith(BATCH_OWNER):
            held[operation.holder_owner].add(operation.name)
    for owner, names in held.items():
        if names != asked[owner]:
            raise Violation(f"{owner} asked for {sorted(asked[owner])} and has {sorted(names)}")


def check_kept(operations: Sequence[Operation], final: Iterable[Operation]) -> int:
    """Raises `Violation` for an acknowledged name that is not its owner's at the end.

    Args:
        operations: Of the run.
        final: A look-up of each name after everything.

    Returns:
        How many names were granted and never given back.
    """
    owners = {o.name: o.owner for o in operations if o.said is Said.GRANTED}
    for operation in operations:
        if operation.ask is Ask.RELEASE and operation.said not in (Said.NOT_DONE, Said.NOT_OWNER):
            owners.pop(operation.name, None)
    found = {operation.name: operation for operation in final}
    for name, owner in owners.items():
        if name not in found or found[name].holder_owner != owner:
            raise Violation(f"{name!r} was granted to {owner}, and at the end {found.get(name)}")
    return len(owners)


def outages(operations: Iterable[Operation], kills: Iterable[float]) -> list[float]:
    """For each moment, seconds until a write that was asked for later was decided; infinite if
    none was."""
    decided = (Said.GRANTED, Said.TAKEN, Said.RELEASED)
    writes = [o for o in operations if o.said in decided]
    return [min((o.returned for o in writes if o.called >= at), default=inf) - at for at in kills]


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of them does not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)]
