"""What callers of the whole API asked and heard, as the messages of the wire contract have it."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any, NamedTuple

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from namestore.client.methods import Method
from namestore.core.commands import (
    Command,
    Confirm,
    PutNamespace,
    Register,
    RegisterAll,
    Release,
    Rename,
    Update,
    Wanted,
)
from namestore.core.policies import decode_policy
from namestore.errors import NamestoreError, OutcomeUnknown, Unavailable
from namestore.rpc.batches import member_requests, member_results
from namestore.rpc.policies import policy_of
from namestore.v1 import namespaces_pb2 as ns
from namestore.v1 import registry_pb2 as pb


@dataclass(eq=False)
class Asked:
    """One call, from its caller's side.

    Attributes:
        after: Of a page: the last name of the page before.
        late: It came once more than its caller had sent it.
        returned: Infinite while nothing was heard.
        heard: The answer, or how the call failed; None: nothing yet.
        told_by: The node that answered and its life, if that is certain.
    """

    caller: str
    method: Method[Any, Any]
    request: Any
    called: float
    after: str = ""
    late: bool = False
    returned: float = inf
    heard: Message | NamestoreError | None = None
    told_by: tuple[str, int] | None = None

    def __post_init__(self) -> None:
        self._sent = self.request
        if isinstance(self._sent, pb.RegisterManyRequest):  # is judged name by name
            requests = member_requests(self._sent)
            self.request = pb.RegisterManyRequest(requests=requests, mode=self._sent.mode)

    def hear(self, heard: Any, now: float) -> None:
        """Takes down what came; from a broken connection nothing did."""
        if isinstance(heard, pb.RegisterManyResponse):
            heard = pb.RegisterManyResponse(results=member_results(self._sent, heard))
        if isinstance(heard, Message | NamestoreError):
            self.heard = heard
            if not isinstance(heard, OutcomeUnknown):  # it may still happen, at any later time
                self.returned = now

    @property
    def answered(self) -> bool:
        """Something was heard that says what happened."""
        return self.heard is not None and not isinstance(self.heard, OutcomeUnknown | Unavailable)

    @property
    def denied(self) -> bool:
        """It was called certainly not done."""
        return isinstance(self.heard, Unavailable)

    @property
    def request_ids(self) -> list[bytes]:
        """Of the requests that the log may have; none: it is a read."""
        request = self.request
        if not self.method.writes:
            return []
        if not isinstance(request, pb.RegisterManyRequest):
            return [request.request_id]
        if request.mode == pb.RegisterManyRequest.ALL_OR_NOTHING:
            return [request.requests[0].request_id]
        return [one.request_id for one in request.requests]


def wishes(request: Any) -> dict[bytes, object]:
    """What a write asks for, by request_id, in words that `wished` uses of a command."""
    match request:
        case pb.RegisterManyRequest(mode=pb.RegisterManyRequest.ALL_OR_NOTHING):
            names = tuple(_wanted(one) for one in request.requests)
            return {request.requests[0].request_id: ("register all", names)}
        case pb.RegisterManyRequest():
            return {one.request_id: ("register", _wanted(one)) for one in request.requests}
        case pb.RegisterRequest():
            wish: object = ("register", _wanted(request))
        case pb.ReleaseRequest():
            wish = ("release", request.name, request.owner, request.create_revision)
        case pb.ConfirmRequest():
            wish = ("confirm", request.name, request.owner, request.create_revision)
        case pb.UpdateRequest():
            payload = request.payload if request.HasField("payload") else None
            new_owner = request.new_owner if request.HasField("new_owner") else None
            fence = request.create_revision
            wish = ("update", request.name, request.owner, payload, new_owner, fence)
        case pb.RenameRequest():
            fence = request.create_revision
            wish = ("rename", request.from_name, request.to_name, request.owner, fence)
        case ns.PutNamespaceRequest():
            space = request.namespace
            wish = ("policy", space.name, policy_of(space.policy), request.expected_version)
        case _:
            raise TypeError(f"no write: {request!r}")
    return {request.request_id: wish}


def wished(command: Command) -> object:
    """What a command of the log asks for."""
    match command:
        case Register(_, wanted):
            return "register", _as_wanted(wanted)
        case RegisterAll(_, many):
            return "register all", tuple(map(_as_wanted, many))
        case Release():
            return "release", command.name, command.owner, command.create_revision
        case Confirm():
            return "confirm", command.name, command.owner, command.create_revision
        case Update(_, name, owner, payload, new_owner, fence):
            return "update", name, owner, payload, new_owner, fence
        case Rename():
            fence = command.create_revision
            return "rename", command.from_name, command.to_name, command.owner, fence
        case PutNamespace(_, namespace, policy, expected):
            return "policy", namespace, decode_policy(policy), expected
        case _:
            return None


def _wanted(request: pb.RegisterRequest) -> tuple[object, ...]:
    ttl_ms = milliseconds(request.ttl) if request.HasField("ttl") else None
    return request.name, request.owner, request.payload, ttl_ms


def _as_wanted(wanted: Wanted) -> tuple[object, ...]:
    return wanted.name, wanted.owner, wanted.payload, wanted.ttl_ms


def milliseconds(time: Duration | Timestamp) -> int:
    """A time of the wire as the log counts."""
    return time.seconds * 1000 + time.nanos // 1_000_000


class Shown(NamedTuple):
    """A record as callers see it."""

    name: str
    display_name: str
    owner: str
    payload: bytes
    create_revision: int
    mod_revision: int
    create_ms: int
    expire_ms: int


def shown(record: pb.NameRecord) -> Shown:
    """A record of the wire."""
    return Shown(
        record.name,
        record.display_name,
        record.owner,
        record.payload,
        record.create_revision,
        record.mod_revision,
        milliseconds(record.create_time),
        milliseconds(record.expire_time) if record.HasField("expire_time") else 0,
    )
