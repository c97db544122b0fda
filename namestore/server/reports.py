"""One node's view of itself and the cluster, as `Cluster.Status` tells it."""

from __future__ import annotations

from collections.abc import Callable

from google.protobuf.duration_pb2 import Duration

from namestore import __version__
from namestore.config import ClusterConfig
from namestore.raft.replica import MemberInfo, PeerInfo, ReplicaStatus, Role
from namestore.rpc.responses import timestamp
from namestore.server.metrics import CallFigures
from namestore.v1 import cluster_pb2 as pb

_ROLES = {
    Role.FOLLOWER: pb.FOLLOWER,
    Role.CANDIDATE: pb.CANDIDATE,
    Role.LEADER: pb.LEADER,
    Role.LEARNER: pb.LEARNER,
}


class StatusReport:
    """Writes status responses; keeps what does not change, and when it was made: the start.

    Args:
        config: Of the cluster.
        node_id: Which of its nodes this is.
        clock: Monotonic seconds.
        wall_clock: Seconds since the epoch.
    """

    def __init__(
        self,
        config: ClusterConfig,
        node_id: str,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self._cluster_name = config.name
        self._region = config.node(node_id).region
        self._grpc_addresses = {node.id: node.grpc for node in config.nodes}
        self._raft_addresses = {node.id: node.raft for node in config.nodes}
        self._clock = clock
        self._wall_clock = wall_clock
        self._started = clock()

    def response(self, status: ReplicaStatus, figures: CallFigures) -> pb.StatusResponse:
        """The response for this moment."""
        leader_id = status.leader_id or ""
        response = pb.StatusResponse(
            node_id=status.node_id,
            cluster_name=self._cluster_name,
            role=_ROLES[status.role],
            leader_id=leader_id,
            leader_grpc_address=self._grpc_address(leader_id, status),
            term=status.term,
            commit_index=status.commit_index,
            applied_index=status.applied_index,
            revision=status.meta.revision,
            name_count=status.meta.name_count,
            response_time_ms_mean=figures.response_time_ms_mean,
            error_rate=figures.error_rate,
            region=self._region,
            uptime=_duration(self._clock() - self._started),
            peers=[_peer(peer) for peer in status.peers],
            has_quorum=status.has_quorum,
            version=__version__,
            members=[member_message(member) for member in status.members],
            warnings=self.warnings(status),
        )
        if status.heartbeat_age_ms is not None:
            heard_ms = self._wall_clock() * 1000 - status.heartbeat_age_ms
            response.last_heartbeat.CopyFrom(timestamp(int(heard_ms)))
        return response

    def _grpc_address(self, node_id: str, status: ReplicaStatus) -> str:
        """As this node's file has it, else as the member was added."""
        added = (m.grpc_address for m in status.members if m.node_id == node_id)
        return self._grpc_addresses.get(node_id) or next(added, "")

    def warnings(self, status: ReplicaStatus) -> tuple[str, ...]:
        """What somebody should look at: the replica's findings, and where the files disagree.

        The addresses of two nodes' files may differ for good reasons: it is worth a word only
        where the one of this node's file leads nowhere.
        """
        members = {member.node_id: member for member in status.members}
        unnamed = [
            f"the configuration of {status.node_id} does not name the member {member.node_id}; "
            f'add it to [[nodes]]: raft = "{member.raft_address}", grpc = "{member.grpc_address}"'
            for node_id, member in members.items()
            if node_id not in self._grpc_addresses
        ]
        outside = [
            f"the configuration of {status.node_id} names {node_id}, which is not a member; take "
            "it out of [[nodes]], or add it: namestore-cli members add"
            for node_id in self._grpc_addresses
            if node_id not in members and node_id != status.node_id
        ]
        unreached = [
            f"{status.node_id} does not reach {node_id} at {self._raft_addresses[node_id]}, as its "
            f"configuration has it; it was added as {members[node_id].raft_address}: if it has "
            "moved, correct [[nodes]]"
            for node_id in self._unreached(status)
            if members[node_id].raft_address not in ("", self._raft_addresses[node_id])
        ]
        return (*status.warnings, *unnamed, *outside, *unreached)

    def _unreached(self, status: ReplicaStatus) -> list[str]:
        """Members that this node's file names and that it is not connected to."""
        known = {member.node_id for member in status.members} & set(self._raft_addresses)
        return [
            peer.node_id for peer in status.peers if not peer.connected and peer.node_id in known
        ]


def _duration(seconds: float) -> Duration:
    whole = int(seconds)
    return Duration(seconds=whole, nanos=int((seconds - whole) * 1e9))


def _peer(peer: PeerInfo) -> pb.PeerStatus:
    return pb.PeerStatus(
        node_id=peer.node_id,
        connected=peer.connected,
        lag_entries=peer.lag_entries,
        match_index=peer.match_index,
    )


def member_message(member: MemberInfo) -> pb.Member:
    """A member, as callers see it."""
    return pb.Member(
        node_id=member.node_id,
        raft_address=member.raft_address,
        grpc_address=member.grpc_address,
        voter=member.voter,
    )
