"""What became of a command, and its bytes between nodes and in the outcome table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from namestore.core.packing import pack, unpack_fields
from namestore.core.records import Record, decode_record, encode_record
from namestore.errors import InvariantViolation

OUTCOME_FORMAT = 1


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


_VERDICTS = frozenset(Verdict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one name of a command fared.

    Attributes:
        verdict: What was decided.
        revision: Of the registry, once this was decided.
        record: GRANTED: the new holding. TAKEN, NOT_OWNER, STALE_FENCE: the one in the way.
            RELEASED: the one that ended. Otherwise None.
    """

    verdict: Verdict
    revision: int
    record: Record | None = None


# One per name of the command, in order.
Decision = tuple[Outcome, ...]


def encode_decision(decision: Decision) -> bytes:
    """The bytes in which a decision travels between nodes and is remembered."""
    return pack(
        (
            OUTCOME_FORMAT,
            [
                (outcome.verdict, outcome.revision)
                if outcome.record is None
                else (
                    outcome.verdict,
                    outcome.revision,
                    outcome.record.name,
                    encode_record(outcome.record),
                )
                for outcome in decision
            ],
        )
    )


def decode_decision(data: bytes) -> Decision:
    """The reverse of `encode_decision`.

    Raises:
        InvariantViolation: Bytes that no released version wrote.
    """
    fields = unpack_fields(data, "a decision")
    if fields[0] != OUTCOME_FORMAT:
        raise InvariantViolation(f"outcome format {fields[0]} is not known here")
    if len(fields) != 2 or type(fields[1]) is not tuple:
        raise InvariantViolation("a decision cannot be read: its outcomes are missing")
    return tuple(map(_decode_outcome, fields[1]))


def _decode_outcome(fields: Any) -> Outcome:
    match fields:
        case (int(verdict), int(revision)) if verdict in _VERDICTS:
            return Outcome(Verdict(verdict), revision)
        case (int(verdict), int(revision), str(name), bytes(data)) if verdict in _VERDICTS:
            return Outcome(Verdict(verdict), revision, decode_record(name, data))
        case _:
            raise InvariantViolation("a decision cannot be read: not an outcome")
