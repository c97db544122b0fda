"""From a replica's callbacks to futures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from namestore.errors import NoLeader, OutcomeUnknown
from namestore.server.bridge import Mailbox, Reply


class CountingLoop:
    """Counts wake-ups, and does the work when told to."""

    def __init__(self) -> None:
        self.woken: list[Callable[[], None]] = []
        self.closed = False

    def call_soon_threadsafe(self, work: Callable[[], None]) -> None:
        if self.closed:
            raise RuntimeError("Event loop is closed")
        self.woken.append(work)


def test_many_deliveries_share_one_wake_up() -> None:
    """One system call for all that is posted before the loop gets to it; in order."""
    loop: Any = CountingLoop()
    mailbox, seen = Mailbox(loop), []
    for number in range(100):
        mailbox.post(lambda number=number: seen.append(number))
    assert len(loop.woken) == 1
    loop.woken.pop()()
    assert seen == list(range(100))
    mailbox.post(lambda: seen.append(100))
    assert len(loop.woken) == 1


def test_a_closed_loop_is_no_error_for_the_replica() -> None:
    """Whoever waited there is gone; the replica's thread must not fail over it."""
    loop: Any = CountingLoop()
    loop.closed = True
    mailbox = Mailbox(loop)
    mailbox.post(lambda: pytest.fail("delivered to a closed loop"))
    mailbox.post(lambda: pytest.fail("delivered to a closed loop"))
    assert loop.woken == []


def reply(settled: list[str], timeout: float = 30.0) -> Reply[str]:
    mailbox = Mailbox(asyncio.get_running_loop())
    late = lambda: OutcomeUnknown("late")  # noqa: E731  # as short as its use
    return Reply(mailbox, timeout, late, lambda: settled.append("settled"))


async def test_reply_settles_once() -> None:
    """The first answer counts, a second one is ignored."""
    settled: list[str] = []
    waiting = reply(settled)
    waiting.post("first")
    waiting.post("second")
    waiting.post(NoLeader("third"))
    assert await waiting.future == "first"
    await asyncio.sleep(0)
    assert settled == ["settled"]


async def test_reply_ends_at_its_deadline() -> None:
    """Although nobody ever answers."""
    settled: list[str] = []
    with pytest.raises(OutcomeUnknown, match="late"):
        await reply(settled, timeout=0.0).future
    assert settled == ["settled"]


async def test_reply_outlives_who_waited() -> None:
    """Cancelled: what is under way stays counted until the answer comes."""
    settled: list[str] = []
    waiting = reply(settled)
    waiting.future.cancel()
    assert settled == []
    waiting.settle("too late")
    assert settled == ["settled"]


async def test_reply_raises_an_error_of_its_own() -> None:
    """One error may answer many: no two callers share its traceback."""
    shared = NoLeader("gone", hint="n2")
    one, other = reply([]), reply([])
    one.post(shared)
    other.post(shared)
    results = await asyncio.gather(one.future, other.future, return_exceptions=True)
    assert [str(result) for result in results] == ["gone", "gone"]
    assert len({id(shared), id(results[0]), id(results[1])}) == 3
    assert all(vars(result)["metadata"] == {"hint": "n2"} for result in results)
