"""Which calls are sent together, and which are not."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from namestore.client import lanes as bounds
from namestore.client import methods
from namestore.client.lanes import Call, Kind, Lanes
from namestore.errors import Overloaded
from namestore.v1 import registry_pb2 as pb


def call(
    name: str = "user:a", kind: Kind = Kind.WRITE, deadline: float = 10.0, patience: float = 100.0
) -> Call:
    def done(answer: Any) -> None:
        raise AssertionError("lanes tell nobody anything")

    request = pb.RegisterRequest(name=name)
    return Call(kind, "register", methods.REGISTER, request, deadline, patience, done)


def test_a_lone_call_goes_at_once() -> None:
    """Nothing is under way: a frame of one, and nothing to wait for."""
    lanes = Lanes()
    lone = call()
    assert lanes.put(lone)
    assert lanes.take(0.0) == [lone]
    assert lanes.take(0.0) == []
    assert lanes.answered([lone.number], 0.0) == ([lone], False)


def test_calls_gather_while_frames_are_under_way() -> None:
    """They go together with the first answer that makes room, in the order in which they came."""
    lanes = Lanes()
    first = [call() for _ in range(bounds.FRAMES_UNDER_WAY_MAX)]
    for each in first:
        assert lanes.put(each)
        assert lanes.take(0.0) == [each]
    later = [call(f"user:{n}") for n in range(50)]
    assert [lanes.put(each) for each in later] == [False] * 50
    assert lanes.take(0.0) == []
    assert lanes.answered([first[0].number], 0.0) == ([first[0]], True)
    assert lanes.take(0.0) == later
    assert lanes.take(0.0) == []


def test_many_calls_do_not_wait_for_room() -> None:
    """More frames than usual go out while each is worth it by itself, and not without bound."""
    lanes = Lanes()
    first = [call() for _ in range(bounds.FRAMES_UNDER_WAY_MAX)]
    for each in first:
        lanes.put(each)
        lanes.take(0.0)
    for _ in range(bounds.FRAMES_UNDER_WAY_MAX, bounds.LARGE_FRAMES_UNDER_WAY_MAX):
        many = [call() for _ in range(bounds.LARGE_FRAME_CALLS)]
        assert [lanes.put(each) for each in many] == [False] * (len(many) - 1) + [True]
        assert lanes.take(0.0) == many
    late = [call() for _ in range(2 * bounds.LARGE_FRAME_CALLS)]
    assert {lanes.put(each) for each in late} == {False}
    assert lanes.take(0.0) == []
    assert lanes.answered([each.number for each in many], 0.0) == (many, True)
    assert lanes.take(0.0) == late


def test_a_frame_is_under_way_until_its_last_call_has_ended() -> None:
    """However its calls end: answered, given up, or late."""
    lanes = Lanes()
    others = [call() for _ in range(bounds.FRAMES_UNDER_WAY_MAX - 1)]
    for other in others:
        lanes.put(other)
        lanes.take(0.0)
    three = [call(deadline=5.0), call(), call()]
    for each in three:
        lanes.put(each)
    assert lanes.take(4.9) == three
    waits = call()
    assert not lanes.put(waits)
    assert lanes.give_up(three[1]) == (True, False)
    assert lanes.take(0.0) == []
    assert lanes.expire(5.0) == ([three[0]], 10.0, False)
    assert lanes.answered([three[2].number], 0.0) == ([three[2]], True)
    assert lanes.take(0.0) == [waits]


def test_who_gives_up_makes_room() -> None:
    """The last call under way is given up: what waits is to be sent now."""
    lanes = Lanes()
    sent = [call() for _ in range(bounds.FRAMES_UNDER_WAY_MAX)]
    for each in sent:
        lanes.put(each)
        lanes.take(0.0)
    waits = call()
    assert not lanes.put(waits)
    assert lanes.give_up(sent[0]) == (True, True)
    assert lanes.take(0.0) == [waits]


def test_few_calls_wait_for_a_frame_of_many() -> None:
    """A frame of their own would cost as much as many calls; enough of them are worth one."""
    lanes = Lanes()
    many = [call() for _ in range(100)]
    for each in many:
        lanes.put(each)
    assert len(lanes.take(0.0)) == 100
    enough = -(-100 // bounds.CALLS_UNDER_WAY_FOR_EACH_MAX)
    later = [call() for _ in range(enough)]
    assert [lanes.put(each) for each in later] == [False] * (enough - 1) + [True]
    assert lanes.take(0.0) == later
    few = [call(), call()]
    assert [lanes.put(each) for each in few] == [False, False]
    numbers = [each.number for each in (*many, *later)]
    assert lanes.answered(numbers, 0.0)[1]
    assert lanes.take(0.0) == few


def test_a_frame_is_bounded_in_calls() -> None:
    """The rest waits for its turn."""
    lanes = Lanes()
    calls = [call() for _ in range(bounds.FRAME_CALLS_MAX * 3 // 2)]
    for each in calls:
        lanes.put(each)
    assert lanes.take(0.0) == calls[: bounds.FRAME_CALLS_MAX]
    assert lanes.take(0.0) == calls[bounds.FRAME_CALLS_MAX :]


def test_a_frame_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for a single call that is larger by itself."""
    monkeypatch.setattr(bounds, "FRAME_BYTES_MAX", 100)
    monkeypatch.setattr(bounds, "FRAMES_UNDER_WAY_MAX", 10)
    lanes = Lanes()
    small = [call("user:" + "x" * 30) for _ in range(4)]
    large = call("user:" + "x" * 200)
    for each in (*small[:3], large, small[3]):
        lanes.put(each)
    assert lanes.take(0.0) == small[:2]
    assert lanes.take(0.0) == small[2:3]
    assert lanes.take(0.0) == [large]
    assert lanes.take(0.0) == small[3:]


