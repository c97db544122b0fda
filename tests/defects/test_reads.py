"""Reads that show the past, and who believes to lead."""

from __future__ import annotations

import pytest

from namestore.errors import NoLeader, NoQuorum
from tests.defects.cluster import Cluster
from tests.defects.conftest import Make
from tests.defects.ours import OurCluster
from tests.defects.plain import PlainCluster

# The library drops files without closing them.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

OLD_LEADER_S = 20.0


def _tick(cluster: Cluster, node: str, seconds: float) -> None:
    end = cluster.now + seconds
    while cluster.now < end:
        cluster.pass_time()
        cluster.turn(node)


def test_defect_r1_a_leader_that_is_cut_off_stops_leading(make: Make) -> None:
    """A leader that a majority has not answered for an election timeout steps down (thesis, 6.2).
    The library's says for half a minute that it leads, and shows what is no longer true."""
    cluster = make("abc")
    cluster.first_leader("a")
    cluster.isolate("a")
    cluster.elect("b", among="bc")
    assert not cluster.write("b", "n:alice", "bob").granted
    cluster.settle("bc")
    _tick(cluster, "a", OLD_LEADER_S)
    assert cluster.owner("b", "n:alice") == "bob"
    assert cluster.owner("a", "n:alice") is None
    assert cluster.leads("a") is cluster.plain
    if isinstance(cluster, PlainCluster):
        assert cluster.objects["a"].isReady()  # type: ignore[attr-defined]
    elif isinstance(cluster, OurCluster):
        read = cluster.read("a", timeout=1.0)
        _tick(cluster, "a", 2.0)
        (error,) = read.heard
        assert isinstance(error, NoQuorum | NoLeader)


def test_defect_r1_a_leader_that_is_cut_off_answers_no_read_meanwhile(make: Make) -> None:
    """Also before it knows that it was deposed: a read waits for a round of heartbeats that began
    after it came (thesis, 6.4)."""
    cluster = make("abc")
    cluster.first_leader("a")
    cluster.isolate("a")
    assert cluster.leads("a")
    if isinstance(cluster, OurCluster):
        read = cluster.read("a")
        for _ in range(5):
            cluster.turn("a")
            cluster.pass_time()
        assert read.heard == []
        cluster.elect("b", among="bc")
        bob = cluster.write("b", "n:alice", "bob")
        cluster.settle("bc")
        assert bob.granted
        cluster.rejoin("a")
        cluster.settle()
        assert read.heard == [True]
        assert cluster.owner("a", "n:alice") == "bob"


def test_defect_r2_a_new_leader_shows_nothing_before_it_knows_what_is_committed(
    make: Make,
) -> None:
    """A fresh leader is behind its own log until its first entry is committed (paper, section 8):
    the library calls it leader and ready while an acknowledged name is missing from its state."""
    cluster = make("abc")
    cluster.first_leader("a")
    bob = cluster.write("a", "n:alice", "bob")
    cluster.turn("a")
    cluster.pass_time()
    cluster.turn("a")
    cluster.deliver("a", "b")
    cluster.deliver("b", "a")
    cluster.turn("a")
    assert bob.granted
    cluster.crash("a")
    cluster.pass_time(1.5)
    cluster.turn("b", campaign=True)
    for _ in range(4):
        if not cluster.leads("b"):
            cluster.deliver("b", "c")
            cluster.deliver("c", "b")
    assert cluster.leads("b")
    assert cluster.owner("b", "n:alice") is None
    if isinstance(cluster, OurCluster):
        read = cluster.read("b")
        cluster.turn("b")
        assert read.heard == []
        cluster.settle("bc")
        assert read.heard == [True]
        assert cluster.owner("b", "n:alice") == "bob"


@pytest.mark.parametrize("reader", ("a", "b"))
def test_defect_r3_a_read_sees_what_was_acknowledged_before(reader: str) -> None:
    """At any node: the library has no read index, so a follower's state may lag by any amount."""
    cluster = OurCluster("abc")
    cluster.start()
    cluster.first_leader("a")
    cluster.cut("a", "b")
    bob = cluster.write("a", "n:alice", "bob")
    cluster.settle("ac", seconds=0.3)
    assert bob.granted
    assert cluster.owner("b", "n:alice") is None
    read = cluster.read(reader)
    cluster.turn(reader)
    cluster.heal("a", "b")
    for _ in range(30):
        cluster.settle(seconds=0.1)
        if read.heard:
            break
    assert read.heard == [True]
    assert cluster.owner(reader, "n:alice") == "bob"
