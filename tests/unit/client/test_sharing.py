"""Calls that share round trips, over streams that end in the test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from random import Random
from typing import Any

import pytest
from google.protobuf.message import Message

from namestore import NameStore
from namestore.client import methods
from namestore.client.endpoints import Endpoints
from namestore.client.lanes import FRAMES_UNDER_WAY_MAX, Call, Kind
from namestore.client.line import WITHOUT_SESSIONS_SECONDS
from namestore.client.network import Failure, NoAnswer, Silence
from namestore.client.session import Session
from namestore.client.sharing import SHARED, SharingNetwork
from namestore.errors import (
    ClientMisuse,
    InvalidName,
    NotImplementedYet,
    Overloaded,
    Unauthenticated,
)
from namestore.rpc.status import call_error
from namestore.v1 import cluster_pb2
from namestore.v1 import registry_pb2 as pb
from tests.unit.client.fake_network import FakeClock
from tests.unit.client.fake_streams import PATIENCE_SECONDS, FakeConversing, FakeStream

HERE = "a:1"


class Scene:
    """A sharing network on a clock that stands, and what came of the calls made through it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.inner = FakeConversing()
        self.network = SharingNetwork(self.inner, self.clock, sweeps=False)
        self.cancels: dict[str, Callable[[], None]] = {}

    def register(self, name: str, timeout: float = 5.0, left: float | None = None) -> Future[Any]:
        """Submits; the future holds the answer, failures included."""
        heard: Future[Message | Failure] = Future()
        request = pb.RegisterRequest(name=name)
        self.cancels[name] = self.network.submit(
            HERE, methods.REGISTER, request, timeout, heard.set_result, left
        )
        return heard

    def fill(self, timeout: float = 5.0, left: float | None = None) -> tuple[FakeStream, list[Any]]:
        """As many writes under way as may be; what comes later gathers. Returns their items."""
        items = []
        stream: FakeStream | None = None
        for number in range(FRAMES_UNDER_WAY_MAX):
            self.register(f"user:filler-{number}", timeout, left)
            stream = stream or self.inner.stream_opened()
            items.extend(stream.frame().items)
        assert stream is not None
        return stream, items


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.network.close()


def heard(future: Future[Any]) -> Any:
    return future.result(PATIENCE_SECONDS)


def test_a_lone_call_is_sent_at_once(scene: Scene) -> None:
    """With nothing to wait for; its item says how long it waits."""
    answer = scene.register("user:a", 5.0)
    stream = scene.inner.stream_opened()
    (item,) = stream.frame().items
    assert item.register.name == "user:a"
    assert 5000 <= item.timeout_ms <= 5001
    stream.grant(item)
    assert heard(answer).registered


def test_calls_travel_together_while_one_is_under_way(scene: Scene) -> None:
    """One frame for all that gathered; the answers reach their callers in whatever order."""
    stream, fillers = scene.fill()
    answers = [scene.register(f"user:{n}") for n in range(20)]
    assert stream.quiet
    stream.grant(fillers[0])
    items = list(stream.frame().items)
    assert [item.register.name for item in items] == [f"user:{n}" for n in range(20)]
    stream.grant(*reversed(items))
    assert [heard(answer).record.name for answer in answers] == [f"user:{n}" for n in range(20)]


def test_a_bad_neighbour_fails_alone(scene: Scene) -> None:
    """Its error arrives as its class, with its details; the others are granted."""
    stream, fillers = scene.fill()
    good, bad, other = (scene.register(name) for name in ("user:a", "nonsense", "user:b"))
    stream.grant(fillers[0])
    items = stream.frame().items
    error = call_error(InvalidName("no such namespace", field="name"))
    stream.answer(pb.SessionResponse.Answer(id=items[1].id, error=error))
    stream.grant(items[0], items[2])
    assert heard(good).registered
    assert heard(other).registered
    refused = heard(bad)
    assert type(refused) is InvalidName
    assert (refused.message, refused.metadata) == ("no such namespace", {"field": "name"})


def test_a_cancelled_call_is_dropped_from_its_frame(scene: Scene) -> None:
    """It was not sent yet: it never will be, and its neighbours are."""
    stream, fillers = scene.fill()
    gone, stays = scene.register("user:gone"), scene.register("user:stays")
    scene.cancels["user:gone"]()
    scene.cancels["user:gone"]()
    stream.grant(fillers[0])
    (item,) = stream.frame().items
    assert item.register.name == "user:stays"
    stream.grant(item)
    assert heard(stays).registered
    assert not gone.done()


