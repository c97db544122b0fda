"""The registry's state as keys and values, and the small face through which it is read.

| key                                       | value                                               |
|-------------------------------------------|-----------------------------------------------------|
| `m`                                       | `StateMeta`                                         |
| `n` + canonical name                      | record, see `namestore.core.records`                |
| `o` + request_id, unless its record says  | mark of the command, and what was decided           |
| `t` + time (8 bytes) + index (8)          | the request_ids whose outcomes were stored then     |
| `k` + kind (1) + namespace + `:` + key    | canonical names with this key, a NUL between them   |
| `b` + canonical name                      | what is left of it, see `HeldBack`                  |
| `d` + until (8) + canonical name          | empty: the order in which hold-backs end            |
| `x` + expire time (8) + canonical name    | create_revision (8) of the reservation              |
| `w` + (namespace, owner)                  | how many counted names the owner has there (8)      |
| `p` + namespace                           | `NamespaceState`                                    |
| `e` + revision of the first (8)           | chunk of events, see `namestore.core.events`        |
| `h` + canonical name + 0 + revision (8)   | holding that ended with that revision               |

Numbers in keys are big-endian, so that the order of the bytes is the order of the numbers. `c` is
the engine's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from namestore.core.limits import EVENTS_KEPT_MAX, EVENTS_KEPT_MS
from namestore.core.packing import check_types, pack, unpack_fields
from namestore.errors import InvariantViolation

STATE_FORMAT = 2
_PLAIN_FORMAT = 1

META_KEY = b"m"
NAME_PREFIX = b"n"
OUTCOME_PREFIX = b"o"
OUTCOME_TIME_PREFIX = b"t"
UNIQUE_PREFIX = b"k"
HELD_BACK_PREFIX = b"b"
HELD_BACK_END_PREFIX = b"d"
EXPIRY_PREFIX = b"x"
OWNER_COUNT_PREFIX = b"w"
NAMESPACE_PREFIX = b"p"
EVENTS_PREFIX = b"e"
HOLDING_PREFIX = b"h"


class StateReader(Protocol):
    """One unchanging picture of the state. Reads may block on the disk; they never write."""

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The value of each key, in order; None where there is none."""
        ...

    def scan(self, start: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Keys that begin with `prefix`, from `start` on (inclusive), in byte order."""
        ...


class StateMeta(NamedTuple):
    """Where the state stands. Written with every change, so the two cannot disagree.

    Attributes:
        applied_index: The last entry applied; 0: none.
        applied_term: Its term.
        revision: Grows by one for every change, in the order of the changes.
        name_count: Names held; one whose reservation is over counts until it is removed.
        time_ms: The log's time: the largest that any applied entry carried.
        oldest_outcome_ms: No remembered outcome is older; where the next sweep begins.
        oldest_revision: Of the oldest event kept, or of the next one to come. 0: this state has no
            feed yet.
        oldest_event_ms: Log time of the oldest event kept; 0: there is none.
        events_kept_max: How many events the feed must reach back; see `KeepEvents`.
        events_kept_ms: How many milliseconds of log time it may reach back.
        next_hold_end_ms: No hold-back ends earlier; 0: there is none.
        namespace_count: Namespaces that have a policy, or a pending one.
    """

    applied_index: int = 0
    applied_term: int = 0
    revision: int = 0
    name_count: int = 0
    time_ms: int = 0
    oldest_outcome_ms: int = 0
    oldest_revision: int = 0
    oldest_event_ms: int = 0
    events_kept_max: int = EVENTS_KEPT_MAX
    events_kept_ms: int = EVENTS_KEPT_MS
    next_hold_end_ms: int = 0
    namespace_count: int = 0


_PLAIN_FIELDS = 6
_META_TYPES = (int,) * (1 + len(StateMeta._fields))
_PLAIN_REST = StateMeta()[_PLAIN_FIELDS:]


def encode_meta(meta: StateMeta) -> bytes:
    """The bytes of `m`. A state that has nothing new is written as it always was."""
    if meta[_PLAIN_FIELDS:] == _PLAIN_REST:
        return pack((_PLAIN_FORMAT, *meta[:_PLAIN_FIELDS]))
    return pack((STATE_FORMAT, *meta))


def decode_meta(data: bytes | None) -> StateMeta:
    """The reverse of `encode_meta`; an empty state has none.

    Raises:
        InvariantViolation: A format this program does not know, or damage.
    """
    if data is None:
        return StateMeta()
    fields = unpack_fields(data, "where the state stands")
    if fields[0] not in (_PLAIN_FORMAT, STATE_FORMAT):
        raise InvariantViolation(
            f"the state has format {fields[0]}, this version of namestore knows {STATE_FORMAT}; "
            "start the node with the version that wrote it, or newer"
        )
    plain = fields[0] == _PLAIN_FORMAT
    types = _META_TYPES[: 1 + _PLAIN_FIELDS] if plain else _META_TYPES
    check_types(fields, types, "where the state stands")
    return StateMeta(*fields[1:])


def number(value: int) -> bytes:
    """Eight bytes whose order is that of the numbers, from 0 on."""
    return value.to_bytes(8, "big")


def read_number(data: bytes) -> int:
    """The reverse of `number`."""
    return int.from_bytes(data, "big")


def name_key(name: str) -> bytes:
    """Where the record of a canonical name is kept."""
    return NAME_PREFIX + name.encode()


def outcome_key(request_id: bytes) -> bytes:
    """Where the outcome of a request is remembered."""
    return OUTCOME_PREFIX + request_id


def outcome_time_key(time_ms: int, index: int) -> bytes:
    """Where the request_ids decided by the entry at `index` are listed, for the sweep."""
    return OUTCOME_TIME_PREFIX + number(time_ms) + number(index)


def unique_key(kind: int, namespace: str, key: str) -> bytes:
    """Where the name is kept that has this unique key."""
    return UNIQUE_PREFIX + bytes((kind,)) + f"{namespace}:{key}".encode()


def held_back_key(name: str) -> bytes:
    """Where is kept what is left of a name."""
    return HELD_BACK_PREFIX + name.encode()


def held_back_end_key(until_ms: int, name: str) -> bytes:
    """Where a hold-back stands in the order in which they end."""
    return HELD_BACK_END_PREFIX + number(until_ms) + name.encode()


def expiry_key(expire_time_ms: int, name: str) -> bytes:
    """Where a reservation stands in the order in which they end."""
    return EXPIRY_PREFIX + number(expire_time_ms) + name.encode()


def owner_count_key(namespace: str, owner: str) -> bytes:
    """Where the names of an owner are counted."""
    return OWNER_COUNT_PREFIX + pack((namespace, owner))


def namespace_key(namespace: str) -> bytes:
    """Where a namespace's policies are kept."""
    return NAMESPACE_PREFIX + namespace.encode()


def events_key(revision: int) -> bytes:
    """Where the chunk of events is kept whose first has this revision."""
    return EVENTS_PREFIX + number(revision)


def holding_key(name: str, end_revision: int) -> bytes:
    """Where a past holding is kept."""
    return HOLDING_PREFIX + name.encode() + b"\0" + number(end_revision)
