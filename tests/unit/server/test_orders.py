"""What operators order, over a replica in memory."""

from __future__ import annotations

import asyncio

import pytest

from namestore import errors
from namestore.raft.replica import MemberInfo
from namestore.server.orders import Orders
from namestore.v1 import cluster_pb2 as pb
from tests.support.replica import FakeReplica

WAIT = 30.0


@pytest.fixture
def replica() -> FakeReplica:
    return FakeReplica()


def adding(**fields: str) -> pb.AddMemberRequest:
    member = {"node_id": "n4", "raft_address": "h:7204", "grpc_address": "h:7104", **fields}
    return pb.AddMemberRequest(member=pb.Member(**member))  # type: ignore[arg-type]


async def test_a_member_is_added_and_removed(replica: FakeReplica) -> None:
    """The answer is the members afterwards; a newcomer is meant to become a voter."""
    orders = Orders(replica)
    added = await orders.add_member(adding(), WAIT)
    assert [member.node_id for member in added.members] == ["dev", "n4"]
    assert replica.calls.added == [MemberInfo("n4", "h:7204", "h:7104", voter=True)]
    left = await orders.remove_member(pb.RemoveMemberRequest(node_id="n4"), WAIT)
    assert [member.node_id for member in left.members] == ["dev"]


@pytest.mark.parametrize(
    ("fields", "field"),
    (
        ({"node_id": ""}, "member.node_id"),
        ({"node_id": "-n"}, "member.node_id"),
        ({"raft_address": "h"}, "member.raft_address"),
        ({"raft_address": "h:0"}, "member.raft_address"),
        ({"grpc_address": ""}, "member.grpc_address"),
        ({"raft_address": "h:1", "grpc_address": "h:1"}, "member.raft_address"),
        ({"grpc_address": "127.0.0.1:7101"}, "member.grpc_address"),
    ),
)
async def test_a_member_that_cannot_be_reaches_no_replica(
    replica: FakeReplica, fields: dict[str, str], field: str
) -> None:
    """An id that is none, an address that is none, or another member's."""
    with pytest.raises(errors.InvalidRequest) as caught:
        await Orders(replica).add_member(adding(**fields), WAIT)
    assert caught.value.metadata == {"field": field}
    assert replica.calls.added == []


async def test_what_the_replica_says_is_what_the_caller_hears(replica: FakeReplica) -> None:
    """Refusals pass as they are; silence is an unknown outcome."""
    orders = Orders(replica)
    replica.order_error = errors.ChangeUnderWay("n5 is being added")
    with pytest.raises(errors.ChangeUnderWay):
        await orders.add_member(adding(), WAIT)
    replica.switches.drop_answers = True
    with pytest.raises(errors.OutcomeUnknown, match="ask again"):
        await orders.remove_member(pb.RemoveMemberRequest(node_id="n4"), 0.01)


async def test_a_draining_node_only_hands_over(replica: FakeReplica) -> None:
    """Its own leadership still has to go somewhere."""
    orders = Orders(replica)
    orders.begin_drain()
    for order in (
        orders.add_member(adding(), WAIT),
        orders.remove_member(pb.RemoveMemberRequest(node_id="n4"), WAIT),
        orders.transfer_leadership(pb.TransferLeadershipRequest(), WAIT),
    ):
        with pytest.raises(errors.ShuttingDown):
            await order
    assert await orders.hand_over(None, WAIT) == "n2"
    assert replica.calls.added == []


def test_a_second_event_loop_is_a_misuse(replica: FakeReplica) -> None:
    """Answers are delivered on the loop of the first order, and nowhere else."""
    orders = Orders(replica)
    assert asyncio.run(orders.hand_over("n3", WAIT)) == "n3"
    with pytest.raises(errors.ClientMisuse):
        asyncio.run(orders.hand_over("n3", WAIT))
