"""What the core decided -> responses on the wire, or the error that stands for it.

Being taken is an answer. What the state does not allow (not found, not the owner, a stale fence)
and a request_id that was used for something else are raised.
"""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.timestamp_pb2 import Timestamp

from namestore.core.outcomes import Decision, Outcome, Verdict
from namestore.core.records import Record
from namestore.errors import (
    InvalidRequest,
    InvariantViolation,
    NameNotFound,
    NotOwner,
    StaleFence,
)
from namestore.v1 import registry_pb2 as pb


def timestamp(time_ms: int) -> Timestamp:
    """Milliseconds since the epoch as protobuf has them."""
    seconds, rest = divmod(time_ms, 1000)
    return Timestamp(seconds=seconds, nanos=rest * 1_000_000)


def name_record(record: Record) -> pb.NameRecord:
    """A record as callers see it: all but the request that created it."""
    message = pb.NameRecord()
    fill_record(message, record)
    return message


def fill_record(message: pb.NameRecord, record: Record) -> None:
    """Makes an empty message what `name_record` returns.

    Messages are filled in where they stand: made apart and put into another one, they are copied.
    """
    message.name = record.name
    message.display_name = record.display_name
    message.owner = record.owner
    message.payload = record.payload
    message.create_revision = record.create_revision
    message.mod_revision = record.mod_revision
    seconds, rest = divmod(record.create_time_ms, 1000)
    time = message.create_time
    time.seconds = seconds
    time.nanos = rest * 1_000_000


def register_response(outcome: Outcome, path: str = "") -> pb.RegisterResponse:
    """How one name fared.

    Args:
        outcome: Of a Register, or of one name of a RegisterAll.
        path: In a batch, which of its requests this was: "requests[3].".

    Raises:
        InvalidRequest: The request_id was used for another request before.
    """
    response = pb.RegisterResponse()
    fill_register(response, outcome, path)
    return response


def fill_register(response: pb.RegisterResponse, outcome: Outcome, path: str = "") -> None:
    """Makes an empty message what `register_response` returns. Raises as it does."""
    match outcome.verdict:
        case Verdict.GRANTED:
            response.registered = True
        case Verdict.TAKEN:
            response.refusal = pb.TAKEN
        case Verdict.NOT_TRIED:
            pass
        case Verdict.REQUEST_ID_REUSED:
            raise _reused(path)
        case verdict:
            raise InvariantViolation(f"a register was decided as {verdict.name}")
    response.revision = outcome.revision
    if outcome.record is not None:
        fill_record(response.record, outcome.record)


def register_many_response(decisions: Sequence[Decision]) -> pb.RegisterManyResponse:
    """How each name fared, in the order of the request, whichever the mode was.

    Raises:
        InvalidRequest: A request_id was used for another request before. The others of an
            independent batch *were* decided: sent again without the one that `field` names, and
            under the same request_ids, they are told how.
    """
    response = pb.RegisterManyResponse()
    add = response.results.add
    outcomes = (outcome for decision in decisions for outcome in decision)
    for place, outcome in enumerate(outcomes):
        fill_register(add(), outcome, f"requests[{place}].")
    return response


def release_response(outcome: Outcome) -> pb.ReleaseResponse:
    """The answer to a release that happened.

    Raises:
        Refused: It did not; which of its kinds says why.
        InvalidRequest: The request_id was used for another request before.
    """
    match outcome.verdict:
        case Verdict.RELEASED:
            return pb.ReleaseResponse(released=True, revision=outcome.revision)
        case Verdict.NAME_NOT_FOUND:
            raise NameNotFound("nobody holds the name")
        case Verdict.NOT_OWNER:
            raise NotOwner("somebody else holds the name", **_fence(outcome))
        case Verdict.STALE_FENCE:
            raise StaleFence(
                "the name was registered anew since that create_revision", **_fence(outcome)
            )
        case Verdict.REQUEST_ID_REUSED:
            raise _reused("")
        case verdict:
            raise InvariantViolation(f"a release was decided as {verdict.name}")


def lookup_response(record: Record | None, revision: int) -> pb.LookupResponse:
    """Who holds a name, if anybody."""
    response = pb.LookupResponse()
    fill_lookup(response, record, revision)
    return response


def fill_lookup(response: pb.LookupResponse, record: Record | None, revision: int) -> None:
    """Makes an empty message what `lookup_response` returns."""
    response.revision = revision
    if record is not None:
        response.found = True
        fill_record(response.record, record)


def _fence(outcome: Outcome) -> dict[str, str]:
    if outcome.record is None:
        return {}
    return {"create_revision": str(outcome.record.create_revision)}


def _reused(path: str) -> InvalidRequest:
    return InvalidRequest(
        f"{path}request_id was used for a different request before: a retry repeats its request "
        "in every field, and a new request needs a new request_id (of an independent batch, the "
        "other requests were decided: send them again to hear how)",
        field=path + "request_id",
    )
