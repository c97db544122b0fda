"""What a node does for a caller, over a replica in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from namestore import errors
from namestore.config import LimitsConfig, dev_config
from namestore.server.gateway import Gateway
from namestore.v1 import cluster_pb2
from namestore.v1 import registry_pb2 as pb
from tests.support.replica import FakeReplica

WAIT = 30.0


@pytest.fixture
def replica() -> FakeReplica:
    return FakeReplica()


@pytest.fixture
def gateway(replica: FakeReplica) -> Gateway:
    return Gateway(replica, dev_config("unused"), "dev")


def wish(name: str, **fields: Any) -> pb.RegisterRequest:
    return pb.RegisterRequest(name=name, **fields)


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_register_grants_once_and_knows_the_retry(gateway: Gateway) -> None:
    """The same request hears true again; any other hears who holds the name."""
    request = wish("user:a", owner="one", request_id=b"r1", payload=b"p")
    first = await gateway.register(request, WAIT)
    assert first.registered
    assert (first.record.owner, first.record.payload, first.revision) == ("one", b"p", 1)
    assert await gateway.register(request, WAIT) == first
    other = await gateway.register(wish("user:a", owner="one", request_id=b"r2"), WAIT)
    assert (other.registered, other.refusal, other.record) == (False, pb.TAKEN, first.record)


async def test_register_refuses_a_reused_request_id(gateway: Gateway) -> None:
    """Another request under an old id is neither the old one nor a new one."""
    await gateway.register(wish("user:a"), WAIT)
    await gateway.register(wish("user:a", request_id=b"r"), WAIT)
    with pytest.raises(errors.InvalidRequest, match="different request") as caught:
        await gateway.register(wish("user:b", request_id=b"r"), WAIT)
    assert caught.value.metadata == {"field": "request_id"}
    assert "batch" not in caught.value.message
    batch = pb.RegisterManyRequest(requests=[wish("user:c"), wish("user:d", request_id=b"r")])
    with pytest.raises(errors.InvalidRequest) as caught:
        await gateway.register_many(batch, WAIT)
    assert caught.value.metadata == {"field": "requests[1].request_id"}
    assert "of an independent batch, the other requests were decided" in caught.value.message


async def test_register_many_answers_in_order(gateway: Gateway, replica: FakeReplica) -> None:
    """One proposal, one result for each, in order; a name taken within the batch is taken."""
    batch = pb.RegisterManyRequest(requests=[wish("user:a"), wish("user:b"), wish("user:a")])
    results = (await gateway.register_many(batch, WAIT)).results
    assert [result.registered for result in results] == [True, True, False]
    assert [len(commands) for commands in replica.calls.proposals] == [3]


async def test_register_many_all_or_nothing(gateway: Gateway) -> None:
    """One name in the way brings the others down; they are not called taken."""
    mode = pb.RegisterManyRequest.ALL_OR_NOTHING
    await gateway.register(wish("user:b", owner="first"), WAIT)
    batch = pb.RegisterManyRequest(requests=[wish("user:a"), wish("user:b")], mode=mode)
    free, taken = (await gateway.register_many(batch, WAIT)).results
    assert (free.registered, free.refusal) == (False, pb.REFUSAL_UNSPECIFIED)
    assert (taken.refusal, taken.record.owner) == (pb.TAKEN, "first")
    batch = pb.RegisterManyRequest(requests=[wish("user:c"), wish("user:d")], mode=mode)
    assert all(r.registered for r in (await gateway.register_many(batch, WAIT)).results)


async def test_an_invalid_request_reaches_no_replica(
    gateway: Gateway, replica: FakeReplica
) -> None:
    """One invalid request refuses its whole batch before any of it is proposed."""
    batch = pb.RegisterManyRequest(requests=[wish("user:a"), wish("bad")])
    with pytest.raises(errors.InvalidName):
        await gateway.register_many(batch, WAIT)
    assert replica.calls.proposals == []


async def test_release_says_why_not(gateway: Gateway) -> None:
    """Not found, not the owner, a stale fence: errors. A release happens once."""
    record = (await gateway.register(wish("user:a", owner="o"), WAIT)).record
    request = pb.ReleaseRequest(name="user:a", owner="other")
    with pytest.raises(errors.NotOwner) as caught:
        await gateway.release(request, WAIT)
    assert caught.value.metadata == {"create_revision": str(record.create_revision)}
    request = pb.ReleaseRequest(name="user:a", owner="o", create_revision=99)
    with pytest.raises(errors.StaleFence):
        await gateway.release(request, WAIT)
    request = pb.ReleaseRequest(name="user:a", owner="o", request_id=b"x")
    released = await gateway.release(request, WAIT)
    assert (released.released, released.revision) == (True, 2)
    assert await gateway.release(request, WAIT) == released
    with pytest.raises(errors.NameNotFound):
        await gateway.release(pb.ReleaseRequest(name="user:a", owner="o"), WAIT)


async def test_lookups_say_who_holds_a_name(gateway: Gateway, replica: FakeReplica) -> None:
    """Linearizable ones wait for a barrier, stale ones do not."""
    await gateway.register(wish("user:a", owner="o"), WAIT)
    found = await gateway.lookup(pb.LookupRequest(name="user:a"), WAIT)
    assert (found.found, found.record.owner, found.revision) == (True, "o", 1)
    assert replica.calls.barriers == 1
    replica.switches.quorum = False
    stale = pb.LookupManyRequest(names=["user:b", "user:a"], consistency=pb.STALE)
    results = (await gateway.lookup_many(stale, WAIT)).results
    assert [result.found for result in results] == [False, True]
    assert replica.calls.barriers == 1
    with pytest.raises(errors.NoQuorum):
        await gateway.lookup(pb.LookupRequest(name="user:a"), WAIT)


async def test_list_turns_every_page_once(gateway: Gateway) -> None:
    """Names that begin with the prefix, in byte order, each exactly once."""
    names = [f"user:{n:03}" for n in range(25)]
    for name in ("post:x", *reversed(names), "userx:y", "user:é"):
        await gateway.register(wish(name), WAIT)
    seen: list[str] = []
    request = pb.ListRequest(prefix="user:", page_size=10)
    while True:
        page = await gateway.list(request, WAIT)
        assert len(page.records) <= 10
        assert page.revision == 28
        seen += [record.name for record in page.records]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert seen == [*names, "user:é"]
    everything = await gateway.list(pb.ListRequest(), WAIT)
    assert len(everything.records) == 28
    exact = await gateway.list(pb.ListRequest(prefix="user:", page_size=26), WAIT)
    assert (len(exact.records), exact.next_page_token) == (26, "")


async def test_a_page_fits_into_a_message(gateway: Gateway) -> None:
    """A page of the largest records ends early rather than outgrow what callers take."""
    for start in range(0, 1000, 250):
        wishes = [
            wish(f"user:{n:04}" + "e\u0301" * 250, owner="o" * 256, payload=b"p" * 1024)
            for n in range(start, start + 250)
        ]
        await gateway.register_many(pb.RegisterManyRequest(requests=wishes), WAIT)
    first = await gateway.list(pb.ListRequest(page_size=1000), WAIT)
    assert first.ByteSize() < 4 * 1024 * 1024
    assert first.next_page_token
    second = await gateway.list(pb.ListRequest(page_token=first.next_page_token), WAIT)
    assert len(first.records) + len(second.records) == 1000


Ask = Callable[[Gateway, float], Awaitable[Any]]
WRITES: tuple[Ask, ...] = (
    lambda gateway, timeout: gateway.register(wish("user:a"), timeout),
    lambda gateway, timeout: gateway.register_many(
        pb.RegisterManyRequest(requests=[wish("user:a")]), timeout
    ),
    lambda gateway, timeout: gateway.release(pb.ReleaseRequest(name="user:a"), timeout),
)
READS: tuple[Ask, ...] = (
    lambda gateway, timeout: gateway.lookup(pb.LookupRequest(name="user:a"), timeout),
    lambda gateway, timeout: gateway.lookup_many(pb.LookupManyRequest(names=["user:a"]), timeout),
    lambda gateway, timeout: gateway.list(pb.ListRequest(), timeout),
)


@pytest.mark.parametrize("write", WRITES)
async def test_a_write_that_is_never_answered_is_unknown(
    gateway: Gateway, replica: FakeReplica, write: Ask
) -> None:
    """It was handed over: only the replica could have said that it was not applied."""
    replica.switches.drop_answers = True
    with pytest.raises(errors.OutcomeUnknown):
        await write(gateway, 0.01)


@pytest.mark.parametrize("read", READS)
async def test_a_read_that_is_never_answered_is_unavailable(
    gateway: Gateway, replica: FakeReplica, read: Ask
) -> None:
    """It changes nothing: it may be asked again, anywhere."""
    replica.switches.drop_answers = True
    with pytest.raises(errors.NoLeader):
        await read(gateway, 0.01)


@pytest.mark.parametrize("ask", WRITES + READS)
@pytest.mark.parametrize(
    ("switch", "kind"),
    (("quorum", errors.NoQuorum), ("leader", errors.NoLeader), ("overloaded", errors.Overloaded)),
)
async def test_what_the_replica_says_is_what_the_caller_hears(
    gateway: Gateway, replica: FakeReplica, ask: Ask, switch: str, kind: type[Exception]
) -> None:
    """The replica's certainty is passed on, and counts as an error of the server's."""
    setattr(replica.switches, switch, not getattr(replica.switches, switch))
    with pytest.raises(kind):
        await ask(gateway, WAIT)
    assert (await gateway.status(cluster_pb2.StatusRequest(), WAIT)).error_rate == 1.0


async def test_the_replica_answers_before_the_gateway_gives_up(
    gateway: Gateway, replica: FakeReplica
) -> None:
    """It gets a little less time, because it alone knows whether anything was done."""
    await gateway.register(wish("user:a"), 10.0)
    assert replica.calls.timeouts == [9.0]


async def test_a_call_without_time_left_is_not_handed_over(
    gateway: Gateway, replica: FakeReplica
) -> None:
    """So that it can be said with certainty that nothing was done."""
    with pytest.raises(errors.Overloaded, match="deadline"):
        await gateway.register(wish("user:a"), 0.0)
    assert replica.calls.proposals == []


async def test_admission_bounds_what_waits(replica: FakeReplica) -> None:
    """Names are counted, also those of callers who gave up, until the replica is done with them."""
    limits = LimitsConfig(pending_commands_max=3)
    gateway = Gateway(replica, replace(dev_config("unused"), limits=limits), "dev")
    replica.switches.hold = True
    gone = asyncio.create_task(gateway.register(wish("user:a"), WAIT))
    two = pb.RegisterManyRequest(requests=[wish("user:b"), wish("user:c")])
    stays = asyncio.create_task(gateway.register_many(two, WAIT))
    await turns()
    gone.cancel()
    await turns()
    with pytest.raises(errors.Overloaded, match="3 names are waiting"):
        await gateway.register(wish("user:d"), WAIT)
    assert len(replica.calls.proposals) == 2
    replica.let_go()
    await stays
    assert (await gateway.register(wish("user:d"), WAIT)).registered


async def test_admission_counts_bytes(replica: FakeReplica) -> None:
    """A few large requests can be as many as many small ones."""
    limits = LimitsConfig(pending_bytes_max=1500)
    gateway = Gateway(replica, replace(dev_config("unused"), limits=limits), "dev")
    replica.switches.hold = True
    first = asyncio.create_task(gateway.register(wish("user:a", payload=b"p" * 1000), WAIT))
    await turns()
    with pytest.raises(errors.Overloaded, match="bytes"):
        await gateway.register(wish("user:b", payload=b"p" * 1000), WAIT)
    replica.let_go()
    await first


async def test_draining_finishes_what_is_under_way(gateway: Gateway, replica: FakeReplica) -> None:
    """New calls are refused as not applied; status still answers."""
    replica.switches.hold = True
    under_way = asyncio.create_task(gateway.register(wish("user:a"), WAIT))
    await turns()
    assert gateway.serving
    gateway.begin_drain()
    drained = asyncio.create_task(gateway.drained())
    assert not gateway.serving
    for ask in WRITES + READS:
        with pytest.raises(errors.ShuttingDown):
            await ask(gateway, WAIT)
    assert (await gateway.status(cluster_pb2.StatusRequest(), WAIT)).node_id == "dev"
    assert not drained.done()
    replica.let_go()
    assert (await under_way).registered
    await drained


async def test_an_idle_node_is_drained_at_once(gateway: Gateway) -> None:
    """Nothing is under way, nothing is waited for."""
    gateway.begin_drain()
    await gateway.drained()


async def test_refusals_are_no_errors_of_the_servers(gateway: Gateway) -> None:
    """A caller's mistake and a name that is not found leave the error rate alone."""
    with pytest.raises(errors.InvalidName):
        await gateway.register(wish("bad"), WAIT)
    with pytest.raises(errors.NameNotFound):
        await gateway.release(pb.ReleaseRequest(name="user:a"), WAIT)
    status = await gateway.status(cluster_pb2.StatusRequest(), WAIT)
    assert status.error_rate == 0.0
    assert status.response_time_ms_mean > 0.0


