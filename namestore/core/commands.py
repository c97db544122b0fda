"""What may be asked of the registry, and its bytes in the log.

A command is encoded once, by the node that took the call, and never again: the leader puts the
bytes of many commands into one entry. Commands and entries are MessagePack arrays; an entry begins
with a version byte. A version this program does not know stops the node before it applies
anything, because skipping a command would make its state differ from the others'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import msgpack

from namestore.core.limits import (
    BATCH_REQUESTS_MAX,
    PAYLOAD_BYTES_MAX,
    REQUEST_ID_BYTES_MAX,
)
from namestore.errors import InvariantViolation

ENTRY_VERSION = 1

_REGISTER = 1
_REGISTER_ALL = 2
_RELEASE = 3


class MalformedCommand(ValueError):
    """Bytes that are not a command of a known kind. Never put into the log."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One name that is asked for. `name` is canonical; `display_name` is what the caller wrote."""

    name: str
    display_name: str
    owner: str
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class Register:
    """Take a name if it is free."""

    request_id: bytes
    wanted: Wanted


@dataclass(frozen=True, slots=True)
class RegisterAll:
    """Take all of these names, or none. The names differ from each other."""

    request_id: bytes
    wanted: tuple[Wanted, ...]


@dataclass(frozen=True, slots=True)
class Release:
    """Give a name back. `create_revision` 0: whichever holding of this owner it is."""

    request_id: bytes
    name: str
    owner: str
    create_revision: int = 0


Command = Register | RegisterAll | Release


@dataclass(frozen=True, slots=True)
class Entry:
    """What one log entry holds.

    Attributes:
        time_ms: The leader's clock when it proposed, milliseconds since the epoch.
        commands: Encoded commands, decided in this order.
    """

    time_ms: int
    commands: Sequence[bytes]


def encode_command(command: Command) -> bytes:
    """The bytes of one command; equal commands have equal bytes."""
    fields: tuple[Any, ...]
    match command:
        case Register(request_id, wanted):
            fields = (_REGISTER, request_id, *_wanted_fields(wanted))
        case RegisterAll(request_id, many):
            fields = (_REGISTER_ALL, request_id, [_wanted_fields(wanted) for wanted in many])
        case Release(request_id, name, owner, create_revision):
            fields = (_RELEASE, request_id, name, owner, create_revision)
    packed: bytes = msgpack.packb(fields)
    return packed


def decode_command(data: bytes) -> Command:
    """The reverse of `encode_command`, checked field by field.

    Raises:
        MalformedCommand: Not what `encode_command` writes.
    """
    try:
        fields = msgpack.unpackb(data, use_list=False)
        kind = fields[0]
        if kind == _REGISTER:
            _, request_id, *rest = fields
            return Register(_request_id(request_id), _wanted(rest))
        if kind == _REGISTER_ALL:
            _, request_id, many = fields
            if not 1 <= len(many) <= BATCH_REQUESTS_MAX:
                raise MalformedCommand(f"{len(many)} names in one command")
            wanted = tuple(_wanted(item) for item in many)
            if len({item.name for item in wanted}) != len(wanted):
                raise MalformedCommand("a name twice in one command")
            return RegisterAll(_request_id(request_id), wanted)
        if kind == _RELEASE:
            _, request_id, name, owner, create_revision = fields
            if type(create_revision) is not int or create_revision < 0:
                raise MalformedCommand("a fence that is not a revision")
            return Release(_request_id(request_id), _text(name), _text(owner), create_revision)
    except MalformedCommand:
        raise
    except (ValueError, TypeError, IndexError, KeyError, msgpack.UnpackException) as error:
        raise MalformedCommand(f"not a command: {error}") from error
    raise MalformedCommand(f"command kind {kind!r} is not known here")


def fingerprint(command: bytes) -> bytes:
    """Eight bytes that tell two commands under one request_id apart."""
    return blake2b(command, digest_size=8).digest()


def encode_entry(entry: Entry) -> bytes:
    """The bytes of one log entry: the version, then time and commands."""
    packed: bytes = msgpack.packb((entry.time_ms, entry.commands))
    return bytes((ENTRY_VERSION,)) + packed


def decode_entry(data: bytes) -> Entry:
    """The reverse of `encode_entry`.

    Raises:
        InvariantViolation: Of a version this program does not know, or not an entry at all. The
            node must stop: what it cannot apply, it must not skip.
    """
    version = data[0] if data else None
    if version != ENTRY_VERSION:
        raise InvariantViolation(
            f"log entry version {version} is not known to this version of namestore "
            f"(it knows {ENTRY_VERSION}); start the node with the version that wrote it, or newer"
        )
    try:
        time_ms, commands = msgpack.unpackb(memoryview(data)[1:], use_list=False)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise InvariantViolation(f"a log entry cannot be read: {error}") from error
    return Entry(time_ms, commands)


def _wanted_fields(wanted: Wanted) -> tuple[str, str, str, bytes]:
    display_name = wanted.display_name if wanted.display_name != wanted.name else ""
    return (wanted.name, display_name, wanted.owner, wanted.payload)


def _wanted(fields: Sequence[Any]) -> Wanted:
    name, display_name, owner, payload = fields
    if type(payload) is not bytes or len(payload) > PAYLOAD_BYTES_MAX:
        raise MalformedCommand("a payload that is too long, or not bytes")
    return Wanted(_text(name), _text(display_name) or name, _text(owner), payload)


def _text(value: Any) -> str:
    if type(value) is not str:
        raise MalformedCommand("a field that is not text")
    return value


def _request_id(value: Any) -> bytes:
    if type(value) is not bytes or not 1 <= len(value) <= REQUEST_ID_BYTES_MAX:
        raise MalformedCommand("a request_id that is empty, too long, or not bytes")
    return value


