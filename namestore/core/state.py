"""The registry's state as keys and values, and the small face through which it is read.

| key                                  | value                                             |
|--------------------------------------|---------------------------------------------------|
| `m`                                  | `StateMeta`                                       |
| `n` + canonical name                 | record, see `namestore.core.records`              |
| `o` + request_id                     | fingerprint of the command, and what was decided  |
| `t` + time (8 bytes) + index (8)     | the request_ids whose outcomes were stored then   |

Numbers in keys are big-endian, so that the order of the bytes is the order of the numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from namestore.core.packing import check_types, pack, unpack_fields
from namestore.errors import InvariantViolation

STATE_FORMAT = 1

META_KEY = b"m"
NAME_PREFIX = b"n"
OUTCOME_PREFIX = b"o"
OUTCOME_TIME_PREFIX = b"t"


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
        name_count: Names held.
        time_ms: The log's time: the largest that any applied entry carried.
        oldest_outcome_ms: No remembered outcome is older; where the next sweep begins.
    """

    applied_index: int = 0
    applied_term: int = 0
    revision: int = 0
    name_count: int = 0
    time_ms: int = 0
    oldest_outcome_ms: int = 0


_META_TYPES = (int,) * (1 + len(StateMeta._fields))


def encode_meta(meta: StateMeta) -> bytes:
    """The bytes of `m`."""
    return pack((STATE_FORMAT, *meta))


def decode_meta(data: bytes | None) -> StateMeta:
    """The reverse of `encode_meta`; an empty state has none.

    Raises:
        InvariantViolation: A format this program does not know, or damage.
    """
    if data is None:
        return StateMeta()
    fields = unpack_fields(data, "where the state stands")
    if fields[0] != STATE_FORMAT:
        raise InvariantViolation(
            f"the state has format {fields[0]}, this version of namestore knows {STATE_FORMAT}; "
            "start the node with the version that wrote it, or newer"
        )
    check_types(fields, _META_TYPES, "where the state stands")
    return StateMeta(*fields[1:])


def name_key(name: str) -> bytes:
    """Where the record of a canonical name is kept."""
    return NAME_PREFIX + name.encode()


def outcome_key(request_id: bytes) -> bytes:
    """Where the outcome of a request is remembered."""
    return OUTCOME_PREFIX + request_id


def outcome_time_key(time_ms: int, index: int) -> bytes:
    """Where the request_ids decided by the entry at `index` are listed, for the sweep."""
    return OUTCOME_TIME_PREFIX + time_ms.to_bytes(8, "big") + index.to_bytes(8, "big")
