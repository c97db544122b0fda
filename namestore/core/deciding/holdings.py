"""How a holding begins, changes and ends, with everything that follows it.

Invariants: a unique key leads to the names whose record or hold-back lists it and to no others, the
newest first, which is the one that is held if any is; an owner's count is the number of his records
that are marked; every reservation stands in the order of their ends, and nothing else does; a name
is held back or held, never both.
"""

from __future__ import annotations

from dataclasses import replace

from namestore.core import state as st
from namestore.core.commands import UniqueKey
from namestore.core.deciding.recognising import of_ended
from namestore.core.deciding.step import Step
from namestore.core.events import ENDS_HOLDING, EventKind, Holding, encode_holding
from namestore.core.namespaces import namespace_of
from namestore.core.records import (
    HeldBack,
    Record,
    encode_held_back,
    encode_record,
)

# No name holds one.
_BETWEEN_NAMES = "\0"
# So many look-alikes of one owner's are remembered for a key, all but one of them held back.
_NAMES_OF_KEY_MAX = 8


def standing(step: Step, name: str) -> Record | None:
    """Who holds a name now. A reservation that is over ends here, with its event."""
    record = step.record(name)
    if record is not None and record.has_expired(step.time_ms):
        end(step, record, EventKind.EXPIRED)
        return None
    return record


def begin(step: Step, record: Record, kind: EventKind, other: str = "") -> None:
    """Somebody holds a name that is free; the record has the revision that comes next."""
    name = record.name
    if step.has_policies:
        _forget(step, name, keep=record.keys)
        _add_keys(step, name, record.keys)
    if record.counted:
        _count(step, record, 1)
    if record.expire_time_ms:
        end_key = st.expiry_key(record.expire_time_ms, name)
        step.put(end_key, st.number(record.create_revision))
    data = encode_record(record)
    step.put(st.name_key(name), data)
    step.name_count += 1
    step.tell(kind, name, data, other)


def end(
    step: Step, record: Record, kind: EventKind, to_name: str = "", to_revision: int = 0
) -> None:
    """Nobody holds a name any more. What is left of it is kept as the policy says.

    Args:
        step: The entry being decided.
        record: What ends.
        kind: Why.
        to_name: Of a rename, the new name.
        to_revision: The revision that its holding there will have.
    """
    name = record.name
    step.put(st.name_key(name), None)
    step.name_count -= 1
    _remember_request(step, record)
    _leave_indexes(step, record)
    _keep_holding(step, record, kind, step.tell(kind, name, encode_record(record), to_name))
    if step.has_policies or record.keys:
        _hold_back(step, record, to_name, to_revision)


def _remember_request(step: Step, record: Record) -> None:
    """The record did until now."""
    place = st.outcome_key(record.request_id)
    if step.records_remember and step.get(place) is None:
        step.put(place, of_ended(record, step.time_ms))
        step.remembered.append(record.request_id)


def change(step: Step, old: Record, new: Record, kind: EventKind) -> None:
    """A holding goes on with other contents; its name and keys stay."""
    _leave_indexes(step, old)
    if new.counted:
        _count(step, new, 1)
    if new.expire_time_ms:
        end_key = st.expiry_key(new.expire_time_ms, new.name)
        step.put(end_key, st.number(new.create_revision))
    data = encode_record(new)
    step.put(st.name_key(new.name), data)
    _keep_holding(step, old, kind, step.tell(kind, new.name, data))


def index(step: Step, record: Record, keys: tuple[UniqueKey, ...], *, counted: bool) -> None:
    """A pending policy reaches a name: it gets keys and is counted. Nobody sees a change."""
    merged = tuple(sorted({*keys, *record.keys}))
    new = replace(record, keys=merged, counted=record.counted or counted)
    if new == record:
        return
    _drop_keys(step, record.name, record.keys)
    _add_keys(step, record.name, merged)
    if new.counted and not record.counted:
        _count(step, new, 1)
    step.put(st.name_key(record.name), encode_record(new))


