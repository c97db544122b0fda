"""Batches of names on their way: split into requests as large as can be, and their answers joined.

Names that differ in nothing else travel in the short form, which costs everybody a fraction.
Invariant: the same batch under the same request_id is always the same requests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import count
from typing import cast

from namestore.client.requests import (
    checked_names,
    checked_owner,
    checked_payload,
    register_request,
)
from namestore.client.times import time_from
from namestore.client.values import (
    NewName,
    RegisterResult,
    made_record,
    made_result,
    register_result_from,
)
from namestore.core.commands import member_ids
from namestore.core.limits import BATCH_REQUESTS_MAX
from namestore.errors import OutcomeUnknown
from namestore.rpc.identities import REQUEST_ID_BYTES
from namestore.v1 import registry_pb2 as registry


def requests_for(
    names: Sequence[str | tuple[str, str] | NewName],
    owner: str,
    payload: bytes,
    ttl: float | timedelta | None,
    request_id: bytes,
    mode: registry.RegisterManyRequest.Mode.ValueType,
) -> list[registry.RegisterManyRequest]:
    """RegisterMany requests for many names, as few as can be; short where only the names differ.

    Raises:
        InvalidRequest: What cannot be sent.
    """
    if not names:
        return []
    starts = range(0, len(names), BATCH_REQUESTS_MAX)
    if ttl is None and all(type(name) is str for name in names):
        texts = checked_names(cast("Sequence[str]", names))
    else:
        wanted = [_filled_in(name, owner, payload, ttl) for name in names]
        common = _beside_name(wanted[0])
        if any(each.ttl is not None or _beside_name(each) != common for each in wanted):
            whole = _spelled_out(wanted, request_id)
            parts = [whole[start : start + BATCH_REQUESTS_MAX] for start in starts]
            return [registry.RegisterManyRequest(requests=part, mode=mode) for part in parts]
        texts = checked_names([each.name for each in wanted])
        owner, payload = common
    return [
        registry.RegisterManyRequest(
            names=texts[start : start + BATCH_REQUESTS_MAX],
            owner=checked_owner(owner),
            payload=checked_payload(payload),
            request_id=part_request_id(request_id, start),
            mode=mode,
        )
        for start in starts
    ]


def results_from(
    request: registry.RegisterManyRequest, response: registry.RegisterManyResponse
) -> list[RegisterResult]:
    """The answer to a batch, name by name.

    Raises:
        OutcomeUnknown: It is none to this request.
    """
    granted = response.HasField("granted")
    asked = len(request.names) or len(request.requests)
    if (granted and not request.names) or len(response.results) != (0 if granted else asked):
        raise OutcomeUnknown(
            "the server's answer does not fit the batch; ask again with the same request_id"
        )
    if granted:
        return _granted_in_order(request, response.granted)
    if request.names:
        names, identities = list(request.names), _member_ids(request)
    else:
        names = [each.name for each in request.requests]
        identities = [each.request_id for each in request.requests]
    return [
        register_result_from(name, result, request_id)
        for name, result, request_id in zip(names, response.results, identities, strict=True)
    ]


def _granted_in_order(
    request: registry.RegisterManyRequest, granted: registry.GrantedInOrder
) -> list[RegisterResult]:
    owner, payload = request.owner, request.payload
    created = time_from(granted.create_time)
    asked = zip(request.names, _member_ids(request), strict=True)
    return [
        made_result(
            name,
            True,
            None,
            made_record(name, name, owner, payload, revision, revision, created, None),
            revision,
            request_id,
        )
        for revision, (name, request_id) in enumerate(asked, granted.first_revision)
    ]


def _member_ids(request: registry.RegisterManyRequest) -> list[bytes]:
    return member_ids(request.request_id, len(request.names))


def part_request_id(whole: bytes, start: int) -> bytes:
    """The request_id of that part of a batch which begins at `start`, and travels as one request.

    Always the same one for the same batch. Those of the names follow from it: see `member_id`.
    """
    begun = hashlib.blake2b(whole, digest_size=REQUEST_ID_BYTES, person=b"namestore-batch")
    begun.update(start.to_bytes(8, "big"))
    return begun.digest()


def member_request_ids(whole: bytes) -> Iterator[bytes]:
    """The request_ids of a batch, place by place: always the same ones for the same batch."""
    for start in count(0, BATCH_REQUESTS_MAX):
        yield from member_ids(part_request_id(whole, start), BATCH_REQUESTS_MAX)


def _spelled_out(wanted: Sequence[NewName], request_id: bytes) -> list[registry.RegisterRequest]:
    return [
        register_request(each.name, each.owner or "", each.payload or b"", each.ttl, its_id)
        for each, its_id in zip(wanted, member_request_ids(request_id), strict=False)
    ]


def _beside_name(wanted: NewName) -> tuple[str, bytes]:
    """What is said of a name that is filled in, but for its time."""
    return cast("str", wanted.owner), cast("bytes", wanted.payload)


def _filled_in(
    wanted: str | tuple[str, str] | NewName,
    owner: str,
    payload: bytes,
    ttl: float | timedelta | None,
) -> NewName:
    """One name, with the defaults of the whole."""
    match wanted:
        case NewName():
            own = wanted
        case (name, its_owner):
            own = NewName(name, its_owner)
        case _:
            own = NewName(wanted)
    return NewName(
        own.name,
        owner if own.owner is None else own.owner,
        payload if own.payload is None else own.payload,
        ttl if own.ttl is None else own.ttl,
    )
