"""Names that are asked for in one command and differ in nothing else: granted at once.

Responsible for that where nothing is in the way of any of them, and for saying then in one outcome
what was decided of all. Where something is in the way the general way decides, name by name.

Invariant: what is granted here leaves the state that the spelled-out requests would have left, byte
for byte, and says what they would have been told. tests/properties/test_batches.py decides the same
both ways.
"""

from __future__ import annotations

from itertools import repeat

from namestore.core import state as st
from namestore.core.commands import RegisterEach, RegisterTogether, mark, member_ids
from namestore.core.deciding.remembering import remembered
from namestore.core.deciding.step import Step
from namestore.core.events import EventKind
from namestore.core.outcomes import Decision, Outcome, Verdict
from namestore.core.packing import packer
from namestore.core.records import PLAIN_FORMAT, Record, decode_record
from namestore.errors import InvariantViolation

# From so many names on a scan is cheaper than to look for each of their request_ids.
LOOK_AT_ONCE_MIN = 32


def grant(step: Step, command: RegisterEach) -> Decision | None:
    """Grants all of the names, if each is free, unjudged and asked for once; None: nothing done."""
    names, request_id = command.names, command.request_id
    if (
        not step.records_remember
        or len(set(names)) < len(names)
        or not _are_new(step, request_id, len(names))
    ):
        return None
    return _grant(step, command)


def grant_together(step: Step, command: RegisterTogether) -> Decision | None:
    """The same of names of which all are wanted, or none."""
    request_id = command.request_id
    place = st.outcome_key(request_id)
    if not step.are_absent([place]):
        return None
    decision = _grant(step, command)
    if decision is not None:
        own_mark = mark(command, b"")
        step.put(place, remembered(own_mark, step.time_ms, decision, granted=True))
        step.remembered.append(request_id)
    return decision


def _request_ids(command: RegisterEach | RegisterTogether) -> list[bytes]:
    """Those that the names are asked for under, in order."""
    if isinstance(command, RegisterEach):
        return member_ids(command.request_id, len(command.names))
    return [command.request_id] * len(command.names)


def _grant(step: Step, command: RegisterEach | RegisterTogether) -> Decision | None:
    names, owner, payload = command.names, command.owner, command.payload
    name_keys = [st.NAME_PREFIX + name.encode() for name in names]
    if not step.are_absent(name_keys) or (
        step.has_policies and any(step.space_of(name).judges for name in names)
    ):
        return None
    pack, time_ms, first = packer(), step.time_ms, step.revision + 1
    records = [
        pack((PLAIN_FORMAT, "", owner, payload, request_id, revision, 0, time_ms))
        for revision, request_id in enumerate(_request_ids(command), first)
    ]
    step.put_all(dict(zip(name_keys, records, strict=True)))
    step.tell_each(list(zip(repeat(EventKind.REGISTERED), names, records)))
    step.name_count += len(names)
    record = decode_record(names[0], records[0])
    return (Outcome(Verdict.GRANTED_EACH, first, record),)


def _are_new(step: Step, request_id: bytes, count: int) -> bool:
    """The outcome table knows none of so many members of a batch.

    Their keys stand next to each other, so that one look at the place tells it of many.
    """
    prefix = st.outcome_key(request_id)
    keys = member_ids(prefix, count)
    if count < LOOK_AT_ONCE_MIN or not step.known.keys().isdisjoint(keys):
        return step.are_absent(keys)
    return next(iter(step.scan_beneath(prefix, prefix)), None) is None


def spelled_out(command: RegisterEach | RegisterTogether, decision: Decision) -> Decision:
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
    request_ids = _request_ids(command)
    granted = []
    for revision, (name, request_id) in enumerate(
        zip(names, request_ids, strict=True), record.create_revision
    ):
        own = Record(
            name,
            name,
            record.owner,
            record.payload,
            request_id,
            revision,
            revision,
            record.create_time_ms,
        )
        granted.append(Outcome(Verdict.GRANTED, revision, own))
    return tuple(granted)
