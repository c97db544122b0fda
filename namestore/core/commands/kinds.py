"""What a command begins with, and the fields of the kind that is nearly all of them."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, TypeGuard

from namestore.core.limits import PAYLOAD_BYTES_MAX, REQUEST_ID_BYTES_MAX


class Kind(IntEnum):
    """What a command begins with. The numbers are stored: never re-used."""

    REGISTER = 1
    REGISTER_ALL = 2
    RELEASE = 3
    REGISTER_JUDGED = 4
    REGISTER_ALL_JUDGED = 5
    CONFIRM = 6
    UPDATE = 7
    RENAME = 8
    EXPIRE = 9
    PUT_NAMESPACE = 10
    INDEX_NAMES = 11
    ABANDON_POLICY = 12
    KEEP_EVENTS = 13
    REGISTER_EACH = 14
    REGISTER_TOGETHER = 15


# Of a register without anything new: kind, request_id, name, what was written (empty: the name),
# owner, payload.
PlainFields = tuple[int, bytes, str, str, str, bytes]
PLAIN_KIND = Kind.REGISTER.value


def is_plain(fields: tuple[Any, ...]) -> TypeGuard[PlainFields]:
    """They are, and can only be, those of a register without anything new: checked in one go."""
    if len(fields) != 6 or fields[0] != PLAIN_KIND:
        return False
    _, request_id, name, shown, owner, payload = fields
    return (
        type(request_id) is bytes
        and 0 < len(request_id) <= REQUEST_ID_BYTES_MAX
        and type(name) is type(shown) is type(owner) is str
        and name != ""
        and type(payload) is bytes
        and len(payload) <= PAYLOAD_BYTES_MAX
    )
