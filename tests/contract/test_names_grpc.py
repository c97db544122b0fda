"""The life of names as callers meet it: a whole node of one, on a real disk, over real gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from namestore import errors
from namestore.config import ClusterConfig, dev_config
from namestore.errors import NamestoreError
from namestore.raft.node import open_replica
from namestore.raft.replica import Replica
from namestore.rpc.status import error_from_call_error, error_from_rpc
from namestore.server.node import EXIT_DONE, Node
from namestore.v1 import namespaces_pb2 as ns
from namestore.v1 import namespaces_pb2_grpc, registry_pb2_grpc
from namestore.v1 import registry_pb2 as pb

WAIT = 60.0
USERNAME = ns.Policy(
    profile=ns.Policy.USERNAME,
    look_alikes=True,
    reserved=["admin"],
    redirect_after_rename=True,
    names_per_owner_max=3,
    hold_back=ns.HoldBack(minimum_s=3600, maximum_s=3600),
)


class Running:
    """A node that serves from a directory."""

    def __init__(self, directory: Path) -> None:
        self._address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        config = dev_config(directory, "127.0.0.1:0")
        self._node = Node(config, "dev", self._open, lambda code: None)
        self._task = asyncio.create_task(self._node.run())

    def _open(
        self, config: ClusterConfig, node_id: str, *, on_fatal: Callable[[Exception], None]
    ) -> Replica:
        self._address.set_result(config.node(node_id).grpc)
        return open_replica(config, node_id, on_fatal=on_fatal)

    async def connect(self) -> Running:
        self.channel = grpc.aio.insecure_channel(await self._address)
        await self.channel.channel_ready()
        self.registry: registry_pb2_grpc.NameRegistryAsyncStub
        self.registry = registry_pb2_grpc.NameRegistryStub(self.channel)
        self.namespaces: namespaces_pb2_grpc.NamespacesAsyncStub
        self.namespaces = namespaces_pb2_grpc.NamespacesStub(self.channel)
        return self

    async def stop(self) -> None:
        self._node.stop()
        assert await asyncio.wait_for(self._task, 60) == EXIT_DONE
        await self.channel.close()

    async def take(self, name: str, owner: str = "ann", **fields: object) -> pb.RegisterResponse:
        request = pb.RegisterRequest(name=name, owner=owner, **fields)  # type: ignore[arg-type]
        return await self.registry.Register(request, timeout=WAIT)

    async def put(self, policy: ns.Policy, version: int = 0) -> ns.PutNamespaceResponse:
        request = ns.PutNamespaceRequest(
            namespace=ns.Namespace(name="user", policy=policy), expected_version=version
        )
        return await self.namespaces.PutNamespace(request, timeout=WAIT)

    async def found(self, name: str) -> pb.LookupResponse:
        return await self.registry.Lookup(pb.LookupRequest(name=name), timeout=WAIT)


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Running]:
    running = await Running(tmp_path).connect()
    yield running
    await running.stop()


async def failure(call: Awaitable[object]) -> NamestoreError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return error_from_rpc(caught.value)


async def test_a_reservation_is_confirmed_or_ends(node: Running) -> None:
    """Confirmed, it stays; otherwise it ends by itself, although nobody asks for the name, and its
    history says so."""
    kept = await node.take("user:kept", ttl=Duration(seconds=3600))
    assert kept.record.HasField("expire_time")
    confirm = pb.ConfirmRequest(name="user:kept", owner="ann")
    confirmed = await node.registry.Confirm(confirm, timeout=WAIT)
    assert not confirmed.record.HasField("expire_time")
    await node.take("user:lost", ttl=Duration(nanos=300_000_000))

    async def ended() -> bool:
        told = await node.registry.History(pb.HistoryRequest(name="user:lost"), timeout=WAIT)
        return [holding.ended_by for holding in told.holdings] == [pb.Event.EXPIRED]

    async with asyncio.timeout(WAIT):
        while not await ended():  # noqa: ASYNC110  # the node's own doing
            await asyncio.sleep(0.02)
    assert not (await node.found("user:lost")).found
    assert (await node.found("user:kept")).found
    late = pb.ConfirmRequest(name="user:lost", owner="ann")
    assert type(await failure(node.registry.Confirm(late))) is errors.NameNotFound


async def test_a_holding_is_changed_by_its_owner_only(node: Running) -> None:
    """Update, Rename and History, with the errors of the contract."""
    record = (await node.take("user:a", payload=b"one")).record
    stranger = pb.UpdateRequest(name="user:a", owner="bob", payload=b"")
    assert type(await failure(node.registry.Update(stranger))) is errors.NotOwner
    stale = pb.UpdateRequest(name="user:a", owner="ann", create_revision=9)
    error = await failure(node.registry.Update(stale))
    assert type(error) is errors.StaleFence
    assert error.metadata == {"create_revision": str(record.create_revision)}
    update = pb.UpdateRequest(name="user:a", owner="ann", new_owner="bob", payload=b"two")
    updated = (await node.registry.Update(update, timeout=WAIT)).record
    assert (updated.owner, updated.payload) == ("bob", b"two")
    rename = pb.RenameRequest(from_name="user:a", to_name="user:b", owner="bob")
    renamed = await node.registry.Rename(rename, timeout=WAIT)
    assert (renamed.renamed, renamed.record.name) == (True, "user:b")
    assert type(await failure(node.registry.Rename(rename))) is errors.NameNotFound
    told = await node.registry.History(pb.HistoryRequest(name="user:a"), timeout=WAIT)
    assert [(holding.owner, holding.ended_by) for holding in told.holdings] == [
        ("ann", pb.Event.HANDED_OVER),
        ("bob", pb.Event.RENAMED_AWAY),
    ]


async def test_a_policy_governs_its_namespace(node: Running) -> None:
    """Spelling, reserved words, look-alikes, limits, hold-back, redirect; no other is touched."""
    answer = await node.put(USERNAME)
    assert (answer.accepted, answer.namespace.pending_version) == (True, 0)
    alice = await node.take("user:Alice")
    assert alice.record.name == "user:alice"
    assert (await node.take("user:paypal", "bob")).registered
    assert (await node.take("user:paypa1", "cat")).refusal == pb.CONFUSABLE
    assert (await node.take("user:ADMIN")).in_way == "admin"
    assert (await node.take("user:a b")).policy_reason == "FORBIDDEN_CHARACTER"
    assert (await node.take("post:ADMIN b")).registered
    rename = pb.RenameRequest(from_name="user:ALICE", to_name="user:Alicia", owner="ann")
    assert (await node.registry.Rename(rename, timeout=WAIT)).record.name == "user:alicia"
    assert (await node.found("user:alice")).redirect.name == "user:alicia"
    held = await node.take("user:Alice", "dan")
    assert held.refusal == pb.HELD_BACK
    assert held.until.ToMilliseconds() > alice.record.create_time.ToMilliseconds() + 3_000_000
    assert [(await node.take(f"user:n{n}", "eve")).registered for n in range(4)] == [
        True,
        True,
        True,
        False,
    ]
    give = pb.UpdateRequest(name="user:alicia", owner="ann", new_owner="eve")
    assert type(await failure(node.registry.Update(give))) is errors.OwnerLimit


async def test_a_policy_comes_over_names_that_exist(node: Running) -> None:
    """Refused with what is in its way; once that is gone it is carried out, and holds."""
    names = [f"user:n{n:04}l" for n in range(600)]
    wishes = [pb.RegisterRequest(name=name, owner=name) for name in (*names, "user:Big")]
    batch = pb.RegisterManyRequest(requests=wishes)
    results = (await node.registry.RegisterMany(batch, timeout=WAIT)).results
    assert all(result.registered for result in results)
    refused = await node.put(USERNAME)
    assert (refused.accepted, refused.conflict_count) == (False, 1)
    assert refused.conflicts[0].name == "user:Big"
    await node.registry.Release(pb.ReleaseRequest(name="user:Big", owner="user:Big"), timeout=WAIT)
    answer = await node.put(USERNAME)
    assert (answer.accepted, answer.namespace.pending_version) == (True, 0)
    assert (await node.take("user:n02991")).refusal == pb.CONFUSABLE
    listed = await node.namespaces.ListNamespaces(ns.ListNamespacesRequest(), timeout=WAIT)
    assert list(listed.namespaces) == [answer.namespace]
    got = await node.namespaces.GetNamespace(ns.GetNamespaceRequest(name="user"), timeout=WAIT)
    assert got.namespace == answer.namespace
    assert type(await failure(node.put(USERNAME))) is errors.StaleFence


async def test_a_policy_survives_a_restart(tmp_path: Path) -> None:
    """It is part of the state like every name; the node judges by it from its first call."""
    first = await Running(tmp_path).connect()
    await first.put(USERNAME)
    await first.take("user:Ann")
    await first.stop()
    second = await Running(tmp_path).connect()
    try:
        assert (await second.found("user:ANN")).record.display_name == "user:Ann"
        assert (await second.take("user:Admin")).refusal == pb.RESERVED_WORD
    finally:
        await second.stop()


async def test_a_stream_serves_every_change(node: Running) -> None:
    """Judged like calls by themselves; each item has its own error."""
    await node.put(USERNAME)
    await node.take("user:Ann")
    item = pb.SessionRequest.Item
    asked = pb.SessionRequest(
        items=[
            item(id=1, update=pb.UpdateRequest(name="user:ANN", owner="ann", payload=b"x")),
            item(id=2, confirm=pb.ConfirmRequest(name="user:ann", owner="bob")),
            item(
                id=3,
                rename=pb.RenameRequest(from_name="user:Ann", to_name="user:admin", owner="ann"),
            ),
            item(id=4, register=pb.RegisterRequest(name="user:Bea", owner="bea")),
            item(id=5, lookup=pb.LookupRequest(name="user:ANN")),
        ]
    )
    stream = node.registry.Session(timeout=WAIT)
    await stream.write(asked)
    await stream.done_writing()
    answers = {answer.id: answer async for response in stream for answer in response.answers}
    assert answers[1].update.record.payload == b"x"
    assert type(error_from_call_error(answers[2].error)) is errors.NotOwner
    assert answers[3].rename.refusal == pb.RESERVED_WORD
    assert answers[4].register.record.name == "user:bea"
    assert answers[5].lookup.record.name == "user:ann"
