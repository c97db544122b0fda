"""Reading MessagePack that this program wrote itself, or that claims to be so.

Whatever the bytes are, reading them ends in a value or in one of namestore's own exceptions:
damage must stop a node in a way that says what was damaged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgpack

from namestore.errors import InvariantViolation


def pack(value: Any) -> bytes:
    """The bytes of tuples, lists, text, bytes and whole numbers."""
    return msgpack.Packer().pack(value)  # what packb does, without passing options on


def packer() -> Callable[[Any], bytes]:
    """A `pack` for many values in a row: cheaper, and for one thread."""
    return msgpack.Packer().pack


def unpack_fields(data: bytes, what: str) -> tuple[Any, ...]:
    """The fields of one packed tuple; tuples within it are tuples again.

    Args:
        data: From `pack`, of a tuple.
        what: What it should be, for the message.

    Raises:
        InvariantViolation: Not the bytes of a tuple with something in it.
    """
    try:
        fields = msgpack.unpackb(data, use_list=False)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise InvariantViolation(f"{what} cannot be read: {error}") from error
    if type(fields) is not tuple or not fields:
        raise InvariantViolation(f"{what} cannot be read: no fields")
    return fields


def check_types(fields: tuple[Any, ...], types: tuple[type, ...], what: str) -> None:
    """Raises `InvariantViolation` unless each field is of exactly the type at its place."""
    if tuple(map(type, fields)) != types:
        found = ", ".join(type(field).__name__ for field in fields)
        raise InvariantViolation(f"{what} cannot be read: it holds ({found})")
