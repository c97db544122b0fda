"""The state machine: (state, entry) -> (changes, decisions).

Invariants kept here:

* One holding per name: a name is granted only where no record stands.
* One request per holding: a request that was decided before gets the decision it got, for at least
  24 hours of log time; a granted one for as long as its holding lasts. A late duplicate of a
  request whose effect was undone since changes nothing.
* Total: every entry that can be decoded is decided; deciding raises nothing.
* `revision` grows by one per change, in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from namestore.core import state as st
from namestore.core.commands import (
    Command,
    Entry,
    Register,
    RegisterAll,
    Release,
    Wanted,
    decode_command,
    fingerprint,
)
from namestore.core.limits import OUTCOME_RETENTION_MS
from namestore.core.outcomes import Decision, Outcome, Verdict, decode_decision, encode_decision
from namestore.core.packing import check_types, pack, unpack_fields
from namestore.core.records import Record, decode_record, encode_record
from namestore.core.state import StateMeta, StateReader
from namestore.errors import InvariantViolation

# How many past entries' outcomes one entry may forget: bounded work, and still faster than
# outcomes are added.
_SWEEP_ENTRIES_MAX = 4


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
    step = _Step(state, meta, index, term, entry.time_ms)
    commands = [decode_command(data) for data in entry.commands]
    step.prefetch(commands)
    decisions = [
        step.decide(command, data) for command, data in zip(commands, entry.commands, strict=True)
    ]
    return step.finish(decisions)


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


class _Step:
    """One entry being decided: the state beneath, the changes so far above."""

    def __init__(
        self, state: StateReader, meta: StateMeta, index: int, term: int, time_ms: int
    ) -> None:
        self._state = state
        self._meta = meta
        self._index = index
        self._term = term
        # Log time never runs backwards, whatever the leaders' clocks do. It begins at 1, because
        # `oldest_outcome_ms` 0 means that nothing is remembered.
        self._time_ms = max(meta.time_ms, time_ms, 1)
        self._revision = meta.revision
        self._name_count = meta.name_count
        self._cache: dict[bytes, bytes | None] = {}
        self._changes: dict[bytes, bytes | None] = {}
        self._remembered: list[bytes] = []

    def prefetch(self, commands: Sequence[Command]) -> None:
        """Reads all that the commands will ask for at once: one call to the store per entry."""
        keys: dict[bytes, None] = {}
        for command in commands:
            keys[st.outcome_key(command.request_id)] = None
            match command:
                case Register(_, wanted):
                    keys[st.name_key(wanted.name)] = None
                case RegisterAll(_, many):
                    keys.update((st.name_key(wanted.name), None) for wanted in many)
                case Release(_, name):
                    keys[st.name_key(name)] = None
        wanted_keys = list(keys)
        self._cache = dict(zip(wanted_keys, self._state.get_many(wanted_keys), strict=True))

    def decide(self, command: Command, data: bytes) -> Decision:
        known = self._cache[st.outcome_key(command.request_id)]
        mark = fingerprint(data)
        if known is not None:
            return self._decided_before(known, command, mark)
        revision = self._revision
        decision: Decision
        match command:
            case Register(request_id, wanted):
                decision = self._register(request_id, (wanted,))
            case RegisterAll(request_id, many):
                decision = self._register(request_id, many)
            case Release():
                decision = (self._release(command),)
        self._remember(command.request_id, mark, decision, changed=self._revision > revision)
        return decision

    def finish(self, decisions: list[Decision]) -> Applied:
        oldest_ms = self._meta.oldest_outcome_ms
        if self._remembered:
            key = st.outcome_time_key(self._time_ms, self._index)
            self._changes[key] = pack(tuple(self._remembered))
            oldest_ms = oldest_ms or self._time_ms
        meta = StateMeta(
            self._index,
            self._term,
            self._revision,
            self._name_count,
            self._time_ms,
            self._sweep(oldest_ms),
        )
        self._changes[st.META_KEY] = st.encode_meta(meta)
        return Applied(self._changes, decisions, meta)

    # -- deciding ---------------------------------------------------------------------------

    def _register(self, request_id: bytes, many: tuple[Wanted, ...]) -> Decision:
        """All of the names or none; for one name that is simply: if it is free."""
        holders = [self._record(wanted.name) for wanted in many]
        if all(holder is None for holder in holders):
            return tuple(self._grant(request_id, wanted) for wanted in many)
        return tuple(
            self._stands(request_id, wanted, holder)
            for wanted, holder in zip(many, holders, strict=True)
        )

    def _stands(self, request_id: bytes, wanted: Wanted, holder: Record | None) -> Outcome:
        """How a name fares of which at least one neighbour, or itself, is held already."""
        if holder is None:
            return Outcome(Verdict.NOT_TRIED, self._revision)
        if holder.request_id != request_id:
            return Outcome(Verdict.TAKEN, self._revision, holder)
        # A retry so late that the outcome table has forgotten it; the holding itself remembers.
        # Unless the content gives it away as another request under a request_id used before.
        if holder.mod_revision == holder.create_revision and not _asks_for(wanted, holder):
            return Outcome(Verdict.REQUEST_ID_REUSED, self._revision)
        return Outcome(Verdict.GRANTED, self._revision, holder)

    def _grant(self, request_id: bytes, wanted: Wanted) -> Outcome:
        self._revision += 1
        self._name_count += 1
        record = _granted_record(request_id, wanted, self._revision, self._time_ms)
        self._write(st.name_key(wanted.name), encode_record(record))
        return Outcome(Verdict.GRANTED, self._revision, record)

    def _release(self, command: Release) -> Outcome:
        holder = self._record(command.name)
        if holder is None:
            return Outcome(Verdict.NAME_NOT_FOUND, self._revision)
        if holder.owner != command.owner:
            return Outcome(Verdict.NOT_OWNER, self._revision, holder)
        if command.create_revision not in (0, holder.create_revision):
            return Outcome(Verdict.STALE_FENCE, self._revision, holder)
        self._revision += 1
        self._name_count -= 1
        self._write(st.name_key(command.name), None)
        return Outcome(Verdict.RELEASED, self._revision, holder)

    # -- remembering ------------------------------------------------------------------------

    def _remember(
        self, request_id: bytes, mark: bytes, decision: Decision, *, changed: bool
    ) -> None:
        """Keeps what was decided. A fresh grant is rebuilt from the command: its place is enough.

        A grant that was only recognised again is kept whole: its holding began at another time.
        """
        first = decision[0]
        value: tuple[Any, ...]
        if changed and first.verdict is Verdict.GRANTED:
            value = (mark, self._time_ms, first.revision)
        else:
            value = (mark, self._time_ms, 0, encode_decision(decision))
        self._write(st.outcome_key(request_id), pack(value))
        self._remembered.append(request_id)

    def _decided_before(self, known: bytes, command: Command, mark: bytes) -> Decision:
        stored_mark, time_ms, revision, *rest = _remembered_fields(known)
        if stored_mark != mark:
            names = len(command.wanted) if isinstance(command, RegisterAll) else 1
            return (Outcome(Verdict.REQUEST_ID_REUSED, self._revision),) * names
        if rest:
            return decode_decision(rest[0])
        match command:
            case Register(request_id, wanted):
                many: tuple[Wanted, ...] = (wanted,)
            case RegisterAll(request_id, many):
                pass
            case _:
                raise InvariantViolation("a release is remembered as a grant")
        return tuple(
            Outcome(
                Verdict.GRANTED,
                revision + place,
                _granted_record(request_id, wanted, revision + place, time_ms),
            )
            for place, wanted in enumerate(many)
        )

    def _sweep(self, oldest_ms: int) -> int:
        """Forgets outcomes past their time, a bounded number; returns how far it got."""
        horizon_ms = self._time_ms - OUTCOME_RETENTION_MS
        if not oldest_ms or oldest_ms >= horizon_ms:
            return oldest_ms
        start = st.outcome_time_key(oldest_ms, 0)
        for swept, (key, value) in enumerate(self._state.scan(start, st.OUTCOME_TIME_PREFIX)):
            time_ms = int.from_bytes(key[1:9], "big")
            if time_ms >= horizon_ms or swept == _SWEEP_ENTRIES_MAX:
                return time_ms
            self._changes[key] = None
            for request_id in unpack_fields(value, "a list of remembered requests"):
                self._changes.setdefault(st.outcome_key(request_id), None)
        return self._time_ms if self._remembered else 0

    # -- the state beneath ------------------------------------------------------------------

    def _record(self, name: str) -> Record | None:
        data = self._cache[st.name_key(name)]
        return None if data is None else decode_record(name, data)

    def _write(self, key: bytes, value: bytes | None) -> None:
        self._cache[key] = self._changes[key] = value


def _remembered_fields(data: bytes) -> tuple[Any, ...]:
    """Mark, time, revision of the first grant, and the decision where that is not enough."""
    fields = unpack_fields(data, "a remembered outcome")
    types = (bytes, int, int, bytes) if len(fields) == 4 else (bytes, int, int)
    check_types(fields, types, "a remembered outcome")
    return fields


def _asks_for(wanted: Wanted, holder: Record) -> bool:
    return (wanted.display_name or wanted.name, wanted.owner, wanted.payload) == (
        holder.display_name,
        holder.owner,
        holder.payload,
    )


def _granted_record(request_id: bytes, wanted: Wanted, revision: int, time_ms: int) -> Record:
    return Record(
        name=wanted.name,
        display_name=wanted.display_name,
        owner=wanted.owner,
        payload=wanted.payload,
        request_id=request_id,
        create_revision=revision,
        mod_revision=revision,
        create_time_ms=time_ms,
    )
