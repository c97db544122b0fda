"""Who belongs to the cluster, and what is a majority of it."""

from __future__ import annotations

import msgpack
import pytest

from namestore.errors import InvariantViolation
from namestore.raft.membership import Member, Membership, decode_membership, encode_membership


def _of(voters: str, learners: str = "") -> Membership:
    members = [Member(node, f"{node}:1", f"{node}:2") for node in voters]
    members += [Member(node, f"{node}:1", f"{node}:2", voter=False) for node in learners]
    return Membership(tuple(sorted(members, key=lambda member: member.node_id)), "cluster")


@pytest.mark.parametrize(
    ("voters", "quorum"), (("a", 1), ("ab", 2), ("abc", 2), ("abcd", 3), ("abcde", 3))
)
def test_a_quorum_is_more_than_half_of_the_voters(voters: str, quorum: int) -> None:
    """So that any two of them share a node."""
    assert _of(voters, "xyz").quorum == quorum


def test_learners_and_strangers_count_towards_nothing() -> None:
    """Only voters make a majority."""
    membership = _of("abc", "xy")
    assert membership.majority_of("ab")
    assert not membership.majority_of("axyz")


def test_the_quorum_index_is_held_by_a_majority() -> None:
    """The highest index that enough voters have reached; who is not known has reached nothing."""
    membership = _of("abcde", "x")
    assert membership.quorum_index({"a": 9, "b": 7, "c": 5, "d": 3, "e": 1}) == 5
    assert membership.quorum_index({"a": 9, "b": 7, "x": 9}) == 0
    assert _of("ab").quorum_index({"a": 9, "b": 4}) == 4


def test_nobody_has_no_quorum_index() -> None:
    """A membership without voters commits nothing."""
    assert Membership(()).quorum_index({"a": 9}) == 0
    assert not Membership(()).majority_of("a")


def test_consecutive_memberships_have_overlapping_majorities() -> None:
    """They differ by one voter at most (thesis, 4.1)."""
    before = _of("abcd")
    after = before.without("a")
    assert before.quorum + after.quorum > len(before.voters)


def test_members_are_added_replaced_and_removed_by_id() -> None:
    """They stay in order of their ids, and the cluster keeps its own."""
    membership = _of("ac").with_member(Member("b", "b:1", "b:2", voter=False))
    assert [member.node_id for member in membership.members] == ["a", "b", "c"]
    promoted = membership.with_member(Member("b", "b:9", "b:2"))
    assert len(promoted.members) == 3
    assert promoted.voters == {"a", "b", "c"}
    assert [member.node_id for member in promoted.without("a").members] == ["b", "c"]
    assert promoted.without("zz") == promoted
    assert promoted.cluster_id == "cluster"
    assert promoted.get("b") == Member("b", "b:9", "b:2")
    assert promoted.get("zz") is None


def test_a_membership_is_read_as_it_was_written() -> None:
    """Addresses, votes, incarnations and the cluster's id."""
    membership = _of("abc", "x").with_member(Member("d", "d:1", "d:2", True, "disk"))
    assert decode_membership(encode_membership(membership)) == membership


def test_an_unknown_format_stops_the_node() -> None:
    """Guessing at who votes would be worse than standing still."""
    data = msgpack.packb((2, "cluster", []))
    with pytest.raises(InvariantViolation, match="format 2"):
        decode_membership(data)
