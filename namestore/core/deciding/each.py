"""RegisterEach: registers that differ in their name alone, decided as if each had come by itself.

Responsible for granting them at once where nothing is in the way of any, and for saying then in one
outcome what was decided of all. Where something is in the way the general way decides them, one by
one.

Invariant: a batch leaves the state that its members would have left, byte for byte, and says what
they would have been told. tests/properties/test_batches.py decides the same both ways.
"""

from __future__ import annotations

from itertools import repeat

from namestore.core import state as st
from namestore.core.commands import RegisterEach
from namestore.core.commands.each import PLACES
from namestore.core.deciding.step import Step
from namestore.core.events import EventKind
from namestore.core.outcomes import Decision, Outcome, Verdict
from namestore.core.packing import packer
from namestore.core.records import PLAIN_FORMAT, Record
from namestore.errors import InvariantViolation

# From so many names on a scan is cheaper than to look for each of their request_ids.
LOOK_AT_ONCE_MIN = 32


def grant(step: Step, command: RegisterEach) -> Decision | None:
    """Grants all of the names, if each is free, unjudged and asked for once; None: nothing done."""
    request_id, names, owner, payload = (
        command.request_id,
        command.names,
        command.owner,
        command.payload,
    )
    name_keys = [st.NAME_PREFIX + name.encode() for name in names]
    if (
        not step.records_remember
        or len(set(name_keys)) < len(name_keys)
        or not _are_new(step, request_id, len(names))
        or not step.are_absent(name_keys)
        or (step.has_policies and any(step.space_of(name).judges for name in names))
    ):
        return None
    pack, time_ms, first = packer(), step.time_ms, step.revision + 1
    records = [
        pack((PLAIN_FORMAT, "", owner, payload, request_id + place, revision, 0, time_ms))
        for revision, place in enumerate(PLACES[: len(names)], first)
    ]
    step.put_all(dict(zip(name_keys, records, strict=True)))
    step.tell_each(list(zip(repeat(EventKind.REGISTERED), names, records)))
    step.name_count += len(names)
    record = Record(
        names[0], names[0], owner, payload, request_id + PLACES[0], first, first, time_ms
    )
    return (Outcome(Verdict.GRANTED_EACH, first, record),)


def _are_new(step: Step, request_id: bytes, count: int) -> bool:
    """The outcome table knows none of so many members of a batch.

    Their keys stand next to each other, so that one look at the place tells it of many.
    """
    prefix = st.outcome_key(request_id)
    keys = [prefix + place for place in PLACES[:count]]
    if count < LOOK_AT_ONCE_MIN or not step.known.keys().isdisjoint(keys):
        return step.are_absent(keys)
    return next(iter(step.scan_beneath(prefix, prefix)), None) is None


def spelled_out(command: RegisterEach, decision: Decision) -> Decision:
    """One outcome for each name, however it was decided.

    Raises:
        InvariantViolation: It is no decision of that command.
    """
    names = command.names
    first, record = decision[0], decision[0].record
    if first.verdict is not Verdict.GRANTED_EACH:
        if len(decision) != len(names):
            raise InvariantViolation(f"{len(decision)} outcomes for {len(names)} names")
        return decision
    if record is None:
        raise InvariantViolation("names were granted, and no record says how")
    granted = []
    for revision, (name, place) in enumerate(
        zip(names, PLACES, strict=False), record.create_revision
    ):
        own = Record(
            name,
            name,
            record.owner,
            record.payload,
            command.request_id + place,
            revision,
            revision,
            record.create_time_ms,
        )
        granted.append(Outcome(Verdict.GRANTED, revision, own))
    return tuple(granted)