def test_who_waited_behind_a_cancelled_call_is_sent(scene: Scene) -> None:
    """All that was under way was given up: the next frame goes out without an answer."""
    stream, _ = scene.fill()
    stays = scene.register("user:stays")
    scene.cancels["user:filler-0"]()
    (item,) = stream.frame().items
    assert item.register.name == "user:stays"
    stream.grant(item)
    assert heard(stays).registered


def test_the_answer_to_a_cancelled_call_is_ignored(scene: Scene) -> None:
    """It was sent already: what comes back is nobody's."""
    gone = scene.register("user:gone")
    stream = scene.inner.stream_opened()
    (item,) = stream.frame().items
    scene.cancels["user:gone"]()
    stays = scene.register("user:stays")
    stream.grant(item, *stream.frame().items)
    assert heard(stays).registered
    assert not gone.done()


def test_each_call_keeps_its_own_deadline(scene: Scene) -> None:
    """In one frame: the short one ends when its time is up, the long one is still answered."""
    stream, fillers = scene.fill()
    short, long = scene.register("user:short", 1.0), scene.register("user:long", 4.0)
    stream.grant(fillers[0])
    items = stream.frame().items
    assert 1000 <= items[0].timeout_ms <= 1001
    assert 4000 <= items[1].timeout_ms <= 4001
    scene.clock.now += 1.0
    assert scene.network.sweep() == 104.0
    late = heard(short)
    assert isinstance(late, NoAnswer)
    assert late.silence is Silence.TIMED_OUT
    stream.grant(*items)
    assert heard(long).registered


def test_a_call_that_was_never_sent_in_time_was_certainly_not_applied(scene: Scene) -> None:
    """The frames under way take too long: whoever still waits in the client is told OVERLOADED."""
    stream, _ = scene.fill()
    waits = scene.register("user:waits", 1.0)
    scene.clock.now += 1.0
    scene.network.sweep()
    assert type(heard(waits)) is Overloaded
    assert stream.quiet


def test_patience_begins_when_a_call_is_sent(scene: Scene) -> None:
    """While others are answered it waits for its turn as long as its caller does."""
    stream, fillers = scene.fill()
    waits = scene.register("user:waits", 1.0, left=5.0)
    scene.clock.now += 3.0
    scene.network.sweep()
    assert not waits.done()
    stream.grant(fillers[0])
    (item,) = stream.frame().items
    assert 1000 <= item.timeout_ms <= 1001
    scene.clock.now += 1.0
    scene.network.sweep()
    assert heard(waits).silence is Silence.TIMED_OUT


def test_nobody_waits_for_an_endpoint_that_says_nothing(scene: Scene) -> None:
    """What was sent is unknown; what was not may go elsewhere at once."""
    scene.fill(1.0, left=5.0)
    waits = scene.register("user:waits", 1.0, left=5.0)
    scene.clock.now += 1.0
    scene.network.sweep()
    assert heard(waits).silence is Silence.UNSENT


def test_the_timeout_of_an_item_is_what_is_left_when_it_is_sent(scene: Scene) -> None:
    """The time in the queue counts."""
    stream, fillers = scene.fill()
    scene.register("user:a", 5.0)
    scene.clock.now += 3.0
    stream.grant(fillers[0])
    (item,) = stream.frame().items
    assert 2000 <= item.timeout_ms <= 2001


def test_a_broken_stream_leaves_what_was_sent_unknown(scene: Scene) -> None:
    """Each item in flight is LOST; what was not sent is certainly not applied; the next call goes
    over a new stream."""
    sent = scene.register("user:sent")
    stream = scene.inner.stream_opened()
    stream.frame()
    others = [scene.register(f"user:{n}") for n in range(FRAMES_UNDER_WAY_MAX - 1)]
    for _ in others:
        stream.frame()
    waiting = scene.register("user:waiting")
    stream.end(NoAnswer(HERE, Silence.LOST, "Connection reset"))
    assert [heard(call).silence for call in (sent, *others)] == [Silence.LOST] * (1 + len(others))
    assert heard(waiting).silence is Silence.UNSENT
    assert heard(waiting).detail == "Connection reset"
    again = scene.register("user:again")
    fresh = scene.inner.stream_opened()
    fresh.grant(*fresh.frame().items)
    assert heard(again).registered


