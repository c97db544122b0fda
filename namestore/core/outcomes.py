"""What became of a command, and its bytes between nodes and in the outcome table.

A decision that says nothing new is written in the first format, as it always was.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from namestore.core.packing import pack, unpack_fields
from namestore.core.records import Record, decode_record, encode_record
from namestore.core.value import value
from namestore.errors import InvariantViolation

OUTCOME_FORMAT = 2
_PLAIN_FORMAT = 1


class Verdict(IntEnum):
    """How one name fared. The numbers are stored and sent: never re-used."""

    GRANTED = 1
    TAKEN = 2
    NOT_TRIED = 3  # of an all-or-nothing request that another name of it brought down
    RELEASED = 4
    NAME_NOT_FOUND = 5
    NOT_OWNER = 6
    STALE_FENCE = 7
    REQUEST_ID_REUSED = 8
    POLICY_CHANGED = 9  # not judged under the policy in force: never remembered, judge again
    CONFUSABLE = 10
    HELD_BACK = 11
    OWNER_LIMIT = 12
    CONFIRMED = 13
    UPDATED = 14
    RENAMED = 15
    EXPIRED = 16
    NOT_EXPIRED = 17  # gone already, another holding, or not its time yet
    POLICY_ACTIVE = 18
    POLICY_PENDING = 19  # IndexNames is to follow
    POLICY_BUSY = 20  # another policy is pending
    POLICY_ABANDONED = 21
    ACCEPTED = 22
    GRANTED_EACH = 23  # all names of a batch that is written as one, one revision after the other


_VERDICTS = {verdict.value: verdict for verdict in Verdict}
_PLAIN_VERDICTS_END = Verdict.REQUEST_ID_REUSED
# Of an outcome in the first format, without a record and with one.
_BARE_TYPES, _HELD_TYPES = (int, int), (int, int, str, bytes)


@value
class Outcome:
    """How one name of a command fared.

    Attributes:
        verdict: What was decided.
        revision: Of the registry, once this was decided.
        record: GRANTED, CONFIRMED, UPDATED, RENAMED: the holding as it is now. TAKEN, CONFUSABLE,
            NOT_OWNER, STALE_FENCE: the one in the way. RELEASED, EXPIRED: the one that ended.
            POLICY_ABANDONED: the one that `in_way` collides with. GRANTED_EACH: that of the first
            name, and `revision` is its; see `deciding.each`. Otherwise None.
        until_ms: HELD_BACK: the log time from which on the name is free. Otherwise 0.
        in_way: CONFUSABLE, HELD_BACK: the name that is in the way, where it is not that of
            `record` or the one asked for: another of the same request, or one that is held back.
            POLICY_ABANDONED: the name that could not be indexed. Otherwise empty.
    """

    verdict: Verdict
    revision: int
    record: Record | None = None
    until_ms: int = 0
    in_way: str = ""


# One per name of the command, in order; or GRANTED_EACH, alone, for all of them.
Decision = tuple[Outcome, ...]


def encode_decision(decision: Decision) -> bytes:
    """The bytes in which a decision travels between nodes and is remembered."""
    plain = all(map(_is_plain, decision))
    fields = list(map(_plain_fields if plain else _fields, decision))
    return pack((_PLAIN_FORMAT if plain else OUTCOME_FORMAT, fields))


def encode_taken(revision: int, name: str, record: bytes) -> bytes:
    """The bytes of the decision that one name is taken, by a record as `encode_record` has it."""
    return pack((_PLAIN_FORMAT, ((Verdict.TAKEN.value, revision, name, record),)))


def decode_decision(data: bytes) -> Decision:
    """The reverse of `encode_decision`.

    Raises:
        InvariantViolation: Bytes that no released version wrote.
    """
    fields = unpack_fields(data, "a decision")
    if fields[0] not in (_PLAIN_FORMAT, OUTCOME_FORMAT):
        raise InvariantViolation(f"outcome format {fields[0]} is not known here")
    if len(fields) != 2 or type(fields[1]) is not tuple:
        raise InvariantViolation("a decision cannot be read: its outcomes are missing")
    plain = fields[0] == _PLAIN_FORMAT
    return tuple(map(_read_plain if plain else _read, fields[1]))


def _is_plain(outcome: Outcome) -> bool:
    """It says nothing that the first format could not."""
    old = outcome.verdict <= _PLAIN_VERDICTS_END
    return old and not outcome.until_ms and not outcome.in_way


def _plain_fields(outcome: Outcome) -> tuple[Any, ...]:
    if outcome.record is None:
        return (outcome.verdict, outcome.revision)
    record = outcome.record
    return (outcome.verdict, outcome.revision, record.name, encode_record(record))


def _fields(outcome: Outcome) -> tuple[Any, ...]:
    record = outcome.record
    return (
        outcome.verdict,
        outcome.revision,
        outcome.until_ms,
        outcome.in_way,
        "" if record is None else record.name,
        b"" if record is None else encode_record(record),
    )


def _read_plain(fields: Any) -> Outcome:
    types = tuple(map(type, fields)) if type(fields) is tuple else ()
    verdict = _VERDICTS.get(fields[0]) if types in (_BARE_TYPES, _HELD_TYPES) else None
    if verdict is None:
        raise _not_an_outcome()
    record = decode_record(fields[2], fields[3]) if len(fields) == 4 else None
    return Outcome(verdict, fields[1], record)


def _read(fields: Any) -> Outcome:
    match fields:
        case (int(verdict), int(revision), int(until_ms), str(in_way), str(name), bytes(data)) if (
            verdict in _VERDICTS
        ):
            record = decode_record(name, data) if data else None
            return Outcome(_VERDICTS[verdict], revision, record, until_ms, in_way)
        case _:
            raise _not_an_outcome()


def _not_an_outcome() -> InvariantViolation:
    return InvariantViolation("a decision cannot be read: not an outcome")
