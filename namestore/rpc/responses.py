"""What the core decided -> responses on the wire, or the error that stands for it.

Being taken is an answer, and so is every other reason for which a name is not granted. What the
state does not allow (not found, not the owner, a stale fence) and a request_id that was used for
something else are raised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp

from namestore.core.events import Holding
from namestore.core.outcomes import Decision, Outcome, Verdict
from namestore.core.records import Record
from namestore.errors import InvariantViolation, NamestoreError, OutcomeUnknown, Unavailable
from namestore.policy import Reason, Refusal
from namestore.rpc.refusing import refused, reused, reused_in_list
from namestore.v1 import registry_pb2 as pb

# By which verdict a name was not granted, and how that is called on the wire.
_REFUSALS = {
    Verdict.TAKEN: pb.TAKEN,
    Verdict.CONFUSABLE: pb.CONFUSABLE,
    Verdict.HELD_BACK: pb.HELD_BACK,
    Verdict.OWNER_LIMIT: pb.OWNER_LIMIT,
}


@dataclass(frozen=True, slots=True)
class Unfit:
    """What a namespace's policy said of a request that was therefore never proposed.

    Attributes:
        reasons: One per name of the request, in order; None: this name was not the reason.
        revision: At which it said so.
    """

    reasons: tuple[Refusal | None, ...]
    revision: int


# What became of one command: it was decided, refused by a policy, or came to nothing.
Answer = Decision | Unfit | NamestoreError
# A response that may say why a name was not granted.
Granting = pb.RegisterResponse | pb.RenameResponse


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
    if record.payload:
        message.payload = record.payload
    message.create_revision = record.create_revision
    message.mod_revision = record.mod_revision
    created = message.create_time
    created.seconds, rest = divmod(record.create_time_ms, 1000)
    created.nanos = rest * 1_000_000
    if record.expire_time_ms:
        fill_time(message.expire_time, record.expire_time_ms)


def fill_time(message: Timestamp, time_ms: int) -> None:
    """Makes an empty message what `timestamp` returns."""
    message.seconds, rest = divmod(time_ms, 1000)
    message.nanos = rest * 1_000_000


def register_response(answer: Answer) -> pb.RegisterResponse:
    """How one name fared.

    Raises:
        InvalidRequest: The request_id was used for another request before.
        NamestoreError: It came to nothing.
    """
    response = pb.RegisterResponse()
    fill_register(response, answer)
    return response


def fill_register(response: pb.RegisterResponse, answer: Answer) -> None:
    """Makes an empty message what `register_response` returns. Raises as it does."""
    if isinstance(answer, Unfit):
        _fill_unfit(response, answer.reasons[0], answer.revision)
    else:
        _fill_registered(response, decided(answer), "")


def register_many_response(
    answers: Sequence[Answer], *, short: bool = False
) -> pb.RegisterManyResponse:
    """How each name fared, in the order of the request, whichever the mode was.

    Args:
        answers: One for each of its commands.
        short: It asked for `names`.

    Raises:
        InvalidRequest: A request_id was used for another request before. The others of an
            independent batch *were* decided: sent again without the one that `field` names, they
            are told how; in the short form they are looked up.
        NamestoreError: Not all were decided; it is `Unavailable` only if none was.
    """
    response = pb.RegisterManyResponse()
    add = response.results.add
    place = 0
    for answer in _whole(answers):
        if not isinstance(answer, Unfit) and answer[0].verdict is Verdict.GRANTED_EACH:
            _fill_granted(response.granted, answer[0])
            continue
        if isinstance(answer, Unfit):
            for reason in answer.reasons:
                _fill_unfit(add(), reason, answer.revision)
            place += len(answer.reasons)
            continue
        for outcome in answer:
            if short and outcome.verdict is Verdict.REQUEST_ID_REUSED:
                raise reused_in_list(place)
            _fill_registered(add(), outcome, f"requests[{place}].")
            place += 1
    return response


def _whole(answers: Sequence[Answer]) -> list[Decision | Unfit]:
    """The answers of a batch, or what became of it if not every request came to one, raised."""
    some = any(isinstance(answer, tuple) for answer in answers)
    for error in answers:
        if isinstance(error, Unavailable) and some:
            raise OutcomeUnknown(f"some names were decided ({error.message}); ask the same again")
        if isinstance(error, NamestoreError):
            raise error
    return [answer for answer in answers if not isinstance(answer, NamestoreError)]


def release_response(answer: Answer) -> pb.ReleaseResponse:
    """The answer to a release that happened.

    Raises:
        Refused: It did not; which of its kinds says why.
        InvalidRequest: The request_id was used for another request before.
    """
    outcome = decided(answer)
    if outcome.verdict is Verdict.RELEASED:
        return pb.ReleaseResponse(released=True, revision=outcome.revision)
    raise refused(outcome)


def update_response(answer: Answer) -> pb.UpdateResponse:
    """The answer to an update that happened. Raises as `release_response`."""
    outcome = decided(answer)
    if outcome.verdict is not Verdict.UPDATED or outcome.record is None:
        raise refused(outcome)
    return pb.UpdateResponse(record=name_record(outcome.record), revision=outcome.revision)


def confirm_response(answer: Answer) -> pb.ConfirmResponse:
    """The answer to a confirmation that happened. Raises as `release_response`."""
    outcome = decided(answer)
    if outcome.verdict is not Verdict.CONFIRMED or outcome.record is None:
        raise refused(outcome)
    return pb.ConfirmResponse(record=name_record(outcome.record), revision=outcome.revision)


def rename_response(answer: Answer) -> pb.RenameResponse:
    """Whether the new name was granted. Raises, of the old one, as `release_response`."""
    response = pb.RenameResponse()
    if isinstance(answer, Unfit):
        _fill_unfit(response, answer.reasons[0], answer.revision)
        return response
    outcome = decided(answer)
    if outcome.verdict is Verdict.RENAMED:
        response.renamed = True
    elif outcome.verdict in _REFUSALS:
        _fill_refusal(response, outcome)
    else:
        raise refused(outcome)
    _fill_outcome(response, outcome)
    return response


def fill_lookup(
    response: pb.LookupResponse, record: Record | None, redirect: Record | None, revision: int
) -> None:
    """Fills an empty message: who holds a name, or where it leads."""
    response.revision = revision
    if record is not None:
        response.found = True
        fill_record(response.record, record)
    elif redirect is not None:
        fill_record(response.redirect, redirect)


def fill_holding(message: pb.HistoryResponse.Holding, holding: Holding) -> None:
    """Fills an empty message: who held a name, from when to when."""
    message.owner = holding.owner
    message.create_revision = holding.create_revision
    fill_time(message.from_time, holding.from_ms)
    if holding.ended_by is None:
        return
    fill_time(message.to_time, holding.to_ms)
    # The numbers are the same on purpose; a test compares the names.
    message.ended_by = pb.Event.Kind.ValueType(holding.ended_by)
    message.end_revision = holding.end_revision


def decided(answer: Answer) -> Outcome:
    """The outcome of a command of one name, or the error that it came to."""
    if isinstance(answer, NamestoreError):
        raise answer
    if isinstance(answer, Unfit):
        raise InvariantViolation("a policy refused a request that takes no name")
    return answer[0]


def _fill_registered(response: pb.RegisterResponse, outcome: Outcome, path: str) -> None:
    verdict = outcome.verdict
    if verdict is Verdict.GRANTED and outcome.record is not None:  # nearly all
        response.registered = True
        response.revision = outcome.revision
        fill_record(response.record, outcome.record)
        return
    if verdict in _REFUSALS:
        _fill_refusal(response, outcome)
    elif verdict is Verdict.REQUEST_ID_REUSED:
        raise reused(path)
    elif verdict is not Verdict.NOT_TRIED:
        raise InvariantViolation(f"a register was decided as {verdict.name}")
    _fill_outcome(response, outcome)


def _fill_granted(message: pb.GrantedInOrder, outcome: Outcome) -> None:
    """All names of a batch in the short form were; who asked knows the rest of their records."""
    message.first_revision = outcome.revision
    if outcome.record is not None:
        fill_time(message.create_time, outcome.record.create_time_ms)


def _fill_outcome(response: Granting, outcome: Outcome) -> None:
    response.revision = outcome.revision
    if outcome.record is not None:
        fill_record(response.record, outcome.record)


def _fill_refusal(response: Granting, outcome: Outcome) -> None:
    response.refusal = _REFUSALS[outcome.verdict]
    if outcome.until_ms:
        fill_time(response.until, outcome.until_ms)
    if outcome.in_way:
        response.in_way = outcome.in_way


def _fill_unfit(response: Granting, reason: Refusal | None, revision: int) -> None:
    response.revision = revision
    if reason is None:
        return
    response.message = reason.message
    if reason.reason is Reason.RESERVED_WORD:
        response.refusal = pb.RESERVED_WORD
        response.in_way = reason.word
    else:
        response.refusal = pb.INVALID_BY_POLICY
        response.policy_reason = reason.reason.value
