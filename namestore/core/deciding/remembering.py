"""The outcome table: what was decided before is decided the same for at least a day.

Responsible for recognising requests and for keeping, in few bytes, what they were told. Forgetting
is `sweeping`'s.

Invariant: what is remembered is listed under the time it was decided, so that it will be forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from namestore.core import state as st
from namestore.core.commands import Command, Expire, Register, RegisterAll, Rename, Wanted
from namestore.core.deciding.recognising import BY_RECORD, again, by_holding
from namestore.core.deciding.registering import granted_record
from namestore.core.namespaces import NamespaceState
from namestore.core.outcomes import Decision, Outcome, Verdict, decode_decision, encode_decision
from namestore.core.packing import check_types, pack, unpack_fields
from namestore.core.records import Record
from namestore.errors import InvariantViolation

_NO_NAMESPACE = NamespaceState()


def told_before(
    known: bytes | None,
    command: Command,
    mark: bytes,
    record_of: Callable[[str], Record | None] | None,
    revision: int,
    time_ms: int,
) -> Decision | None:
    """What a request was told, by the outcome table and by the name it holds; None: nothing yet.

    Args:
        known: What the table has of its request_id: made by `remembered`, or by `of_ended`.
        command: As it comes now; it may be judged otherwise than it was then.
        mark: Of what it asks for.
        record_of: What is stored under a canonical name; None: records remember nothing.
        revision: Of the registry, now.
        time_ms: The log's time, now.
    """
    told = None if known is None else _recall(known, command, mark, revision)
    unknown = told is None or told[0].verdict is Verdict.REQUEST_ID_REUSED
    if unknown and type(command) is Register and record_of is not None:
        return by_holding(command, record_of, revision, time_ms) or told
    return told


def _recall(known: bytes, command: Command, mark: bytes, revision: int) -> Decision | None:
    stored_mark, time_ms, first_revision, *rest = _remembered_fields(known)
    if stored_mark == BY_RECORD:
        return _recall_ended(decode_decision(rest[0])[0], command, revision)
    if stored_mark != mark:
        return (Outcome(Verdict.REQUEST_ID_REUSED, revision),) * names_in(command)
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
            first_revision + place,
            granted_record(
                request_id, _unjudged(wanted), first_revision + place, time_ms, _NO_NAMESPACE
            ),
        )
        for place, wanted in enumerate(many)
    )


def _recall_ended(ended: Outcome, command: Command, revision: int) -> Decision | None:
    """What a request is told whose holding has ended."""
    if ended.record is None:
        raise InvariantViolation("a holding that ended is remembered without its record")
    if type(command) is Register:
        return again(command.wanted, ended.record, revision)
    if type(command) in (Rename, RegisterAll):
        return None  # it may have been this one, and is forgotten by now
    return (Outcome(Verdict.REQUEST_ID_REUSED, revision),) * names_in(command)


def remembered(mark: bytes, time_ms: int, decision: Decision, *, granted: bool) -> bytes:
    """What to keep of a decision. A fresh grant is rebuilt from the command: its place is enough.

    A grant that was only recognised again is kept whole, since its holding began at another time;
    so is one under a policy or for a time, since a retry cannot say what became of that.

    Args:
        mark: Of what was asked.
        time_ms: The log's time.
        decision: What was decided.
        granted: All of its names just now, one revision after the other, without policy or end.
    """
    if granted:
        return pack((mark, time_ms, decision[0].revision))
    return remembered_whole(mark, time_ms, encode_decision(decision))


def remembered_whole(mark: bytes, time_ms: int, decision: bytes) -> bytes:
    """The same of a decision that is kept as it is, and encoded already."""
    return pack((mark, time_ms, 0, decision))


def names_in(command: Command) -> int:
    """How many outcomes its decision has."""
    match command:
        case RegisterAll(_, wanted):
            return len(wanted)
        case Expire(items):
            return len(items)
        case _:
            return 1


def listed(request_ids: list[bytes]) -> bytes:
    """The value under which the requests of one entry wait to be forgotten."""
    return pack(tuple(request_ids))


def read_listed(data: bytes) -> tuple[Any, ...]:
    """The reverse of `listed`."""
    return unpack_fields(data, "a list of remembered requests")


def time_of(key: bytes) -> int:
    """When the requests listed under a key were decided."""
    return st.read_number(key[1:9])


def _unjudged(wanted: Wanted) -> Wanted:
    # It was granted without a policy, as it was written.
    if not wanted.judged:
        return wanted
    shown = wanted.display_name or wanted.name
    return Wanted(shown, shown, wanted.owner, wanted.payload)


def _remembered_fields(data: bytes) -> tuple[Any, ...]:
    """Mark, time, revision of the first grant, and the decision where that is not enough."""
    fields = unpack_fields(data, "a remembered outcome")
    types = (bytes, int, int, bytes) if len(fields) == 4 else (bytes, int, int)
    check_types(fields, types, "a remembered outcome")
    return fields
