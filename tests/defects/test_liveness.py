"""Replicas that never catch up, leaders that fall without need, logs that never end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from namestore.raft.settings import Bounds
from namestore.raft.transport.messages import decode
from tests.defects.cluster import Cluster
from tests.defects.conftest import Make
from tests.defects.ours import OurCluster

# The library drops files without closing them.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

PADDING = "x" * 30_000
SHORT_LOG = Bounds(log_entries=5, entry_names=1)


def _c_needs_a_snapshot(bounds: Bounds = SHORT_LOG) -> OurCluster:
    """The leader a has dropped entries that c, which is cut off, never got."""
    cluster = OurCluster("abc", bounds)
    cluster.start()
    cluster.first_leader("a")
    cluster.isolate("c")
    for number in range(30):
        cluster.write("a", f"n:{number}", "u")
        cluster.settle("ab", seconds=0.1)
    return cluster


def test_defect_l1_a_node_that_was_cut_off_does_not_depose_a_healthy_leader(make: Make) -> None:
    """A candidate first asks whether it could win, and who hears a leader says no (thesis, 9.6 and
    4.2.3). In the library its higher term resets everybody."""
    cluster = make("abc")
    cluster.first_leader("a")
    cluster.cut("a", "c")
    for _ in range(15):
        cluster.pass_time()
        cluster.turn("a")
        cluster.deliver("a", "b")
        cluster.deliver("b", "a")
    cluster.turn("c", campaign=True)
    for _ in "two":
        cluster.deliver("c", "b")
        cluster.deliver("b", "c")
    cluster.settle(seconds=0.4)
    assert cluster.leads("c") is cluster.plain
    write = cluster.write("a", "n:alice", "bob")
    cluster.settle(seconds=0.4)
    assert write.granted is not cluster.plain


def test_defect_l2_a_divergent_follower_far_behind_catches_up(make: Make) -> None:
    """A rejection moves the next index backwards only, and never below what matches; an answer to
    an older message says nothing new. In the library the last rejection of a pipeline wins, and a
    divergent tail more than one batch behind never ends."""
    cluster = make("abc")
    cluster.first_leader("a")
    cluster.isolate("a")
    for number in range(3):
        cluster.write("a", f"n:ghost{number}", "u")
    cluster.turn("a")
    cluster.elect("b", among="bc")
    for number in range(12):
        cluster.write("b", f"n:{number}", PADDING)
    cluster.settle("bc")
    cluster.elect("c", among="bc")
    cluster.settle("bc")
    cluster.rejoin("a")
    cluster.settle(seconds=60 if cluster.plain else 5)
    assert (cluster.owner("a", "n:11") is None) is cluster.plain


def _time_to_catch_up(cluster: Cluster) -> float:
    cluster.first_leader("a")
    cluster.isolate("a")
    for number in range(300):
        cluster.write("a", f"n:ghost{number}", "u")
    cluster.turn("a")
    cluster.elect("b", among="bc")
    for number in range(310):
        cluster.write("b", f"n:{number}", "x")
    cluster.settle("bc")
    cluster.elect("c", among="bc")
    cluster.settle("bc")
    cluster.rejoin("a")
    began = cluster.now
    while cluster.owner("a", "n:309") is None and cluster.now < began + 100:
        cluster.settle(seconds=0.5)
    return cluster.now - began


def test_defect_l3_a_divergent_tail_is_walked_back_a_term_at_a_time(make: Make) -> None:
    """However long the tail (paper, 5.3, last paragraph). The library takes a heartbeat for each
    entry."""
    cluster = make("abc")
    assert (_time_to_catch_up(cluster) > 10) is cluster.plain


def test_a_former_leader_lets_go_of_the_snapshot_it_offered() -> None:
    """It keeps disk space, and the log after it: a node that offered one and was deposed shortens
    its log again."""
    cluster = _c_needs_a_snapshot()
    cluster.heal("a", "c")
    while not cluster.disks["a"].state.checkpoints_held:
        cluster.settle("ac", seconds=0.1)
    cluster.rejoin("c")
    cluster.settle()
    cluster.elect("b")
    for number in range(50):
        cluster.write("b", f"n:more{number}", "u")
        cluster.settle(seconds=1.0)
    assert cluster.disks["a"].state.checkpoints_held == {}
    log = cluster.disks["a"].log
    assert log.last_index - log.first_index < 20


def test_no_snapshot_is_made_for_a_follower_that_is_away() -> None:
    """Making one reads the whole state: it waits until somebody is there to fetch it."""
    cluster = _c_needs_a_snapshot()
    cluster.heal("a", "c")
    while not cluster.disks["a"].state.checkpoints_held:
        cluster.settle("a", seconds=0.1)
        cluster.deliver("a", "c")
        cluster.deliver("c", "a")
    cluster.crash("c")
    cluster.settle("ab", seconds=40)
    made = []
    state = cluster.disks["a"].state
    real = state.checkpoint

    def checkpoint() -> object:
        made.append(cluster.now)
        return real()

    state.checkpoint = checkpoint  # type: ignore[method-assign,assignment]
    cluster.settle("ab", seconds=70)
    assert made == []
    cluster.restart("c")
    cluster.settle(seconds=10)
    assert cluster.owner("c", "n:29") == "u"


def test_an_offer_waits_for_checksums_however_long_they_take() -> None:
    """Reading a large state takes its time: the snapshot is not let go of under the reader."""
    cluster = _c_needs_a_snapshot()
    cluster.heal("a", "c")
    state = cluster.disks["a"].state
    real = state.checkpoint

    def checkpoint() -> object:
        cluster.hold_jobs = True  # the checksums among them
        return real()

    state.checkpoint = checkpoint  # type: ignore[method-assign,assignment]
    cluster.settle(seconds=120)
    assert len(state.checkpoints_held) == 1
    assert 1 <= len(cluster.jobs["a"]) <= 2
    cluster.hold_jobs = False
    cluster.settle(seconds=10)
    assert cluster.owner("c", "n:29") == "u"


def test_a_snapshot_is_flushed_before_the_raft_thread_makes_it() -> None:
    """Whatever is still to be written to disk is written in the background: heartbeats go on."""
    cluster = _c_needs_a_snapshot()
    state = cluster.disks["a"].state
    unflushed, real = [], state.checkpoint

    def checkpoint() -> object:
        unflushed.append(state.unflushed_changes)
        return real()

    state.checkpoint = checkpoint  # type: ignore[method-assign,assignment]
    cluster.write("a", "n:last", "u")
    cluster.settle("ab", seconds=0.1)
    assert state.unflushed_changes > 0
    cluster.heal("a", "c")
    cluster.settle(seconds=10)
    assert unflushed == [0]
    assert cluster.owner("c", "n:last") == "u"


def test_a_first_membership_that_lost_does_not_shut_its_node_out() -> None:
    """A leader whose very first entry reached nobody comes back to a cluster that began without it:
    its own cluster id was never agreed on."""
    cluster = OurCluster("abc")
    cluster.start()
    cluster.turn("a", campaign=True)
    for peer in "bbc":
        if not cluster.leads("a"):
            cluster.deliver("a", peer)
            cluster.deliver(peer, "a")
    assert cluster.leads("a")
    cluster.take("a", "b")
    cluster.take("a", "c")
    cluster.pass_time(1.5)
    cluster.turn("b", campaign=True)  # it has not noticed that a is gone
    for _ in "two":
        cluster.deliver("b", "c")
        cluster.deliver("c", "b")
    cluster.take("b", "a")
    cluster.crash("a")
    cluster.settle("bc")
    assert cluster.leads("b")
    cluster.restart("a")
    cluster.settle()
    write = cluster.write("a", "n:alice", "bob")
    cluster.settle()
    assert write.granted


def test_snapshot_phase_ends_when_the_answer_is_lost() -> None:
    """The follower installed a snapshot and its word was lost: the next heartbeat tells."""
    cluster = _c_needs_a_snapshot()
    cluster.heal("a", "c")
    for _ in range(60):
        cluster.settle("a", seconds=0.2)
        cluster.deliver("a", "c")
        answers = cluster.take("c", "a")
        kept = [m for m in answers if decode(m)["type"] != "snapshot_result"]
        cluster.put("c", "a", kept)
        cluster.deliver("c", "a")
        if len(kept) < len(answers):
            break
    else:
        raise AssertionError("no snapshot was installed")
    cluster.write("a", "n:last", "u")
    cluster.settle(seconds=3)
    assert cluster.owner("c", "n:last") == "u"


def test_what_arrived_of_a_snapshot_goes_once_the_log_overtook_it() -> None:
    """A leader that has the entries sends these: the pieces would lie there for ever."""
    cluster = _c_needs_a_snapshot(replace(SHORT_LOG, chunk_bytes=200))
    cluster.heal("a", "c")
    incoming = cluster.disks["c"].incoming
    while incoming.wanted() is None or incoming.wanted() == (0, 0, 200):
        cluster.pass_time(0.1)
        cluster.turn("a")
        cluster.deliver("a", "c")
        cluster.turn("c")
        cluster.deliver("c", "a")
    cluster.cut("a", "c")
    arrival = cluster.engines["c"]._arrival
    assert arrival is not None
    arrival.last_index = cluster.engines["c"].commit_index  # as if entries had come meanwhile
    cluster.turn("c")
    assert incoming.wanted() is None
    cluster.heal("a", "c")
    cluster.settle(seconds=10)
    assert cluster.owner("c", "n:29") == "u"
