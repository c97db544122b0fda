"""`Watch` on a node, over a replica in memory: what is sent, when, and when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from namestore import errors
from namestore.config import LimitsConfig, dev_config
from namestore.core.commands import KeepEvents
from namestore.core.events import EventKind
from namestore.rpc.events import EVENTS_MAX, PROGRESS_MS_MAX, PROGRESS_MS_MIN, wanted
from namestore.server import feed, tail
from namestore.server.gateway import Gateway
from namestore.server.watching import LINGER_S, OUT_OF_TOUCH_S_MAX
from namestore.v1 import cluster_pb2, namespaces_pb2
from namestore.v1 import registry_pb2 as pb
from tests.support.replica import FakeReplica

WAIT = 30.0
PROGRESS = pb.Event.PROGRESS


class Stage:
    """A gateway on a clock that passes only when told, and what its watchers are sent."""

    def __init__(self, **limits: int) -> None:
        self.now = 1000.0
        self.replica = FakeReplica()
        config = replace(dev_config("unused"), limits=replace(LimitsConfig(), **limits))
        self.gateway = Gateway(self.replica, config, "dev", clock=lambda: self.now)

    async def register(self, *names: str, owner: str = "") -> None:
        requests = [pb.RegisterRequest(name=name, owner=owner) for name in names]
        await self.gateway.register_many(pb.RegisterManyRequest(requests=requests), WAIT)

    async def release(self, name: str) -> None:
        await self.gateway.release(pb.ReleaseRequest(name=name), WAIT)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.gateway._watches.look()

    def watch(self, **fields: Any) -> AsyncGenerator[pb.Event | None, None]:
        return self.gateway.watch(pb.WatchRequest(**fields), WAIT)

    async def begun(self, **fields: Any) -> AsyncGenerator[pb.Event | None, None]:
        """A feed whose headers are sent."""
        watch = self.watch(**fields)
        assert await anext(watch) is None
        return watch


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def take(watch: AsyncGenerator[pb.Event | None, None], count: int) -> list[pb.Event]:
    async with asyncio.timeout(WAIT):
        events = [await anext(watch) for _ in range(count)]
    return [event for event in events if event is not None]


def told(events: list[pb.Event]) -> list[tuple[int, str, str]]:
    return [
        (event.revision, pb.Event.Kind.Name(event.kind), event.record.name or event.namespace)
        for event in events
    ]


async def idle(watch: AsyncGenerator[pb.Event | None, None]) -> asyncio.Task[Any]:
    """A feed's next event, which is not there yet."""
    task = asyncio.ensure_future(anext(watch))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not task.done()
    return task


async def a_barrier(replica: FakeReplica) -> None:
    """Returns once the replica was asked for one."""
    async with asyncio.timeout(WAIT):
        while not replica.calls.barriers:  # noqa: ASYNC110  # the replica tells nobody
            await asyncio.sleep(0)


def test_the_kinds_on_the_wire_are_those_that_are_stored() -> None:
    """A kind travels under the number it is stored under, and under its name."""
    assert {kind.name: kind.value for kind in EventKind} == {
        name: number
        for name, number in pb.Event.Kind.items()
        if name not in ("KIND_UNSPECIFIED", "PROGRESS")
    }


async def test_what_was_missed_is_sent_and_then_what_happens(stage: Stage) -> None:
    """From a revision on, every change once, in order, with the record as the change left it."""
    await stage.register("user:a", "user:b")
    await stage.release("user:a")
    watch = await stage.begun(from_revision=2)
    assert told(await take(watch, 2)) == [(2, "REGISTERED", "user:b"), (3, "RELEASED", "user:a")]
    waiting = await idle(watch)
    await stage.register("user:c", owner="ann")
    event = await waiting
    assert told([event]) == [(4, "REGISTERED", "user:c")]
    assert (event.record.owner, event.record.create_revision, event.time.seconds) == (
        "ann",
        4,
        1000,
    )


async def test_from_now_on_begins_after_what_was_answered(stage: Stage) -> None:
    """Without a revision nothing is sent that was answered before, and nothing missed after."""
    await stage.register("user:before")
    watch = stage.watch()
    beginning = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0)  # the call has come
    await stage.register("user:after")
    assert await beginning is None
    assert told(await take(watch, 1)) == [(2, "REGISTERED", "user:after")]