def owner_count(step: Step, namespace: str, owner: str) -> int:
    """How many counted names an owner has in a namespace."""
    data = step.get(st.owner_count_key(namespace, owner))
    return 0 if data is None else st.read_number(data)


def forget_hold_back(step: Step, name: str, held: HeldBack) -> None:
    """A hold-back is over; a redirect stays until somebody takes the name."""
    step.put(st.held_back_end_key(held.until_ms, name), None)
    _drop_keys(step, name, held.keys)
    rest = replace(held, owner="", until_ms=0, keys=()) if held.redirect else None
    step.put(st.held_back_key(name), encode_held_back(name, rest) if rest else None)


def _forget(step: Step, name: str, keep: tuple[UniqueKey, ...]) -> None:
    """Nothing is left of a name: it is taken."""
    held = step.held_back(name)
    if held is None:
        return
    if held.until_ms:
        step.put(st.held_back_end_key(held.until_ms, name), None)
    _drop_keys(step, name, tuple(item for item in held.keys if item not in keep))
    step.put(st.held_back_key(name), None)


def _hold_back(step: Step, record: Record, redirect: str, redirect_revision: int) -> None:
    policy = step.space_of(record.name).in_force
    period_ms = 0
    if not record.expire_time_ms:  # what was only reserved was not used, and leaves nothing
        period_ms = policy.hold_back.period_ms(step.time_ms - record.create_time_ms)
    if not policy.redirect_after_rename:
        redirect, redirect_revision = "", 0
    if not period_ms:
        _drop_keys(step, record.name, record.keys)
        if redirect:
            left = HeldBack("", 0, record.create_revision, (), redirect, redirect_revision)
            step.put(st.held_back_key(record.name), encode_held_back(record.name, left))
        return
    until_ms = step.time_ms + period_ms
    left = HeldBack(
        record.owner, until_ms, record.create_revision, record.keys, redirect, redirect_revision
    )
    step.put(st.held_back_key(record.name), encode_held_back(record.name, left))
    step.put(st.held_back_end_key(until_ms, record.name), b"")
    step.next_hold_end_ms = min(step.next_hold_end_ms or until_ms, until_ms)


def _keep_holding(step: Step, record: Record, kind: EventKind, revision: int) -> None:
    """Writes down who held a name until now."""
    if kind not in ENDS_HOLDING or not step.tells:
        return
    holding = Holding(
        record.owner, record.create_revision, record.held_from_ms, step.time_ms, revision, kind
    )
    step.put(st.holding_key(record.name, revision), encode_holding(holding))


def _leave_indexes(step: Step, record: Record) -> None:
    if record.counted:
        _count(step, record, -1)
    if record.expire_time_ms:
        step.put(st.expiry_key(record.expire_time_ms, record.name), None)


def _count(step: Step, record: Record, by: int) -> None:
    namespace = namespace_of(record.name)
    count = owner_count(step, namespace, record.owner) + by
    step.put(st.owner_count_key(namespace, record.owner), st.number(count) if count else None)


def names_with(step: Step, namespace: str, item: UniqueKey) -> list[str]:
    """Whose record or hold-back lists a unique key, the newest first.

    Several only where the last owner of a name that is held back took one that looks like it.
    """
    data = step.get(st.unique_key(item[0], namespace, item[1]))
    return data.decode().split(_BETWEEN_NAMES) if data else []


def _add_keys(step: Step, name: str, keys: tuple[UniqueKey, ...]) -> None:
    _put_names(step, name, keys, [name])


def _drop_keys(step: Step, name: str, keys: tuple[UniqueKey, ...]) -> None:
    _put_names(step, name, keys, [])


def _put_names(step: Step, name: str, keys: tuple[UniqueKey, ...], first: list[str]) -> None:
    namespace = namespace_of(name)
    for kind, key in keys:
        others = [n for n in names_with(step, namespace, (kind, key)) if n != name]
        names = _BETWEEN_NAMES.join([*first, *others][:_NAMES_OF_KEY_MAX])
        step.put(st.unique_key(kind, namespace, key), names.encode() if names else None)
