"""Feeds of a whole node on a real disk: over gRPC and in the caller's process, both flavours."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import grpc
import pytest

from namestore import NameStore, aio, embedded, errors
from namestore.client import grpc_network, incoming, watching
from namestore.client.feeds import Feed
from namestore.rpc.status import error_from_rpc
from namestore.server import services
from namestore.v1 import registry_pb2 as pb
from namestore.v1.registry_pb2_grpc import NameRegistryStub
from tests.support.eventually import eventually
from tests.support.proxy import Proxy
from tests.support.served_node import ServedNode, served_node

WAIT = 60.0


@pytest.fixture(params=("grpc", "embedded"))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NameStore]:
    if request.param == "grpc":
        with served_node(tmp_path) as node, NameStore(node.endpoint, timeout=WAIT) as made:
            yield made
    else:
        with embedded.open(tmp_path, timeout=WAIT) as made:
            yield made


@pytest.fixture
def node(tmp_path: Path) -> Iterator[ServedNode]:
    with served_node(tmp_path) as served:
        yield served


def told(feed: Feed, count: int) -> list[tuple[int, str, str | None]]:
    return [
        (event.revision, event.kind, event.record and event.record.name)
        for event in islice(feed, count)
    ]


def test_a_feed_has_begun_when_the_call_returns(store: NameStore) -> None:
    """What is done next is in it, what was done before is not."""
    store.register("user:before")
    with store.watch() as feed:
        assert feed.revision == 1
        store.register("user:after", "ann", b"p")
        (event,) = islice(feed, 1)
    assert (event.revision, event.kind, event.other_name) == (2, "REGISTERED", None)
    assert event.record == store.lookup("user:after")


def test_every_kind_of_change_is_told(store: NameStore) -> None:
    """Under its name, with the record and what else belongs to it."""
    with store.watch("user:") as feed:
        store.register("user:a", "ann", ttl=600)
        store.confirm("user:a", "ann")
        store.update("user:a", "ann", payload=b"p")
        store.update("user:a", "ann", new_owner="bob")
        store.rename("user:a", "user:b", "bob")
        store.register("post:a")
        store.release("user:b", "bob")
        events = list(islice(feed, 7))
    assert [event.kind for event in events] == [
        "REGISTERED",
        "CONFIRMED",
        "UPDATED",
        "HANDED_OVER",
        "RENAMED_AWAY",
        "RENAMED",
        "RELEASED",
    ]
    assert [event.revision for event in events] == [1, 2, 3, 4, 5, 6, 8]
    assert [event.other_name for event in events[4:6]] == ["user:b", "user:a"]
    records = [event.record for event in events if event.record is not None]
    assert [record.owner for record in records] == ["ann"] * 3 + ["bob"] * 4


def test_what_was_missed_is_told_squashed_or_not(store: NameStore) -> None:
    """From a revision on; squashed, each name as it stands, and from then on every change."""
    for _ in range(3):
        store.register("user:a")
        store.release("user:a")
    store.register("user:b")
    with store.watch("user:", from_revision=3) as feed:
        assert [event.revision for event in islice(feed, 5)] == [3, 4, 5, 6, 7]
    with store.watch("user:", from_revision=1, squash=True) as feed:
        assert told(feed, 2) == [(6, "RELEASED", "user:a"), (7, "REGISTERED", "user:b")]
        store.release("user:b")
        store.register("user:b")
        assert [event.revision for event in islice(feed, 2)] == [8, 9]
        assert feed.caught_up


def test_a_copy_that_follows_equals_the_registry(store: NameStore) -> None:
    """A picture, then the feed from its revision on: nothing between them, nothing twice."""
    names = [f"user:{number:04}" for number in range(1500)]
    assert all(store.register_many(names, "ann", timeout=WAIT))
    with store.export("user:") as export:
        revision = export.revision
        copy = {record.name: record for record in export}
    for name in names[:100]:
        store.release(name, "ann")
    more = [f"user:new-{number}" for number in range(1500)]
    assert all(store.register_many(more, "bob", timeout=WAIT))
    with store.watch("user:", from_revision=revision + 1) as feed:
        for event in islice(feed, 1600):
            assert event.record is not None
            if event.kind == "RELEASED":
                del copy[event.record.name]
            else:
                copy[event.record.name] = event.record
    assert copy == {record.name: record for record in store.list("user:")}


def test_a_pending_wait_is_ended_by_another_thread(store: NameStore) -> None:
    """Whoever waits finds the feed at its end; and a closed feed stays closed."""
    feed = store.watch()
    with ThreadPoolExecutor(1) as waiter:
        waiting = waiter.submit(list, feed)
        store.register("user:a")
        feed.close()
        assert len(waiting.result(WAIT)) <= 1
    feed.close()
    assert list(feed) == []


def test_closing_the_client_ends_its_feeds(store: NameStore) -> None:
    """Whoever waits is told that there is no client any more."""
    feed = store.watch()
    with ThreadPoolExecutor(1) as waiter:
        waiting = waiter.submit(next, feed)
        store.close()
        with pytest.raises(errors.ClientMisuse):
            waiting.result(WAIT)


def test_two_threads_do_not_wait_for_one_feed(store: NameStore) -> None:
    """Each would get some of the events: that is refused, and harms neither."""
    feed = store.watch()
    with ThreadPoolExecutor(1) as waiter:
        waiting = waiter.submit(next, feed)
        eventually(feed._taken.locked, "the first one waits")
        with pytest.raises(errors.ClientMisuse, match="somebody else"):
            next(feed)
        store.register("user:a")
        assert waiting.result(WAIT).revision == 1
    feed.close()


def test_a_forgotten_feed_holds_no_stream(node: ServedNode) -> None:
    """Who leaves a loop without closing keeps neither a thread nor a place at the node."""
    with NameStore(node.endpoint, timeout=WAIT) as store:
        for number in range(3):
            store.register(f"user:{number}")
            for _ in store.watch(from_revision=1):
                break
        eventually(lambda: not _readers(), "no stream is read any more")


def test_asyncio_begins_where_it_is_entered(tmp_path: Path) -> None:
    """Giving up waiting loses nothing; leaving the block ends it."""

    async def use() -> None:
        async with await embedded.open_async(tmp_path, timeout=WAIT) as names:
            await names.register("user:before")
            async with names.watch("user:") as feed:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(anext(feed), 0.01)
                for name in ("user:a", "user:b"):
                    await names.register(name)
                assert [(await anext(feed)).revision for _ in range(2)] == [2, 3]
                assert feed.resumes == 0
            assert [event async for event in feed] == []
            async for event in names.watch(from_revision=1):
                assert event.revision == 1
                break

    asyncio.run(use())


async def test_asyncio_over_grpc(node: ServedNode) -> None:
    """Many feeds of one loop; waiting for one keeps nobody else waiting; closing ends a wait."""
    async with aio.NameStore(node.endpoint, timeout=WAIT) as names:
        feeds = [names.watch("user:") for _ in range(20)]
        for feed in feeds:
            await feed.__aenter__()
        waiting = [asyncio.ensure_future(anext(feed)) for feed in feeds]
        await names.register("user:a")
        assert {(await task).revision for task in waiting} == {1}
        ending = asyncio.ensure_future(anext(feeds[0], None))
        await asyncio.sleep(0)
        for feed in feeds:
            await feed.close()
        assert await asyncio.wait_for(ending, WAIT) is None


def test_a_broken_connection_is_not_noticed(node: ServedNode) -> None:
    """Cut again and again: every change once, in order."""
    with (
        Proxy(node.endpoint) as proxy,
        NameStore(node.endpoint, timeout=WAIT) as writer,
        NameStore(proxy.address, timeout=WAIT) as watcher,
    ):
        feed = watcher.watch()
        seen = []
        for cut in range(5):
            proxy.cut()
            writer.register(f"user:{cut}-away")
            proxy.heal()
            writer.register(f"user:{cut}-back")
            seen += [event.revision for event in islice(feed, 2)]
        assert seen == [*range(1, 11)]
        assert feed.resumes >= 4
        feed.close()


def test_a_silent_connection_is_left(node: ServedNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that does not even say how far it is is taken for lost, and the feed goes on."""
    monkeypatch.setattr(watching, "PROGRESS_MS", 60_000)
    monkeypatch.setattr(watching, "SILENCE_SECONDS", 0.3)
    with NameStore(node.endpoint, timeout=WAIT) as store, store.watch() as feed:
        with ThreadPoolExecutor(1) as waiter:
            waiting = waiter.submit(next, feed)
            eventually(lambda: feed.resumes >= 2, "it looked for another node")
            store.register("user:a")
            assert waiting.result(WAIT).revision == 1


