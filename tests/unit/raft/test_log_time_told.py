"""What a leader says of the log's time, to whoever keeps house on its node."""

from __future__ import annotations

import pytest

from tests.defects.ours import OurCluster

NOON = 1_800_000_000.0
HOUR_MS = 3_600_000


@pytest.fixture
def cluster() -> OurCluster:
    made = OurCluster("abc")
    made.now = NOON
    made.start()
    made.skew_ms["a"] = -HOUR_MS
    return made


def test_a_leader_says_what_most_clocks_show_although_its_own_is_behind(
    cluster: OurCluster,
) -> None:
    """What most clocks have passed is over, whatever the clock of the leader of then shows; also
    when they were set while nobody wrote anything."""
    cluster.first_leader("a")
    cluster.settle()
    told = cluster.engines["a"].status().log_time_ms
    assert told == pytest.approx(cluster.now * 1000, abs=500)
    cluster.skew_ms |= {"b": HOUR_MS, "c": HOUR_MS}
    cluster.settle()
    told = cluster.engines["a"].status().log_time_ms
    assert told == pytest.approx(cluster.now * 1000 + HOUR_MS, abs=500)


def test_between_heartbeats_it_goes_on(cluster: OurCluster) -> None:
    """Who waits for a moment need not ask in each."""
    cluster.first_leader("a")
    cluster.settle()
    before = cluster.engines["a"].status().log_time_ms
    assert before is not None
    cluster.now += 0.05
    assert cluster.engines["a"].status().log_time_ms == pytest.approx(before + 50, abs=1)


def test_nobody_else_says_it(cluster: OurCluster) -> None:
    """A follower would have to ask."""
    cluster.first_leader("a")
    cluster.settle()
    assert cluster.engines["b"].status().log_time_ms is None


def test_it_stands_at_what_the_log_says_after_all_were_restarted(cluster: OurCluster) -> None:
    """Most clocks were ahead, and are set back while nobody runs; and what said how late it was is
    in the log of the next leader, and not in its state yet: from there it goes on."""
    cluster.skew_ms |= {"b": HOUR_MS, "c": HOUR_MS}
    cluster.first_leader("a")
    cluster.settle()
    cluster.write("a", "n:1", "u")
    cluster.settle()
    late_ms = cluster.disks["b"].state.meta.time_ms
    assert late_ms > NOON * 1000 + HOUR_MS
    cluster.crash(*"abc")
    assert cluster.disks["b"].state.meta.time_ms < late_ms
    cluster.skew_ms.clear()
    cluster.restart(*"abc")
    cluster.elect("b")
    cluster.settle()
    told = cluster.engines["b"].status().log_time_ms
    assert told is not None
    assert told > late_ms
    granted = cluster.write("b", "n:2", "u")
    cluster.settle()
    assert granted.granted
    assert cluster.disks["b"].state.meta.time_ms > late_ms
