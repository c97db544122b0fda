"""Calls that share round trips, from the real client to a real node over a replica in memory."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from namestore import NameStore, aio, errors
from namestore.config import ClusterConfig, LimitsConfig, dev_config
from namestore.server.node import Node
from tests.support.proxy import Proxy
from tests.support.replica import FakeReplica


class Running:
    """A node and where it is reached."""

    def __init__(self, directory: Path, **limits: int) -> None:
        self.replica: FakeReplica
        self.address = ""
        config = dev_config(directory, "127.0.0.1:0")
        config = replace(config, limits=LimitsConfig(**limits))
        self.node = Node(config, "dev", self._open, lambda code: None)
        self._task = asyncio.create_task(self.node.run())

    def _open(
        self, config: ClusterConfig, node_id: str, *, on_fatal: Callable[[Exception], None]
    ) -> FakeReplica:
        self.replica = FakeReplica(node_id, threaded=True)
        self.address = config.node(node_id).grpc
        return self.replica

    async def started(self) -> Running:
        async with aio.NameStore(await self._known_address(), timeout=30) as store:
            await store.lookup("user:nobody")
        return self

    async def ended(self) -> None:
        self.replica.let_go()
        self.node.stop()
        await asyncio.wait_for(self._task, 30)

    async def _known_address(self) -> str:
        async with asyncio.timeout(30):
            while not self.address:  # noqa: ASYNC110  # the node takes its port meanwhile
                await asyncio.sleep(0.01)
        return self.address


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    it = await Running(tmp_path).started()
    yield it
    await it.ended()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  # what is awaited happens in another thread
            await asyncio.sleep(0.005)


async def test_concurrent_tasks_share_proposals(running: Running) -> None:
    """Hundreds of names in few proposals, each caller with its own answer, one of them an error."""
    async with aio.NameStore(running.address, timeout=30) as store:
        calls = [store.register(f"user:{n}", f"owner-{n}") for n in range(300)]
        bad = asyncio.ensure_future(store.register("nonsense"))
        results = await asyncio.gather(*calls)
        with pytest.raises(errors.InvalidName) as caught:
            await bad
        assert caught.value.metadata == {"field": "name"}
        assert [result.record.owner for result in results] == [f"owner-{n}" for n in range(300)]
        assert all(results)
        assert len(running.replica.calls.proposals) < 30
        barriers = running.replica.calls.barriers
        found = await asyncio.gather(*(store.lookup(f"user:{n}") for n in range(300)))
        assert [record.owner for record in found if record] == [f"owner-{n}" for n in range(300)]
        assert running.replica.calls.barriers < barriers + 30
        with pytest.raises(errors.NotOwner):
            await store.release("user:1", "owner-2")
        assert await store.release("user:1", "owner-1") > 0


async def test_concurrent_threads_share_proposals(running: Running) -> None:
    """The same for callers that block; of many for one name one is granted it."""

    def use() -> list[bool]:
        with NameStore(running.address, timeout=30) as store, ThreadPoolExecutor(32) as threads:
            calls = [threads.submit(store.register, "user:a", f"owner-{n}") for n in range(320)]
            return [bool(call.result(30)) for call in calls]

    running.replica.switches.delay = 0.01
    assert sum(await asyncio.to_thread(use)) == 1
    assert sum(map(len, running.replica.calls.proposals)) == 320
    assert len(running.replica.calls.proposals) < 160


async def test_names_granted_unheard_are_granted_to_the_retry(running: Running) -> None:
    """The connection breaks with items in flight: unknown, asked again under the same request_ids,
    and every caller hears that it was granted its name."""
    with Proxy(running.address) as proxy:
        async with aio.NameStore(proxy.address, timeout=30) as store:
            assert await store.register("user:first")
            running.replica.switches.hold = True
            calls = [asyncio.ensure_future(store.register(f"user:{n}")) for n in range(50)]
            await until(lambda: bool(running.replica._held))
            proxy.cut()
            running.replica.let_go()
            proxy.heal()
            results = await asyncio.gather(*calls)
    assert all(results)
    assert running.replica.registry.meta.name_count == 51
    proposed = [command for commands in running.replica.calls.proposals for command in commands]
    assert len(set(proposed)) == 51
    assert len(proposed) > 51


async def test_a_broken_connection_leaves_writes_unknown(running: Running) -> None:
    """No node is found again in time: each caller is told the request_id to ask again with."""
    with Proxy(running.address) as proxy:
        async with aio.NameStore(proxy.address, timeout=30) as store:
            assert await store.register("user:first")
            running.replica.switches.hold = True
            one, other = (
                asyncio.ensure_future(store.register(name, timeout=1.0))
                for name in ("user:a", "user:b")
            )
            await until(lambda: sum(map(len, running.replica.calls.proposals)) == 3)
            proxy.cut()
            failures = await asyncio.gather(one, other, return_exceptions=True)
            running.replica.let_go()
            proxy.heal()
            assert [type(failure) for failure in failures] == [errors.OutcomeUnknown] * 2
            identities = {failure.request_id for failure in failures}
            assert len(identities) == 2
            again = await store.register("user:a", request_id=failures[0].request_id)
            assert again


async def test_a_cancelled_caller_leaves_its_neighbours_alone(running: Running) -> None:
    """In the same frame: one gives up, the other is granted its name."""
    async with aio.NameStore(running.address, timeout=30) as store:
        running.replica.switches.hold = True
        gone = asyncio.ensure_future(store.register("user:gone"))
        stays = asyncio.ensure_future(store.register("user:stays"))
        await until(lambda: sum(map(len, running.replica.calls.proposals)) == 2)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        running.replica.let_go()
        assert await stays


async def test_a_short_deadline_ends_alone(running: Running) -> None:
    """In the same frame: one is told in its own time that nothing is known, the other waits."""
    async with aio.NameStore(running.address, timeout=30) as store:
        await store.register("user:first")
        running.replica.switches.hold = True
        hasty = asyncio.ensure_future(store.register("user:hasty", timeout=0.2))
        patient = asyncio.ensure_future(store.register("user:patient"))
        with pytest.raises(errors.OutcomeUnknown):
            await hasty
        assert not patient.done()
        running.replica.let_go()
        assert await patient


async def test_a_flood_ends_in_success_or_overloaded(tmp_path: Path) -> None:
    """More calls at once than the node lets wait: nobody is cancelled, nobody is left without
    an answer, and what was refused was certainly not applied."""
    it = await Running(tmp_path, pending_commands_max=200).started()
    it.replica.switches.delay = 0.002
    async with aio.NameStore(it.address, timeout=20.0) as store:
        calls = (store.register(f"user:{n}") for n in range(1500))
        results = await asyncio.gather(*calls, return_exceptions=True)
    kinds = Counter(type(result).__name__ for result in results)
    assert kinds.keys() <= {"RegisterResult", "Overloaded"}, kinds
    assert kinds["RegisterResult"] == it.replica.registry.meta.name_count > 200
    await it.ended()
