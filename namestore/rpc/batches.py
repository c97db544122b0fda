"""Batches of names that differ in nothing else: what they are short for, on both ends of the wire.

Invariant: a batch in the short form, and the answer to it, mean exactly what `requests` and
`results` would have said, spelled out.
"""

from __future__ import annotations

from namestore.core.commands import member_ids
from namestore.v1 import registry_pb2 as pb


def is_short(request: pb.RegisterManyRequest) -> bool:
    """It says its names once, and what they have in common once."""
    return bool(request.names)


def member_requests(request: pb.RegisterManyRequest) -> list[pb.RegisterRequest]:
    """The requests that a batch is made of, in whichever form it came.

    Args:
        request: In the short form of at most 1000 names, and under a request_id.
    """
    if not is_short(request):
        return list(request.requests)
    return [
        pb.RegisterRequest(
            name=name,
            owner=request.owner,
            payload=request.payload,
            request_id=its_id,
        )
        for name, its_id in zip(
            request.names, member_ids(request.request_id, len(request.names)), strict=True
        )
    ]


def member_results(
    request: pb.RegisterManyRequest, response: pb.RegisterManyResponse
) -> list[pb.RegisterResponse]:
    """The results that an answer is made of, one for each of `member_requests`."""
    if not response.HasField("granted"):
        return list(response.results)
    results = []
    for revision, name in enumerate(request.names, response.granted.first_revision):
        result = pb.RegisterResponse(registered=True, revision=revision)
        record = result.record
        record.name = record.display_name = name
        record.owner, record.payload = request.owner, request.payload
        record.create_revision = record.mod_revision = revision
        record.create_time.CopyFrom(response.granted.create_time)
        results.append(result)
    return results
