"""What nodes say of themselves and of each other, as applications see it.

Not responsible for any decision: it only translates answers. Invariant: as in `values`, a field the
server did not set is None, never a made-up value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from namestore.client.times import time_from
from namestore.errors import NamestoreError
from namestore.v1 import cluster_pb2


class NodeRole(Enum):
    """What a node is in the cluster. `UNKNOWN`: a role that this version does not know."""

    FOLLOWER = "follower"
    CANDIDATE = "candidate"
    LEADER = "leader"
    LEARNER = "learner"
    UNKNOWN = "unknown"


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
        watchers: Callers who follow the changes of names at it.
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
    watchers: int = 0


@dataclass(frozen=True, slots=True)
class EndpointStatus:
    """What came of asking one endpoint for its status: `node`, or else `error`."""

    endpoint: str
    node: NodeStatus | None
    error: NamestoreError | None


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
        last_heartbeat=time_from(message.last_heartbeat) if heard else None,
        version=message.version,
        peers=tuple(_peer(peer) for peer in message.peers),
        members=members_from(message.members),
        warnings=tuple(message.warnings),
        watchers=message.watchers,
    )


def members_from(messages: Iterable[cluster_pb2.Member]) -> tuple[MemberState, ...]:
    """The members of a cluster."""
    return tuple(MemberState(m.node_id, m.raft_address, m.grpc_address, m.voter) for m in messages)


_ROLES = {
    cluster_pb2.FOLLOWER: NodeRole.FOLLOWER,
    cluster_pb2.CANDIDATE: NodeRole.CANDIDATE,
    cluster_pb2.LEADER: NodeRole.LEADER,
    cluster_pb2.LEARNER: NodeRole.LEARNER,
}


def _peer(message: cluster_pb2.PeerStatus) -> PeerState:
    return PeerState(
        node_id=message.node_id,
        connected=message.connected,
        lag_entries=message.lag_entries if message.HasField("lag_entries") else None,
        match_index=message.match_index if message.HasField("match_index") else None,
    )
