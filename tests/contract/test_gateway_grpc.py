"""A node's services as callers meet them: a real gRPC server over a replica in memory."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from namestore import errors
from namestore.config import ClusterConfig, LimitsConfig, dev_config
from namestore.errors import NamestoreError
from namestore.raft.replica import PeerInfo
from namestore.rpc.status import error_from_rpc
from namestore.server.listening import bind, make_server
from namestore.server.node import EXIT_DONE, EXIT_FATAL, EXIT_REMOVED, Node
from namestore.server.services import time_left
from namestore.v1 import (
    cluster_pb2,
    cluster_pb2_grpc,
    registry_pb2_grpc,
)
from namestore.v1 import (
    registry_pb2 as pb,
)
from tests.support.replica import FakeReplica

REGISTRY = "namestore.v1.NameRegistry"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@dataclass
class Running:
    """A node under test."""

    node: Node
    replica: FakeReplica
    channel: grpc.aio.Channel
    task: asyncio.Task[int]
    exits: list[int]

    @property
    def registry(self) -> registry_pb2_grpc.NameRegistryAsyncStub:
        return registry_pb2_grpc.NameRegistryStub(self.channel)

    async def not_serving(self) -> bool:
        return await self.health(REGISTRY) == NOT_SERVING

    async def asked(self) -> bool:
        return bool(self.replica.calls.proposals)

    async def health(self, service: str) -> int:
        stub = health_pb2_grpc.HealthStub(self.channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
        return int(answer.status)


async def start(directory: Path, **limits: int) -> Running:
    config = replace(dev_config(directory, "127.0.0.1:0"), limits=replace(LimitsConfig(), **limits))
    opened: asyncio.Future[tuple[str, FakeReplica]] = asyncio.get_running_loop().create_future()

    def open_replica(
        config: ClusterConfig, node_id: str, *, on_fatal: Callable[[Exception], None]
    ) -> FakeReplica:
        replica = FakeReplica(node_id, threaded=True)
        replica.on_fatal = on_fatal
        opened.set_result((config.node(node_id).grpc, replica))
        return replica

    exits: list[int] = []
    node = Node(config, "dev", open_replica, exits.append)
    task = asyncio.create_task(node.run())
    address, replica = await opened
    channel = grpc.aio.insecure_channel(address)
    await channel.channel_ready()
    return Running(node, replica, channel, task, exits)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    it = await start(tmp_path)
    yield it
    it.replica.let_go()
    it.node.stop()
    await asyncio.wait_for(it.task, 30)
    await it.channel.close()


async def failure(call: grpc.aio.Call) -> NamestoreError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call  # type: ignore[misc]  # every unary call can be awaited
    return error_from_rpc(caught.value)


async def until(probe: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await probe():  # noqa: ASYNC110  # what is awaited happens elsewhere
            await asyncio.sleep(0.01)


async def test_calls_are_answered_over_the_wire(running: Running) -> None:
    """Register, look up, list, release, status."""
    name = pb.RegisterRequest(name="user:a", owner="o")
    assert (await running.registry.Register(name)).registered
    taken = await running.registry.Register(name)
    assert (taken.registered, taken.refusal, taken.record.owner) == (False, pb.TAKEN, "o")
    assert (await running.registry.Lookup(pb.LookupRequest(name="user:a"))).found
    many = await running.registry.LookupMany(pb.LookupManyRequest(names=["user:b", "user:a"]))
    assert [result.found for result in many.results] == [False, True]
    assert len((await running.registry.List(pb.ListRequest(prefix="user:"))).records) == 1
    released = await running.registry.Release(pb.ReleaseRequest(name="user:a", owner="o"))
    assert released.released
    cluster = cluster_pb2_grpc.ClusterStub(running.channel)
    status = await cluster.Status(cluster_pb2.StatusRequest())
    assert (status.node_id, status.role) == ("dev", cluster_pb2.LEADER)
    assert not status.leader_grpc_address.endswith(":0")


async def test_the_largest_batch_fits(running: Running) -> None:
    """A thousand of the largest requests, and the records in their way on the way back."""
    requests = [
        pb.RegisterRequest(
            name=f"user:{n:04}" + "x" * 508,
            owner="o" * 256,
            payload=b"p" * 1024,
            request_id=os.urandom(64),
        )
        for n in range(1000)
    ]
    batch = pb.RegisterManyRequest(requests=requests)
    assert all(r.registered for r in (await running.registry.RegisterMany(batch)).results)
    requests.append(pb.RegisterRequest(name="user:more"))
    error = await failure(running.registry.RegisterMany(pb.RegisterManyRequest(requests=requests)))
    assert type(error) is errors.InvalidRequest
    assert error.metadata == {"field": "requests"}


async def test_errors_arrive_as_themselves(running: Running) -> None:
    """With their reason and their metadata, whatever their status code is."""
    error = await failure(running.registry.Register(pb.RegisterRequest(name="alice")))
    assert type(error) is errors.InvalidName
    assert error.metadata == {"field": "name"}
    error = await failure(running.registry.Release(pb.ReleaseRequest(name="user:a")))
    assert type(error) is errors.NameNotFound
    running.replica.switches.quorum = False
    error = await failure(running.registry.Register(pb.RegisterRequest(name="user:a")))
    assert type(error) is errors.NoQuorum


@pytest.mark.parametrize("data", (b"\x0a\x02\xff\xfe", b"\x0a\x7f", b"\xff"))
async def test_bytes_that_are_no_request_are_an_invalid_argument(
    running: Running, data: bytes
) -> None:
    """Bad UTF-8, cut off, garbage: the caller's mistake, said with details."""
    error = await failure(running.channel.unary_unary(f"/{REGISTRY}/Register")(data))
    assert type(error) is errors.InvalidRequest
    assert "cannot be decoded" in error.message