def test_a_call_never_waits_for_one_of_another_kind() -> None:
    """Writes under way, and as many as may be: reads go out all the same."""
    lanes = Lanes()
    for _ in range(bounds.FRAMES_UNDER_WAY_MAX):
        lanes.put(call())
        lanes.take(0.0)
    lanes.put(call())
    reads = [call(kind=Kind.LINEARIZABLE_READ), call(kind=Kind.STALE_READ)]
    assert [lanes.put(read) for read in reads] == [True, False]
    assert lanes.take(0.0) == reads


def test_one_wake_up_serves_all_that_came_until_it_was_heard() -> None:
    """Who is to send is told once, however many calls come before it does."""
    lanes = Lanes()
    calls = [call() for _ in range(100)]
    assert [lanes.put(each) for each in calls] == [True] + [False] * 99
    assert lanes.take(0.0) == calls
    assert [lanes.put(call()) for _ in range(100)].count(True) == 1


def test_who_was_told_and_failed_is_told_again() -> None:
    """A stream that ended does not take any more: the next one is told of the next call."""
    lanes = Lanes()
    assert lanes.put(call())
    lanes.fail_all()
    assert lanes.put(call())


def test_a_call_given_up_in_the_queue_is_not_sent() -> None:
    """Nobody waits for it, so nobody is asked."""
    lanes = Lanes()
    gone, stays = call(), call()
    lanes.put(gone)
    lanes.put(stays)
    assert lanes.give_up(gone) == (True, False)  # they are to be taken already
    assert lanes.give_up(gone) == (False, False)
    assert lanes.take(0.0) == [stays]


def test_an_answer_to_a_call_given_up_is_nobodys() -> None:
    """As is one to a call that never was."""
    lanes = Lanes()
    gone = call()
    lanes.put(gone)
    lanes.take(0.0)
    lanes.give_up(gone)
    assert lanes.answered([gone.number, 4711], 0.0) == ([None, None], False)


