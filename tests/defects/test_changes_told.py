"""Whoever follows a replica's state hears of every change, on whichever way it came."""

from __future__ import annotations

from namestore.raft.settings import Bounds
from tests.defects.ours import OurCluster


def _told(cluster: OurCluster, node: str) -> list[int]:
    """The revisions at which somebody is told, from now on."""
    told: list[int] = []
    state = cluster.disks[node].state
    cluster.engines[node].changed = lambda: told.append(state.meta.revision)
    return told


def test_changes_of_one_turn_are_told_once() -> None:
    """When they are visible; a turn in which nothing changed tells nothing."""
    cluster = OurCluster("abc")
    cluster.start()
    cluster.first_leader("a")
    told = {node: _told(cluster, node) for node in "abc"}
    for number in range(10):
        cluster.write("a", f"n:{number}", "u")
    cluster.settle()
    assert [each[-1] for each in told.values()] == [10, 10, 10]
    for each in told.values():
        assert each == sorted(set(each))
        assert len(each) < 10
    cluster.settle(seconds=5)
    assert [each[-1] for each in told.values()] == [10, 10, 10]


def test_a_snapshot_is_told() -> None:
    """What it brought was applied by nobody here, and is a change all the same."""
    cluster = OurCluster("abc", Bounds(log_entries=5, entry_names=1))
    cluster.start()
    cluster.first_leader("a")
    cluster.isolate("c")
    for number in range(30):
        cluster.write("a", f"n:{number}", "u")
        cluster.settle("ab", seconds=0.1)
    told = _told(cluster, "c")
    cluster.rejoin("c")
    cluster.settle(seconds=10)
    assert cluster.disks["c"].state.installed_index > 0
    assert told
    assert told[-1] == 30


def test_a_listener_that_fails_changes_nothing() -> None:
    """What it does is its own affair: the replica goes on."""
    cluster = OurCluster("a")
    cluster.start()
    cluster.first_leader("a")

    def fail() -> None:
        raise RuntimeError("the listener's loop is closed")

    cluster.engines["a"].changed = fail
    write = cluster.write("a", "n:alice", "u")
    cluster.settle()
    assert write.heard == [True]