async def test_status_tells_this_nodes_view(replica: FakeReplica) -> None:
    """Clocks are injected: uptime from one, the last heartbeat from the other."""
    now = [100.0]
    gateway = Gateway(
        replica, dev_config("unused"), "dev", clock=lambda: now[0], wall_clock=lambda: 5000.0
    )
    await gateway.register(wish("user:a"), WAIT)
    now[0] += 2.5
    status = await gateway.status(cluster_pb2.StatusRequest(), WAIT)
    assert (status.role, status.leader_id) == (cluster_pb2.LEADER, "dev")
    assert status.leader_grpc_address == "127.0.0.1:7101"
    assert (status.cluster_name, status.revision, status.name_count) == ("dev", 1, 1)
    assert (status.uptime.ToMilliseconds(), status.last_heartbeat.seconds) == (2500, 5000)
    replica.switches.leader = False
    status = await gateway.status(cluster_pb2.StatusRequest(), WAIT)
    assert (status.leader_id, status.leader_grpc_address) == ("", "")
    assert not status.HasField("last_heartbeat")


async def test_transfer_leadership_names_the_new_leader(
    gateway: Gateway, replica: FakeReplica
) -> None:
    """Empty: whichever follower is furthest."""
    request = cluster_pb2.TransferLeadershipRequest()
    assert (await gateway.orders.transfer_leadership(request, WAIT)).leader_id == "n2"
    request.node_id = "n3"
    assert (await gateway.orders.transfer_leadership(request, WAIT)).leader_id == "n3"
    assert replica.calls.transfers == [None, "n3"]
    replica.switches.drop_answers = True
    with pytest.raises(errors.OutcomeUnknown):
        await gateway.orders.transfer_leadership(request, 0.01)


def test_a_second_event_loop_is_a_misuse(gateway: Gateway) -> None:
    """Answers are delivered on the loop of the first call, and nowhere else."""
    asyncio.run(gateway.register(wish("user:a"), WAIT))
    with pytest.raises(errors.ClientMisuse, match="event loop"):
        asyncio.run(gateway.register(wish("user:b"), WAIT))
