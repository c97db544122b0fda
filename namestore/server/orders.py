"""What operators order of a cluster: who belongs to it, and who leads. Free of gRPC.

Takes and returns protobuf messages, and raises `NamestoreError`. It checks what can be checked
without the cluster; the leader decides. Belongs to one event loop, that of the first call.

Invariant: an order that was handed to the replica ends in what the replica said or in
`OutcomeUnknown`. Asking again is always right: an order that is carried out already is joined.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from namestore.config import split_address, unusable_node_id
from namestore.errors import ClientMisuse, ConfigError, InvalidRequest, OutcomeUnknown, ShuttingDown
from namestore.raft.replica import MemberInfo, Replica
from namestore.server.bridge import Mailbox, Reply
from namestore.server.reports import member_message
from namestore.v1 import cluster_pb2 as pb

T = TypeVar("T")
Members = tuple[MemberInfo, ...]

# The replica gets a little less time than the call has, so that its answer, which knows whether
# anything was done, arrives before this side has to say that it does not know. The Raft thread
# looks at deadlines when it wakes, and naps for up to 50 ms: the margin is no less than that.
_REPLICA_SHARE, _REPLICA_MARGIN_S = 0.9, 0.1


class Orders:
    """`AddMember`, `RemoveMember` and `TransferLeadership` of `Cluster`, on one node.

    Args:
        replica: Started. Not owned.
    """

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._draining = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._mailbox: Mailbox

    async def add_member(
        self, request: pb.AddMemberRequest, timeout: float
    ) -> pb.AddMemberResponse:
        """Has a node join; returns once it counts."""
        member = self._checked_member(request.member)
        reply: Reply[Members] = self._reply(timeout, "Status shows the members; ask again")
        self._replica.add_member(member, for_replica(timeout), reply.post)
        return pb.AddMemberResponse(members=map(member_message, await reply.future))

    async def remove_member(
        self, request: pb.RemoveMemberRequest, timeout: float
    ) -> pb.RemoveMemberResponse:
        """Has a node leave; returns once it counts no more."""
        node_id = _checked_id(request.node_id, "node_id")
        reply: Reply[Members] = self._reply(timeout, "Status shows the members; ask again")
        self._replica.remove_member(node_id, for_replica(timeout), reply.post)
        return pb.RemoveMemberResponse(members=map(member_message, await reply.future))

    async def transfer_leadership(
        self, request: pb.TransferLeadershipRequest, timeout: float
    ) -> pb.TransferLeadershipResponse:
        """Hands leadership to another node."""
        node_id = _checked_id(request.node_id, "node_id") if request.node_id else None
        if self._draining:
            raise shutting_down()
        leader_id = await self.hand_over(node_id, timeout)
        return pb.TransferLeadershipResponse(leader_id=leader_id)

    async def hand_over(self, node_id: str | None, timeout: float) -> str:
        """As `transfer_leadership`, also while draining; returns the new leader's id."""
        reply: Reply[str] = self._reply(timeout, "Status shows who leads", draining=True)
        self._replica.transfer_leadership(node_id, for_replica(timeout), reply.post)
        return await reply.future

    def begin_drain(self) -> None:
        """Refuses every order from now on; those under way go on."""
        self._draining = True

    def _reply(self, timeout: float, advice: str, *, draining: bool = False) -> Reply[T]:
        if self._draining and not draining:
            raise shutting_down()
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop, self._mailbox = loop, Mailbox(loop)
        elif self._loop is not loop:
            raise ClientMisuse("this node is used from a second event loop")
        late: Callable[[], OutcomeUnknown] = lambda: OutcomeUnknown(  # noqa: E731  no name fits
            f"the order was handed on and not answered in time; {advice}"
        )
        return Reply(self._mailbox, timeout, late, lambda: None)

    def _checked_member(self, member: pb.Member) -> MemberInfo:
        node_id = _checked_id(member.node_id, "member.node_id")
        addresses = {"raft_address": member.raft_address, "grpc_address": member.grpc_address}
        for field, address in addresses.items():
            _check_address(address, f"member.{field}")
            for other in self._replica.status().members:
                taken = (other.raft_address, other.grpc_address)
                if other.node_id != node_id and address in taken:
                    raise InvalidRequest(
                        f"{address} is an address of {other.node_id}; give that of {node_id}",
                        field=f"member.{field}",
                    )
        if member.raft_address == member.grpc_address:
            raise InvalidRequest(
                "raft_address and grpc_address must differ", field="member.raft_address"
            )
        return MemberInfo(node_id, member.raft_address, member.grpc_address, voter=True)


def for_replica(timeout: float) -> float:
    """The part of a call's time that the replica gets."""
    return max(0.0, min(timeout * _REPLICA_SHARE, timeout - _REPLICA_MARGIN_S))


def shutting_down() -> ShuttingDown:
    """What a node answers while it drains."""
    return ShuttingDown("this node is about to stop; ask another one")


def _checked_id(node_id: str, field: str) -> str:
    if unusable := unusable_node_id(node_id):
        raise InvalidRequest(f"{field} {unusable}", field=field)
    return node_id


def _check_address(address: str, field: str) -> None:
    try:
        _, port = split_address(address)
    except ConfigError:
        port = 0
    if port == 0:
        raise InvalidRequest(f"{field} must be host:port, such as 127.0.0.1:7204", field=field)
