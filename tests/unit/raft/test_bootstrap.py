"""How a cluster begins, and who is let into it afterwards."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from namestore.raft.bootstrap import all_new, first_membership, reason_to_refuse
from namestore.raft.membership import Member, Membership


@dataclass(frozen=True)
class Hello:
    """What a node says of itself."""

    node_id: str
    incarnation: str = ""
    cluster_id: str = ""
    fresh: bool = True
    raft_address: str = ""
    membership_index: int = 0


INITIAL = Membership(tuple(Member(node, f"{node}:1", f"{node}:2") for node in "abc"))


def _known(cluster_id: str = "ours") -> Membership:
    members = tuple(
        Member(node, f"{node}:1", f"{node}:2", incarnation=f"disk-{node}") for node in "abc"
    )
    return Membership(members, cluster_id)


def test_a_cluster_begins_when_all_its_members_are_there_and_new() -> None:
    """Then none of them can have voted before."""
    greetings = {node: Hello(node) for node in "bc"}
    assert all_new("a", INITIAL, greetings.get)


@pytest.mark.parametrize(
    "greetings",
    ({"b": Hello("b")}, {"b": Hello("b"), "c": Hello("c", fresh=False)}),
    ids=("one is away", "one has a past"),
)
def test_a_cluster_does_not_begin_without_one_of_its_members(greetings: dict[str, Hello]) -> None:
    """Who is away may hold what was acknowledged; who has a past belongs to a cluster that ran."""
    assert not all_new("a", INITIAL, greetings.get)


def test_a_node_alone_is_a_cluster() -> None:
    """There is nobody to wait for."""
    alone = Membership((Member("a", "a:1", "a:2"),))
    assert all_new("a", alone, lambda _: None)


def test_the_first_membership_records_every_disk() -> None:
    """Each member under the incarnation that it greeted with, in a cluster with an id."""
    greetings = {node: Hello(node, f"disk-{node}") for node in "bc"}
    first = first_membership("a", "disk-a", INITIAL, greetings.get, "ours")
    assert first == _known()


def test_the_member_that_was_recorded_is_let_in() -> None:
    """Also before it has heard of the cluster."""
    assert reason_to_refuse(_known(), Hello("b", "disk-b")) is None
    assert reason_to_refuse(_known(), Hello("b", "disk-b", "ours", fresh=False)) is None


def test_a_member_on_another_disk_is_refused() -> None:
    """It could have voted before; the sentence says what to do (defect 7)."""
    reason = reason_to_refuse(_known(), Hello("b", "another"))
    assert reason is not None
    assert "replace the member" in reason


def test_a_member_that_took_anothers_place_is_let_in_by_those_who_lag() -> None:
    """A node that slept through a replacement would refuse its own leader; one that knows of it
    goes on refusing the disk that was replaced."""
    newcomer = Hello("b", "new-disk", "ours", fresh=False, membership_index=90)
    assert reason_to_refuse(_known(), newcomer, known_index=5) is None
    replaced = Hello("b", "old-disk", "ours", fresh=False, membership_index=5)
    assert reason_to_refuse(_known(), replaced, known_index=90) is not None
    assert reason_to_refuse(_known(), Hello("b", "emptied"), known_index=5) is not None


def test_a_node_of_another_cluster_is_refused() -> None:
    """Two clusters whose files name the same nodes do not mix."""
    reason = reason_to_refuse(_known(), Hello("b", "disk-b", "theirs"))
    assert reason is not None
    assert "theirs" in reason


def test_nobody_is_refused_before_there_is_a_cluster() -> None:
    """The members of the file are not known by their disks yet."""
    assert reason_to_refuse(INITIAL, Hello("b", "whatever")) is None
    assert reason_to_refuse(INITIAL, Hello("b", "whatever", "theirs")) is None


def test_a_stranger_may_greet() -> None:
    """Whether it is a member is not decided by its greeting."""
    assert reason_to_refuse(_known(), Hello("zz", "disk-zz")) is None
