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
from namestore.core.commands.each import PLACES, member_id
from namestore.core.limits import BATCH_REQUESTS_MAX
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
    starts = range(0, len(names), BATCH_REQUESTS_MAX)
    if ttl is not None or not all(type(name) is str for name in names):
        whole = _spelled_out(names, owner, payload, ttl, request_id)
        parts = [whole[start : start + BATCH_REQUESTS_MAX] for start in starts]
        return [registry.RegisterManyRequest(requests=part, mode=mode) for part in parts]
    texts = checked_names(cast("Sequence[str]", names))
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
    """The answer to a batch, name by name."""
    if response.HasField("granted"):
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
    request_id = request.request_id
    return [request_id + place for place in PLACES[: len(request.names)]]


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
        part = part_request_id(whole, start)
        for place in range(BATCH_REQUESTS_MAX):
            yield member_id(part, place)


def _spelled_out(
    names: Sequence[str | tuple[str, str] | NewName],
    owner: str,
    payload: bytes,
    ttl: float | timedelta | None,
    request_id: bytes,
) -> list[registry.RegisterRequest]:
    """Requests name by name, with the defaults of the whole filled in."""
    member_ids = member_request_ids(request_id)
    requests = []
    for wanted, its_id in zip(names, member_ids, strict=False):
        if type(wanted) is str:
            item = register_request(wanted, owner, payload, ttl, its_id)
        else:
            own = _new_name(wanted)
            item = register_request(
                own.name,
                owner if own.owner is None else own.owner,
                payload if own.payload is None else own.payload,
                ttl if own.ttl is None else own.ttl,
                its_id,
            )
        requests.append(item)
    return requests


def _new_name(wanted: str | tuple[str, str] | NewName) -> NewName:
    match wanted:
        case NewName():
            return wanted
        case (name, owner):
            return NewName(name, owner)
        case _:
            return NewName(wanted)
