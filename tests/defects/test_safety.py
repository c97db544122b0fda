"""Acknowledged names that the library loses or gives twice by what nodes say to each other.

Each schedule runs on PySyncObj 0.3.17, where it must bite, and on namestore's engine, where it must
not. The numbers are those of docs/pysyncobj.md.
"""

from __future__ import annotations

from typing import Any

import pytest

from namestore.errors import InvariantViolation
from namestore.raft.transport.messages import decode
from tests.defects.cluster import Answer
from tests.defects.conftest import Make, MakePlain
from tests.defects.ours import OurCluster

# The library drops files without closing them.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

PADDING = "x" * 30_000  # two or three such entries fill a batch


def _compacted_behind_a_deposed_leader(make: Any) -> tuple[Any, Answer, Answer]:
    """a asks in vain for alice to be mallory's; b grants her to bob, and forgets those entries."""
    cluster = make("abc")
    cluster.first_leader("a")
    cluster.isolate("a")
    mallory = cluster.write("a", "n:alice", "mallory")
    cluster.turn("a")
    cluster.elect("b", among="bc")
    bob = cluster.write("b", "n:alice", "bob")
    for number in range(5):
        cluster.write("b", f"n:{number}", "x")
    cluster.settle("bc")
    assert bob.granted
    cluster.compact("b")
    return cluster, bob, mallory


def test_defect_01_snapshot_messages_commit_nothing_of_our_log(make: Make) -> None:
    """The commit index follows only what this very message was verified to agree with: a snapshot
    under way says nothing about the follower's log (paper, figure 2 and section 7)."""
    cluster, bob, mallory = _compacted_behind_a_deposed_leader(make)
    cluster.rejoin("a")
    cluster.pass_time()
    cluster.turn("b")
    cluster.deliver("b", "a", 1)
    cluster.turn("a")
    cluster.settle()
    assert (bob.granted and mallory.granted) is cluster.plain
    if not cluster.plain:
        assert mallory.heard == [False]
        assert cluster.owner("a", "n:alice") == "bob"


def test_defect_01_a_busy_leader_commits_nothing_of_our_log(make_plain: MakePlain) -> None:
    """The library's empty "I am compacting" message does the same; namestore has no such message:
    a leader that makes a snapshot sends heartbeats that are checked as all others."""
    cluster, _, mallory = _compacted_behind_a_deposed_leader(make_plain)
    serializer = cluster.private("b", "serializer")
    serializer._Serializer__pid = -99
    serializer.checkSerializing = lambda: (1, 0)
    cluster.rejoin("a")
    cluster.pass_time()
    cluster.clock_step = 0.005
    cluster.turn("b")
    cluster.clock_step = 0.0
    cluster.deliver("b", "a", 1)
    cluster.turn("a")
    assert mallory.granted


def _first_with_entries(messages: list[Any]) -> Any:
    for message in messages:
        fields = decode(message) if isinstance(message, bytes) else message
        if fields["type"] == "append_entries" and fields.get("entries"):
            return message
    raise AssertionError("no entries are under way")


def test_defect_02_acknowledged_entries_are_never_cut(make: Make) -> None:
    """A follower removes entries only from the first that conflicts, and never committed ones: an
    earlier batch that comes again (the library itself sends it again after two rejections of one
    gap) leaves the later ones in place (paper, figure 2, AppendEntries, 3 and 4)."""
    cluster = make("abc")
    cluster.first_leader("a")
    cluster.isolate("c")
    answers = {f"n:{n}": cluster.write("a", f"n:{n}", f"u{n}{PADDING}") for n in range(6)}
    cluster.turn("a")
    cluster.pass_time()
    cluster.turn("a")
    earlier = _first_with_entries(cluster.in_flight("a", "b"))
    cluster.settle("ab")
    assert all(answer.granted for answer in answers.values())
    cluster.take("a", "b")
    cluster.put("a", "b", [earlier])
    cluster.deliver("a", "b")
    cluster.crash("a", "b")
    cluster.restart("b")
    cluster.heal("b", "c")
    cluster.elect("b", among="bc")
    cluster.settle("bc")
    lost = [name for name in answers if cluster.owner("b", name) is None]
    assert bool(lost) is cluster.plain
    thief = cluster.write("b", "n:5", "thief")
    cluster.settle("bc")
    assert thief.granted is cluster.plain