def test_a_stream_that_has_ended_takes_nothing(scene: Scene) -> None:
    """What it took would be lost: the calls are those of the stream that came after it."""
    scene.register("user:sent")
    stream = scene.inner.stream_opened()
    stream.frame()
    line = scene.network._lines[HERE]
    ended = line._stream
    assert ended is not None
    stream.end(NoAnswer(HERE, Silence.LOST, "Connection reset"))
    until(lambda: line._stream is None)
    call = Call(Kind.WRITE, "register", methods.REGISTER, pb.RegisterRequest(), 999.0, 1.0, print)
    assert line._lanes.put(call)
    assert line._take(ended) is None
    assert line._lanes.take(0.0) == [call]


def test_a_stream_that_the_server_ends_leaves_what_was_sent_unknown(scene: Scene) -> None:
    """Also if it ends in good order."""
    sent = scene.register("user:sent")
    stream = scene.inner.stream_opened()
    stream.frame()
    stream.end()
    assert heard(sent).silence is Silence.LOST


def test_a_stream_that_is_refused_says_why(scene: Scene) -> None:
    """Who may not speak to the server may not register either."""
    sent = scene.register("user:sent")
    stream = scene.inner.stream_opened()
    stream.frame()
    stream.end(Unauthenticated("who are you?"))
    assert type(heard(sent)) is Unauthenticated


@pytest.mark.parametrize(
    "refusal",
    (NoAnswer(HERE, Silence.FOREIGN, "no such method"), NotImplementedYet("a later version")),
)
def test_a_server_without_sessions_is_asked_call_by_call(scene: Scene, refusal: Failure) -> None:
    """What was on the way goes again, each by itself, and what follows; later it is tried anew."""
    first = scene.register("user:first")
    stream = scene.inner.stream_opened()
    stream.frame()
    stream.end(refusal)
    assert heard(first).registered
    assert heard(scene.register("user:second")).registered
    assert [request.name for _, request in scene.inner.singly] == ["user:first", "user:second"]
    scene.clock.now += WITHOUT_SESSIONS_SECONDS
    scene.register("user:third")
    assert [i.register.name for i in scene.inner.stream_opened().frame().items] == ["user:third"]


def test_an_answer_that_is_none_leaves_its_call_unknown(scene: Scene) -> None:
    """A server that answers another question than was asked is not to be guessed at."""
    sent = scene.register("user:sent")
    stream = scene.inner.stream_opened()
    (item,) = stream.frame().items
    stream.answer(pb.SessionResponse.Answer(id=item.id, lookup=pb.LookupResponse()))
    assert heard(sent).silence is Silence.LOST


def test_reads_do_not_wait_for_writes(scene: Scene) -> None:
    """A stale look-up is sent although as many writes are under way as may be."""
    stream, _ = scene.fill()
    found: Future[Any] = Future()
    request = pb.LookupRequest(name="user:a", consistency=pb.STALE)
    scene.network.submit(HERE, methods.LOOKUP, request, 5.0, found.set_result)
    (item,) = stream.frame().items
    stream.answer(pb.SessionResponse.Answer(id=item.id, lookup=pb.LookupResponse(revision=7)))
    assert heard(found).revision == 7


def test_other_calls_go_by_themselves(scene: Scene) -> None:
    """A status, a batch, a feed: none of them is an item of a session."""
    scene.network.call(HERE, methods.STATUS, cluster_pb2.StatusRequest(), 5.0)
    scene.network.submit(HERE, methods.LIST, pb.ListRequest(), 5.0, lambda answer: None)
    scene.network.stream(HERE, methods.WATCH, pb.WatchRequest())
    assert [name for name, _ in scene.inner.singly] == ["Status", "List", "Watch"]


def test_blocking_calls_share_frames(scene: Scene) -> None:
    """Threads that call at the same time travel together, and each gets its own answer."""
    stream, fillers = scene.fill()

    def call(number: int) -> Message:
        request = pb.RegisterRequest(name=f"user:{number}")
        return scene.network.call(HERE, methods.REGISTER, request, 5.0)

    with ThreadPoolExecutor(8) as threads:
        calls = [threads.submit(call, number) for number in range(8)]
        waiting = scene.network._lines[HERE]._lanes
        until(lambda: waiting._waiting_calls == 8)
        stream.grant(fillers[0])
        items = stream.frame().items
        assert len(items) == 8
        bad = call_error(InvalidName("no"))
        stream.grant(*items[1:])
        stream.answer(pb.SessionResponse.Answer(id=items[0].id, error=bad))
        for number, each in enumerate(calls):
            if items[0].register.name == f"user:{number}":
                with pytest.raises(InvalidName):
                    heard(each)
            else:
                assert heard(each).record.name == f"user:{number}"


