"""The state machine: (state, entry) -> (changes, decisions).

Invariants kept here and under `namestore.core.deciding`:

* One holding per name: a name is granted only where no record stands that has not expired.
* One request per holding: a request that was decided before gets the decision it got, for at least
  24 hours of log time; a granted one for as long as its holding lasts, and as long after that. A
  late duplicate of a request whose effect was undone since changes nothing.
* Total: every entry that can be decoded is decided; deciding raises nothing.
* `revision` grows by one per change, in order, and every change has its event.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

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
    RegisterEach,
    RegisterTogether,
    Release,
    Rename,
    Update,
    Wanted,
    as_all,
    encode_command,
    mark,
    members,
)
from namestore.core.commands.decoding import command_of
from namestore.core.deciding import changing, each, plain, policies, remembering, sweeping
from namestore.core.deciding.ahead import read_ahead
from namestore.core.deciding.plain import Told
from namestore.core.deciding.registering import register
from namestore.core.deciding.step import Step
from namestore.core.outcomes import Decision, Outcome, Verdict
from namestore.core.state import StateMeta, StateReader
from namestore.errors import InvariantViolation

# What is not decided of a request, but of the attempt.
_FORGOTTEN = (Verdict.POLICY_CHANGED, Verdict.REQUEST_ID_REUSED)
_FORGOTTEN_BEFORE = (Verdict.POLICY_CHANGED,)

# From this version of log entries on the registry has a feed of its changes.
_FEED_SINCE = 2
# From this one on a register that is granted is remembered by its record.
_RECORDS_REMEMBER_SINCE = 3


class Applied:
    """What one entry does.

    Attributes:
        changes: Key to new value, None to delete; written in one atomic step. Holds the meta.
        meta: Where the state stands afterwards.
    """

    __slots__ = ("_decide", "_decisions", "changes", "meta")

    def __init__(
        self,
        changes: dict[bytes, bytes | None],
        meta: StateMeta,
        decide: Callable[[], list[Decision]] = list,
    ) -> None:
        self.changes = changes
        self.meta = meta
        self._decide = decide
        self._decisions: list[Decision] | None = None

    @property
    def decisions(self) -> list[Decision]:
        """One per command of the entry, in order. Made when asked for: mostly nobody waits."""
        if self._decisions is None:
            self._decisions = self._decide()
        return self._decisions


def apply_entry(
    state: StateReader, meta: StateMeta, index: int, term: int, entry: Entry
) -> Applied:
    """Decides every command of the entry at `index`, in order, later ones seeing earlier ones.

    Raises:
        InvariantViolation: The entry does not follow `meta`, or the state cannot be read.
        MalformedCommand: A command that should never have got into the log.
    """
    _check_place(meta, index, term)
    step = Step(
        state,
        meta,
        index,
        entry.time_ms,
        tells=entry.version >= _FEED_SINCE,
        records_remember=entry.version >= _RECORDS_REMEMBER_SINCE,
    )
    decisions = _decide_in_order(step, entry.commands)
    moved = _finish(step, term)
    return Applied(step.changes, moved, decisions)


def apply_nothing(meta: StateMeta, index: int, term: int) -> Applied:
    """What an entry without commands does: the applied index moves on.

    Raises:
        InvariantViolation: The entry does not follow `meta`.
    """
    _check_place(meta, index, term)
    moved = meta._replace(applied_index=index, applied_term=term)
    return Applied({st.META_KEY: st.encode_meta(moved)}, moved)


def _decide_in_order(step: Step, commands: Sequence[bytes]) -> Callable[[], list[Decision]]:
    """Decides commands one after the other; returns what makes their decisions."""
    asked = plain.read_commands(commands)
    read_ahead(step, asked)
    told: list[Told] = []
    while plain.decide(step, asked, commands, told) < len(asked):
        item = asked[len(told)]
        command = command_of(item[2]) if isinstance(item, tuple) else item
        told.append(_decide(step, command, commands[len(told)]))
    return partial(plain.decisions, told, asked, step.time_ms)


def _check_place(meta: StateMeta, index: int, term: int) -> None:
    if index != meta.applied_index + 1 or term < meta.applied_term:
        raise InvariantViolation(
            f"entry {index} of term {term} does not follow entry {meta.applied_index} "
            f"of term {meta.applied_term}, the last one applied"
        )


def _decide(step: Step, command: Command, data: bytes) -> Decision:
    if type(command) is RegisterEach:
        return each.grant(step, command) or _decide_members(step, command)
    if type(command) is RegisterTogether:
        return each.grant_together(step, command) or _decide_all(step, command)
    if isinstance(command, (Expire, IndexNames)):  # harmless when they come twice
        return _decide_again(step, command)
    own_mark, place = mark(command, data), st.outcome_key(command.request_id)
    record_of = step.record if step.records_remember else None
    told = remembering.told_before(
        step.get(place), command, own_mark, record_of, step.revision, step.time_ms
    )
    if told is not None:
        return told
    decision, granted = _decide_anew(step, command)
    if step.records_remember and granted and type(command) is Register:
        return decision
    if decision[0].verdict not in (_FORGOTTEN if step.records_remember else _FORGOTTEN_BEFORE):
        value = remembering.remembered(own_mark, step.time_ms, decision, granted=granted)
        step.put(place, value)
        step.remembered.append(command.request_id)
    return decision


def _decide_members(step: Step, command: RegisterEach) -> Decision:
    decisions = _decide_in_order(step, [encode_command(member) for member in members(command)])
    return tuple(outcome for decision in decisions() for outcome in decision)


def _decide_all(step: Step, command: RegisterTogether) -> Decision:
    spelled = as_all(command)
    return _decide(step, spelled, encode_command(spelled))


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


def _finish(step: Step, term: int) -> StateMeta:
    """Lists what is remembered, forgets what is over; where the state stands then."""
    remembered = step.remembered
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
    return meta
