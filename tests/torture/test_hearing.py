"""What callers of a run take down of a refusal: what was said, and nothing that was not."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from namestore.errors import NameNotFound, NamestoreError, NotOwner
from tests.support.history import Ask, Call, Operation, Said
from tests.support.linearizability import Violation, check
from tests.torture.official import OfficialCaller
from tests.torture.raw import hear_error
from tests.torture.recording import Recorded, RecordedHistory

NAME = "user:a"


def call(ask: Ask = Ask.RELEASE) -> Call:
    return Call(Operation("c", ask, NAME, "ann", "01", 2.0))


class Refusal(grpc.RpcError):
    """FAILED_PRECONDITION, with or without a server's own details."""

    def __init__(self, reason: str, **metadata: str) -> None:
        super().__init__(reason)
        self._status = status_pb2.Status(code=grpc.StatusCode.FAILED_PRECONDITION.value[0])
        if reason:
            packed = any_pb2.Any()
            packed.Pack(
                error_details_pb2.ErrorInfo(reason=reason, domain="namestore", metadata=metadata)
            )
            self._status.details.append(packed)

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.FAILED_PRECONDITION

    def details(self) -> str:
        return ""

    def trailing_metadata(self) -> tuple[Any, ...]:
        return (("grpc-status-details-bin", self._status.SerializeToString()),)


def test_a_refused_release_is_an_answer_on_the_wire() -> None:
    """NOT_OWNER is taken down with the revision that the details give, and counts as answered."""
    refused = call()
    hear_error([refused], Refusal("NOT_OWNER", create_revision="5"))
    assert refused.done is not None
    assert (refused.done.said, refused.done.holder_revision) == (Said.NOT_OWNER, 5)
    assert refused.done.answered
    unplaced = call()
    hear_error([unplaced], Refusal("NOT_OWNER"))
    assert unplaced.done is not None
    assert (unplaced.done.said, unplaced.done.holder_revision) == (Said.NOT_OWNER, 0)


@pytest.mark.parametrize("reason", ("NOT_OWNER", "NAME_NOT_FOUND"))
@pytest.mark.parametrize("asks", ([Ask.REGISTER], [Ask.LOOKUP], [], [Ask.RELEASE, Ask.RELEASE]))
def test_a_refusal_of_anything_else_ends_the_process(asks: list[Ask], reason: str) -> None:
    """Nothing but a release can hear it."""
    with pytest.raises(grpc.RpcError):
        hear_error([call(ask) for ask in asks], Refusal(reason))


def test_what_a_channel_made_says_nothing() -> None:
    """Without a server's details the outcome is unknown."""
    unknown = call()
    hear_error([unknown], Refusal(""))
    assert unknown.done is None


class Store:
    """A client whose every call is refused in the same way."""

    def __init__(self, error: NamestoreError) -> None:
        self._error = error

    def release(self, *arguments: Any, **options: Any) -> int:
        raise self._error

    register = lookup = release


def recorded(path: Path, error: NamestoreError, ask: Ask) -> list[Operation]:
    """What is on file of one call through the library."""
    with RecordedHistory(path) as history:
        caller = OfficialCaller("ann", Store(error), history)
        asyncio.run(getattr(caller, ask.value)(NAME))
    read = Recorded()
    read.read(path)
    return read.operations


def test_a_refused_release_is_an_answer_of_the_library(tmp_path: Path) -> None:
    """So a lie is found: who was granted a name, and does not own it, and holds it."""
    path = tmp_path / "calls.jsonl"
    error = NotOwner("somebody else holds the name", create_revision="1")
    (refused,) = recorded(path, error, Ask.RELEASE)
    assert (refused.said, refused.holder_revision) == (Said.NOT_OWNER, 1)
    granted = Operation("c", Ask.REGISTER, NAME, "ann", "09", 0, 1, Said.GRANTED, 1)
    with pytest.raises(Violation):
        check([granted, refused])
    (free,) = recorded(path, NameNotFound("nobody holds it"), Ask.RELEASE)
    assert free.said is Said.NOT_FOUND


@pytest.mark.parametrize("ask", (Ask.REGISTER, Ask.LOOKUP))
def test_the_library_refuses_nothing_but_releases(tmp_path: Path, ask: Ask) -> None:
    """It ends the process, and is never taken for an answer."""
    with pytest.raises(NotOwner):
        recorded(tmp_path / "calls.jsonl", NotOwner(""), ask)
