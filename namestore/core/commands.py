"""What may be asked of the registry, and its bytes in the log.

A command is encoded once, by the node that took the call, and never again: the leader puts the
bytes of many commands into one entry. Commands and entries are MessagePack arrays; an entry begins
with a version byte. A version this program does not know stops the node before it applies
anything, because skipping a command would make its state differ from the others'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from hashlib import blake2b
from typing import Any

import msgpack

from namestore.core.limits import BATCH_REQUESTS_MAX, PAYLOAD_BYTES_MAX, REQUEST_ID_BYTES_MAX
from namestore.core.packing import pack, unpack_fields
from namestore.errors import InvariantViolation

ENTRY_VERSION = 1

# Beyond it a time has no place in the keys of the state (eight bytes) and no meaning on a clock.
_TIME_MS_MAX = 2**63 - 1


class _Kind(IntEnum):
    """What a command begins with. The numbers are stored: never re-used."""

    REGISTER = 1
    REGISTER_ALL = 2
    RELEASE = 3


class MalformedCommand(ValueError):
    """Not a command of a known kind. Never put into the log."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One name that is asked for.

    Attributes:
        name: Canonical.
        display_name: What the caller wrote; empty means: just that.
        owner: Opaque.
        payload: Opaque.
    """

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
    """The bytes of one command; equal commands have equal bytes.

    Raises:
        MalformedCommand: What `decode_command` would not take. Found here, where the caller can
            still be told, and not by the state machine, where it would stop every node.
    """
    fields: tuple[Any, ...]
    match command:
        case Register(request_id, wanted):
            fields = (_Kind.REGISTER, _request_id(request_id), *_wanted_fields(wanted))
        case RegisterAll(request_id, many):
            _check_names([wanted.name for wanted in many])
            wanted_fields = [_wanted_fields(wanted) for wanted in many]
            fields = (_Kind.REGISTER_ALL, _request_id(request_id), wanted_fields)
        case Release(request_id, name, owner, create_revision):
            fields = (_Kind.RELEASE, _request_id(request_id), _name(name), _text(owner))
            fields = (*fields, _fence(create_revision))
    try:
        return pack(fields)
    except (ValueError, OverflowError) as error:  # surrogates in text, numbers beyond 64 bits
        raise MalformedCommand(f"not a command: {error}") from error


def decode_command(data: bytes) -> Command:
    """The reverse of `encode_command`, checked field by field.

    Raises:
        MalformedCommand: Not what `encode_command` writes.
    """
    try:
        fields = msgpack.unpackb(data, use_list=False)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise MalformedCommand(f"not a command: {error}") from error
    if type(fields) is not tuple or not fields or type(fields[0]) is not int:
        raise MalformedCommand("not a command: it does not begin with a kind")
    match fields:
        case (_Kind.REGISTER, request_id, *rest):
            return Register(_request_id(request_id), _wanted(tuple(rest)))
        case (_Kind.REGISTER_ALL, request_id, tuple(many)):
            wanted = tuple(map(_wanted, many))
            _check_names([item.name for item in wanted])
            return RegisterAll(_request_id(request_id), wanted)
        case (_Kind.RELEASE, request_id, name, owner, fence):
            return Release(_request_id(request_id), _name(name), _text(owner), _fence(fence))
        case _:
            raise MalformedCommand(
                f"command kind {fields[0]} with {len(fields)} fields is not known here"
            )


def fingerprint(command: bytes) -> bytes:
    """Eight bytes that tell two commands under one request_id apart."""
    return blake2b(command, digest_size=8).digest()


def encode_entry(entry: Entry) -> bytes:
    """The bytes of one log entry: the version, then time and commands.

    Raises:
        InvariantViolation: A time that is no whole number, or commands that are not bytes. Once
            in the log it would stop every node; so it stops the one that made it.
    """
    commands = tuple(entry.commands)
    if type(entry.time_ms) is not int or abs(entry.time_ms) > _TIME_MS_MAX:
        raise InvariantViolation(f"{entry.time_ms!r} is no time for a log entry")
    if not all(type(command) is bytes for command in commands):
        raise InvariantViolation("a log entry holds bytes, and commands are encoded before")
    return bytes((ENTRY_VERSION,)) + pack((entry.time_ms, commands))


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
    match unpack_fields(data[1:], "a log entry"):
        case (int(time_ms), tuple(commands)) if (
            type(time_ms) is int
            and abs(time_ms) <= _TIME_MS_MAX
            and all(type(command) is bytes for command in commands)
        ):
            return Entry(time_ms, commands)
        case _:
            raise InvariantViolation("a log entry cannot be read: not a time and commands")


def _wanted_fields(wanted: Wanted) -> tuple[str, str, str, bytes]:
    # Mostly the two are the same, and then it is written once.
    display_name = wanted.display_name if wanted.display_name != wanted.name else ""
    return (_name(wanted.name), _text(display_name), _text(wanted.owner), _payload(wanted.payload))


def _wanted(fields: Any) -> Wanted:
    if type(fields) is not tuple or len(fields) != 4:
        raise MalformedCommand("a name asked for without all its fields")
    name, display_name, owner, payload = fields
    return Wanted(_name(name), _text(display_name) or name, _text(owner), _payload(payload))


def _check_names(names: list[str]) -> None:
    if not 1 <= len(names) <= BATCH_REQUESTS_MAX:
        raise MalformedCommand(f"{len(names)} names in one command")
    if len(set(names)) != len(names):
        raise MalformedCommand("a name twice in one command")


def _name(value: Any) -> str:
    name = _text(value)
    if not name:
        raise MalformedCommand("a name that is empty")
    return name


def _text(value: Any) -> str:
    if type(value) is not str:
        raise MalformedCommand("a field that is not text")
    return value


def _payload(value: Any) -> bytes:
    if type(value) is not bytes or len(value) > PAYLOAD_BYTES_MAX:
        raise MalformedCommand("a payload that is too long, or not bytes")
    return value


def _request_id(value: Any) -> bytes:
    if type(value) is not bytes or not 1 <= len(value) <= REQUEST_ID_BYTES_MAX:
        raise MalformedCommand("a request_id that is empty, too long, or not bytes")
    return value


def _fence(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise MalformedCommand("a fence that is not a revision")
    return value
