"""What a `RegisterEach` is short for: registers that differ in their name and their place alone."""

from __future__ import annotations

from collections.abc import Iterator

from namestore.core.commands.values import (
    Command,
    Expire,
    IndexNames,
    Register,
    RegisterAll,
    RegisterEach,
    Wanted,
)
from namestore.core.limits import BATCH_REQUESTS_MAX, REQUEST_ID_BYTES_MAX

# The places of a batch, two bytes each: what the request_id of the whole is followed by.
PLACES = tuple(place.to_bytes(2, "big") for place in range(BATCH_REQUESTS_MAX))
# Of the whole, so that those of its members fit.
BATCH_ID_BYTES_MAX = REQUEST_ID_BYTES_MAX - 2


def member_id(request_id: bytes, place: int) -> bytes:
    """The request_id of one name of a batch.

    Args:
        request_id: Of the batch; at most `BATCH_ID_BYTES_MAX` bytes.
        place: From 0 on, below `BATCH_REQUESTS_MAX`.
    """
    return request_id + PLACES[place]


def members(command: RegisterEach) -> Iterator[Register]:
    """The registers that it stands for, in order."""
    for name, place in zip(command.names, PLACES, strict=False):
        wanted = Wanted(name, name, command.owner, command.payload)
        yield Register(command.request_id + place, wanted)


def spelled_out(command: Command) -> list[Command]:
    """The commands that one stands for: itself, or the members of a batch."""
    return list(members(command)) if isinstance(command, RegisterEach) else [command]


def names_count(command: Command) -> int:
    """How many names a command is about: what deciding it costs."""
    match command:
        case RegisterEach() | IndexNames():
            return len(command.names)
        case RegisterAll():
            return len(command.wanted)
        case Expire():
            return len(command.items)
        case _:
            return 1