def test_a_quiet_feed_moves_on(node: ServedNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing matches, the point from which it would go on moves all the same."""
    monkeypatch.setattr(watching, "PROGRESS_MS", 100)
    with NameStore(node.endpoint, timeout=WAIT) as store, store.watch("post:") as feed:
        with ThreadPoolExecutor(1) as waiter:
            waiting = waiter.submit(next, feed)
            store.register("user:a")
            store.register("user:b")
            eventually(lambda: feed.revision == 2, "the feed moves on")
            store.register("post:a")
            assert waiting.result(WAIT).revision == 3


def test_a_node_that_stops_ends_its_feeds(node: ServedNode) -> None:
    """The drain does not wait for those who watch; they are told to go elsewhere."""
    with grpc.insecure_channel(node.endpoint) as channel:
        stream = NameRegistryStub(channel).Watch(pb.WatchRequest())
        stream.initial_metadata()
        node.stop()
        with pytest.raises(grpc.RpcError) as caught:
            next(stream)
    assert type(error_from_rpc(caught.value)) is errors.ShuttingDown


def test_a_bare_stub_is_sent_changes_only(node: ServedNode) -> None:
    """Without asking for more; what it does after the headers came is in the feed."""
    with grpc.insecure_channel(node.endpoint) as channel:
        stub = NameRegistryStub(channel)
        stub.Register(pb.RegisterRequest(name="user:before"))
        stream = stub.Watch(pb.WatchRequest(prefix="user:"), timeout=WAIT)
        stub.Register(pb.RegisterRequest(name="user:at-once"))
        stream.initial_metadata()
        stub.Register(pb.RegisterRequest(name="user:after"))
        sent = [next(stream) for _ in range(2)]
        stream.cancel()
        assert [event.record.name for event in sent] == ["user:at-once", "user:after"]
        assert {event.kind for event in sent} == {pb.Event.REGISTERED}
        again = stub.Watch(pb.WatchRequest(from_revision=10**6), timeout=0.5)
        with pytest.raises(grpc.RpcError) as caught:
            next(again)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_who_takes_nothing_is_cut_off_and_may_go_on(
    node: ServedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node keeps nothing for a watcher who does not read: it says so, and nobody else waits."""
    monkeypatch.setattr(services, "_UNTAKEN_S_MAX", 0.3)
    options = [*grpc_network._OPTIONS, ("grpc.http2.bdp_probe", 0)]
    monkeypatch.setattr(grpc_network, "_OPTIONS", options)
    monkeypatch.setattr(incoming, "MESSAGES_MAX", 4)
    with NameStore(node.endpoint, timeout=WAIT) as store, store.watch() as feed:
        names = [f"user:{number}" for number in range(3000)]
        assert all(store.register_many(names, "ann", b"p" * 900, timeout=WAIT))
        stub_sees_it_cut_off(node.endpoint)
        assert [event.revision for event in islice(feed, 3000)] == [*range(1, 3001)]


def stub_sees_it_cut_off(endpoint: str) -> None:
    """A bare stub that reads one event and then nothing for a while hears why it was ended."""
    with grpc.insecure_channel(endpoint, [("grpc.http2.bdp_probe", 0)]) as channel:
        stream = NameRegistryStub(channel).Watch(pb.WatchRequest(from_revision=1))
        assert next(stream).revision == 1
        time.sleep(1.0)  # that it takes nothing meanwhile is the point
        with pytest.raises(grpc.RpcError) as caught:
            for _ in stream:
                pass
    assert type(error_from_rpc(caught.value)) is errors.Overloaded


@contextmanager
def shell_watch(node: ServedNode) -> Iterator[subprocess.Popen[str]]:
    """`namestore-cli watch` from the first change on, in a process of its own."""
    command = [sys.executable, "-m", "namestore.cli", "--endpoints", node.endpoint, "watch"]
    with subprocess.Popen(
        [*command, "user:", "--from-revision", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_the_command_prints_changes_as_they_come(node: ServedNode) -> None:
    """Into a pipe as well, at once; Ctrl-C ends it and says where to go on, losing nothing."""
    with NameStore(node.endpoint, timeout=WAIT) as store, shell_watch(node) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for number in (1, 2):
            store.register(f"user:{number}")
            assert process.stdout.readline().split()[::2] == [str(number), "registered", 'owner=""']
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT) == 130
        # The second line may not have been known to be out when the interrupt came.
        assert process.stderr.read().strip()[-1] in "23"


@pytest.mark.parametrize("pause", (0.0, 0.0005, 0.002, 0.01, 0.05))
def test_the_command_ends_at_once_when_interrupted_again(node: ServedNode, pause: float) -> None:
    """Wherever the second Ctrl-C meets it, as when a whole group of processes is told twice."""
    with NameStore(node.endpoint, timeout=WAIT) as store, shell_watch(node) as process:
        store.register("user:1")
        assert process.stdout is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        time.sleep(pause)  # where it is by then is the point, and nobody's to choose
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT) == 130
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


def test_the_command_ends_when_nobody_reads(node: ServedNode) -> None:
    """At the next change; quietly, as tools in a pipeline do."""
    with NameStore(node.endpoint, timeout=WAIT) as store, shell_watch(node) as process:
        store.register("user:1")
        assert process.stdout is not None
        assert process.stdout.readline()
        process.stdout.close()
        store.register("user:2")
        assert process.wait(WAIT) == 141
        assert process.stderr is not None
        assert process.stderr.read() == ""


def _readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("namestore-feed")]
