"""How much waits, and how long."""

from __future__ import annotations

import pytest

from namestore.config import LimitsConfig
from namestore.errors import Overloaded
from namestore.server.admission import NAMES_ALWAYS, WAIT_SECONDS_MAX, Admission


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def admission(clock: Clock) -> Admission:
    return Admission(LimitsConfig(pending_commands_max=20_000, pending_bytes_max=10_000), clock)


def test_a_burst_is_taken_in_whole(admission: Admission) -> None:
    """As much as may wait, at one moment: whether it takes too long is seen when it does."""
    tickets = [admission.admit(1000, 0) for _ in range(20)]
    with pytest.raises(Overloaded, match="20000 names are waiting"):
        admission.admit(1, 0)
    for ticket in tickets:
        admission.release(ticket)
    admission.admit(20_000, 0)


def test_bytes_are_bounded(admission: Admission) -> None:
    """And a call that is refused leaves nothing behind."""
    ticket = admission.admit(1, 6_000)
    with pytest.raises(Overloaded, match="6000 bytes"):
        admission.admit(1, 6_000)
    admission.release(ticket)
    admission.admit(1, 10_000)


def test_nobody_joins_a_queue_that_does_not_move(admission: Admission, clock: Clock) -> None:
    """The oldest has waited too long: the next is refused at once, until it is answered."""
    oldest = admission.admit(NAMES_ALWAYS, 0)
    clock.now += WAIT_SECONDS_MAX
    newer = admission.admit(1, 0)
    clock.now += 0.01
    with pytest.raises(Overloaded, match=r"the oldest of them for 0\.5 s"):
        admission.admit(1, 0)
    admission.release(oldest)
    more = admission.admit(NAMES_ALWAYS, 0)
    clock.now += WAIT_SECONDS_MAX
    with pytest.raises(Overloaded):
        admission.admit(1, 0)
    admission.release(more)
    admission.release(newer)


def test_little_is_never_too_much(admission: Admission, clock: Clock) -> None:
    """A slow disk with few callers: they wait as long as they like."""
    admission.admit(NAMES_ALWAYS - 1, 0)
    clock.now += 100 * WAIT_SECONDS_MAX
    admission.admit(1, 0)
    with pytest.raises(Overloaded):
        admission.admit(1, 0)


def test_who_was_answered_out_of_turn_is_forgotten(admission: Admission, clock: Clock) -> None:
    """The age of the queue is that of the oldest who still waits, and memory stays flat."""
    oldest = admission.admit(1, 0)
    clock.now += WAIT_SECONDS_MAX + 1
    newer = admission.admit(NAMES_ALWAYS, 0)
    admission.release(newer)
    newest = admission.admit(NAMES_ALWAYS, 0)
    with pytest.raises(Overloaded):
        admission.admit(1, 0)
    admission.release(oldest)
    last = admission.admit(1, 0)
    admission.release(newest)
    admission.release(last)
    assert not admission._tickets