def test_calls_end_at_their_deadlines() -> None:
    """Sent or not, each at its own; the next deadline of those left is told."""
    lanes = Lanes()
    sent, sent_longer = call(deadline=3.0), call(deadline=8.0)
    lanes.put(sent)
    lanes.put(sent_longer)
    lanes.take(0.0)
    waiting, waiting_longer = call(deadline=4.0), call(deadline=9.0)
    lanes.put(waiting)
    lanes.put(waiting_longer)
    assert lanes.expire(2.0) == ([], 3.0, False)
    lanes.answered([], 3.9)  # it says something, though nothing to these
    assert lanes.expire(4.0) == ([sent, waiting], 8.0, False)
    assert lanes.take(0.0) == [waiting_longer]
    assert lanes.expire(100.0) == ([sent_longer, waiting_longer], inf, False)
    assert lanes.fail_all() == []


def test_the_patience_of_a_call_begins_when_it_is_sent() -> None:
    """Waiting for its turn is no reason to ask elsewhere; its deadline holds all the same."""
    lanes = Lanes()
    short, long = call(deadline=10.0, patience=1.0), call(deadline=10.0, patience=60.0)
    lanes.put(short)
    lanes.put(long)
    assert lanes.expire(5.0) == ([], 10.0, False)
    assert lanes.take(5.0) == [short, long]
    assert (short.deadline, long.deadline) == (6.0, 10.0)
    assert lanes.expire(6.0) == ([short], 10.0, False)


def test_nobody_waits_for_an_endpoint_that_says_nothing() -> None:
    """A call is late, and nothing at all came since it was sent: what waits may go elsewhere."""
    lanes = Lanes()
    for _ in range(bounds.FRAMES_UNDER_WAY_MAX):
        lanes.put(call(deadline=100.0, patience=bounds.SILENCE_SECONDS))
        sent = lanes.take(50.0)
    waiting = call(deadline=100.0)
    lanes.put(waiting)
    late, _, _ = lanes.expire(50.0 + bounds.SILENCE_SECONDS)
    assert waiting in late
    assert sent[0] in late
    assert (waiting.number, waiting.deadline) == (0, 100.0)


@pytest.mark.parametrize(("patience", "heard_at"), ((0.1, 0.0), (bounds.SILENCE_SECONDS, 50.1)))
def test_an_endpoint_that_says_anything_is_waited_for(patience: float, heard_at: float) -> None:
    """It is slow, or one caller was in a hurry: the others keep their place."""
    lanes = Lanes()
    for _ in range(bounds.FRAMES_UNDER_WAY_MAX):
        lanes.put(call(deadline=100.0, patience=patience))
        lanes.take(50.0)
    waiting = call(deadline=100.0)
    lanes.put(waiting)
    lanes.answered([4711], heard_at)
    late, _, _ = lanes.expire(50.0 + patience)
    assert len(late) == bounds.FRAMES_UNDER_WAY_MAX
    assert waiting not in late


def test_what_waits_is_bounded_in_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond it a call hears OVERLOADED at once; room comes back when one leaves the queue."""
    monkeypatch.setattr(bounds, "WAITING_CALLS_MAX", 3)
    lanes = Lanes()
    calls = [call() for _ in range(3)]
    for each in calls:
        lanes.put(each)
    with pytest.raises(Overloaded, match="3 calls of this client wait"):
        lanes.put(call())
    lanes.give_up(calls[0])
    lanes.put(call())
    lanes.take(0.0)
    for _ in range(3):
        lanes.put(call())
    with pytest.raises(Overloaded):
        lanes.put(call())


def test_what_waits_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large requests count for what they are."""
    monkeypatch.setattr(bounds, "WAITING_BYTES_MAX", 250)
    lanes = Lanes()
    lanes.put(call("user:" + "x" * 200))
    with pytest.raises(Overloaded):
        lanes.put(call("user:" + "x" * 100))
    lanes.take(0.0)
    lanes.put(call("user:" + "x" * 100))


def test_all_can_be_failed_at_once() -> None:
    """Those that were sent are told apart by their number; afterwards nothing is under way."""
    lanes = Lanes()
    sent, waiting = call(), call()
    lanes.put(sent)
    lanes.take(0.0)
    lanes.put(waiting)
    assert lanes.fail_all() == [sent, waiting]
    assert sent.number > 0
    assert waiting.number == 0
    fresh = call()
    assert lanes.put(fresh)
    assert lanes.take(0.0) == [fresh]
