"""What the client hands to applications: frozen values, free of gRPC and protobuf.

Not responsible for any decision: it only translates answers. Invariant: a value never changes
after it was handed out, and a field the server did not set is None, never a made-up value.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import TypedDict

from namestore.client.frozen import maker

# What nodes say of themselves lives beside this module; one import serves for all values.
from namestore.client.states import EndpointStatus as EndpointStatus
from namestore.client.states import MemberState as MemberState
from namestore.client.states import NodeRole as NodeRole
from namestore.client.states import NodeStatus as NodeStatus
from namestore.client.states import PeerState as PeerState
from namestore.client.times import time_from
from namestore.v1 import registry_pb2


class Refusal(Enum):
    """Why a name was not granted. `OTHER`: a reason that this version does not know."""

    TAKEN = "TAKEN"
    RESERVED_WORD = "RESERVED_WORD"
    CONFUSABLE = "CONFUSABLE"
    HELD_BACK = "HELD_BACK"
    OWNER_LIMIT = "OWNER_LIMIT"
    INVALID_BY_POLICY = "INVALID_BY_POLICY"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True)
class NewName:
    """One name that `register_many` shall register.

    Attributes:
        owner: None: the owner given to `register_many`. The same for `payload` and `ttl`.
        ttl: Seconds, or a timedelta.
    """

    name: str
    owner: str | None = None
    payload: bytes | None = None
    ttl: float | timedelta | None = None


@dataclass(frozen=True, slots=True)
class NameRecord:
    """A holding of a name.

    Attributes:
        name: Canonical, namespace included.
        display_name: As its holder gave it.
        create_revision: Of the change that created the holding; serves as a fence.
        mod_revision: Of its last change.
        create_time: In the log's time, UTC.
        expire_time: When it ends by itself; None: never.
    """

    name: str
    display_name: str
    owner: str
    payload: bytes
    create_revision: int
    mod_revision: int
    create_time: datetime
    expire_time: datetime | None


@dataclass(frozen=True, slots=True)
class RegisterResult:
    """The answer to one register request. True if this request was granted the name.

    Attributes:
        name: As it was asked for.
        refusal: None when registered; also None for the names that an all-or-nothing request
            did not get because of the others.
        record: The new record, or the one in the way, if there is one.
        revision: The registry's revision after the request was decided.
        request_id: Under which the request can be sent again.
        until: HELD_BACK: when anybody may take it, in the log's time.
        in_way: What is in the way where the record does not say it: a name, or the reserved word
            as the policy writes it.
        message: Why the namespace's policy does not take it; for people, and may change.
        policy_reason: The same for programs, such as TOO_SHORT, where the refusal is
            INVALID_BY_POLICY.
    """

    name: str
    registered: bool
    refusal: Refusal | None
    record: NameRecord | None
    revision: int
    request_id: bytes
    until: datetime | None = None
    in_way: str | None = None
    message: str | None = None
    policy_reason: str | None = None

    def __bool__(self) -> bool:
        return self.registered


@dataclass(frozen=True, slots=True)
class RenameResult:
    """The answer to a rename request. True if the name was renamed.

    Attributes:
        record: Under the new name, or the one in the way, if there is one.
        revision: The registry's revision after the request was decided.
        until: This and what follows is as in `RegisterResult`.
    """

    renamed: bool
    refusal: Refusal | None
    record: NameRecord | None
    request_id: bytes
    revision: int = 0
    until: datetime | None = None
    in_way: str | None = None
    message: str | None = None
    policy_reason: str | None = None

    def __bool__(self) -> bool:
        return self.renamed


@dataclass(frozen=True, slots=True)
class LookupResult:
    """The answer to a look-up. True if somebody holds the name.

    Attributes:
        name: As it was asked for.
        record: Of the name; None: nobody holds it.
        redirect: Nobody holds it, but its last holder renamed it: the record under its present
            name. Only where the namespace's policy redirects.
        revision: What the answer reflects.
    """

    name: str
    record: NameRecord | None
    redirect: NameRecord | None
    revision: int

    def __bool__(self) -> bool:
        return self.record is not None


@dataclass(frozen=True, slots=True)
class NameEvent:
    """One change of the registry.

    Attributes:
        kind: `REGISTERED`, `RELEASED`, `UPDATED`, `CONFIRMED`, `EXPIRED`, `RENAMED`,
            `RENAMED_AWAY`, `HANDED_OVER`; of a namespace's policy `POLICY_PENDING`,
            `POLICY_ACTIVE`, `POLICY_ABANDONED`. `OTHER`: one that this version does not know.
        record: As the change left it; of a holding that ended, as it was. None: of a policy.
        time: In the log's time, UTC.
        other_name: RENAMED: the old name; RENAMED_AWAY: the new one. Else None.
        namespace: Of a policy: whose. Else None.
    """

    revision: int
    kind: str
    record: NameRecord | None
    time: datetime
    other_name: str | None = None
    namespace: str | None = None


# As these classes, and made faster.
made_record = maker(NameRecord)
made_result = maker(RegisterResult)


def record_from(message: registry_pb2.NameRecord) -> NameRecord:
    """The record as an application sees it."""
    return made_record(
        message.name,
        message.display_name,
        message.owner,
        message.payload,
        message.create_revision,
        message.mod_revision,
        time_from(message.create_time),
        time_from(message.expire_time) if message.HasField("expire_time") else None,
    )


def register_result_from(
    name: str, message: registry_pb2.RegisterResponse, request_id: bytes
) -> RegisterResult:
    """The answer to a register request for `name` under `request_id`."""
    if message.registered:  # nothing but the record is to be said
        record = record_from(message.record)
        return made_result(name, True, None, record, message.revision, request_id)
    return RegisterResult(
        name=name,
        registered=message.registered,
        refusal=_refusal(message.refusal),
        record=record_from(message.record) if message.HasField("record") else None,
        revision=message.revision,
        request_id=request_id,
        **_why(message),
    )


def rename_result_from(message: registry_pb2.RenameResponse, request_id: bytes) -> RenameResult:
    """The answer to a rename request under `request_id`."""
    return RenameResult(
        renamed=message.renamed,
        refusal=_refusal(message.refusal),
        record=record_from(message.record) if message.HasField("record") else None,
        request_id=request_id,
        revision=message.revision,
        **_why(message),
    )


def lookup_result_from(name: str, message: registry_pb2.LookupResponse) -> LookupResult:
    """The answer to a look-up of `name`."""
    return LookupResult(
        name=name,
        record=record_from(message.record) if message.found else None,
        redirect=record_from(message.redirect) if message.HasField("redirect") else None,
        revision=message.revision,
    )


def event_from(message: registry_pb2.Event) -> NameEvent:
    """One change of the feed."""
    try:
        kind = registry_pb2.Event.Kind.Name(message.kind)
    except ValueError:
        kind = "OTHER"
    return NameEvent(
        revision=message.revision,
        kind=kind,
        record=record_from(message.record) if message.HasField("record") else None,
        time=time_from(message.time),
        other_name=message.other_name or None,
        namespace=message.namespace or None,
    )


class _Why(TypedDict):
    """What both kinds of results say of a refusal."""

    until: datetime | None
    in_way: str | None
    message: str | None
    policy_reason: str | None


_REFUSALS = {
    registry_pb2.REFUSAL_UNSPECIFIED: None,
    registry_pb2.TAKEN: Refusal.TAKEN,
    registry_pb2.RESERVED_WORD: Refusal.RESERVED_WORD,
    registry_pb2.CONFUSABLE: Refusal.CONFUSABLE,
    registry_pb2.HELD_BACK: Refusal.HELD_BACK,
    registry_pb2.OWNER_LIMIT: Refusal.OWNER_LIMIT,
    registry_pb2.INVALID_BY_POLICY: Refusal.INVALID_BY_POLICY,
}


def _refusal(number: registry_pb2.Refusal.ValueType) -> Refusal | None:
    return _REFUSALS.get(number, Refusal.OTHER)


def _why(message: registry_pb2.RegisterResponse | registry_pb2.RenameResponse) -> _Why:
    return {
        "until": time_from(message.until) if message.HasField("until") else None,
        "in_way": message.in_way or None,
        "message": message.message or None,
        "policy_reason": message.policy_reason or None,
    }
