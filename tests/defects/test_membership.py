"""Beginnings and changes of a cluster: whose disk counts, and what it is counted for."""

from __future__ import annotations

from typing import Any

import pytest

from namestore.errors import ChangeUnderWay, NoLeader, OutcomeUnknown
from namestore.raft.membership import Member, Membership
from namestore.raft.orders import Add, Remove
from namestore.raft.settings import Bounds
from namestore.raft.transport.messages import decode
from tests.defects.ours import OurCluster


def _one_voter(newcomer: str = "b", message_bytes: int = 512 * 1024) -> OurCluster:
    """A cluster of a alone, with another process beside it that is no member yet."""
    cluster = OurCluster(f"a{newcomer}", Bounds(entry_names=1, message_bytes=message_bytes))
    cluster.membership = Membership((Member("a", "a:1", "a:2"),))
    cluster.start()
    cluster.elect("a")
    return cluster


def _add(cluster: OurCluster, node: str) -> list[Any]:
    heard: list[Any] = []
    cluster.engines["a"].order(Add(node, f"{node}:1", f"{node}:2"), 10**6, heard.append)
    return heard


def _added_again(cluster: OurCluster, node: str) -> None:
    """A node that was removed comes back on an empty disk, and joins."""
    cluster.crash(node)
    cluster.wipe(node)
    cluster.restart(node)
    added = _add(cluster, node)
    cluster.settle()
    assert isinstance(added[-1], Membership)


class Killed(BaseException):
    """The power fails here."""


def test_a_leader_by_its_own_vote_speaks_after_it_is_durable() -> None:
    """One leader per term (paper, 5.2), also when one vote is a majority: what a learner received
    of a leadership that a crash undid could otherwise differ from what the same term brings
    later."""
    cluster = _one_voter()
    _add(cluster, "b")
    cluster.turn("a")
    cluster.cut("a", "b")  # so that it stays a learner
    cluster.heal("a", "b")
    cluster.crash("a")
    cluster.restart("a")
    log = cluster.disks["a"].log
    synced, before = log.sync, cluster.engines["a"].term

    def fail() -> None:
        if log.term > before and log.last_index > log.synced_index:
            raise Killed
        synced()

    log.sync = fail  # type: ignore[method-assign]
    cluster.write("a", "n:alice", "bob")
    with pytest.raises(Killed):
        cluster.turn("a", campaign=True)
    spoken = {decode(message)["term"] for message in cluster.in_flight("a", "b")}
    log.sync = synced  # type: ignore[method-assign]
    assert all(term <= log.durable_vote[0] for term in spoken)


def test_the_first_leader_knows_every_members_disk() -> None:
    """Nobody leads a new cluster while a member is away: its data directory would stay unknown,
    and another one could take its place unnoticed (defect 7)."""
    cluster = OurCluster("abc")
    cluster.start()
    cluster.turn("a", campaign=True)
    cluster.deliver("a", "b")
    cluster.deliver("b", "a")
    cluster.cut("a", "c")
    cluster.turn("a")
    cluster.deliver("a", "b")
    cluster.deliver("b", "a")
    engine = cluster.engines["a"]
    assert not engine.is_leader
    cluster.heal("a", "c")
    cluster.elect("a")
    assert all(member.incarnation for member in engine.membership.members)


def test_a_newcomer_counts_only_for_what_its_present_disk_holds() -> None:
    """A learner that is wiped before it becomes a voter begins anew: what the disk before had
    acknowledged is not on this one (thesis, 4.2.1)."""
    cluster = _one_voter()
    for number in range(100):
        cluster.write("a", f"n:{number}", "u")
        cluster.turn("a")
    added = _add(cluster, "b")
    for _ in range(20):
        cluster.pass_time()
        cluster.turn("a")
        cluster.deliver("a", "b")
        if cluster.disks["b"].log.last_index >= cluster.disks["a"].log.last_index:
            break
        cluster.deliver("b", "a")
    # Its acknowledgement is heard in the same turn in which the connection ends.
    for message in cluster.take("b", "a"):
        cluster.wires["a"].hear("b", message)
    cluster.crash("b")
    cluster.turn("a")
    assert added == []
    cluster.wipe("b")
    cluster.restart("b")
    cluster.turn("a")
    cluster.deliver("a", "b")
    promoted = "b" in cluster.engines["a"].membership.voters
    assert not promoted or cluster.disks["b"].log.last_index > 90
    cluster.settle(seconds=5)
    assert cluster.owner("b", "n:99") == "u"
    assert "b" in cluster.engines["a"].membership.voters


