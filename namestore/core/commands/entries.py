"""One log entry: the leader's clock, and the commands that were waiting.

All versions have the same fields. Their number says how they are applied, by all nodes alike: from
version 2 on with a feed of changes; from version 3 on a register that is granted is remembered by
the record of its name, and no more in the outcome table; from version 4 on with `RegisterEach`,
from version 5 on with `RegisterTogether`.
"""

from __future__ import annotations

from collections.abc import Sequence

from namestore.core.commands.fields import TIME_MS_MAX
from namestore.core.packing import pack, unpack_fields
from namestore.core.value import value
from namestore.errors import InvariantViolation

ENTRY_VERSION = 5
_VERSIONS = (1, 2, 3, 4, ENTRY_VERSION)


@value
class Entry:
    """What one log entry holds.

    Attributes:
        time_ms: The leader's clock when it proposed, milliseconds since the epoch.
        commands: Encoded commands, decided in this order.
        version: How it is to be applied; see above.
    """

    time_ms: int
    commands: Sequence[bytes]
    version: int = ENTRY_VERSION


def encode_entry(entry: Entry) -> bytes:
    """The bytes of one log entry: the version, then time and commands.

    Raises:
        InvariantViolation: A time that is no whole number, or commands that are not bytes. Once
            in the log it would stop every node; so it stops the one that made it.
    """
    commands = tuple(entry.commands)
    if entry.version not in _VERSIONS:
        raise InvariantViolation(f"{entry.version!r} is no version of a log entry")
    if type(entry.time_ms) is not int or abs(entry.time_ms) > TIME_MS_MAX:
        raise InvariantViolation(f"{entry.time_ms!r} is no time for a log entry")
    if not all(type(command) is bytes for command in commands):
        raise InvariantViolation("a log entry holds bytes, and commands are encoded before")
    return bytes((entry.version,)) + pack((entry.time_ms, commands))


def decode_entry(data: bytes) -> Entry:
    """The reverse of `encode_entry`.

    Raises:
        InvariantViolation: Of a version this program does not know, or not an entry at all. The
            node must stop: what it cannot apply, it must not skip.
    """
    version = data[0] if data else None
    if version is None or version not in _VERSIONS:
        raise InvariantViolation(
            f"log entry version {version} is not known to this version of namestore (it knows up "
            f"to {ENTRY_VERSION}); start the node with the version that wrote it, or newer"
        )
    match unpack_fields(data[1:], "a log entry"):
        case (int(time_ms), tuple(commands)) if (
            type(time_ms) is int
            and abs(time_ms) <= TIME_MS_MAX
            and all(type(command) is bytes for command in commands)
        ):
            return Entry(time_ms, commands, version)
        case _:
            raise InvariantViolation("a log entry cannot be read: not a time and commands")
