"""What happened to names, revision by revision, and its bytes in the state store.

Events are stored in chunks: those of one log entry, or a part of them, under the revision of the
first. Within a chunk revisions follow each other, so none is written down.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from namestore.core.packing import check_types, pack, unpack_fields
from namestore.core.records import Record, decode_record
from namestore.core.value import value
from namestore.errors import InvariantViolation

EVENTS_FORMAT = 1
HOLDING_FORMAT = 1
CHUNK_EVENTS_MAX = 256

_HOLDING_TYPES = (int, str, int, int, int, int)


class EventKind(IntEnum):
    """What happened. The numbers are stored: never re-used."""

    REGISTERED = 1
    RELEASED = 2
    UPDATED = 3
    CONFIRMED = 4
    EXPIRED = 5
    RENAMED = 6  # the new name; `other` is the old one
    RENAMED_AWAY = 7  # the old name; `other` is the new one
    HANDED_OVER = 8  # an update that changed the owner
    POLICY_PENDING = 9  # of a namespace, as are the next two
    POLICY_ACTIVE = 10
    POLICY_ABANDONED = 11


# After these the name, or its owner's time with it, is over: the past holding has this revision.
ENDS_HOLDING = frozenset(
    (EventKind.RELEASED, EventKind.EXPIRED, EventKind.RENAMED_AWAY, EventKind.HANDED_OVER)
)
_KINDS = frozenset(EventKind)

# Kind, name or namespace, the record's bytes (empty: none), and the other name if there is one.
EventFields = tuple[EventKind, str, bytes] | tuple[EventKind, str, bytes, str]


@value
class Event:
    """One change of the registry.

    Attributes:
        revision: Of this change; events have no gap in it.
        kind: What happened.
        time_ms: Log time.
        name: Canonical; of a policy's events the namespace.
        record: As the change left it; of a holding that ended, as it was. None: of a policy.
        other: Of a rename, the other name. Otherwise empty.
    """

    revision: int
    kind: EventKind
    time_ms: int
    name: str
    record: Record | None
    other: str = ""


@value
class Holding:
    """Who held a name, from when to when, in log time.

    Attributes:
        owner: Who.
        create_revision: Of the holding. Two owners one after the other may share it.
        from_ms: Since when this owner held it.
        to_ms: Until when; 0: still held.
        end_revision: Of the change that ended it; 0: as above.
        ended_by: That change; None: as above.
    """

    owner: str
    create_revision: int
    from_ms: int
    to_ms: int = 0
    end_revision: int = 0
    ended_by: EventKind | None = None


def encode_events(time_ms: int, events: Sequence[EventFields]) -> bytes:
    """The bytes of one chunk."""
    return pack((EVENTS_FORMAT, time_ms, events))


def decode_chunk(data: bytes) -> tuple[int, tuple[EventFields, ...]]:
    """The time of a chunk and its events, their records unread.

    Raises:
        InvariantViolation: Bytes that no released version wrote.
    """
    fields = unpack_fields(data, "a chunk of events")
    if fields[0] != EVENTS_FORMAT:
        raise InvariantViolation(f"event format {fields[0]} is not known here")
    check_types(fields, (int, int, tuple), "a chunk of events")
    _, time_ms, events = fields
    return time_ms, tuple(map(_event_fields, events))


def decode_events(first_revision: int, data: bytes) -> list[Event]:
    """The events of the chunk stored under `first_revision`. Raises as `decode_chunk`."""
    time_ms, chunk = decode_chunk(data)
    events = []
    for place, (kind, name, record, *other) in enumerate(chunk):
        known = decode_record(name, record).shown() if record else None
        events.append(
            Event(first_revision + place, kind, time_ms, name, known, other[0] if other else "")
        )
    return events


def encode_holding(holding: Holding) -> bytes:
    """The bytes of a past holding, without its revision, which is in its key."""
    kind = 0 if holding.ended_by is None else holding.ended_by.value
    return pack(
        (
            HOLDING_FORMAT,
            holding.owner,
            holding.create_revision,
            holding.from_ms,
            holding.to_ms,
            kind,
        )
    )


def decode_holding(end_revision: int, data: bytes) -> Holding:
    """The reverse of `encode_holding`.

    Raises:
        InvariantViolation: Bytes that no released version wrote.
    """
    fields = unpack_fields(data, "a past holding")
    if fields[0] != HOLDING_FORMAT:
        raise InvariantViolation(f"holding format {fields[0]} is not known here")
    check_types(fields, _HOLDING_TYPES, "a past holding")
    _, owner, create_revision, from_ms, to_ms, kind = fields
    if kind not in _KINDS:
        raise InvariantViolation("a past holding cannot be read: what ended it is not known")
    return Holding(owner, create_revision, from_ms, to_ms, end_revision, EventKind(kind))


def _event_fields(fields: Any) -> EventFields:
    match fields:
        case (int(kind), str(name), bytes(record)) if kind in _KINDS:
            return EventKind(kind), name, record
        case (int(kind), str(name), bytes(record), str(other)) if kind in _KINDS:
            return EventKind(kind), name, record, other
        case _:
            raise InvariantViolation("a chunk of events cannot be read: not an event")