def test_a_leader_that_our_membership_lacks_is_heard() -> None:
    """Who leads or stands is answered whether or not our newest membership counts it (thesis,
    4.1): that membership may never be committed, and only that leader can put it right."""
    cluster = OurCluster("abc")
    cluster.start()
    cluster.first_leader("a")
    cluster.flush()
    cluster.engines["a"].order(Remove("b"), 10**6, lambda _: None)
    cluster.turn("a")
    assert cluster.engines["a"].membership.get("b") is None
    for peer in "bc":
        cluster.take("a", peer)  # nobody else hears of it
    cluster.isolate("a")
    cluster.elect("b", among="bc")
    granted = cluster.write("b", "n:alice", "bob")
    cluster.settle(among="bc")
    assert granted.granted
    cluster.rejoin("a")
    cluster.settle()
    cluster.settle()
    assert cluster.owner("a", "n:alice") == "bob"
    assert cluster.engines["a"].membership.get("b") is not None


def test_who_saw_its_own_removal_begin_asks_what_became_of_it() -> None:
    """A removed node has the entry, and was cut off before it heard that this is committed. The
    leader has long stopped telling it: it asks, is told, and stops."""
    cluster = OurCluster("abc")
    cluster.start()
    cluster.first_leader("a")
    cluster.settle()
    cluster.engines["a"].order(Remove("c"), 10**6, lambda _: None)
    cluster.turn("a")
    cluster.deliver("a", "c")
    cluster.isolate("c")
    assert cluster.engines["c"].membership.get("c") is None
    cluster.settle(among="ab", seconds=60)
    assert cluster.engines["a"].agreed_membership.get("c") is None
    assert not cluster.engines["c"].removed
    cluster.rejoin("c")
    cluster.settle()
    cluster.turn("c", campaign=True)
    cluster.settle()
    assert cluster.engines["c"].removed


def test_a_disk_is_not_taken_for_the_one_that_was_removed() -> None:
    """A node that comes back on a new disk replays how an earlier one was added and removed: that
    was not its own removal. It hears entry by entry, and knows of nothing newer."""
    cluster = _one_voter(message_bytes=1)
    for _ in range(2):
        heard = _add(cluster, "b")
        cluster.settle()
        assert isinstance(heard[-1], Membership)
        assert cluster.engines["b"].is_voter
        cluster.engines["a"].order(Remove("b"), 10**6, heard.append)
        cluster.settle()
        assert isinstance(heard[-1], Membership)
        cluster.crash("b")
        cluster.wipe("b")
        cluster.restart("b")
    heard = _add(cluster, "b")
    cluster.settle()
    assert cluster.engines["b"].is_voter
    assert not cluster.engines["b"].removed


def test_who_was_let_in_by_a_newcomer_is_judged_again_once_it_counts() -> None:
    """A newcomer lets in whoever says to be a member, also a node that lost its disk. Its votes
    are not counted for the disk that it lost: what only that one knew of would be forgotten."""
    cluster = OurCluster("abcd")
    cluster.membership = Membership(tuple(Member(n, f"{n}:1", f"{n}:2") for n in "abc"))
    cluster.start()
    cluster.first_leader("a")
    cluster.crash("c")
    cluster.wipe("c")
    cluster.restart("c")
    assert not cluster.connected("a", "c")
    assert cluster.connected("c", "d")
    heard = _add(cluster, "d")
    cluster.settle()
    assert isinstance(heard[-1], Membership)
    assert cluster.engines["d"].is_voter
    cluster.crash("a")
    cluster.settle("bd", seconds=2)
    cluster.turn("d", campaign=True)
    cluster.settle("bcd")
    assert not cluster.leads("d")  # by its own vote and b's, of four


