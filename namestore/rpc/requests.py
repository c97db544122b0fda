"""Requests off the wire -> commands of the core, checked against every limit of the contract.

Nothing is proposed from here. Invariant: what these functions return is canonical and within the
limits of `namestore.core.limits`; what they refuse names the field, in a batch as
`requests[3].name`, and nothing of that batch has been applied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from google.protobuf.duration_pb2 import Duration

from namestore.core.commands import Command, Register, RegisterAll, Release, Wanted
from namestore.core.limits import (
    BATCH_REQUESTS_MAX,
    LABEL_BYTES_MAX,
    OWNER_BYTES_MAX,
    PAGE_SIZE_MAX,
    PAYLOAD_BYTES_MAX,
    REQUEST_ID_BYTES_MAX,
)
from namestore.core.names import canonical_name
from namestore.errors import InvalidName, InvalidRequest, NotImplementedYet
from namestore.rpc import pages
from namestore.rpc.identities import draw_request_id
from namestore.v1 import registry_pb2 as pb

# Composing shrinks a text: at most three code points become one, and the shortest of those has two
# bytes. A text longer than this cannot become a name, and is not worth normalising.
_NAME_CHARS_MAX = 33 + 2 * LABEL_BYTES_MAX
_DURATION_SECONDS_MAX = 315_576_000_000
_DURATION_NANOS_MAX = 999_999_999

# An identity for a request that came without one.
DrawRequestId = Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Page:
    """What a List request asks for: `size` names that begin with `prefix` and come after `after`.

    `after` is a canonical name, or empty for the first page.
    """

    prefix: str
    after: str
    size: int


def register_command(
    request: pb.RegisterRequest, draw: DrawRequestId = draw_request_id
) -> Register:
    """The command of a Register request.

    Raises:
        InvalidRequest: A field is outside its limits (`InvalidName`: the name).
        NotImplementedYet: It asks for a reservation.
    """
    return _register(request, "", draw)


def register_many_commands(
    request: pb.RegisterManyRequest, draw: DrawRequestId = draw_request_id
) -> list[Command]:
    """The commands of a RegisterMany request: one for each name, or one for all.

    An invalid request of an independent batch refuses the whole batch before any of it is
    proposed; the caller drops the one that `field` names and sends the others again.

    Raises:
        InvalidRequest: The number of requests, a field of one, or two that exclude each other.
        NotImplementedYet: One asks for a reservation.
    """
    items = request.requests
    _check_count(len(items), "requests")
    if request.mode not in (
        pb.RegisterManyRequest.INDEPENDENT,
        pb.RegisterManyRequest.ALL_OR_NOTHING,
    ):
        raise InvalidRequest(f"mode {request.mode} is not known here", field="mode")
    commands = [_register(item, f"requests[{place}].", draw) for place, item in enumerate(items)]
    if request.mode == pb.RegisterManyRequest.INDEPENDENT:
        _check_distinct([command.request_id for command in commands], "request_id")
        return list(commands)
    _check_distinct([command.wanted.name for command in commands], "name")
    return [RegisterAll(commands[0].request_id, tuple(command.wanted for command in commands))]


def release_command(request: pb.ReleaseRequest, draw: DrawRequestId = draw_request_id) -> Release:
    """The command of a Release request.

    Raises:
        InvalidRequest: A field is outside its limits (`InvalidName`: the name).
    """
    return Release(
        request_id=_request_id(request.request_id, "", draw),
        name=_name(request.name, "name"),
        owner=_owner(request.owner, ""),
        create_revision=request.create_revision,
    )


def lookup_name(request: pb.LookupRequest) -> str:
    """The canonical name a Lookup asks for. Raises `InvalidRequest`."""
    check_consistency(request.consistency)
    return _name(request.name, "name")


def lookup_names(request: pb.LookupManyRequest) -> list[str]:
    """The canonical names a LookupMany asks for. Raises `InvalidRequest`."""
    check_consistency(request.consistency)
    _check_count(len(request.names), "names")
    return [_name(name, f"names[{place}]") for place, name in enumerate(request.names)]


def list_page(request: pb.ListRequest) -> Page:
    """The page a List asks for. Raises `InvalidRequest`."""
    check_consistency(request.consistency)
    if request.page_size > PAGE_SIZE_MAX:
        raise InvalidRequest(
            f"page_size is {request.page_size}; at most {PAGE_SIZE_MAX} names fit on a page",
            field="page_size",
        )
    prefix = pages.canonical_prefix(request.prefix)
    after = pages.read_token(request.page_token, prefix) if request.page_token else ""
    return Page(prefix, after, request.page_size or PAGE_SIZE_MAX)


def check_consistency(consistency: pb.Consistency.ValueType) -> None:
    """Refuses a consistency that this version does not know. Raises `InvalidRequest`."""
    if consistency not in (pb.LINEARIZABLE, pb.STALE):
        raise InvalidRequest(
            f"consistency {consistency} is not known here; use LINEARIZABLE or STALE",
            field="consistency",
        )


def _register(request: pb.RegisterRequest, path: str, draw: DrawRequestId) -> Register:
    name = _name(request.name, path + "name")
    owner = _owner(request.owner, path)
    if len(request.payload) > PAYLOAD_BYTES_MAX:
        raise InvalidRequest(
            f"{path}payload has {len(request.payload)} bytes; at most {PAYLOAD_BYTES_MAX} are kept",
            field=path + "payload",
        )
    request_id = _request_id(request.request_id, path, draw)
    if request.HasField("ttl"):
        _check_ttl(request.ttl, path + "ttl")
        raise NotImplementedYet(
            f"{path}ttl asks for a reservation, which this version does not make; "
            "leave it out to register for good",
            field=path + "ttl",
        )
    return Register(request_id, Wanted(name, request.name, owner, request.payload))


def _name(text: str, field: str) -> str:
    if len(text) > _NAME_CHARS_MAX:
        raise InvalidName(
            f"{field} has {len(text)} characters; "
            f"a label has 1 to {LABEL_BYTES_MAX} bytes of UTF-8",
            field=field,
        )
    try:
        return canonical_name(text)
    except InvalidName as error:
        where = "" if field == "name" else f"{field}: "
        raise InvalidName(where + error.message, field=field) from None


def _owner(owner: str, path: str) -> str:
    size = len(owner.encode())
    if size > OWNER_BYTES_MAX:
        raise InvalidRequest(
            f"{path}owner has {size} bytes of UTF-8; at most {OWNER_BYTES_MAX} are allowed",
            field=path + "owner",
        )
    return owner


def _request_id(request_id: bytes, path: str, draw: DrawRequestId) -> bytes:
    if len(request_id) > REQUEST_ID_BYTES_MAX:
        raise InvalidRequest(
            f"{path}request_id has {len(request_id)} bytes; "
            f"at most {REQUEST_ID_BYTES_MAX} are allowed, and 16 random ones serve",
            field=path + "request_id",
        )
    return request_id or draw()


def _check_ttl(ttl: Duration, field: str) -> None:
    if (
        not 0 <= ttl.seconds <= _DURATION_SECONDS_MAX
        or not 0 <= ttl.nanos <= _DURATION_NANOS_MAX
        or ttl.seconds == ttl.nanos == 0
    ):
        raise InvalidRequest(
            f"{field} must be a time above zero; leave it out for ever", field=field
        )


def _check_count(count: int, field: str) -> None:
    if not 1 <= count <= BATCH_REQUESTS_MAX:
        raise InvalidRequest(
            f"{field} holds {count}; 1 to {BATCH_REQUESTS_MAX} go into one call", field=field
        )


def _check_distinct(values: Sequence[object], key: str) -> None:
    if len(set(values)) == len(values):
        return
    first_at: dict[object, int] = {}
    for place, value in enumerate(values):
        first = first_at.setdefault(value, place)
        if first != place:
            raise InvalidRequest(
                f"requests[{place}].{key} is that of requests[{first}] as well; each needs its own",
                field=f"requests[{place}].{key}",
            )