async def test_a_follower_begins_where_the_leader_says(stage: Stage) -> None:
    """A node that lags asks where the registry stands: what was answered elsewhere is not new."""
    follower = stage.replica
    follower.switches.leads = False
    follower.switches.hold = True
    watch = stage.watch()
    beginning = asyncio.ensure_future(anext(watch))
    await a_barrier(follower)
    # Answered by the leader before the call, and applied here while the barrier is under way.
    follower.switches.hold = False
    await stage.register("user:elsewhere")
    follower.let_go()
    assert await beginning is None
    await stage.register("user:new")
    assert told(await take(watch, 1)) == [(2, "REGISTERED", "user:new")]


async def test_a_leader_that_does_not_serve_yet_begins_where_the_barrier_says(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until something of its own term is committed, a new leader has not applied all that the one
    before it answered."""
    leader = stage.replica
    status = leader.status
    monkeypatch.setattr(leader, "status", lambda: replace(status(), serving=False))
    leader.switches.hold = True
    watch = stage.watch()
    beginning = asyncio.ensure_future(anext(watch))
    await a_barrier(leader)
    leader.switches.hold = False
    await stage.register("user:before")
    leader.let_go()
    assert await beginning is None
    monkeypatch.setattr(leader, "status", status)
    await stage.register("user:new")
    assert told(await take(watch, 1)) == [(2, "REGISTERED", "user:new")]


async def test_only_what_begins_with_the_prefix_is_sent(stage: Stage) -> None:
    """The prefix is of the canonical name; a policy concerns who watches its whole namespace."""
    whole, part, other = [
        await stage.begun(prefix=prefix, from_revision=1) for prefix in ("user:", "user:a", "post:")
    ]
    await stage.register("user:a", "post:a", "user:b")
    policy = namespaces_pb2.Namespace(name="user", policy=namespaces_pb2.Policy(length_max=9))
    await stage.gateway.put_namespace(namespaces_pb2.PutNamespaceRequest(namespace=policy), WAIT)
    kinds = ["REGISTERED", "REGISTERED", "POLICY_PENDING", "POLICY_ACTIVE"]
    assert [kind for _, kind, _ in told(await take(whole, 4))] == kinds
    assert told(await take(part, 1)) == [(1, "REGISTERED", "user:a")]
    assert told(await take(other, 1)) == [(2, "REGISTERED", "post:a")]
    for watch in (whole, part, other):
        (await idle(watch)).cancel()


async def test_squashed_only_the_latest_of_each_name_is_sent(stage: Stage) -> None:
    """Until it has caught up, which is said; from then on every change."""
    await stage.register("user:a", "user:b", "user:c")
    for _ in range(3):
        await stage.release("user:a")
        await stage.register("user:a")
    await stage.release("user:b")
    watch = await stage.begun(from_revision=1, squash=True, progress_ms=1000)
    sent = await take(watch, 5)
    assert told(sent[1:4]) == [
        (3, "REGISTERED", "user:c"),
        (9, "REGISTERED", "user:a"),
        (10, "RELEASED", "user:b"),
    ]
    assert [(e.kind, e.revision, e.caught_up) for e in (sent[0], sent[4])] == [
        (PROGRESS, 0, False),
        (PROGRESS, 10, True),
    ]
    await stage.release("user:c")
    await stage.register("user:c")
    assert told(await take(watch, 2)) == [(11, "RELEASED", "user:c"), (12, "REGISTERED", "user:c")]


async def test_squashed_a_node_that_lags_catches_up_before_it_begins(stage: Stage) -> None:
    """A feed that goes on here missed at the node before it what was replaced by changes that are
    still to come: it hears that it has caught up when these are told, not before."""
    await stage.register("user:a", "user:b")
    lagging = stage.replica
    lagging.switches.leads = False
    lagging.switches.hold = True
    # Elsewhere the first change was left out, as the name was released since.
    watch = stage.watch(from_revision=2, squash=True, progress_ms=1000)
    beginning = asyncio.ensure_future(anext(watch))
    await a_barrier(lagging)
    assert not beginning.done()
    lagging.switches.hold = False
    await stage.release("user:a")
    lagging.let_go()
    assert await beginning is None
    assert [(kind, revision) for revision, kind, _ in told(await take(watch, 4))] == [
        ("PROGRESS", 1),
        ("REGISTERED", 2),
        ("RELEASED", 3),
        ("PROGRESS", 3),
    ]


async def test_long_feeds_are_read_in_steps(stage: Stage) -> None:
    """Across steps, chunks and the tail that all share, nothing is missing or repeated."""
    count = tail.EVENTS_MAX + 2 * feed.STEP_EVENTS_MAX
    near = await stage.begun(from_revision=1)
    await stage.register("user:0")
    assert [event.revision for event in await take(near, 1)] == [1]
    (await idle(near)).cancel()
    near = await stage.begun(from_revision=2)  # and a tail that ends there
    for first in range(1, count, 1000):
        await stage.register(*(f"user:{n}" for n in range(first, min(count, first + 1000))))
    far = await stage.begun(from_revision=1)
    for watch, first in ((near, 2), (far, 1)):
        sent = await take(watch, count + 1 - first)
        assert [event.revision for event in sent] == [*range(first, count + 1)]
    await stage.register("user:last")
    for watch in (near, far):
        assert told(await take(watch, 1)) == [(count + 1, "REGISTERED", "user:last")]


async def test_many_events_go_into_one_message_for_who_asks(stage: Stage) -> None:
    """In order, nothing left out; what others are sent of the same changes is none the worse."""
    together = await stage.begun(from_revision=1, events_max=10_000)
    single = await stage.begun(from_revision=1)
    await stage.register("user:first")
    for watch in (together, single):  # from now on both take from what is read once for all
        assert [event.revision for event in await take(watch, 1)] == [1]
    await stage.register(*(f"user:{n}" for n in range(600)))
    sent = []
    while len(sent) < 600:
        (message,) = await take(together, 1)
        assert len(message.more) < EVENTS_MAX
        sent += [message.revision, *(event.revision for event in message.more)]
    assert sent == [*range(2, 602)]
    alone = await take(single, 600)
    assert [event.revision for event in alone] == sent
    assert not any(event.more for event in alone)


async def test_changes_gather_where_many_watch(stage: Stage) -> None:
    """The more watchers, the rarer each looks: what came meanwhile goes out together. One alone
    waits for nothing."""
    lingered: list[float] = []
    gate = asyncio.Event()

    async def linger(seconds: float) -> None:
        lingered.append(seconds)
        await gate.wait()

    stage.gateway._watches._sleep = linger
    one, other = [await stage.begun(from_revision=1, events_max=256) for _ in range(2)]
    await stage.register("user:a")
    await take(one, 1)
    waiting = await idle(one)
    await stage.register("user:b")
    await stage.register("user:c")
    await asyncio.sleep(0)
    assert (lingered, waiting.done()) == ([LINGER_S], False)
    gate.set()
    message = await waiting
    assert [message.revision, *(event.revision for event in message.more)] == [2, 3]
    await other.aclose()
    (await idle(one)).cancel()
    assert lingered == [LINGER_S, 0.0]


async def test_a_revision_to_come_is_waited_for(stage: Stage) -> None:
    """A node that lags behind the caller sends nothing that the caller has seen."""
    await stage.register("user:a")
    watch = await stage.begun(from_revision=3, progress_ms=1000)
    assert [(e.revision, e.caught_up) for e in await take(watch, 1)] == [(2, False)]
    waiting = await idle(watch)
    await stage.register("user:b")
    await stage.register("user:c")
    sent = [await waiting, *await take(watch, 1)]
    assert [event.revision for event in sent if event.kind != PROGRESS] == [3]
    assert [event.caught_up for event in sent if event.kind == PROGRESS] == [True]


async def test_a_quiet_feed_says_how_far_it_is(stage: Stage) -> None:
    """Where nothing matches, the revision reached is told, as often as was asked."""
    watch = await stage.begun(prefix="post:", from_revision=1, progress_ms=2000)
    assert [e.revision for e in await take(watch, 2)] == [0, 0]
    await stage.register("user:a", "user:b")
    waiting = await idle(watch)
    stage.pass_time(1.0)
    await asyncio.sleep(0)
    assert not waiting.done()
    stage.pass_time(1.0)
    event = await waiting
    assert (event.kind, event.revision, event.caught_up) == (PROGRESS, 2, True)
    (await idle(watch)).cancel()


@pytest.mark.parametrize(
    ("asked", "given"), ((0, 0), (1, PROGRESS_MS_MIN), (5000, 5000), (10**9, PROGRESS_MS_MAX))
)
def test_the_pace_of_progress_is_bounded(asked: int, given: int) -> None:
    """A caller cannot have a node write without pause."""
    assert wanted(pb.WatchRequest(progress_ms=asked)).progress_s == given / 1000


async def test_a_node_out_of_touch_is_silent_and_then_ends_its_feeds(stage: Stage) -> None:
    """It may send what it has applied, never says that this is all, and soon lets go."""
    await stage.register("user:a")
    watch = await stage.begun(from_revision=1, progress_ms=1000)
    await take(watch, 3)
    stage.replica.switches.quorum = False
    waiting = await idle(watch)
    stage.pass_time(OUT_OF_TOUCH_S_MAX)
    # Somebody wakes it: being due is no reason to say that it is up to date.
    stage.gateway._watches._hear()
    for _ in range(20):
        await asyncio.sleep(0)
    assert not waiting.done()
    with pytest.raises(errors.NoQuorum):
        await anext(stage.watch(from_revision=1))
    stage.pass_time(0.1)
    with pytest.raises(errors.NoQuorum, match="another"):
        await waiting
    stage.replica.switches.quorum = True
    assert len(await take(await stage.begun(from_revision=1), 1)) == 1


async def test_what_is_not_kept_any_more_is_refused_with_the_oldest_that_is(stage: Stage) -> None:
    """At the beginning, and in the middle to whoever reads too slowly; nothing is left out."""
    slow = await stage.begun(from_revision=1)
    stage.replica.registry.apply(KeepEvents(b"keep", 1, 10**9))
    for number in range(40):
        await stage.register(*(f"user:{number}-{n}" for n in range(100)))
    oldest = stage.replica.meta.oldest_revision
    assert oldest > 1
    for watch in (slow, stage.watch(from_revision=oldest - 1)):
        with pytest.raises(errors.RevisionCompacted) as caught:
            await anext(watch)
        assert caught.value.metadata == {"oldest_revision": str(oldest)}
    watch = await stage.begun(from_revision=oldest)
    assert [event.revision for event in await take(watch, 1)] == [oldest]


async def test_watchers_are_counted_and_bounded() -> None:
    """Beyond the limit a watcher is told to go elsewhere; who left makes room."""
    stage = Stage(watchers_max=2)
    first, second = await stage.begun(), await stage.begun()
    status = await stage.gateway.status(cluster_pb2.StatusRequest(), WAIT)
    assert status.watchers == 2
    with pytest.raises(errors.Overloaded, match="2 watchers"):
        await anext(stage.watch())
    assert stage.gateway._watches.count == 2
    await first.aclose()
    third = await stage.begun()
    for watch in (second, third):
        await watch.aclose()
    assert stage.gateway._watches.count == 0


async def test_a_watcher_that_cannot_begin_is_not_counted(stage: Stage) -> None:
    """Whatever it failed by."""
    stage.replica.switches.leader = False
    with pytest.raises(errors.NoLeader):
        await anext(stage.watch())
    with pytest.raises(errors.InvalidRequest, match="prefix"):
        await anext(stage.watch(prefix="x" * 2000))
    assert stage.gateway._watches.count == 0


async def test_a_drain_ends_every_feed(stage: Stage) -> None:
    """Waiting or not, each is told to go on elsewhere; and no feed keeps the drain waiting."""
    async with aclosing(await stage.begun()) as watch:
        waiting = await idle(watch)
        stage.gateway.begin_drain()
        async with asyncio.timeout(WAIT):
            await stage.gateway.drained()
        with pytest.raises(errors.ShuttingDown):
            await waiting
    with pytest.raises(errors.ShuttingDown):
        await anext(stage.watch())


@pytest.mark.parametrize("squash", (False, True))
async def test_a_drain_does_not_wait_for_a_feed_that_begins(stage: Stage, squash: bool) -> None:
    """It may wait for a barrier for as long as any call; once that has passed it hears why not."""
    await stage.register("user:a")
    stage.replica.switches.hold = True
    watch = stage.watch(from_revision=int(squash), squash=squash)
    beginning = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0)
    assert not beginning.done()
    stage.gateway.begin_drain()
    async with asyncio.timeout(WAIT):
        await stage.gateway.drained()
    stage.replica.switches.hold = False
    stage.replica.let_go()
    with pytest.raises(errors.ShuttingDown):
        await beginning


async def test_a_batch_of_changes_wakes_the_loop_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many watchers there are, and however many changes came before the loop looked."""
    watches = [await stage.begun() for _ in range(5)]
    waiting = [await idle(watch) for watch in watches]
    posted: list[Any] = []
    monkeypatch.setattr(stage.gateway, "post", posted.append)
    await stage.register("user:a")
    await stage.register("user:b")
    assert len(posted) == 1
    posted[0]()
    assert {(await task).revision for task in waiting} == {1}


async def test_changes_are_read_once_for_all_who_keep_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cost of a change does not grow with those who follow closely but for sending it."""
    watches = [await stage.begun() for _ in range(5)]
    made: list[int] = []
    original = tail.event_message

    def counted(event: Any) -> pb.Event:
        made.append(event.revision)
        return original(event)

    monkeypatch.setattr(tail, "event_message", counted)
    waiting = [await idle(watch) for watch in watches]
    await stage.register("user:a", "user:b")
    assert {(await task).revision for task in waiting} == {1}
    assert made == [1, 2]
