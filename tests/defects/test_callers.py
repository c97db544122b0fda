"""Callers that the library leaves waiting, or tells the wrong thing."""

from __future__ import annotations

import msgpack
import pytest

from namestore.core.commands import Register, RegisterAll, Wanted, encode_command
from namestore.errors import NoLeader, NoQuorum, OutcomeUnknown, Unavailable
from namestore.raft.proposals import Proposal
from namestore.raft.settings import Bounds
from tests.defects.cluster import Answer
from tests.defects.conftest import Make, MakePlain
from tests.defects.ours import OurCluster
from tests.defects.plain import PlainCluster

# The library drops files without closing them.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.mark.parametrize("lost", ("question", "answer"))
def test_defect_c1_a_forwarded_command_survives_its_connection(lost: str, make: Make) -> None:
    """Question or answer lost with a connection while the leader stays: it is asked again, under
    the same request_id, and the caller is answered once."""
    cluster = make("abc")
    cluster.first_leader("a")
    answer = cluster.write("b", "n:alice", "bob")
    cluster.turn("b")
    if lost == "answer":
        cluster.deliver("b", "a")
        cluster.turn("a")
    cluster.cut("a", "b")
    cluster.heal("a", "b")
    cluster.settle(seconds=8)
    assert answer.heard == ([] if cluster.plain else [True])


def test_defect_c2_a_deposed_leader_answers_what_a_snapshot_swallowed(make: Make) -> None:
    """Its entry's index is covered by a snapshot: the library forgets the caller."""
    cluster = make("abc")
    cluster.first_leader("a")
    cluster.isolate("a")
    carol = cluster.write("a", "n:carol", "carol")
    cluster.turn("a")
    cluster.elect("b", among="bc")
    for number in range(5):
        cluster.write("b", f"n:{number}", "x")
    cluster.settle("bc")
    cluster.compact("b")
    cluster.compact("c")
    cluster.rejoin("a")
    cluster.settle(seconds=5)
    assert cluster.owner("a", "n:4") == "x"
    if cluster.plain:
        # With defect 1 it is even granted, by the minority of one.
        assert carol.heard == [] or cluster.owner("b", "n:carol") is None
    else:
        assert carol.heard == [True]
        assert cluster.owner("b", "n:carol") == "carol"


def test_defect_c3_a_leader_without_a_majority_answers_by_the_deadline(make: Make) -> None:
    """ "Unknown" for what was in its log, as it may yet be committed; the library never answers."""
    cluster = make("abc")
    cluster.first_leader("a")
    cluster.isolate("a")
    if isinstance(cluster, OurCluster):
        command = encode_command(Register(b"r", Wanted("n:erin", "n:erin", "erin")))
        answer = cluster.propose("a", [command], timeout=5.0)
        late = cluster.now + 5.5
    else:
        answer, late = cluster.write("a", "n:erin", "erin"), cluster.now + 60
    while cluster.now < late:
        cluster.pass_time()
        cluster.turn("a")
    if cluster.plain:
        assert answer.heard == []
    else:
        (error,) = answer.heard
        assert isinstance(error, OutcomeUnknown)


def test_defect_c4_a_change_of_leader_does_not_mean_not_applied(make: Make) -> None:
    """Forwarded and in the leader's log when that dies, and committed by the next: the library says
    "leader changed, without command commit"; namestore asks the next leader and tells the truth."""
    cluster = make("abc")
    cluster.first_leader("b")
    dave = cluster.write("c", "n:dave", "dave")
    cluster.turn("c")
    cluster.deliver("c", "b")
    cluster.turn("b")
    cluster.pass_time()
    cluster.turn("b")
    cluster.take("b", "c")
    cluster.deliver("b", "a")
    cluster.crash("b")
    cluster.elect("a", among="ac")
    cluster.settle("ac")
    assert cluster.owner("a", "n:dave") == "dave"
    assert dave.granted is not cluster.plain
    if cluster.plain:
        assert dave.heard == [5]  # FAIL_REASON.LEADER_CHANGED


def test_defect_c5_what_was_given_up_unproposed_is_never_applied(make: Make) -> None:
    """A caller that was told "certainly not applied" is told the truth for ever. The library keeps
    a command that waits for a leader and applies it long after its caller has gone."""
    cluster = make("abc")
    if isinstance(cluster, OurCluster):
        command = encode_command(Register(b"r", Wanted("n:alice", "n:alice", "bob")))
        answer = cluster.propose("a", [command], timeout=1.0)
        for _ in range(30):
            cluster.pass_time()
            cluster.turn("a")
        (error,) = answer.heard
        assert isinstance(error, NoLeader | NoQuorum)
    else:
        cluster.write("a", "n:alice", "bob")
        cluster.turn("a")
        cluster.pass_time(3.0)
    cluster.first_leader("a")
    cluster.settle()
    assert (cluster.owner("a", "n:alice") == "bob") is cluster.plain


