"""Requests off the wire -> commands of the core, checked against every limit of the contract.

Those that change a holding are in `changes`. Nothing is proposed from here, and no policy is known
here: names leave in NFC, with what the caller wrote beside them. Invariant: what these functions
return is within the limits of `namestore.core.limits`; what they refuse names the field, in a batch
as `requests[3].name`, and nothing of that batch has been applied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from namestore.core.commands import (
    Command,
    Register,
    RegisterAll,
    RegisterEach,
    RegisterTogether,
    Wanted,
    member_id,
)
from namestore.core.commands.each import BATCH_ID_BYTES_MAX
from namestore.core.limits import BATCH_REQUESTS_MAX, PAGE_SIZE_MAX
from namestore.core.names import is_plain_name
from namestore.errors import InvalidRequest
from namestore.rpc import pages
from namestore.rpc.batches import is_short
from namestore.rpc.fields import checked_name as _name
from namestore.rpc.fields import checked_owner as _owner
from namestore.rpc.fields import checked_payload as _payload
from namestore.rpc.fields import checked_request_id as _request_id
from namestore.rpc.fields import ttl_ms, within_limits
from namestore.rpc.identities import draw_request_id
from namestore.v1 import registry_pb2 as pb

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
    """
    return _register(request, "", draw)


def register_many_commands(
    request: pb.RegisterManyRequest, draw: DrawRequestId = draw_request_id
) -> list[Command]:
    """The commands of a RegisterMany request: one for each name, or one for all.

    For all as well where they differ in nothing but the name: `RegisterEach`, `RegisterTogether`.

    An invalid request of an independent batch refuses the whole batch before any of it is
    proposed; the caller drops the one that `field` names and sends the others again.

    Raises:
        InvalidRequest: The number of requests, a field of one, or two that exclude each other.
    """
    if request.mode not in (
        pb.RegisterManyRequest.INDEPENDENT,
        pb.RegisterManyRequest.ALL_OR_NOTHING,
    ):
        raise InvalidRequest(f"mode {request.mode} is not known here", field="mode")
    if is_short(request):
        return _short_batch(request, draw)
    items = request.requests
    for field in ("owner", "payload", "request_id"):
        if getattr(request, field):
            raise InvalidRequest(
                f"{field} of a batch goes with its names, and none are given; requests have their "
                "own",
                field=field,
            )
    _check_count(len(items), "requests")
    commands = [_register(item, f"requests[{place}].", draw) for place, item in enumerate(items)]
    if request.mode == pb.RegisterManyRequest.INDEPENDENT:
        check_distinct([command.request_id for command in commands], "requests[{}].request_id")
        return list(commands)
    check_distinct([command.wanted.name for command in commands], "requests[{}].name")
    return [RegisterAll(commands[0].request_id, tuple(command.wanted for command in commands))]


def _short_batch(request: pb.RegisterManyRequest, draw: DrawRequestId) -> list[Command]:
    """The same of a batch that says once what its names have in common."""
    shown = tuple(request.names)
    if request.requests:
        raise InvalidRequest("requests and names are both given; give one of them", field="names")
    _check_count(len(shown), "names")
    owner, payload = _owner(request.owner, "owner"), _payload(request.payload, "payload")
    request_id = _request_id(request.request_id, "request_id", BATCH_ID_BYTES_MAX) or draw()
    names = shown
    if not all(map(is_plain_name, shown)):
        names = tuple(_name(name, f"names[{place}]") for place, name in enumerate(shown))
    independent = request.mode == pb.RegisterManyRequest.INDEPENDENT
    if not independent:
        check_distinct(names, "names[{}]")
    if names == shown:
        if independent:
            return [RegisterEach(request_id, names, owner, payload)]
        return [RegisterTogether(member_id(request_id, 0), names, owner, payload)]
    wanted = [
        Wanted(name, written, owner, payload) for name, written in zip(names, shown, strict=True)
    ]
    if independent:
        return [Register(member_id(request_id, place), one) for place, one in enumerate(wanted)]
    return [RegisterAll(member_id(request_id, 0), tuple(wanted))]


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


def history_name(request: pb.HistoryRequest) -> str:
    """The name a History asks for. Raises `InvalidRequest`."""
    check_consistency(request.consistency)
    return _name(request.name, "name")


def check_consistency(consistency: pb.Consistency.ValueType) -> None:
    """Refuses a consistency that this version does not know. Raises `InvalidRequest`."""
    if consistency not in (pb.LINEARIZABLE, pb.STALE):
        raise InvalidRequest(
            f"consistency {consistency} is not known here; use LINEARIZABLE or STALE",
            field="consistency",
        )


def _register(request: pb.RegisterRequest, path: str, draw: DrawRequestId) -> Register:
    shown, owner = request.name, request.owner
    payload, request_id = request.payload, request.request_id
    name = shown
    if not within_limits(shown, owner, payload, request_id):
        request_id = _request_id(request_id, path + "request_id")
        name = _name(shown, path + "name")
        owner = _owner(owner, path + "owner")
        payload = _payload(payload, path + "payload")
    ttl = ttl_ms(request.ttl, path + "ttl") if request.HasField("ttl") else None
    return Register(request_id or draw(), Wanted(name, shown, owner, payload, (), ttl))


def _check_count(count: int, field: str) -> None:
    if not 1 <= count <= BATCH_REQUESTS_MAX:
        raise InvalidRequest(
            f"{field} holds {count}; 1 to {BATCH_REQUESTS_MAX} go into one call", field=field
        )


def check_distinct(values: Sequence[object], field: str) -> None:
    """Refuses a batch in which two requests have one value. Raises `InvalidRequest`.

    Args:
        values: One for each request.
        field: Where such a value stands, with {} for the place.
    """
    if len(set(values)) == len(values):
        return
    first_at: dict[object, int] = {}
    for place, value in enumerate(values):
        first = first_at.setdefault(value, place)
        if first != place:
            raise InvalidRequest(
                f"{field.format(place)} is that of {field.format(first).partition('.')[0]} as "
                "well; each needs its own",
                field=field.format(place),
            )
