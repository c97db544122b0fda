"""Which reads may share a barrier."""

from __future__ import annotations

import asyncio

import pytest

from namestore.errors import NoLeader, NoQuorum
from namestore.server.barriers import ReadBarriers
from namestore.server.bridge import Mailbox
from tests.support.replica import FakeReplica


async def turns() -> None:
    """Lets everything that is due on the loop happen."""
    for _ in range(10):
        await asyncio.sleep(0)


def barriers_over(replica: FakeReplica) -> ReadBarriers:
    return ReadBarriers(replica, Mailbox(asyncio.get_running_loop()))


async def test_reads_that_arrive_together_share_a_barrier() -> None:
    """A hundred readers, one round."""
    replica = FakeReplica()
    barriers = barriers_over(replica)
    await asyncio.gather(*(barriers.wait(30) for _ in range(100)))
    assert replica.calls.barriers == 1


async def test_a_read_never_joins_a_barrier_that_was_issued() -> None:
    """A write may have been answered after it was issued and before the read arrived."""
    replica = FakeReplica()
    replica.switches.hold = True
    barriers = barriers_over(replica)
    first = asyncio.create_task(barriers.wait(30))
    await turns()
    assert replica.calls.barriers == 1
    later = [asyncio.create_task(barriers.wait(30)) for _ in range(5)]
    await turns()
    assert replica.calls.barriers == 1
    replica.let_go()
    replica.switches.hold = True
    await first
    await turns()
    assert replica.calls.barriers == 2
    assert not any(task.done() for task in later)
    replica.let_go()
    await asyncio.gather(*later)
    assert replica.calls.barriers == 2


async def test_a_refusal_reaches_every_read_of_the_barrier() -> None:
    """And the next barrier is issued afresh."""
    replica = FakeReplica()
    replica.switches.leader = False
    barriers = barriers_over(replica)
    results = await asyncio.gather(*(barriers.wait(30) for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [NoLeader] * 3
    replica.switches.leader = True
    await barriers.wait(30)
    assert replica.calls.barriers == 2


@pytest.mark.parametrize(("quorum", "kind"), ((True, NoLeader), (False, NoQuorum)))
async def test_a_read_ends_at_its_own_deadline(quorum: bool, kind: type[Exception]) -> None:
    """Although the replica never calls back, and another read of the barrier has more time."""
    replica = FakeReplica()
    replica.switches.drop_answers = True
    barriers = barriers_over(replica)
    patient = asyncio.create_task(barriers.wait(30))
    hasty = asyncio.create_task(barriers.wait(0.01))
    await turns()
    replica.switches.quorum = quorum
    with pytest.raises(kind):
        await hasty
    assert not patient.done()
    assert replica.calls.timeouts[0] > 20
    patient.cancel()


async def test_a_cancelled_read_leaves_the_others_alone() -> None:
    """They share a barrier, not a fate."""
    replica = FakeReplica()
    replica.switches.hold = True
    barriers = barriers_over(replica)
    gone, stays = (asyncio.create_task(barriers.wait(30)) for _ in range(2))
    await turns()
    gone.cancel()
    replica.let_go()
    await stays
    assert gone.cancelled()
