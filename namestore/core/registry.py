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

import msgpack

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
from namestore.core.records import Record, decode_record, encode_record
from namestore.core.state import StateMeta, StateReader

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
    step = _Step(state, meta, index, term, entry.time_ms)
    commands = [decode_command(data) for data in entry.commands]
    step.prefetch(commands)
    decisions = [
        step.decide(command, data) for command, data in zip(commands, entry.commands, strict=True)
    ]
    return step.finish(decisions)


def apply_nothing(meta: StateMeta, index: int, term: int) -> Applied:
    """What an entry without commands does: the applied index moves on."""
    moved = meta._replace(applied_index=index, applied_term=term)
    return Applied({st.META_KEY: st.encode_meta(moved)}, [], moved)


class _Step:
    """One entry being decided: the state beneath, the changes so far above."""

    def __init__(
        self, state: StateReader, meta: StateMeta, index: int, term: int, time_ms: int
    ) -> None:
        self._state = state
        self._meta = meta
        self._index = index
        self._term = term
        # Log time never runs backwards, whatever the leaders' clocks do.
        self._time_ms = max(meta.time_ms, time_ms)
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
        match command:
            case Register(request_id, wanted):
                decision = (self._register(request_id, wanted),)
            case RegisterAll(request_id, many):
                decision = self._register_all(request_id, many)
            case Release():
                decision = (self._release(command),)
        self._remember(command.request_id, mark, decision)
        return decision

    def finish(self, decisions: list[Decision]) -> Applied:
        oldest_ms = self._meta.oldest_outcome_ms
        if self._remembered:
            key = st.outcome_time_key(self._time_ms, self._index)
            self._changes[key] = msgpack.packb(self._remembered)
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

    def _register(self, request_id: bytes, wanted: Wanted) -> Outcome:
        holder = self._record(wanted.name)
        if holder is None:
            return self._grant(request_id, wanted)
        if holder.request_id == request_id:
            # Forgotten by the outcome table, but the holding itself remembers.
            return Outcome(Verdict.GRANTED, self._revision, holder)
        return Outcome(Verdict.TAKEN, self._revision, holder)

    def _register_all(self, request_id: bytes, many: tuple[Wanted, ...]) -> Decision:
        holders = [self._record(wanted.name) for wanted in many]
        if all(holder is None for holder in holders):
            return tuple(self._grant(request_id, wanted) for wanted in many)
        if all(holder is not None and holder.request_id == request_id for holder in holders):
            return tuple(Outcome(Verdict.GRANTED, self._revision, holder) for holder in holders)
        return tuple(
            Outcome(Verdict.TAKEN, self._revision, holder)
            if holder is not None
            else Outcome(Verdict.NOT_TRIED, self._revision)
            for holder in holders
        )

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

    def _remember(self, request_id: bytes, mark: bytes, decision: Decision) -> None:
        """Keeps what was decided. A grant is rebuilt from the command: only its place is kept."""
        first = decision[0]
        granted = first.verdict is Verdict.GRANTED and first.record is not None
        value: tuple[Any, ...] = (
            (mark, self._time_ms, first.record.create_revision if first.record else 0)
            if granted
            else (mark, self._time_ms, 0, encode_decision(decision))
        )
        self._write(st.outcome_key(request_id), msgpack.packb(value))
        self._remembered.append(request_id)

    def _decided_before(self, known: bytes, command: Command, mark: bytes) -> Decision:
        stored_mark, time_ms, revision, *rest = msgpack.unpackb(known)
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
            case _:  # only registers are stored without their decision
                return (Outcome(Verdict.REQUEST_ID_REUSED, self._revision),)
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
        swept = 0
        for key, value in self._state.scan(start, st.OUTCOME_TIME_PREFIX):
            time_ms = int.from_bytes(key[1:9], "big")
            if time_ms >= horizon_ms or swept == _SWEEP_ENTRIES_MAX:
                return time_ms
            self._changes[key] = None
            for request_id in msgpack.unpackb(value):
                self._changes.setdefault(st.outcome_key(request_id), None)
            swept += 1
        return self._time_ms if self._remembered else 0

    # -- the state beneath ------------------------------------------------------------------

    def _record(self, name: str) -> Record | None:
        data = self._cache[st.name_key(name)]
        return None if data is None else decode_record(name, data)

    def _write(self, key: bytes, value: bytes | None) -> None:
        self._cache[key] = self._changes[key] = value


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
