"""A holding of a name, and its bytes in the state store.

Records are stored as MessagePack arrays that begin with a format number. A field may be added at
the end under a new number; golden files under tests/golden hold every format ever released.
"""

from __future__ import annotations

from dataclasses import dataclass

from namestore.core.packing import check_types, pack, unpack_fields
from namestore.errors import InvariantViolation

RECORD_FORMAT = 1

_TYPES = (int, str, str, bytes, bytes, int, int, int)


@dataclass(frozen=True, slots=True)
class Record:
    """Who holds a name, and since when.

    Attributes:
        name: Canonical, namespace included.
        display_name: As the holder gave it.
        owner: Opaque.
        payload: Opaque.
        request_id: Of the request that was granted the name. Recognises its retries for as long
            as the holding lasts, after the outcome table has forgotten them.
        create_revision: Of the change that created the holding; 1 <= create_revision.
        mod_revision: Of its last change; create_revision <= mod_revision.
        create_time_ms: Log time, milliseconds since the epoch.
    """

    name: str
    display_name: str
    owner: str
    payload: bytes
    request_id: bytes
    create_revision: int
    mod_revision: int
    create_time_ms: int


def encode_record(record: Record) -> bytes:
    """The record without its name, which is the key it is stored under."""
    return pack(
        (
            RECORD_FORMAT,
            record.display_name if record.display_name != record.name else "",
            record.owner,
            record.payload,
            record.request_id,
            record.create_revision,
            record.mod_revision - record.create_revision,
            record.create_time_ms,
        )
    )


def decode_record(name: str, data: bytes) -> Record:
    """The reverse of `encode_record`.

    Raises:
        InvariantViolation: Bytes that no released version wrote.
    """
    fields = unpack_fields(data, "a record")
    if fields[0] != RECORD_FORMAT:
        raise InvariantViolation(f"record format {fields[0]} of {name!a} is not known here")
    check_types(fields, _TYPES, "a record")
    _, display_name, owner, payload, request_id, create_revision, changed, create_time_ms = fields
    return Record(
        name=name,
        display_name=display_name or name,
        owner=owner,
        payload=payload,
        request_id=request_id,
        create_revision=create_revision,
        mod_revision=create_revision + changed,
        create_time_ms=create_time_ms,
    )
