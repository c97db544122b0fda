"""What the client hands to applications: frozen values, free of gRPC and protobuf.

Not responsible for any decision: it only translates answers. Invariant: a value never changes
after it was handed out, and a field the server did not set is None, never a made-up value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum

from google.protobuf.timestamp_pb2 import Timestamp

from namestore.errors import NamestoreError
from namestore.v1 import cluster_pb2, registry_pb2


class Refusal(Enum):
    """Why a name was not granted. `OTHER`: a reason that this version does not know."""

    TAKEN = "TAKEN"
    RESERVED_WORD = "RESERVED_WORD"
    CONFUSABLE = "CONFUSABLE"
    HELD_BACK = "HELD_BACK"
    OTHER = "OTHER"


class NodeRole(Enum):
    """What a node is in the cluster. `UNKNOWN`: a role that this version does not know."""

    FOLLOWER = "follower"
    CANDIDATE = "candidate"
    LEADER = "leader"
    LEARNER = "learner"
    UNKNOWN = "unknown"


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
    """

    name: str
    registered: bool
    refusal: Refusal | None
    record: NameRecord | None
    revision: int
    request_id: bytes

    def __bool__(self) -> bool:
        return self.registered


@dataclass(frozen=True, slots=True)
class RenameResult:
    """The answer to a rename request. True if the name was renamed."""

    renamed: bool
    refusal: Refusal | None
    record: NameRecord | None
    request_id: bytes

    def __bool__(self) -> bool:
        return self.renamed


@dataclass(frozen=True, slots=True)
class NameEvent:
    """One change of the registry. `kind` is `REGISTERED`, `RELEASED`, … as in the wire contract."""

    revision: int
    kind: str
    record: NameRecord
    time: datetime


@dataclass(frozen=True, slots=True)
class PeerState:
    """What a node knows of another. The last two are known to the leader only."""

    node_id: str
    connected: bool
    lag_entries: int | None
    match_index: int | None


@dataclass(frozen=True, slots=True)
class MemberState:
    """A member of the cluster. Addresses are host:port as that node's configuration has them."""

    node_id: str
    raft_address: str
    grpc_address: str
    voter: bool


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """One node's view of itself and of the cluster.

    Attributes:
        leader_id: Empty: it knows of no leader.
        leader_grpc_address: As that node's configuration has it; empty: unknown.
        response_time_ms_mean: Over the last minute of calls to it.
        error_rate: Share of those calls that ended in an error of its own making, 0 to 1.
        last_heartbeat: When it last heard from the leader, by its own clock; None: never.
        warnings: What somebody should look at, in sentences.
    """

    node_id: str
    cluster_name: str
    role: NodeRole
    leader_id: str
    leader_grpc_address: str
    term: int
    commit_index: int
    applied_index: int
    revision: int
    name_count: int
    response_time_ms_mean: float
    error_rate: float
    region: str
    uptime: timedelta
    has_quorum: bool
    last_heartbeat: datetime | None
    version: str
    peers: tuple[PeerState, ...]
    members: tuple[MemberState, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EndpointStatus:
    """What came of asking one endpoint for its status: `node`, or else `error`."""

    endpoint: str
    node: NodeStatus | None
    error: NamestoreError | None


def record_from(message: registry_pb2.NameRecord) -> NameRecord:
    """The record as an application sees it."""
    return NameRecord(
        name=message.name,
        display_name=message.display_name,
        owner=message.owner,
        payload=message.payload,
        create_revision=message.create_revision,
        mod_revision=message.mod_revision,
        create_time=_time(message.create_time),
        expire_time=_time(message.expire_time) if message.HasField("expire_time") else None,
    )


def register_result_from(
    name: str, message: registry_pb2.RegisterResponse, request_id: bytes
) -> RegisterResult:
    """The answer to a register request for `name` under `request_id`."""
    return RegisterResult(
        name=name,
        registered=message.registered,
        refusal=_refusal(message.refusal),
        record=record_from(message.record) if message.HasField("record") else None,
        revision=message.revision,
        request_id=request_id,
    )


def rename_result_from(message: registry_pb2.RenameResponse, request_id: bytes) -> RenameResult:
    """The answer to a rename request under `request_id`."""
    return RenameResult(
        renamed=message.renamed,
        refusal=_refusal(message.refusal),
        record=record_from(message.record) if message.HasField("record") else None,
        request_id=request_id,
    )


def event_from(message: registry_pb2.Event) -> NameEvent:
    """One change of the feed."""
    try:
        kind = registry_pb2.Event.Kind.Name(message.kind)
    except ValueError:
        kind = "OTHER"
    return NameEvent(message.revision, kind, record_from(message.record), _time(message.time))


def status_from(message: cluster_pb2.StatusResponse) -> NodeStatus:
    """One node's view."""
    heard = message.HasField("last_heartbeat")
    return NodeStatus(
        node_id=message.node_id,
        cluster_name=message.cluster_name,
        role=_ROLES.get(message.role, NodeRole.UNKNOWN),
        leader_id=message.leader_id,
        leader_grpc_address=message.leader_grpc_address,
        term=message.term,
        commit_index=message.commit_index,
        applied_index=message.applied_index,
        revision=message.revision,
        name_count=message.name_count,
        response_time_ms_mean=message.response_time_ms_mean,
        error_rate=message.error_rate,
        region=message.region,
        uptime=message.uptime.ToTimedelta(),
        has_quorum=message.has_quorum,
        last_heartbeat=_time(message.last_heartbeat) if heard else None,
        version=message.version,
        peers=tuple(_peer(peer) for peer in message.peers),
        members=members_from(message.members),
        warnings=tuple(message.warnings),
    )


def members_from(messages: Iterable[cluster_pb2.Member]) -> tuple[MemberState, ...]:
    """The members of a cluster."""
    return tuple(MemberState(m.node_id, m.raft_address, m.grpc_address, m.voter) for m in messages)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_ROLES = {
    cluster_pb2.FOLLOWER: NodeRole.FOLLOWER,
    cluster_pb2.CANDIDATE: NodeRole.CANDIDATE,
    cluster_pb2.LEADER: NodeRole.LEADER,
    cluster_pb2.LEARNER: NodeRole.LEARNER,
}

_REFUSALS = {
    registry_pb2.REFUSAL_UNSPECIFIED: None,
    registry_pb2.TAKEN: Refusal.TAKEN,
    registry_pb2.RESERVED_WORD: Refusal.RESERVED_WORD,
    registry_pb2.CONFUSABLE: Refusal.CONFUSABLE,
    registry_pb2.HELD_BACK: Refusal.HELD_BACK,
}


def _refusal(number: registry_pb2.Refusal.ValueType) -> Refusal | None:
    return _REFUSALS.get(number, Refusal.OTHER)


def _peer(message: cluster_pb2.PeerStatus) -> PeerState:
    return PeerState(
        node_id=message.node_id,
        connected=message.connected,
        lag_entries=message.lag_entries if message.HasField("lag_entries") else None,
        match_index=message.match_index if message.HasField("match_index") else None,
    )


def _time(stamp: Timestamp) -> datetime:
    return _EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)
