"""Errors through the wire and back."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from namestore import errors
from namestore.rpc.status import (
    DETAILS_KEY,
    STATUS_OF_ERROR,
    call_error,
    error_from_call_error,
    error_from_rpc,
    rich_status,
    status_code,
    trailing_metadata,
)
from namestore.v1 import registry_pb2 as pb


class Call(grpc.RpcError):
    """What a stub raises."""

    def __init__(self, code: grpc.StatusCode, text: str, metadata: Any = ()) -> None:
        super().__init__(text)
        self._code, self._text, self._metadata = code, text, metadata

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._text

    def trailing_metadata(self) -> Any:
        return self._metadata


def tree(root: type[errors.NamestoreError]) -> list[type[errors.NamestoreError]]:
    """The tree of namestore.errors; what a tool adds for itself never travels."""
    children = [each for each in root.__subclasses__() if each.__module__ == errors.__name__]
    return [root, *(found for child in children for found in tree(child))]


def sent(error: errors.NamestoreError) -> errors.NamestoreError:
    status = rich_status(error)
    return error_from_rpc(Call(status_code(error), status.message, trailing_metadata(status)))


@pytest.mark.parametrize("kind", tree(errors.NamestoreError))
def test_every_error_survives_the_wire(kind: type[errors.NamestoreError]) -> None:
    """What has a reason arrives as itself; what has none was a fault, and its outcome unknown."""
    received = sent(kind("words", field="x"))
    assert type(received) is (kind if kind.REASON else errors.OutcomeUnknown)
    assert (received.message, received.metadata) == ("words", {"field": "x"})


@pytest.mark.parametrize("kind", tree(errors.NamestoreError))
def test_an_item_of_a_session_fails_as_a_call_does(kind: type[errors.NamestoreError]) -> None:
    """The same code, reason, text and metadata, whichever way an error travels."""
    error = kind("words", field="x")
    travelled = pb.CallError.FromString(call_error(error).SerializeToString())
    received, expected = error_from_call_error(travelled), sent(error)
    assert type(received) is type(expected)
    assert (received.message, received.metadata) == (expected.message, expected.metadata)
    assert travelled.code == rich_status(error).code


def test_an_item_that_a_newer_server_failed_is_read_by_its_code() -> None:
    """A reason that is not known here: the code still says whether it happened."""
    refused = pb.CallError(code=9, reason="OF_A_LATER_VERSION", message="no")
    assert type(error_from_call_error(refused)) is errors.Refused
    assert type(error_from_call_error(pb.CallError(code=99))) is errors.OutcomeUnknown


def test_every_reason_is_in_the_table_and_in_the_contract() -> None:
    """The table, the exception tree and the contract's list agree."""
    with_reason = {kind for kind in tree(errors.NamestoreError) if kind.REASON}
    assert with_reason == set(STATUS_OF_ERROR)
    declared = {name.removeprefix("ERROR_REASON_") for name in pb.ErrorReason.keys()}  # noqa: SIM118  # no dict
    assert {kind.REASON for kind in with_reason} == declared - {"UNSPECIFIED"}


@pytest.mark.parametrize("code", tuple(grpc.StatusCode))
def test_a_status_without_details_is_never_taken_for_certainty(code: grpc.StatusCode) -> None:
    """The channel does not know whether the server acted: UNAVAILABLE from it means unknown."""
    kinds = {
        grpc.StatusCode.UNIMPLEMENTED: errors.NotImplementedYet,
        grpc.StatusCode.UNAUTHENTICATED: errors.Unauthenticated,
        grpc.StatusCode.PERMISSION_DENIED: errors.PermissionDenied,
    }
    assert type(error_from_rpc(Call(code, "x"))) is kinds.get(code, errors.OutcomeUnknown)


def test_details_that_are_not_ours_are_not_believed() -> None:
    """Damaged details, and another domain's, read as a foreign status."""
    ours = rich_status(errors.NoQuorum("x"))
    foreign = type(ours)()
    foreign.CopyFrom(ours)
    info = foreign.details[0]
    info.value = info.value.replace(b"namestore", b"elsewhere")
    for details in (b"\xff\xff", foreign.SerializeToString()):
        call = Call(grpc.StatusCode.UNAVAILABLE, "x", ((DETAILS_KEY, details),))
        assert type(error_from_rpc(call)) is errors.OutcomeUnknown


@pytest.mark.parametrize(
    ("code", "kind"),
    (
        (grpc.StatusCode.UNAVAILABLE, errors.Unavailable),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, errors.Unavailable),
        (grpc.StatusCode.FAILED_PRECONDITION, errors.Refused),
        (grpc.StatusCode.INVALID_ARGUMENT, errors.InvalidRequest),
        (grpc.StatusCode.ABORTED, errors.OutcomeUnknown),
        (grpc.StatusCode.INTERNAL, errors.OutcomeUnknown),
    ),
)
def test_a_newer_servers_reason_is_read_by_its_status(
    code: grpc.StatusCode, kind: type[errors.NamestoreError]
) -> None:
    """An unknown reason of our domain still answers whether it happened."""
    status = rich_status(errors.NoQuorum("x"))
    status.details[0].value = status.details[0].value.replace(b"NO_QUORUM", b"NO_BEARER")
    call = Call(code, "x", trailing_metadata(status))
    assert type(error_from_rpc(call)) is kind


def test_a_call_given_up_as_its_answer_came_says_what_the_server_said() -> None:
    """gRPC's own text would say that the caller did it."""
    metadata = trailing_metadata(rich_status(errors.Overloaded("16 exports are under way")))
    call = Call(grpc.StatusCode.CANCELLED, "Locally cancelled by application!", metadata)
    error = error_from_rpc(call)
    assert (type(error), error.message) == (errors.Overloaded, "16 exports are under way")


def test_a_long_text_is_cut() -> None:
    """Trailing metadata is small; an error that does not fit would arrive as nothing."""
    status = rich_status(errors.InvalidName("x" * 100_000))
    assert len(status.SerializeToString()) < 2_000
