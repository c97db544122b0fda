"""The state machine: (state, entry) -> (changes, decisions).

Invariants kept here and under `namestore.core.deciding`:

* One holding per name: a name is granted only where no record stands that has not expired.
* One request per holding: a request that was decided before gets the decision it got, for at least
  24 hours of log time; a granted one for as long as its holding lasts. A late duplicate of a
  request whose effect was undone since changes nothing.
* Total: every entry that can be decoded is decided; deciding raises nothing.
* `revision` grows by one per change, in order, and every change has its event.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from namestore.core import state as st
from namestore.core.commands import (
    AbandonPolicy,
    Command,
    Confirm,
    Entry,
    Expire,
    IndexNames,
    KeepEvents,
    PutNamespace,
    Register,
    RegisterAll,
    Release,
    Rename,
    Update,
    Wanted,
    decode_command,
    mark,
)
from namestore.core.deciding import changing, policies, remembering, sweeping
from namestore.core.deciding.registering import register
from namestore.core.deciding.step import Step
from namestore.core.namespaces import namespace_of
from namestore.core.outcomes import Decision, Outcome, Verdict
from namestore.core.state import StateMeta, StateReader
from namestore.errors import InvariantViolation

# From this version of log entries on the registry has a feed of its changes.
_FEED_SINCE = 2


@dataclass(frozen=True, slots=True)
class Applied:
    """What one entry does.

    Attributes:
        changes: Key to new value, None to delete; written in one atomic step. Holds the meta.
        decisions: One per command of the entry, in order.
        meta: Where the state stands afterwards.
    """

    changes: dict[bytes, bytes | None]
    decisions: list[Decision]
    meta: StateMeta


def apply_entry(
    state: StateReader, meta: StateMeta, index: int, term: int, entry: Entry
) -> Applied:
    """Decides every command of the entry at `index`, in order, later ones seeing earlier ones.

    Raises:
        InvariantViolation: The entry does not follow `meta`, or the state cannot be read.
        MalformedCommand: A command that should never have got into the log.
    """
    _check_place(meta, index, term)
    tells = entry.version >= _FEED_SINCE
    step = Step(state, meta, index, entry.time_ms, tells=tells)
    commands = [decode_command(data) for data in entry.commands]
    _prefetch(step, commands)
    remembered: list[bytes] = []
    decisions = [
        _decide(step, command, data, remembered)
        for command, data in zip(commands, entry.commands, strict=True)
    ]
    return _finish(step, term, decisions, remembered)


def apply_nothing(meta: StateMeta, index: int, term: int) -> Applied:
    """What an entry without commands does: the applied index moves on.

    Raises:
        InvariantViolation: The entry does not follow `meta`.
    """
    _check_place(meta, index, term)
    moved = meta._replace(applied_index=index, applied_term=term)
    return Applied({st.META_KEY: st.encode_meta(moved)}, [], moved)


def _check_place(meta: StateMeta, index: int, term: int) -> None:
    if index != meta.applied_index + 1 or term < meta.applied_term:
        raise InvariantViolation(
            f"entry {index} of term {term} does not follow entry {meta.applied_index} "
            f"of term {meta.applied_term}, the last one applied"
        )


def _decide(step: Step, command: Command, data: bytes, remembered: list[bytes]) -> Decision:
    if isinstance(command, (Expire, IndexNames)):  # harmless when they come twice
        return _decide_again(step, command)
    own_mark, place = mark(command, data), st.outcome_key(command.request_id)
    known = step.get(place)
    if known is not None:
        return remembering.recall(known, command, own_mark, step.revision)
    decision, granted = _decide_anew(step, command)
    if decision[0].verdict is not Verdict.POLICY_CHANGED:
        value = remembering.remembered(own_mark, step.time_ms, decision, granted=granted)
        step.put(place, value)
        remembered.append(command.request_id)
    return decision


def _decide_again(step: Step, command: Expire | IndexNames) -> Decision:
    if isinstance(command, Expire):
        return changing.expire(step, command)
    return (policies.index_names(step, command),)


def _decide_anew(step: Step, command: Command) -> tuple[Decision, bool]:
    """The decision, and whether it can be told from the command alone; see `remembered`."""
    if type(command) is Register:
        decision, granted = register(step, command.request_id, (command.wanted,))
        return decision, granted and _is_plain(step, command.wanted)
    if type(command) is RegisterAll:
        decision, granted = register(step, command.request_id, command.wanted)
        return decision, granted and all(_is_plain(step, wanted) for wanted in command.wanted)
    return (_decide_one(step, command),), False


def _decide_one(step: Step, command: Command) -> Outcome:
    match command:
        case Release():
            return changing.release(step, command)
        case Confirm():
            return changing.confirm(step, command)
        case Update():
            return changing.update(step, command)
        case Rename():
            return changing.rename(step, command)
        case PutNamespace():
            return policies.put_namespace(step, command)
        case AbandonPolicy():
            return policies.abandon_policy(step, command)
        case KeepEvents():
            return policies.keep_events(step, command)
        case _:
            raise InvariantViolation(f"{type(command).__name__} is not decided by itself")


def _is_plain(step: Step, wanted: Wanted) -> bool:
    if wanted.ttl_ms is not None:
        return False
    return not step.has_policies or not step.space_of(wanted.name).judges


def _finish(step: Step, term: int, decisions: list[Decision], remembered: list[bytes]) -> Applied:
    oldest_ms = step.meta.oldest_outcome_ms
    if remembered:
        key = st.outcome_time_key(step.time_ms, step.index)
        step.changes[key] = remembering.listed(remembered)
        oldest_ms = oldest_ms or step.time_ms
    oldest_ms = sweeping.outcomes(step, oldest_ms, added=bool(remembered))
    next_hold_end_ms = sweeping.hold_backs(step)
    oldest_revision, oldest_event_ms = sweeping.events(step)
    meta = StateMeta(
        step.index,
        term,
        step.revision,
        step.name_count,
        step.time_ms,
        oldest_ms,
        oldest_revision,
        oldest_event_ms,
        step.events_kept_max,
        step.events_kept_ms,
        next_hold_end_ms,
        step.namespace_count,
    )
    step.changes[st.META_KEY] = st.encode_meta(meta)
    return Applied(step.changes, decisions, meta)


# -- reading ahead ------------------------------------------------------------------------------


def _prefetch(step: Step, commands: Sequence[Command]) -> None:
    """Reads what the commands will ask for at once: one call to the store for most entries.

    What is missed here is read when it is needed; what is read in vain costs time only.
    """
    if step.has_policies or any(isinstance(command, PutNamespace) for command in commands):
        names = (name for command in commands for name in _names(command))
        step.prefetch(map(st.namespace_key, map(namespace_of, names)))
    keys: list[bytes] = []
    for command in commands:
        if type(command) is Register and not step.has_policies:  # most of all entries
            keys.append(st.outcome_key(command.request_id))
            keys.append(st.name_key(command.wanted.name))
        else:
            keys.extend(_keys(step, command))
    step.prefetch(keys)


def _names(command: Command) -> Iterator[str]:
    match command:
        case Register(_, wanted):
            yield wanted.name
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