def test_every_caller_is_answered_once_when_the_leader_keeps_changing() -> None:
    """However often a proposal is handed on, its caller hears one answer."""
    cluster = OurCluster("abc")
    cluster.start()
    cluster.first_leader("a")
    answers: list[Answer] = []
    for turn, leader in enumerate("bcabca"):
        for node in "abc":
            answers.append(cluster.write(node, f"n:{turn}{node}", node))
            cluster.turn(node)
        cluster.elect(leader)
    cluster.settle(seconds=6)
    assert [answer.heard for answer in answers] == [[True]] * len(answers)


def test_overloaded_is_said_only_of_what_was_never_handed_on() -> None:
    """It means "certainly not applied": what was forwarded before, without an answer, may be in a
    log although the second attempt met a full queue."""
    cluster = OurCluster("abc", Bounds(pending_commands=2, entry_names=1))
    cluster.start()
    cluster.first_leader("a")
    alice = cluster.write("b", "n:alice", "bob")
    cluster.turn("b")
    cluster.deliver("b", "a")
    cluster.settle("ac", seconds=1.3)
    assert cluster.owner("a", "n:alice") == "bob"
    cluster.take("a", "b")  # the answer is lost
    cluster.cut("a", "c")
    for number in range(2):
        full = cluster.engines["a"].proposals.queue.put(_proposal(cluster, f"n:{number}"))
        assert full is None
    for _ in "two":
        cluster.turn("b")  # asks again
        cluster.deliver("b", "a")
        cluster.deliver("a", "b")
    assert not any(isinstance(heard, Unavailable) for heard in alice.heard)
    cluster.heal("a", "c")
    cluster.settle()
    assert alice.granted or isinstance(alice.heard[0], OutcomeUnknown)


def test_a_forward_that_the_network_repeats_is_taken_once() -> None:
    """The second copy meets a queue that the first has filled: "certainly not applied" would be
    said of what is about to be applied."""
    cluster = OurCluster("abc", Bounds(pending_commands=1, entry_names=1))
    cluster.start()
    cluster.first_leader("a")
    alice = cluster.write("b", "n:alice", "bob")
    cluster.turn("b")
    messages = cluster.take("b", "a")
    cluster.put("b", "a", [message for message in messages for _ in "twice"])
    cluster.cut("a", "c")
    cluster.deliver("b", "a")
    cluster.deliver("a", "b")
    assert not any(isinstance(heard, Unavailable) for heard in alice.heard)
    cluster.heal("a", "c")
    cluster.settle()
    assert alice.granted


def _proposal(cluster: OurCluster, name: str) -> Proposal:
    command = encode_command(Register(name.encode(), Wanted(name, name, "u")))
    return Proposal([command], cluster.now + 100, lambda _: None)


def test_decisions_too_large_for_one_message_reach_their_callers() -> None:
    """A small question can have a large answer: refusals carry the records in the way. No request
    of a client may stop a leader."""
    cluster = OurCluster("abc")
    cluster.start()
    cluster.first_leader("a")
    names = [f"n:{number}" for number in range(1000)]
    taken = [encode_command(Register(n.encode(), Wanted(n, n, "o", b"p" * 1024))) for n in names]
    cluster.propose("a", taken)
    cluster.settle()
    answers = []
    for number in range(17):
        many = RegisterAll(f"all{number}".encode(), tuple(Wanted(n, n, "x") for n in names))
        answers.append(cluster.propose("b", [encode_command(many)]))
    cluster.settle(seconds=4)
    assert all(isinstance(heard, list) for answer in answers for heard in answer.heard)
    assert [len(answer.heard) for answer in answers] == [1] * len(answers)


def test_defect_c3_the_library_forgets_callers_when_it_steps_down(make_plain: MakePlain) -> None:
    """Also after `leaderFallbackTimeout`, when it has stepped down."""
    cluster = make_plain("abc", leaderFallbackTimeout=5.0)
    assert isinstance(cluster, PlainCluster)
    cluster.first_leader("a")
    cluster.isolate("a")
    answer = cluster.write("a", "n:erin", "erin")
    for _ in range(100):
        cluster.pass_time()
        cluster.turn("a")
    assert not cluster.leads("a")
    assert answer.heard == []


def test_a_forward_is_counted_by_what_it_means() -> None:
    """Another node may write a batch in a way that we would not: it counts as the names in it, and
    nothing is raised on the Raft thread."""
    cluster = OurCluster("abc")
    cluster.start()
    cluster.first_leader("a")
    long_head = b"\xc6" + (62).to_bytes(4, "big") + b"r" * 62
    names = msgpack.packb([f"n:{number}" for number in range(20)])
    for head in (bytes((0x95,)), b"\xdc\x00\x05"):
        body = head + b"\x0e" + long_head + names + msgpack.packb("o") + msgpack.packb(b"")
        message = {"type": "forward", "request": len(head), "timeout_ms": 1000, "commands": [body]}
        cluster.engines["a"]._on_forward("b", message)
    cluster.engines["a"].proposals.take_in()
    assert [proposal.names for proposal in cluster.engines["a"].proposals.waiting] == [20, 20]
