"""What a node says of its place, in sentences for people."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from namestore.raft.membership import Member, Membership
from namestore.raft.standing import Standing

NOBODY_REFUSES: Mapping[str, str] = MappingProxyType({})


def standing(refusals: Mapping[str, str] = NOBODY_REFUSES) -> Standing:
    """Of a new n2 in a file of three."""
    members = tuple(Member(f"n{n}", f"h:720{n}", f"h:710{n}") for n in (1, 2, 3))
    initial = Membership(members)
    return Standing(members[1], initial, initial, is_new=True, counts=True, refusals=refusals)


def test_a_new_node_says_for_whom_it_waits() -> None:
    """A new cluster begins once all nodes of its file are connected."""
    (said,) = standing().warnings(lambda node_id: None)
    assert "waiting for the others" in said
    assert "missing: n1, n3" in said


def test_a_refused_node_says_why_once_and_nothing_else() -> None:
    """Its peers are there and do not want it: to wait for them would be bad advice."""
    refusals = {"n3": "it lost its disk", "n1": "it lost its disk"}
    assert standing(refusals).warnings(lambda node_id: None) == (
        "no connection to n1, n3: it lost its disk",
    )


def test_different_reasons_are_all_said() -> None:
    """Each with those whom it keeps away."""
    refusals = {"n1": "another cluster", "n3": "it lost its disk"}
    assert standing(refusals).warnings(lambda node_id: None) == (
        "no connection to n1: another cluster",
        "no connection to n3: it lost its disk",
    )
