"""What commands are short for whose names differ in nothing else.

`RegisterEach`: registers that differ in their name and their place; `RegisterTogether`: a
`RegisterAll`.
"""

from __future__ import annotations

from collections.abc import Iterator

from namestore.core.commands.values import (
    Command,
    Expire,
    IndexNames,
    Register,
    RegisterAll,
    RegisterEach,
    RegisterTogether,
    Wanted,
)
from namestore.core.limits import BATCH_REQUESTS_MAX, REQUEST_ID_BYTES_MAX

# The places of a batch, two bytes each: what the request_id of the whole is followed by.
_PLACES = tuple(place.to_bytes(2, "big") for place in range(BATCH_REQUESTS_MAX))
# Of the whole, so that those of its members fit.
BATCH_ID_BYTES_MAX = REQUEST_ID_BYTES_MAX - 2


def member_id(request_id: bytes, place: int) -> bytes:
    """The request_id of one name of a batch.

    Args:
        request_id: Of the batch; at most `BATCH_ID_BYTES_MAX` bytes.
        place: From 0 on, below `BATCH_REQUESTS_MAX`.
    """
    return request_id + _PLACES[place]


def member_ids(request_id: bytes, count: int) -> list[bytes]:
    """Those of all of its `count` names, in order; see `member_id`."""
    return [request_id + place for place in _PLACES[:count]]


def members(command: RegisterEach) -> Iterator[Register]:
    """The registers that it stands for, in order."""
    for name, its_id in zip(
        command.names, member_ids(command.request_id, len(command.names)), strict=True
    ):
        yield Register(its_id, Wanted(name, name, command.owner, command.payload))


def as_all(command: RegisterTogether) -> RegisterAll:
    """The request that it stands for."""
    owner, payload = command.owner, command.payload
    wanted = tuple(Wanted(name, name, owner, payload) for name in command.names)
    return RegisterAll(command.request_id, wanted)


def spelled_out(command: Command) -> list[Command]:
    """The commands that one stands for: itself, or the members of a batch."""
    match command:
        case RegisterEach():
            return list(members(command))
        case RegisterTogether():
            return [as_all(command)]
        case _:
            return [command]


def names_count(command: Command) -> int:
    """How many names a command is about: what deciding it costs."""
    match command:
        case RegisterEach() | RegisterTogether() | IndexNames():
            return len(command.names)
        case RegisterAll():
            return len(command.wanted)
        case Expire():
            return len(command.items)
        case _:
            return 1