async def test_declared_calls_say_that_they_are_not_served(running: Running) -> None:
    """What a later version serves says so, with its reason."""
    cluster = cluster_pb2_grpc.ClusterStub(running.channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await cluster.Backup(cluster_pb2.BackupRequest()).read()
    error = error_from_rpc(caught.value)
    assert type(error) is errors.NotImplementedYet
    assert "later version" in error.message


async def test_a_silent_replica_is_answered_for_within_the_deadline(running: Running) -> None:
    """The node's own answer, with details, arrives before the caller's clock runs out."""
    running.replica.switches.drop_answers = True
    request = pb.RegisterRequest(name="user:a")
    error = await failure(running.registry.Register(request, timeout=1.0))
    assert type(error) is errors.OutcomeUnknown
    assert "handed on" in error.message
    lookup = pb.LookupRequest(name="user:a")
    error = await failure(running.registry.Lookup(lookup, timeout=1.0))
    assert type(error) is errors.NoLeader


def test_time_left_keeps_the_way_back_and_the_limit() -> None:
    """A tenth of the caller's time, at most 100 ms, is kept; the node's limit holds in any case."""
    assert time_left(None, 5.0) == 5.0
    assert time_left(100.0, 5.0) == 5.0
    assert time_left(4.0, 5.0) == pytest.approx(3.9)
    assert time_left(0.5, 5.0) == pytest.approx(0.45)
    assert time_left(0.0, 5.0) == 0.0


async def test_an_unforeseen_error_under_a_write_is_unknown(
    running: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It may have come after the write was handed on; the log holds the traceback."""

    def explode(*_: object) -> None:
        raise ZeroDivisionError("surprise")

    monkeypatch.setattr(running.replica, "propose", explode)
    monkeypatch.setattr(running.replica, "read_barrier", lambda *_: None)
    monkeypatch.setattr(running.replica, "view", explode)
    call = running.registry.Register(pb.RegisterRequest(name="user:a"))
    assert type(await failure(call)) is errors.OutcomeUnknown
    assert await call.code() is grpc.StatusCode.ABORTED
    stale = pb.LookupRequest(name="user:a", consistency=pb.STALE)
    read = running.registry.Lookup(stale)
    assert type(await failure(read)) is errors.OutcomeUnknown
    assert await read.code() is grpc.StatusCode.INTERNAL
    assert "surprise" in caplog.text


async def test_health_follows_the_quorum(running: Running) -> None:
    """The process is alive in any case; the registry serves while a majority is reached."""
    assert await running.health("") == SERVING
    assert await running.health(REGISTRY) == SERVING
    running.replica.switches.quorum = False
    await until(running.not_serving)
    assert await running.health("") == SERVING


async def test_reflection_lists_every_service(running: Running) -> None:
    """A client that knows nothing of namestore finds its calls."""
    stub = reflection_pb2_grpc.ServerReflectionStub(running.channel)
    ask = reflection_pb2.ServerReflectionRequest(list_services="")
    async for answer in stub.ServerReflectionInfo(iter([ask])):
        names = {service.name for service in answer.list_services_response.service}
    assert {REGISTRY, "namestore.v1.Cluster", "namestore.v1.Namespaces"} <= names
    assert {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"} <= names


async def test_a_drain_finishes_calls_hands_over_and_stops(tmp_path: Path) -> None:
    """New calls are refused as not applied, those under way are answered, the exit code is 0."""
    it = await start(tmp_path)
    it.replica.peers = (PeerInfo("n2", connected=True, match_index=1, lag_entries=0),)
    it.replica.switches.hold = True
    under_way = it.registry.Register(pb.RegisterRequest(name="user:a"))
    await until(it.asked)
    it.node.stop()
    await until(it.not_serving)
    error = await failure(it.registry.Register(pb.RegisterRequest(name="user:b")))
    assert type(error) is errors.ShuttingDown
    assert not it.task.done()
    it.replica.let_go()
    assert (await under_way).registered
    assert await asyncio.wait_for(it.task, 30) == EXIT_DONE
    assert it.replica.calls.transfers == [None]
    assert it.replica.calls.stopped
    await it.channel.close()


async def test_a_drain_ends_in_bounded_time(tmp_path: Path) -> None:
    """A replica that never answers and a caller who never hangs up delay it, no more."""
    it = await start(tmp_path, drain_timeout_ms=1_000)
    it.replica.peers = (PeerInfo("n2", connected=True, match_index=1, lag_entries=0),)
    it.replica.switches.drop_answers = True
    watching = health_pb2_grpc.HealthStub(it.channel).Watch(health_pb2.HealthCheckRequest())
    assert (await watching.read()).status == SERVING
    left = it.registry.Register(pb.RegisterRequest(name="user:a"))
    await until(it.asked)
    it.node.stop()
    assert await asyncio.wait_for(it.task, 30) == EXIT_DONE
    assert it.replica.calls.stopped
    assert type(await failure(left)) is errors.OutcomeUnknown
    await it.channel.close()


async def test_a_second_signal_ends_the_process_at_once(running: Running) -> None:
    """The first one begins the drain; whoever signals again does not want to wait for it."""
    running.replica.switches.hold = True
    under_way = running.registry.Register(pb.RegisterRequest(name="user:a"))
    await until(running.asked)
    os.kill(os.getpid(), signal.SIGTERM)
    await until(running.not_serving)
    assert running.exits == []
    os.kill(os.getpid(), signal.SIGINT)

    async def ended() -> bool:
        return running.exits == [128 + signal.SIGINT]

    await until(ended)
    running.replica.let_go()
    assert (await under_way).registered


async def test_a_fatal_replica_ends_the_process(running: Running) -> None:
    """At once, with a code of its own, and without another answer."""
    on_fatal = running.replica.on_fatal
    assert on_fatal is not None
    on_fatal(errors.DiskFailed("sync failed"))
    on_fatal(errors.MemberRemoved("n1 was removed"))
    assert running.exits == [EXIT_FATAL, EXIT_REMOVED]


async def test_members_come_and_go(running: Running) -> None:
    """A change is answered with the members after it; asked for too early, it is refused."""
    cluster = cluster_pb2_grpc.ClusterStub(running.channel)
    n4 = cluster_pb2.Member(
        node_id="n4", raft_address="127.0.0.1:7204", grpc_address="127.0.0.1:7104", voter=True
    )
    added = await cluster.AddMember(cluster_pb2.AddMemberRequest(member=n4))
    assert n4 in added.members
    left = await cluster.RemoveMember(cluster_pb2.RemoveMemberRequest(node_id="n4"))
    assert n4 not in left.members
    running.replica.order_error = errors.ChangeUnderWay("n5 is being added")
    call = cluster.RemoveMember(cluster_pb2.RemoveMemberRequest(node_id="n4"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert type(error_from_rpc(caught.value)) is errors.ChangeUnderWay


@pytest.mark.parametrize(("deadline", "allowed"), ((None, 60.0), (900.0, 900.0)))
async def test_a_change_of_members_has_the_callers_time(
    running: Running, deadline: float | None, allowed: float
) -> None:
    """A newcomer may need minutes to catch up: request_timeout_ms does not bound it."""
    cluster = cluster_pb2_grpc.ClusterStub(running.channel)
    await cluster.RemoveMember(cluster_pb2.RemoveMemberRequest(node_id="n4"), timeout=deadline)
    (given,) = running.replica.calls.timeouts
    assert 0.8 * allowed < given < allowed


async def test_a_taken_port_is_refused() -> None:
    """Two nodes never share a port silently."""
    first, second = make_server(LimitsConfig()), make_server(LimitsConfig())
    address = bind(first, "127.0.0.1:0")
    with pytest.raises(errors.ConfigError, match=f"cannot serve at {address}"):
        bind(second, address)
    for server in (first, second):
        await server.start()
        await server.stop(None)


async def test_a_session_answers_each_item_for_itself(running: Running) -> None:
    """Many calls over one stream, an error of one among them, and answers after a half-close."""
    stream = running.registry.Session()
    item = pb.SessionRequest.Item
    await stream.write(
        pb.SessionRequest(
            items=[
                item(id=1, register=pb.RegisterRequest(name="user:a", owner="o")),
                item(id=2, register=pb.RegisterRequest(name="nonsense")),
            ]
        )
    )
    await stream.write(
        pb.SessionRequest(items=[item(id=3, lookup=pb.LookupRequest(name="user:none"))])
    )
    await stream.done_writing()
    answers = {answer.id: answer async for message in stream for answer in message.answers}
    assert answers[1].register.registered
    assert (answers[2].error.code, answers[2].error.reason) == (3, "INVALID_NAME")
    assert answers[2].error.metadata == {"field": "name"}
    assert not answers[3].lookup.found
    assert await stream.code() is grpc.StatusCode.OK


async def test_a_session_of_other_bytes_ends_with_details(running: Running) -> None:
    """What is no message ends the stream as INVALID_ARGUMENT, like a call of such bytes."""
    method = running.channel.stream_stream(f"/{REGISTRY}/Session")
    stream = method()
    await stream.write(b"\xff\xff")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stream.read()
    assert isinstance(error_from_rpc(caught.value), errors.InvalidRequest)


async def test_sessions_end_with_the_node(tmp_path: Path) -> None:
    """An open, idle stream does not keep a node from stopping."""
    it = await start(tmp_path)
    stream = it.registry.Session()
    await stream.write(pb.SessionRequest())
    it.node.stop()
    assert await asyncio.wait_for(it.task, 30) == EXIT_DONE
    assert await stream.code() is not grpc.StatusCode.OK
    await it.channel.close()
