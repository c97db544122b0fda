"""The log's time is what a majority of clocks have passed."""

from __future__ import annotations

import pytest

from namestore.raft.log_time import LogTime

VOTERS = ("n1", "n2", "n3")
NOON = 1_800_000_000_000
HOUR = 3_600_000


class Clocks:
    """The clocks of one node: one that only runs, one that is set."""

    def __init__(self) -> None:
        self.seconds = 100.0
        self.wall_ms = NOON

    def pass_(self, seconds: float) -> None:
        self.seconds += seconds
        self.wall_ms += int(seconds * 1000)


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def time(clocks: Clocks) -> LogTime:
    made = LogTime(lambda: clocks.seconds, lambda: clocks.wall_ms)
    made.begin(0)
    return made


def now(time: LogTime, voters: tuple[str, ...] = VOTERS) -> int | None:
    return time.now_ms("n1", voters, len(voters) // 2 + 1)


def test_log_time_is_unknown_until_a_majority_said_it(time: LogTime) -> None:
    """One clock of three is no time; one of one is."""
    assert now(time) is None
    assert now(time, ("n1",)) == NOON
    time.heard("n2", NOON)
    assert now(time) == NOON


@pytest.mark.parametrize("wrong_ms", (-30 * HOUR, 30 * HOUR))
def test_log_time_does_not_follow_one_wrong_clock(time: LogTime, wrong_ms: int) -> None:
    """A follower's clock that is far off takes the log's time nowhere."""
    time.heard("n2", NOON + wrong_ms)
    time.heard("n3", NOON + 5)
    assert now(time) in (NOON, NOON + 5)


@pytest.mark.parametrize("wrong_ms", (-30 * HOUR, 30 * HOUR))
def test_log_time_does_not_follow_a_leader_with_a_wrong_clock(
    time: LogTime, clocks: Clocks, wrong_ms: int
) -> None:
    """The leader's own clock is one among the others."""
    clocks.wall_ms += wrong_ms
    time.heard("n2", NOON)
    time.heard("n3", NOON + 5)
    assert now(time) in (NOON, NOON + 5)


def test_log_time_of_two_clocks_is_the_earlier(time: LogTime) -> None:
    """While one voter of three is silent nobody knows which of two clocks is wrong: late, then."""
    time.heard("n2", NOON + 30 * HOUR)
    assert now(time) == NOON


def test_log_time_runs_on_while_clocks_are_set_back(time: LogTime, clocks: Clocks) -> None:
    """A majority set back does not take it back, and does not stop it either: it goes on a tenth
    slower until they are there."""
    time.heard("n2", NOON)
    assert now(time) == NOON
    clocks.wall_ms -= HOUR
    clocks.pass_(2.0)
    time.heard("n2", NOON - HOUR)
    assert now(time) == NOON + 1800


def test_log_time_of_a_new_leader_goes_on_from_the_last(time: LogTime, clocks: Clocks) -> None:
    """What was applied carried a later time than the clocks show: it goes on from there."""
    time.begin(NOON + HOUR)
    time.heard("n2", NOON)
    clocks.pass_(1.0)
    assert now(time) == NOON + HOUR + 900


@pytest.mark.parametrize("step_s", (0.001, 0.05, 3.0))
def test_log_time_does_not_run_away_with_a_monotonic_clock_that_is_fast(
    time: LogTime, clocks: Clocks, step_s: float
) -> None:
    """By a twentieth, for hours: it stays with the wall clocks, and never runs backwards."""
    last, passed_s = NOON, 0.0
    for _ in range(6000):
        clocks.seconds += step_s * 1.05
        passed_s += step_s
        clocks.wall_ms = NOON + round(passed_s * 1000)
        time.heard("n2", clocks.wall_ms)
        told = now(time)
        assert told is not None
        assert last <= told <= clocks.wall_ms + step_s * 50 + 10
        last = told
    assert last >= clocks.wall_ms


def test_log_time_goes_on_from_what_a_leader_applies_after_its_election(
    time: LogTime, clocks: Clocks
) -> None:
    """A node that was restarted may be elected with entries still to apply, and these may be ahead
    of all clocks: the log's time must not stand until the clocks are there."""
    time.begin(0)
    time.heard("n2", NOON)
    time.applied(NOON + HOUR)
    clocks.pass_(1.0)
    assert now(time) == NOON + HOUR + 900
    time.applied(NOON)
    assert now(time) == NOON + HOUR + 900


def test_log_time_is_never_before_what_was_just_applied(time: LogTime, clocks: Clocks) -> None:
    """However long nobody asked for it."""
    time.heard("n2", NOON)
    clocks.pass_(60.0)
    time.applied(NOON + HOUR)
    assert now(time) == NOON + HOUR


def test_log_time_catches_up_with_clocks_after_everybody_was_down(
    time: LogTime, clocks: Clocks
) -> None:
    """The time that nobody ran has passed all the same."""
    time.begin(NOON - 10 * HOUR)
    time.heard("n3", NOON - 3)
    assert now(time) == NOON - 3


def test_log_time_forgets_what_voters_said_to_an_earlier_leadership(time: LogTime) -> None:
    """A clock may have been set since."""
    time.heard("n2", NOON)
    time.begin(0)
    assert now(time) is None


def test_log_time_asks_voters_only(time: LogTime) -> None:
    """Whoever only learns does not count, and whoever was removed does not either."""
    time.heard("n4", NOON)
    assert now(time) is None