def test_who_is_left_out_by_an_uncommitted_change_can_be_elected() -> None:
    """The leader's disk fails with the removal of the other voter, which has it already: without
    that one nobody can be elected, as its log is longer; by its log it does not count. It stands
    all the same, sees its removal through, and ends (thesis, 4.2.2)."""
    cluster = OurCluster("ab")
    cluster.start()
    cluster.first_leader("a")
    log = cluster.disks["a"].log
    cluster.engines["a"].order(Remove("b"), 10**6, lambda _: None)
    synced = log.sync

    def fail() -> None:
        raise Killed

    log.sync = fail  # type: ignore[method-assign]
    with pytest.raises(Killed):
        cluster.turn("a")
    log.sync = synced  # type: ignore[method-assign]
    cluster.deliver("a", "b")
    cluster.crash("a")
    assert cluster.engines["b"].membership.get("b") is None
    cluster.restart("a")
    assert cluster.engines["a"].membership.get("b") is not None
    cluster.pass_time(5)
    cluster.turn("a", campaign=True)
    cluster.flush()
    assert not cluster.leads("a")  # b has more
    cluster.pass_time(5)
    cluster.turn("b", campaign=True)
    cluster.settle()
    assert cluster.engines["b"].removed
    cluster.crash("b")
    cluster.elect("a", among="a")
    assert sorted(cluster.engines["a"].membership.voters) == ["a"]
    granted = cluster.write("a", "n:alice", "bob")
    cluster.flush(among="a")
    assert granted.granted


def test_who_is_left_out_counts_no_vote_of_an_emptied_disk() -> None:
    """It stands, and by its log it is a stranger to the others: all the same it knows which disks
    count. The vote of a node that lost its disk, and whom all others refuse, makes no leader."""
    cluster = OurCluster("abcde")
    cluster.start()
    cluster.first_leader("a")
    cluster.settle()
    cluster.engines["a"].order(Remove("e"), 10**6, lambda _: None)
    cluster.turn("a")
    cluster.deliver("a", "e")
    assert cluster.engines["e"].membership.get("e") is None
    cluster.crash("a", "b")
    cluster.wipe("b")
    cluster.restart("b")
    assert not cluster.connected("b", "c")
    cluster.pass_time(5)
    cluster.turn("e", campaign=True)
    cluster.settle("bcde")
    assert not cluster.leads("e")  # by the votes of c and d, of four


def _removed(cluster: OurCluster, leader: str, node: str, among: str) -> None:
    heard: list[Any] = []
    cluster.engines[leader].order(Remove(node), 10**6, heard.append)
    cluster.settle(among)
    assert isinstance(heard[-1], Membership)


def test_a_deposed_leader_does_not_say_that_somebody_is_a_member() -> None:
    """It goes by members of long ago: who was removed meanwhile would be taken for joined, and the
    cluster for larger than it is. It answers once a round has shown that it is so, or is not."""
    cluster = OurCluster("abcde")
    cluster.start()
    cluster.first_leader("a")
    cluster.isolate("a")
    cluster.elect("b", among="bcde")
    _removed(cluster, "b", "e", "bcd")
    assert cluster.leads("a")
    heard = _add(cluster, "e")
    cluster.turn("a")
    assert heard == []
    cluster.rejoin("a")
    cluster.settle("abcd")
    assert [type(answer) for answer in heard] == [OutcomeUnknown]
    cluster.engines["b"].order(Add("e", "e:1", "e:2"), 10**6, heard.append)
    cluster.settle()
    assert isinstance(heard[-1], Membership)
    assert heard[-1].get("e") is not None


def test_a_deposed_leader_does_not_say_that_somebody_is_gone() -> None:
    """Nor the other way round: the disk of who counts again must not be thrown away."""
    cluster = OurCluster("abcde")
    cluster.start()
    cluster.first_leader("a")
    _removed(cluster, "a", "e", "abcd")
    cluster.crash("e")
    cluster.wipe("e")
    cluster.restart("e")
    cluster.isolate("a")
    cluster.elect("b", among="bcd")
    added: list[Any] = []
    cluster.engines["b"].order(Add("e", "e:1", "e:2"), 10**6, added.append)
    cluster.settle("bcde")
    assert isinstance(added[-1], Membership)
    assert cluster.leads("a")
    heard: list[Any] = []
    cluster.engines["a"].order(Remove("e"), 10**6, heard.append)
    cluster.turn("a")
    assert heard == []
    cluster.rejoin("a")
    cluster.settle()
    assert [type(answer) for answer in heard] == [OutcomeUnknown]


