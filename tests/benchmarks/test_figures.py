"""The arithmetic of the benchmarks: what a median, a spread and a ratio are taken of."""

from __future__ import annotations

import pytest

from benchmarks.generating import figures
from benchmarks.load import Outcome
from benchmarks.peers.interface import BenchmarkError
from benchmarks.samples import CLIENT_CPU, FAILED, P50, P99, RATE, SERVER_CPU
from benchmarks.spreads import Spread, percentile, ratio, spread
from benchmarks.workloads.context import in_turn
from benchmarks.workloads.outage import longest_gap
from benchmarks.workloads.unary import rate_of

_H2LOAD = """\
finished in 2.00s, 1664.50 req/s, 140.80KB/s
requests: 3329 total, 3329 started, 3329 done, 3329 succeeded, 0 failed, 0 errored, 0 timeout
traffic: 375.44KB (384450) total, 77.93KB (79800) headers (space savings 88.63%), {data}
"""


@pytest.mark.parametrize(
    ("percent", "expected"), ((1, 1.0), (25, 1.0), (50, 2.0), (51, 3.0), (99, 4.0), (100, 4.0))
)
def test_percentile_is_a_value_that_was_measured(percent: float, expected: float) -> None:
    """So many percent of the values do not exceed it, whatever order they came in."""
    assert percentile([3.0, 1.0, 4.0, 2.0], percent) == expected


def test_spread_holds_the_middle_and_the_ends() -> None:
    """The median of an even number lies between the middle two."""
    assert spread([9.0, 1.0, 5.0]) == Spread(5.0, 1.0, 9.0, 3)
    assert spread([9.0, 1.0, 5.0, 6.0]) == Spread(5.5, 1.0, 9.0, 4)


def test_ratio_is_taken_within_a_round() -> None:
    """A slow round of the machine slows both, and leaves the ratio as it is."""
    found = ratio({0: 100.0, 1: 10.0, 2: 100.0}, {0: 50.0, 1: 5.0, 2: 25.0})
    assert found == Spread(2.0, 2.0, 4.0, 3)


def test_ratio_leaves_out_rounds_that_one_of_them_lacks() -> None:
    """A round in which one failed compares nothing."""
    assert ratio({0: 8.0, 1: 9.0}, {1: 3.0, 2: 1.0}) == Spread(3.0, 3.0, 3.0, 1)
    assert ratio({0: 8.0}, {1: 3.0}) is None
    assert ratio({0: 8.0}, {0: 0.0}) is None


def test_figures_add_up_processes() -> None:
    """Names of several processes add up; latencies are ranked together; CPU is for each name."""
    found = figures(
        [
            Outcome(names=300, seconds=2.0, cpu_seconds=0.5, latencies_us=[1000, 2000, 3000]),
            Outcome(names=100, seconds=2.0, cpu_seconds=0.3, latencies_us=[9000]),
        ],
        server_seconds=1.2,
    )
    assert found == {
        RATE: 200.0,
        P50: 2.0,
        P99: 9.0,
        SERVER_CPU: pytest.approx(3000.0),
        CLIENT_CPU: pytest.approx(2000.0),
    }


def test_few_failed_calls_are_shown() -> None:
    """A peer whose leader changed meanwhile has a figure, and what failed stands beside it."""
    outcome = Outcome(names=100, seconds=1.0, latencies_us=[1000] * 100, failed=2, failure="lost")
    assert figures([outcome], server_seconds=1.0)[FAILED] == 2.0


def test_many_failed_calls_are_an_error() -> None:
    """The speed of those that came through says nothing."""
    outcome = Outcome(names=100, seconds=1.0, latencies_us=[1000] * 100, failed=6, failure="lost")
    with pytest.raises(BenchmarkError, match="6 calls failed, 100 did not; the first: lost"):
        figures([outcome], server_seconds=1.0)


def test_figures_of_nothing_are_an_error() -> None:
    """A peer that answered nobody has no speed."""
    with pytest.raises(BenchmarkError):
        figures([Outcome(seconds=1.0)], server_seconds=1.0)


def test_every_peer_begins_a_round() -> None:
    """No peer always follows the same one's first call of a round."""
    assert [in_turn(["a", "b", "c"], number) for number in range(4)] == [
        ["a", "b", "c"],
        ["b", "c", "a"],
        ["c", "a", "b"],
        ["a", "b", "c"],
    ]


def test_outage_is_the_longest_pause_after_the_kill() -> None:
    """A longer pause before it does not count; one that began just before it does."""
    answered = [0.0, 5.0, 5.1, 5.2, 7.0, 7.5]
    assert longest_gap(answered, killed=5.3) == pytest.approx(1.8)


def test_h2load_rate_counts_only_whole_answers() -> None:
    """An error is an HTTP success without a message: too few bytes give it away."""
    assert rate_of(_H2LOAD.format(data="113.79KB (116515) data"), message_bytes=30) == 1664.5
    with pytest.raises(BenchmarkError):
        rate_of(_H2LOAD.format(data="100.00KB (102400) data"), message_bytes=30)
    with pytest.raises(BenchmarkError):
        rate_of("h2load: cannot connect", message_bytes=30)
