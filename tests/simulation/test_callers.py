"""What stands between simulated callers and nodes: the loop of a node, the words on the wire."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from namestore.errors import InvalidRequest, NameNotFound, NoLeader, NotOwner, OutcomeUnknown
from namestore.v1 import registry_pb2 as pb
from tests.simulation.simulated_loop import SimulatedLoop
from tests.simulation.wire import asked, heard, question, with_owners
from tests.simulation.world import World
from tests.support.history import Ask, Operation, Said

GRANT = Operation("1", Ask.REGISTER, "user:a", "o", "00ff", 1.0, 2.0, Said.GRANTED, 5)


class Process:
    """A process whose one thread runs a loop, and can be stopped."""

    def __init__(self) -> None:
        self.world = World(1)
        self.paused_until = 0.0
        self.heard: list[Any] = []
        self.loop = SimulatedLoop(
            self.world, lambda: self.world.now, lambda: self.paused_until, 0.001
        )

    def begin(self, work: Any) -> None:
        """Has a coroutine function run as a task, told what it returned."""

        async def told() -> None:
            self.heard.append((await work(), round(self.world.now - self.world.began, 2)))

        self.loop.call_soon_threadsafe(lambda: self.loop.create_task(told()))


@pytest.fixture
def process() -> Process:
    return Process()


def test_a_loop_lives_by_simulated_time(process: Process) -> None:
    """Sleeping takes simulated seconds, and no wall time; a timeout ends what takes longer."""

    async def work() -> str:
        try:
            async with asyncio.timeout(30):
                await asyncio.sleep(3600)
        except TimeoutError:
            return "late"
        return "slept"

    process.begin(work)
    process.world.run(process.world.now + 100)
    assert process.heard == [("late", 30.0)]


def test_a_paused_process_does_nothing(process: Process) -> None:
    """What was due while a process stood still happens when it goes on."""

    async def work() -> str:
        await asyncio.sleep(1)
        return "woken"

    process.begin(work)
    process.paused_until = process.world.now + 7
    process.world.run(process.world.now + 20)
    assert process.heard[0][0] == "woken"
    assert 8.0 <= process.heard[0][1] < 8.1  # it had not even begun


def test_what_a_thread_does_takes_a_while(process: Process) -> None:
    """Work for a thread is done at a later moment, and its result or error comes back."""

    async def work() -> list[Any]:
        began = process.world.now
        done = await asyncio.to_thread(lambda: process.world.now)
        try:
            await asyncio.to_thread(lambda: 1 // 0)
        except ZeroDivisionError:
            return [done > began, "raised"]
        return []

    process.begin(work)
    process.world.run(process.world.now + 1)
    assert process.heard[0][0] == [True, "raised"]


def test_a_dead_process_does_not_go_on(process: Process) -> None:
    """When its process dies, a task is ended where it stands, and nothing wakes the loop again."""
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(1)
            ended.append("slept")
        finally:
            ended.append("ended")

    process.begin(work)
    process.world.run(process.world.now + 0.5)
    process.loop.close()
    process.world.run(process.world.now + 5)
    assert ended == ["ended"]
    with pytest.raises(RuntimeError):
        process.loop.call_soon_threadsafe(lambda: None)


@pytest.mark.parametrize(
    ("answer", "said"),
    (
        (pb.RegisterResponse(refusal=pb.TAKEN, record=pb.NameRecord(owner="x")), Said.TAKEN),
        (pb.RegisterResponse(revision=3), Said.NOT_DONE),
        (pb.LookupResponse(revision=3), Said.NOT_FOUND),
        (OutcomeUnknown(""), Said.UNKNOWN),
        (NoLeader(""), Said.NOT_DONE),
        (NameNotFound(""), Said.NOT_FOUND),
    ),
)
def test_answers_are_taken_at_their_word(answer: Any, said: Said) -> None:
    """What a node said, and nothing else, goes into the record."""
    assert heard(answer)["said"] is said


def test_an_answer_nobody_should_get_ends_the_run() -> None:
    """A request that was right is not called wrong."""
    with pytest.raises(InvalidRequest):
        heard(InvalidRequest("no"))


def test_a_request_is_recognised_when_it_comes_again() -> None:
    """What is sent can be read back: same question, same request_id."""
    (again,) = asked(question(GRANT).request)
    assert replace(GRANT, called=0.0) == replace(
        again, client="1", returned=2.0, said=Said.GRANTED, revision=5
    )


def test_a_refusal_gets_the_owner_that_others_heard_of() -> None:
    """NOT_OWNER names a revision; who holds the name since then is in somebody else's answer, or
    stays open: it was answered all the same, and is judged."""
    refusal = heard(NotOwner("", create_revision="5"))
    told = replace(GRANT, ask=Ask.RELEASE, owner="p", request_id="01", revision=None, **refusal)
    unheard = replace(told, holder_revision=9)
    _, known, unknown = with_owners([GRANT, told, unheard])
    assert (known.said, known.holder_owner) == (Said.NOT_OWNER, "o")
    assert (unknown.said, unknown.holder_owner) == (Said.NOT_OWNER, "")