def test_what_is_so_already_is_said() -> None:
    """Who asks twice for the same hears that it is done."""
    cluster = OurCluster("abc")
    cluster.start()
    cluster.first_leader("a")
    heard = _add(cluster, "c")
    cluster.engines["a"].order(Remove("d"), 10**6, heard.append)
    cluster.settle()
    assert heard == [cluster.engines["a"].membership] * 2


def test_an_order_that_is_repeated_on_its_way_is_carried_out_once() -> None:
    """The removal comes once more, when the node has been added again: it stays."""
    cluster = OurCluster("abc")
    cluster.start()
    cluster.first_leader("a")
    heard: list[Any] = []
    cluster.engines["b"].order(Remove("c"), 10**6, heard.append)
    repeated = list(cluster.in_flight("b", "a"))
    cluster.settle("ab")
    assert isinstance(heard[-1], Membership)
    _added_again(cluster, "c")
    cluster.put("b", "a", repeated)
    cluster.settle()
    assert cluster.engines["a"].membership.get("c") is not None


def test_an_order_that_comes_late_does_not_undo_what_was_done_since() -> None:
    """Its giver heard "unknown", asked again elsewhere, was told that it is done, and went on: the
    node was added again. The first order, when it comes at last, does nothing."""
    cluster = OurCluster("abc")
    cluster.start()
    cluster.first_leader("a")
    cluster.settle()
    heard: list[Any] = []
    cluster.engines["b"].order(Remove("c"), 10**6, heard.append)
    late = cluster.take("b", "a")
    assert len(late) == 1
    cluster.engines["a"].order(Remove("c"), 10**6, heard.append)
    cluster.settle("ab")
    assert isinstance(heard[-1], Membership)
    _added_again(cluster, "c")
    cluster.put("b", "a", late)
    cluster.settle()
    assert cluster.engines["a"].membership.get("c") is not None
    assert isinstance(heard[-1], NoLeader)


def test_an_order_through_a_node_that_lags_is_refused_until_it_knows() -> None:
    """A node that has not heard of the newest change passes on what its giver decided without that
    change; once it has heard, the same order goes through."""
    cluster = OurCluster("abcd")
    cluster.start()
    cluster.first_leader("a")
    cluster.settle()
    engines = cluster.engines
    engines["a"].order(Remove("d"), 10**6, lambda _: None)
    cluster.settle("ac")
    heard: list[Any] = []
    engines["b"].order(Remove("c"), 10**6, heard.append)
    order = cluster.take("b", "a")
    cluster.put("b", "a", order)
    cluster.deliver("b", "a")
    cluster.deliver("a", "b")
    assert isinstance(heard[-1], NoLeader)
    cluster.settle("abc")
    engines["b"].order(Remove("c"), 10**6, heard.append)
    cluster.settle("abc")
    assert isinstance(heard[-1], Membership)


def test_a_second_order_is_told_of_the_first() -> None:
    """Not that there is no leader: there is one, and it is at work."""
    cluster = OurCluster("abcd")
    cluster.start()
    cluster.first_leader("a")
    cluster.settle()
    heard: list[Any] = []
    cluster.engines["a"].order(Remove("d"), 10**6, lambda _: None)
    cluster.engines["a"].order(Remove("c"), 10**6, heard.append)
    assert isinstance(heard[-1], ChangeUnderWay)


def test_who_was_heard_before_it_was_known_where_it_is_gets_its_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A message may outlive the connection that it came by: its sender is met without an address,
    and dialled at the one that the membership says, once that arrives."""
    cluster = OurCluster("abc")
    cluster.start()
    engine, placed = cluster.engines["a"], list[tuple[str, str]]()
    monkeypatch.setattr(engine._transport, "hello_of", lambda node_id: None)
    monkeypatch.setattr(
        engine._transport, "set_address", lambda *node_at: placed.append(node_at), raising=False
    )
    vote = {"term": 1, "last_log_index": 0, "last_log_term": 0, "pre_vote": True}
    engine._message("d", {"type": "request_vote", "transfer": False, **vote})
    assert not placed
    engine._adopt_membership(cluster.membership.with_member(Member("d", "d:1", "d:2")))
    assert ("d", "d:1") in placed
