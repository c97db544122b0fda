"""A holding of a name, what is left of one that ended, and their bytes in the state store.

They are stored as MessagePack arrays that begin with a format number. A field may be added at the
end under a new number; golden files under tests/golden hold every format ever released. A record
that says nothing new keeps the format, and so the bytes, that it always had.
"""

from __future__ import annotations

from namestore.core.commands.values import UniqueKey
from namestore.core.packing import check_types, pack, unpack_fields
from namestore.core.value import value
from namestore.errors import InvariantViolation

RECORD_FORMAT = 2
HELD_BACK_FORMAT = 1

PLAIN_FORMAT = 1
_PLAIN_TYPES = (int, str, str, bytes, bytes, int, int, int)
_TYPES = (*_PLAIN_TYPES, int, tuple, bool, int, int)
_HELD_BACK_TYPES = (int, str, int, int, tuple, str, int)


@value
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
        expire_time_ms: Log time at which it is nobody's any more; 0: never.
        keys: What else is unique about the name, as the index has it. Of no concern to callers.
        counted: It counts among the names of its owner. Of no concern to callers.
        owner_revision: Of the change that gave it to this owner; 0: who created it has it still.
        owner_time_ms: When that was; 0: as above.
    """

    name: str
    display_name: str
    owner: str
    payload: bytes
    request_id: bytes
    create_revision: int
    mod_revision: int
    create_time_ms: int
    expire_time_ms: int = 0
    keys: tuple[UniqueKey, ...] = ()
    counted: bool = False
    owner_revision: int = 0
    owner_time_ms: int = 0

    @property
    def held_from_ms(self) -> int:
        """Since when this owner holds it, in log time."""
        return self.owner_time_ms or self.create_time_ms

    def has_expired(self, time_ms: int) -> bool:
        """By that log time its reservation is over."""
        return 0 < self.expire_time_ms <= time_ms

    def shown(self) -> Record:
        """Without what is of no concern to callers."""
        if not (self.keys or self.counted):
            return self
        return Record(
            self.name,
            self.display_name,
            self.owner,
            self.payload,
            self.request_id,
            self.create_revision,
            self.mod_revision,
            self.create_time_ms,
            self.expire_time_ms,
            owner_revision=self.owner_revision,
            owner_time_ms=self.owner_time_ms,
        )


def encode_record(record: Record) -> bytes:
    """The record without its name, which is the key it is stored under."""
    display_name = record.display_name if record.display_name != record.name else ""
    plain = (
        PLAIN_FORMAT,
        display_name,
        record.owner,
        record.payload,
        record.request_id,
        record.create_revision,
        record.mod_revision - record.create_revision,
        record.create_time_ms,
    )
    owned_since = record.owner_revision, record.owner_time_ms
    if not (record.expire_time_ms or record.keys or record.counted or any(owned_since)):
        return pack(plain)
    keys = _packed_keys(record.name, record.keys)
    later = (record.expire_time_ms, keys, record.counted, *owned_since)
    return pack((RECORD_FORMAT, *plain[1:], *later))


def decode_record(name: str, data: bytes) -> Record:
    """The reverse of `encode_record`.

    Raises:
        InvariantViolation: Bytes that no released version wrote.
    """
    fields = unpack_fields(data, "a record")
    if fields[0] not in (PLAIN_FORMAT, RECORD_FORMAT):
        raise InvariantViolation(f"record format {fields[0]} of {name!a} is not known here")
    check_types(fields, _PLAIN_TYPES if fields[0] == PLAIN_FORMAT else _TYPES, "a record")
    _, shown, owner, payload, request_id, created, changed, time_ms, *later = fields
    if later:
        expire_time_ms, keys, *rest = later
        later = [expire_time_ms, _read_keys(name, keys, "a record"), *rest]
    return Record(
        name, shown or name, owner, payload, request_id, created, created + changed, time_ms, *later
    )


def is_plain_of_another(data: bytes, request_id: bytes) -> bool:
    """It is the record of another request, for good, and of no concern to any policy.

    Raises:
        InvariantViolation: As `decode_record`.
    """
    fields = unpack_fields(data, "a record")
    if fields[0] != PLAIN_FORMAT:
        return False
    check_types(fields, _PLAIN_TYPES, "a record")
    return bool(fields[4] != request_id)


@value
class HeldBack:
    """What is left of a holding that ended.

    Attributes:
        owner: The last one: until `until_ms` the name is given to nobody else.
        until_ms: Log time; 0: not held back, or not any more.
        create_revision: Of the holding that ended.
        keys: Those of the record: as long as the name is held back, so are its look-alikes.
        redirect: The name that its holder took instead; empty: none.
        redirect_revision: The `create_revision` of the holding there. Another holding of that
            name is somebody else's, and no answer.
    """

    owner: str
    until_ms: int
    create_revision: int
    keys: tuple[UniqueKey, ...] = ()
    redirect: str = ""
    redirect_revision: int = 0


def encode_held_back(name: str, held: HeldBack) -> bytes:
    """The bytes of what is left of a holding of `name`."""
    return pack(
        (
            HELD_BACK_FORMAT,
            held.owner,
            held.until_ms,
            held.create_revision,
            _packed_keys(name, held.keys),
            held.redirect,
            held.redirect_revision,
        )
    )


def decode_held_back(name: str, data: bytes) -> HeldBack:
    """The reverse of `encode_held_back`.

    Raises:
        InvariantViolation: Bytes that no released version wrote.
    """
    fields = unpack_fields(data, "a name held back")
    if fields[0] != HELD_BACK_FORMAT:
        raise InvariantViolation(f"hold-back format {fields[0]} of {name!a} is not known here")
    check_types(fields, _HELD_BACK_TYPES, "a name held back")
    _, owner, until_ms, create_revision, keys, redirect, redirect_revision = fields
    own = _read_keys(name, keys, "a name held back")
    return HeldBack(owner, until_ms, create_revision, own, redirect, redirect_revision)


def _packed_keys(name: str, keys: tuple[UniqueKey, ...]) -> tuple[UniqueKey, ...]:
    # Often a key is the label itself, and then it is left away.
    if not keys:
        return ()
    label = name.partition(":")[2]
    return tuple((kind, "" if key == label else key) for kind, key in keys)


def _read_keys(name: str, keys: tuple[tuple[int, str], ...], what: str) -> tuple[UniqueKey, ...]:
    if not keys:
        return ()
    label = name.partition(":")[2]
    for item in keys:
        if type(item) is not tuple or tuple(map(type, item)) != (int, str):
            raise InvariantViolation(f"{what} cannot be read: a unique key is none")
    return tuple((kind, key or label) for kind, key in keys)
