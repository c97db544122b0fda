"""Messages between nodes as bytes: a table of types, checked on the way out and on the way in.

A message is a dict with a `type`; on the wire it is a msgpack array, the type's code and then the
fields in the table's order. It is not a general serialiser: nothing but integers, truth values,
texts, bytes and lists of them exists, and nothing of it is ever called, imported or built by name.

Invariant: what `decode` returns has exactly the fields of its row, each of exactly its type and
within its bounds. Everything else raises `MalformedMessage`, whatever the bytes were.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import call, itemgetter
from typing import Any, NamedTuple

import msgpack

# A hostile length inside a body makes msgpack reserve that much at once: it stays below this.
LIST_ITEMS_MAX = 16_384
TEXT_BYTES_MAX = 4_096
_UINT_LIMIT = 1 << 63

Message = dict[str, Any]


class MalformedMessage(ValueError):
    """Not a message of its schema. Never leaves `namestore.raft`."""


class Kind(NamedTuple):
    """What a field may hold.

    Attributes:
        expected: For people, as in "expected <this>".
        matches: True when a value is exactly that.
    """

    expected: str
    matches: Callable[[Any], bool]


class MessageType(NamedTuple):
    """One row of a table. `code` is what travels: never re-used, never re-meant."""

    code: int
    name: str
    fields: tuple[tuple[str, Kind], ...]


# `type(x) is int` and not isinstance: a truth value is an int to Python, and not to us.
UINT = Kind("an integer from 0 to 2**63-1", lambda v: type(v) is int and 0 <= v < _UINT_LIMIT)
U32 = Kind("an integer from 0 to 2**32-1", lambda v: type(v) is int and 0 <= v < 1 << 32)
BOOL = Kind("true or false", lambda v: type(v) is bool)


def blob(bytes_max: int, bytes_min: int = 0) -> Kind:
    """Bytes whose length lies between the two, both included."""
    return Kind(
        f"{bytes_min} to {bytes_max} bytes",
        lambda v: type(v) is bytes and bytes_min <= len(v) <= bytes_max,
    )


def text(characters_max: int) -> Kind:
    """Unicode text of at most that many characters."""
    return Kind(
        f"text of at most {characters_max} characters",
        lambda v: type(v) is str and len(v) <= characters_max,
    )


def list_of(item: Kind, items_max: int = LIST_ITEMS_MAX) -> Kind:
    """A list of at most `items_max` values of one kind."""
    matches = item.matches
    return Kind(
        f"a list of at most {items_max} items, each {item.expected}",
        lambda v: isinstance(v, list | tuple) and len(v) <= items_max and all(map(matches, v)),
    )


def row_of(*kinds: Kind) -> Kind:
    """A list of exactly these kinds, in this order."""
    checks = [kind.matches for kind in kinds]

    def matches(value: object) -> bool:
        if not isinstance(value, list | tuple) or len(value) != len(checks):
            return False
        return all(check(item) for check, item in zip(checks, value, strict=True))

    return Kind(f"[{', '.join(kind.expected for kind in kinds)}]", matches)


class _Row:
    """A `MessageType` prepared for speed: one itemgetter out, one zip in."""

    __slots__ = ("checks", "code", "fields", "keys", "name", "values_of")

    def __init__(self, row: MessageType) -> None:
        self.code = row.code
        self.name = row.name
        self.fields = row.fields
        self.keys = ("type", *(name for name, _ in row.fields))
        self.checks = tuple(kind.matches for _, kind in row.fields)
        # With the type in front there are always two keys or more, so this returns a tuple.
        self.values_of = itemgetter(*self.keys) if row.fields else None

    def check(self, values: Sequence[Any]) -> None:
        """Raises MalformedMessage for the first field that is not of its kind."""
        if all(map(call, self.checks, values)):
            return
        for value, (name, kind) in zip(values, self.fields, strict=True):
            if not kind.matches(value):
                raise MalformedMessage(f"{self.name}.{name}: expected {kind.expected}")


class Schema:
    """The types that may be said in one situation, and their bytes.

    Args:
        rows: The table. Codes and names are unique.
        body_bytes_max: Longer bodies are malformed, in both directions.
    """

    def __init__(self, rows: Sequence[MessageType], body_bytes_max: int) -> None:
        self.body_bytes_max = body_bytes_max
        self._by_name = {row.name: _Row(row) for row in rows}
        self._by_code = {row.code: _Row(row) for row in rows}
        if not len(self._by_name) == len(self._by_code) == len(rows):
            raise ValueError("two rows of a message table share a code or a name")

    def encode(self, message: Mapping[str, Any]) -> bytes:
        """The bytes of a message.

        Raises:
            MalformedMessage: Unknown type, a field too many, too few, of the wrong kind, or all
                of them together too long.
        """
        row = self._by_name.get(message.get("type", ""))
        if row is None:
            raise MalformedMessage(f"no message type {message.get('type')!r} here")
        try:
            values = () if row.values_of is None else row.values_of(message)[1:]
        except KeyError as missing:
            raise MalformedMessage(f"{row.name}: field {missing} is missing") from missing
        if len(message) != len(row.keys):
            extra = sorted(map(str, set(message) - set(row.keys)))
            raise MalformedMessage(f"{row.name}: unknown fields {', '.join(extra)}")
        row.check(values)
        try:
            body = msgpack.packb((row.code, *values))
        except ValueError as error:  # a lone surrogate has no UTF-8 form
            raise MalformedMessage(f"{row.name}: {error}") from error
        if len(body) > self.body_bytes_max:
            raise MalformedMessage(
                f"{row.name}: {len(body)} bytes, at most {self.body_bytes_max} may be sent"
            )
        return bytes(body)

    def decode(self, body: bytes) -> Message:
        """The message in these bytes, which may come from anybody.

        Raises:
            MalformedMessage: They are not exactly one message of this schema.
        """
        if len(body) > self.body_bytes_max:
            raise MalformedMessage(f"{len(body)} bytes, at most {self.body_bytes_max} are taken")
        array = _unpack(body)
        if type(array) is not list or not array or type(array[0]) is not int:
            raise MalformedMessage("not an array that begins with a type's code")
        row = self._by_code.get(array[0])
        if row is None:
            raise MalformedMessage(f"no message type {array[0]} here")
        if len(array) != len(row.keys):
            raise MalformedMessage(f"{row.name}: {len(array) - 1} fields for {len(row.fields)}")
        row.check(array[1:])
        array[0] = row.name
        return dict(zip(row.keys, array, strict=True))


def _unpack(body: bytes) -> object:
    """One msgpack value without maps and extensions, and nothing after it."""
    size = len(body)
    try:
        value: object = msgpack.unpackb(
            body,
            raw=False,
            strict_map_key=True,
            use_list=True,
            max_array_len=min(LIST_ITEMS_MAX, size),
            max_bin_len=size,
            max_str_len=min(TEXT_BYTES_MAX, size),
            max_map_len=0,
            max_ext_len=0,
        )
    except (ValueError, TypeError, OverflowError, msgpack.UnpackException) as error:
        raise MalformedMessage(f"not msgpack within the limits: {error}") from error
    return value
