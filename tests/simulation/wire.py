"""Between the words of a history and what travels: requests, responses and errors of the API.

Knows the public contract only: the messages of `namestore.v1`, and the errors.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import grpc
from google.protobuf.message import Message

from namestore.client import methods
from namestore.client.methods import Method
from namestore.errors import (
    NameNotFound,
    NamestoreError,
    NotOwner,
    OutcomeUnknown,
    Unavailable,
)
from namestore.rpc.batches import member_requests, member_results
from namestore.v1 import registry_pb2 as pb
from tests.support.history import Ask, Operation, Said

Fields = dict[str, Any]


class StatedError(grpc.RpcError):
    """How a call failed, as a gRPC stub shows it. Without details: no server said this."""

    def __init__(
        self, code: grpc.StatusCode, text: str, metadata: tuple[tuple[str, Any], ...] = ()
    ) -> None:
        super().__init__(text)
        self._code, self._text, self._metadata = code, text, metadata

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._text

    def trailing_metadata(self) -> Any:
        return self._metadata


@dataclass(frozen=True)
class Question:
    """A request, ready to travel."""

    method: Method[Any, Any]
    request: Message


def question(operation: Operation) -> Question:
    """What a caller sends who wants that."""
    name, owner = operation.name, operation.owner
    identity = bytes.fromhex(operation.request_id)
    match operation.ask:
        case Ask.REGISTER:
            register = pb.RegisterRequest(name=name, owner=owner, request_id=identity)
            return Question(methods.REGISTER, register)
        case Ask.RELEASE:
            release = pb.ReleaseRequest(name=name, owner=owner, request_id=identity)
            return Question(methods.RELEASE, release)
        case Ask.LOOKUP:
            return Question(methods.LOOKUP, pb.LookupRequest(name=name))


def heard(answer: Message | Exception) -> Fields:
    """What the answer to a question about one name says.

    Raises:
        NamestoreError: An answer that no caller here should ever get.
    """
    match answer:
        case pb.RegisterResponse():
            return _registered(answer)
        case pb.ReleaseResponse():
            return {"said": Said.RELEASED, "revision": answer.revision}
        case pb.LookupResponse(found=False):
            return {"said": Said.NOT_FOUND, "revision": answer.revision}
        case pb.LookupResponse():
            return {"said": Said.FOUND, "revision": answer.revision} | _holder(answer.record)
        case NamestoreError():
            return refused(answer)
    raise TypeError(f"no answer: {answer!r}")


def refused(error: NamestoreError) -> Fields:
    """What an error says about one name. Raises it, if no caller here should ever get it."""
    match error:
        case OutcomeUnknown():
            return {"said": Said.UNKNOWN}
        case Unavailable():
            return {"said": Said.NOT_DONE}
        case NameNotFound():
            return {"said": Said.NOT_FOUND}
        case NotOwner():
            # It does not say whose the name is; `with_owners` may find it by the revision.
            since = int(error.metadata.get("create_revision", "0"))
            return {"said": Said.NOT_OWNER, "holder_revision": since}
    raise error


def _registered(answer: pb.RegisterResponse) -> Fields:
    if answer.registered:
        # A retry may be answered later than it was decided: the change is the record's.
        return {"said": Said.GRANTED, "revision": answer.record.create_revision}
    if not answer.HasField("record"):
        return {"said": Said.NOT_DONE}  # one of those that only all together would have been
    return {"said": Said.TAKEN, "revision": answer.revision} | _holder(answer.record)


def _holder(record: pb.NameRecord) -> Fields:
    return {"holder_owner": record.owner, "holder_revision": record.create_revision}


def asked(request: Message) -> list[Operation]:
    """What a write asks, name by name, as an operation that nothing was heard of."""
    match request:
        case pb.RegisterManyRequest():
            return [operation for one in member_requests(request) for operation in asked(one)]
        case pb.RegisterRequest():
            ask = Ask.REGISTER
        case pb.ReleaseRequest():
            ask = Ask.RELEASE
        case _:
            raise TypeError(f"no write: {request!r}")
    identity = request.request_id.hex()
    return [Operation("again", ask, request.name, request.owner, identity, 0.0)]


def is_plain(request: Message) -> bool:
    """It is about names that are registered, released and looked up only."""
    match request:
        case pb.RegisterManyRequest():
            return is_plain(member_requests(request)[0])
        case pb.RegisterRequest() | pb.ReleaseRequest():
            return request.name.startswith("user:")
        case _:
            return False


def heard_each(request: Message, answer: Message | Exception, count: int) -> list[Fields]:
    """What the answer to a write about so many names says of each."""
    if isinstance(answer, pb.RegisterManyResponse) and isinstance(request, pb.RegisterManyRequest):
        return [heard(result) for result in member_results(request, answer)]
    return [heard(answer)] * count


def with_owners(record: list[Operation]) -> list[Operation]:
    """A record in which refusals name the holder they tell of, where anybody heard who that was."""
    owners: dict[int, str] = {}
    for each in record:
        if each.said is Said.GRANTED and each.revision:
            owners[each.revision] = each.owner
        elif each.holder_owner and each.holder_revision:
            owners[each.holder_revision] = each.holder_owner
    return [_with_owner(each, owners) for each in record]


def _with_owner(operation: Operation, owners: dict[int, str]) -> Operation:
    if operation.said is not Said.NOT_OWNER or operation.holder_owner:
        return operation
    # Where nobody heard who it was, the judges take anybody for it but the caller.
    return replace(operation, holder_owner=owners.get(operation.holder_revision, ""))