def test_closing_ends_every_call(scene: Scene) -> None:
    """What was sent is unknown; what comes later is misuse; the stream is given up."""
    sent = scene.register("user:sent")
    stream = scene.inner.stream_opened()
    stream.frame()
    scene.network.close()
    scene.network.close()
    assert heard(sent).silence is Silence.LOST
    assert stream.cancelled.is_set()
    assert scene.inner.closed
    with pytest.raises(ClientMisuse):
        scene.register("user:late")


def test_answers_that_came_before_a_close_are_given(scene: Scene) -> None:
    """Although what waited behind them can no longer be sent."""
    stream, items = scene.fill()
    waiting = scene.register("user:waiting")
    answers = [scene.register("user:other")]
    scene.inner.closed = True
    scene.network._lines[HERE]._closed = True
    gone: Future[Any] = Future()
    number = items[0].id
    call = scene.network._lines[HERE]._lanes._sent[number]
    call.done = gone.set_result
    stream.grant(items[0])
    assert heard(gone).registered
    scene.network._lines[HERE].close()
    assert [heard(each).silence for each in (waiting, *answers)] == [Silence.UNSENT] * 2


def test_a_stream_that_cannot_be_opened_sends_nothing(scene: Scene) -> None:
    """Such as for want of threads: certainly not applied, and the next call tries anew."""
    scene.inner.broken = RuntimeError("can't start new thread")
    unsent = heard(scene.register("user:a"))
    assert unsent.silence is Silence.UNSENT
    assert "can't start new thread" in unsent.detail
    scene.inner.broken = None
    again = scene.register("user:a")
    stream = scene.inner.stream_opened()
    stream.grant(*stream.frame().items)
    assert heard(again).registered


def test_a_client_that_is_forgotten_is_closed() -> None:
    """Nobody calls close: its streams and threads end all the same."""
    inner = FakeConversing()
    session = Session(Endpoints([HERE], Random()), 5.0)
    store = NameStore.over(SharingNetwork(inner), session)
    inner.answer_singly = lambda request: cluster_pb2.StatusResponse(cluster_name="c")

    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(store.register, "user:a")
        stream = inner.stream_opened()
        stream.grant(*stream.frame().items)
        assert call.result(PATIENCE_SECONDS)
    del store, call
    until(lambda: inner.closed)
    assert stream.cancelled.is_set()
    until(lambda: not [t for t in threading.enumerate() if t.name.startswith("namestore-")])


def test_deadlines_are_kept_without_anybody_sweeping() -> None:
    """The real thing has a thread for it, which ends with the network."""
    network = SharingNetwork(FakeConversing())
    silent: Future[Any] = Future()
    network.submit(HERE, methods.REGISTER, pb.RegisterRequest(), 60.0, lambda answer: None)
    network.submit(HERE, methods.REGISTER, pb.RegisterRequest(), 0.02, silent.set_result)
    assert isinstance(heard(silent), (NoAnswer, Overloaded))
    patient: Future[Any] = Future()
    stale = pb.LookupRequest(consistency=pb.STALE)
    network.submit(HERE, methods.LOOKUP, stale, 0.02, patient.set_result, 60.0)
    assert isinstance(heard(patient), NoAnswer)  # sent at once, so its patience was all it had
    network.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("namestore-")]


def until(condition: Callable[[], bool]) -> None:
    poll = threading.Event()
    for _ in range(int(PATIENCE_SECONDS / 0.002)):
        if condition():
            return
        poll.wait(0.002)
    raise AssertionError("it did not come true")


def test_every_call_that_a_session_knows_is_shared() -> None:
    """What an item of a session can hold travels in one, under the name that it has there."""
    calls = pb.SessionRequest.Item.DESCRIPTOR.oneofs_by_name["call"].fields
    assert {path.rpartition("/")[2].lower(): field for path, field in SHARED.items()} == {
        field.name: field.name for field in calls
    }
