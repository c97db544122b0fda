"""A feed that goes on by itself, over scripted nodes on a clock that passes only when told."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from namestore import errors
from namestore.client import watching
from namestore.client.endpoints import Endpoints
from namestore.client.flow import Flow
from namestore.client.network import Ask, NoAnswer, Open, Operation, Send, Silence, Sleep, Take
from namestore.client.session import Session
from namestore.client.watching import SILENCE_SECONDS, Following
from namestore.v1 import cluster_pb2 as cluster
from namestore.v1 import registry_pb2 as pb

ADDRESSES = ("a:1", "b:1", "c:1")
# What a stream does: sends a message, fails, or (a number) is silent for so many seconds.
Step = pb.Event | Exception | float


class ScriptedFlow(Flow):
    """A stream of one node; where its script ends it is silent."""

    def __init__(self, endpoint: str, steps: list[Step]) -> None:
        super().__init__(endpoint, iter(()), self._closed)
        self.steps = deque(steps)
        self.closed = False

    def _closed(self) -> None:
        self.closed = True


@dataclass
class Stage:
    """Carries out what a feed asks for. Each stream that is opened takes the next script."""

    scripts: list[list[Step] | Exception]
    now: float = 1000.0
    seed: int = 1
    asked: list[tuple[str, pb.WatchRequest]] = field(default_factory=list)
    flows: list[ScriptedFlow] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        random = Random(self.seed)
        self.session = Session(Endpoints(ADDRESSES, random), 5.0, lambda: self.now, random)

    def run(self, operation: Operation[Any]) -> Any:
        outcome: Any = None
        try:
            while True:
                if isinstance(outcome, Exception):
                    effect: Any = operation.throw(outcome)
                else:
                    effect = operation.send(outcome)
                outcome = self._perform(effect)
        except StopIteration as finished:
            return finished.value

    def begun(self, prefix: str = "", from_revision: int = 0, squash: bool = False) -> Following:
        feed = watching.following(prefix, from_revision, squash)
        self.run(watching.begin(self.session, feed, None))
        return feed

    def next(self, feed: Following) -> Any:
        return self.run(watching.next_event(self.session, feed))

    def revisions(self, feed: Following, count: int) -> list[int]:
        return [self.next(feed).revision for _ in range(count)]

    def _perform(self, effect: Any) -> Any:
        match effect:
            case Send(endpoint):
                return cluster.StatusResponse(node_id=endpoint[0], cluster_name="test")
            case Open(endpoint, _, request):
                return self._open(endpoint, request)
            case Take(flow, timeout):
                return self._take(flow, timeout)
            case Sleep(seconds):
                self.waits.append(seconds)
                self.now += seconds
            case Ask():
                return None
        return None

    def _open(self, endpoint: str, request: Any) -> Any:
        copy = pb.WatchRequest.FromString(request.SerializeToString())
        self.asked.append((endpoint, copy))
        script = self.scripts.pop(0)
        if isinstance(script, Exception):
            return script
        flow = ScriptedFlow(endpoint, script)
        self.flows.append(flow)
        first = self._take(flow, 1.0)
        return first if isinstance(first, Exception) else (flow, first)

    def _take(self, flow: ScriptedFlow, timeout: float) -> Any:
        step = flow.steps.popleft() if flow.steps else timeout
        if isinstance(step, float):
            self.now += min(step, timeout)
            if step >= timeout:
                return NoAnswer(flow.endpoint, Silence.TIMED_OUT, "silent")
            return self._take(flow, timeout - step)
        return step


def progress(revision: int, caught_up: bool = False) -> pb.Event:
    return pb.Event(kind=pb.Event.PROGRESS, revision=revision, caught_up=caught_up)


def event(revision: int) -> pb.Event:
    return pb.Event(kind=pb.Event.REGISTERED, revision=revision)


def lost() -> NoAnswer:
    return NoAnswer("somewhere", Silence.LOST, "connection reset")


def test_events_come_in_order_and_progress_is_not_one() -> None:
    """What a node says of itself moves the feed on, and is nothing that happened to a name."""
    stage = Stage([[progress(6), event(7), progress(9), event(12), progress(20)]])
    feed = stage.begun("user:", 7)
    assert stage.revisions(feed, 2) == [7, 12]
    ((_, request),) = stage.asked
    assert (request.prefix, request.from_revision, request.squash) == ("user:", 7, False)
    assert request.progress_ms == watching.PROGRESS_MS


def test_from_now_on_is_settled_when_it_has_begun() -> None:
    """After that a break loses nothing, though no event has come yet."""
    stage = Stage([[progress(41), lost()], [progress(41), event(42)]])
    feed = stage.begun()
    assert feed.next_revision == 42
    assert stage.revisions(feed, 1) == [42]
    assert [request.from_revision for _, request in stage.asked] == [0, 42]


@pytest.mark.parametrize(
    "failure",
    (
        lost(),
        errors.ShuttingDown("bye"),
        errors.NoQuorum("alone"),
        errors.NoLeader("none"),
        errors.OutcomeUnknown("a node met an error of its own"),
    ),
    ids=lambda failure: type(failure).__name__,
)
def test_a_broken_feed_goes_on_from_the_next_revision_elsewhere(failure: Exception) -> None:
    """Whichever way its stream ended: no gap, no repeat, and another node."""
    for seed in range(10):
        scripts = [[progress(0), event(1), event(2), failure], [progress(2), event(3)]]
        stage = Stage(list(scripts), seed=seed)
        feed = stage.begun(from_revision=1)
        assert stage.revisions(feed, 3) == [1, 2, 3]
        assert [request.from_revision for _, request in stage.asked] == [1, 3]
        (first, _), (second, _) = stage.asked
        assert first != second
        assert [flow.closed for flow in stage.flows] == [True, False]
        assert feed.resumes == 1


def test_events_that_come_together_are_handed_out_one_by_one() -> None:
    """A break between two of them loses none, nor repeats one."""
    together = event(1)
    together.more.extend([event(2), event(5)])
    stage = Stage([[progress(0), together, event(6), lost()], [progress(6), event(7)]])
    feed = stage.begun(from_revision=1)
    assert stage.revisions(feed, 2) == [1, 2]
    assert feed.next_revision == 3
    assert stage.revisions(feed, 3) == [5, 6, 7]
    assert stage.asked[0][1].events_max == watching.EVENTS_MAX


def test_a_feed_that_was_too_slow_blames_no_node() -> None:
    """It goes on, there or elsewhere; other calls of the client go where they went."""
    stage = Stage([[progress(0), event(1), errors.Overloaded("slow")], [progress(1), event(2)]])
    feed = stage.begun(from_revision=1)
    assert stage.revisions(feed, 2) == [1, 2]
    assert stage.session.endpoints.is_proven(stage.asked[0][0])


def test_progress_moves_the_point_from_which_it_goes_on() -> None:
    """What did not match is not asked for again: that may not be kept by then."""
    stage = Stage([[progress(0), event(1), progress(900), lost()], [progress(900), event(901)]])
    feed = stage.begun("post:", 1)
    assert stage.revisions(feed, 2) == [1, 901]
    assert stage.asked[1][1].from_revision == 901


def test_a_silent_node_is_left() -> None:
    """A node that does not even say how far it is, within a bound, is as good as lost."""
    stage = Stage([[progress(0), event(1), 6.9, progress(1)], [progress(1), event(2)]])
    feed = stage.begun(from_revision=1)
    assert stage.revisions(feed, 1) == [1]
    began = stage.now
    assert stage.revisions(feed, 1) == [2]
    assert began + 6.9 + SILENCE_SECONDS <= stage.now < began + 6.9 + SILENCE_SECONDS + 1.0


def test_it_goes_on_looking_for_a_node_for_as_long_as_it_takes() -> None:
    """An outage, however long, loses nothing; and attempts get rarer, not more."""
    outage: list[list[Step] | Exception] = [lost() for _ in range(200)]
    stage = Stage([[progress(0), lost()], *outage, [progress(0), event(1)]])
    feed = stage.begun(from_revision=1)
    began = stage.now
    assert stage.revisions(feed, 1) == [1]
    assert stage.now - began > 10.0
    assert max(stage.waits) <= 1.0


@pytest.mark.parametrize(
    "failure",
    (
        errors.RevisionCompacted("gone", oldest_revision="77"),
        errors.InvalidRequest("prefix"),
        errors.PermissionDenied("no"),
        errors.NotImplementedYet("old"),
        errors.ClientMisuse("closed"),
    ),
    ids=lambda failure: type(failure).__name__,
)
def test_what_no_retry_helps_is_raised(failure: errors.NamestoreError) -> None:
    """At the beginning, in the middle, and when it would go on; with all that the node said."""
    with pytest.raises(type(failure)):
        Stage([failure]).begun(from_revision=1)
    for scripts in ([[progress(0), failure]], [[progress(0), lost()], failure]):
        stage = Stage(list(scripts))
        feed = stage.begun(from_revision=1)
        with pytest.raises(type(failure)) as caught:
            stage.next(feed)
        assert caught.value.metadata == failure.metadata


def test_a_feed_that_cannot_begin_says_so_in_time() -> None:
    """Nobody waits for ever for a cluster that is not there."""
    stage = Stage([lost() for _ in range(500)])
    with pytest.raises(errors.Unavailable):
        stage.begun()
    assert stage.now <= 1000.0 + 5.0 + 1.0


def test_a_node_with_too_many_watchers_is_passed_over() -> None:
    """Another one may have room: the next attempt goes there."""
    for seed in range(10):
        stage = Stage([errors.Overloaded("full"), [progress(3), event(4)]], seed=seed)
        feed = stage.begun()
        assert stage.revisions(feed, 1) == [4]
        assert stage.asked[0][0] != stage.asked[1][0]


def test_squashing_is_asked_for_until_it_has_caught_up() -> None:
    """A break in the middle of what was missed changes nothing; afterwards every change comes."""
    stage = Stage(
        [
            [progress(0), event(5), lost()],
            [progress(5), event(9), progress(9, caught_up=True), lost()],
            [progress(9), event(10)],
        ]
    )
    feed = stage.begun(from_revision=1, squash=True)
    assert stage.revisions(feed, 3) == [5, 9, 10]
    assert [(r.from_revision, r.squash) for _, r in stage.asked] == [
        (1, True),
        (6, True),
        (10, False),
    ]


def test_a_feed_that_was_ended_is_at_its_end() -> None:
    """Before, between and while it looks for a node: no event, no error, and no stream left."""
    stage = Stage([[progress(0), event(1), event(2)]])
    feed = stage.begun(from_revision=1)
    assert stage.revisions(feed, 1) == [1]
    feed.end()
    assert stage.next(feed) is None
    assert [flow.closed for flow in stage.flows] == [True]

    class Ending(Stage):
        def _open(self, endpoint: str, request: Any) -> Any:
            opened = super()._open(endpoint, request)
            if len(self.asked) == 2:
                feed.end()
            return opened

    stage = Ending([[progress(0), lost()], [progress(0), event(1)]])
    feed = stage.begun(from_revision=1)
    assert stage.next(feed) is None
    assert all(flow.closed for flow in stage.flows)


def test_what_was_dealt_with_is_never_handed_out_again() -> None:
    """A node that goes back breaks what a feed promises: that is said, not passed over."""
    stage = Stage([[progress(0), event(5), event(5)]])
    feed = stage.begun(from_revision=1)
    assert stage.revisions(feed, 1) == [5]
    with pytest.raises(errors.InvariantViolation, match="revision 5"):
        stage.next(feed)


def test_a_stream_may_begin_with_an_event() -> None:
    """A node that does not say where it begins is understood as well."""
    stage = Stage([[event(3), event(4)]])
    feed = stage.begun(from_revision=3)
    assert stage.revisions(feed, 2) == [3, 4]


def test_feeds_spread_over_the_nodes() -> None:
    """The leader has enough to do: clients that watch do not all ask the same node."""
    places = set()
    for seed in range(20):
        stage = Stage([[progress(0)]], seed=seed)
        leader = cluster.StatusResponse(node_id="a", cluster_name="test", leader_id="a")
        stage.session.endpoints.note_status("a:1", leader)
        stage.begun()
        places.add(stage.asked[0][0])
    assert places == set(ADDRESSES)