def test_defect_02_the_library_repeats_a_batch_by_itself(make_plain: MakePlain) -> None:
    """Without any duplicated message: two rejections of one gap make the leader send everything
    twice, and the second first batch cuts off what the first round had stored."""
    cluster = make_plain("abc")
    cluster.first_leader("a")
    cluster.isolate("c")
    answers = [cluster.write("a", "n:0", f"u{PADDING}")]
    cluster.turn("a")
    cluster.pass_time()
    cluster.turn("a")
    cluster.cut("a", "b")
    answers += [cluster.write("a", f"n:{n}", f"u{PADDING}") for n in range(1, 7)]
    cluster.turn("a")
    cluster.heal("a", "b")
    cluster.pass_time()
    cluster.turn("a")
    cluster.deliver("a", "b")
    for _ in "two":
        cluster.deliver("b", "a", 1)
        cluster.pass_time()
        cluster.turn("a")
    cluster.deliver("a", "b", 3)
    cluster.deliver("b", "a")
    cluster.turn("a")
    assert all(answer.granted for answer in answers)
    stored = len(cluster.terms("b"))
    cluster.deliver("a", "b", 1)
    assert len(cluster.terms("b")) < stored


def test_defect_05_membership_changes_do_not_overlap(make_plain: MakePlain) -> None:
    """One change at a time, each committed before the next (thesis, 4.1). The library takes two at
    once, and disjoint majorities commit. Its own doors to changes are shut in namestore."""
    cluster = make_plain("abc", dynamicMembershipChange=True)
    cluster.first_leader("a")
    cluster.nodes += ["d", "e"]
    for node in "de":
        cluster.restart(node)
    for node in "ade":
        cluster.cut(node, "b", "c")
    for node in "de":
        cluster.objects["a"].addNodeToCluster(node)
    cluster.settle("ade")
    mallory = cluster.write("a", "n:alice", "mallory")
    cluster.settle("ade")
    cluster.elect("b", among="bc")
    bob = cluster.write("b", "n:alice", "bob")
    cluster.settle("bc")
    assert mallory.granted
    assert bob.granted

    engine = OurCluster("abc")
    engine.start()
    for door in (engine.engines["a"].addNodeToCluster, engine.engines["a"].removeNodeFromCluster):
        with pytest.raises(InvariantViolation):
            door("d")


def test_defect_06_answers_of_an_older_term_count_for_nothing(make: Make) -> None:
    """An acknowledgement of term 1 that arrives in term 3 says nothing about entries of term 3
    (paper, figure 2: answers carry the term)."""
    cluster = make("abcde")
    cluster.first_leader("a")
    cluster.cut("a", "c", "d", "e")
    for number in range(10):
        cluster.write("a", f"n:old{number}", "u")
    cluster.turn("a")
    cluster.pass_time()
    cluster.turn("a")
    cluster.deliver("a", "b")
    acknowledgement = cluster.take("b", "a")
    cluster.heal("a", "c", "d", "e")
    cluster.cut("b", "c", "d", "e")
    cluster.elect("c", among="cde")
    cluster.settle("ac")  # c's log takes the place of a's tail
    cluster.isolate("c")
    cluster.elect("a", among="ade")
    cluster.cut("a", "e")
    answers = {f"n:new{n}": cluster.write("a", f"n:new{n}", "u") for n in range(4)}
    cluster.settle("ad", seconds=0.3)
    assert not any(answer.granted for answer in answers.values())
    cluster.take("b", "a")
    cluster.put("b", "a", acknowledgement)
    cluster.deliver("b", "a")
    cluster.settle("ad", seconds=0.3)
    granted = [name for name, answer in answers.items() if answer.granted]
    cluster.crash("a", "d")
    cluster.heal("b", "c", "e")
    cluster.heal("c", "e")
    leader = cluster.elect_any("cbe")
    cluster.settle("bce")
    lost = [name for name in granted if cluster.owner(leader, name) is None]
    assert bool(lost) is cluster.plain


def test_defect_11_late_answers_meet_nobody_after_a_restart(make: Make) -> None:
    """An answer meant for the process before is not an answer to this one's question: request
    numbers begin anywhere, and are not reused (compare paper, section 8)."""
    cluster = make("abc")
    cluster.first_leader("a")
    assert not cluster.write("a", "n:alice", "bob").granted
    cluster.settle()
    cluster.write("b", "n:zoe", "zoe")
    cluster.turn("b")
    forwarded = cluster.take("b", "a")
    assert forwarded
    cluster.crash("b")
    cluster.restart("b")
    cluster.pass_time()
    cluster.turn("a")
    cluster.deliver("a", "b")
    cluster.take("b", "a")
    cluster.put("b", "a", forwarded)
    mallory = cluster.write("b", "n:alice", "mallory")
    cluster.turn("b")
    cluster.settle()
    assert mallory.granted is cluster.plain
    assert cluster.owner("a", "n:alice") == "bob"
