"""What an entry will ask the store for, read before it is decided: in one call for most entries.

Invariant: what is missed here is read when it is needed, and what is read in vain costs time only;
but of plain registers everything is read here, and of what is written once for many names nothing:
that reads its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from namestore.core import state as st
from namestore.core.commands import (
    Command,
    Confirm,
    Expire,
    IndexNames,
    PutNamespace,
    Register,
    RegisterAll,
    RegisterEach,
    RegisterTogether,
    Release,
    Rename,
    Update,
    Wanted,
)
from namestore.core.deciding.plain import Plain
from namestore.core.deciding.step import Step
from namestore.core.namespaces import namespace_of

_READ_THEIR_OWN = (RegisterEach, RegisterTogether)


def read_ahead(step: Step, asked: Sequence[Plain | Command]) -> None:
    """Makes what the commands will ask for known to the step."""
    if step.has_policies or any(type(item) is PutNamespace for item in asked):
        names = (name for item in asked for name in _names(item))
        step.prefetch(map(st.namespace_key, map(namespace_of, names)))
    keys: list[bytes] = []
    for item in asked:
        if isinstance(item, tuple):
            keys.append(item[0])
            keys.append(item[1])
        elif type(item) not in _READ_THEIR_OWN:
            keys.extend(_keys(step, item))
    step.prefetch(keys)


def _names(command: Plain | Command) -> Iterator[str]:
    match command:
        case tuple():
            yield command[2][2]
        case Register(_, wanted):
            yield wanted.name
        case RegisterEach(_, names) | RegisterTogether(_, names):
            yield from names
        case RegisterAll(_, many):
            yield from (wanted.name for wanted in many)
        case Release() | Confirm() | Update():
            yield command.name
        case Rename():
            yield command.from_name
            yield command.to_name
        case Expire(items):
            yield from (item.name for item in items)
        case IndexNames(_, _, names):
            yield from (name for name, _ in names)
        case _:
            return


def _keys(step: Step, command: Command) -> Iterator[bytes]:
    if not isinstance(command, (Expire, IndexNames)):
        yield st.outcome_key(command.request_id)
    for name in _names(command):
        yield st.name_key(name)
    if not step.has_policies:
        return
    match command:
        case Register(_, wanted):
            yield from _keys_of_wanted(step, wanted)
        case RegisterAll(_, many):
            for wanted in many:
                yield from _keys_of_wanted(step, wanted)
        case IndexNames(namespace, _, names):
            for _, keys in names:
                yield from (st.unique_key(kind, namespace, key) for kind, key in keys)
        case _:
            return


def _keys_of_wanted(step: Step, wanted: Wanted) -> Iterator[bytes]:
    space = step.space_of(wanted.name)
    if not space.judges:
        return
    namespace = namespace_of(wanted.name)
    yield st.held_back_key(wanted.name)
    for judgement in wanted.judged:
        for kind, key in judgement.keys:
            yield st.unique_key(kind, namespace, key)
    if space.counts:
        yield st.owner_count_key(namespace, wanted.owner)
