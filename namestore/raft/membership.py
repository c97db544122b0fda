"""Who belongs to the cluster: a value, its bytes in the log, and the arithmetic of majorities.

A node goes by the newest membership in its log, committed or not (Raft thesis, section 4.1). Two
consecutive ones differ by one voter at most, so their majorities overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgpack

from namestore.errors import InvariantViolation

MEMBERSHIP_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Member:
    """One node of the cluster.

    Attributes:
        incarnation: Of the data directory it joined with; empty: not yet known.
        voter: Counts towards majorities. A newcomer does not until it has caught up.
    """

    node_id: str
    raft_address: str
    grpc_address: str
    voter: bool = True
    incarnation: str = ""


@dataclass(frozen=True, slots=True)
class Membership:
    """All nodes of the cluster, ordered by id.

    Attributes:
        cluster_id: Drawn by the first leader; empty until there was one.
        voters: Ids of those that count. Asked for in every turn, so worked out once.
        quorum: How many voters are a majority.
    """

    members: tuple[Member, ...]
    cluster_id: str = ""
    voters: frozenset[str] = field(init=False, repr=False, compare=False)
    quorum: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        voters = frozenset(member.node_id for member in self.members if member.voter)
        object.__setattr__(self, "voters", voters)
        object.__setattr__(self, "quorum", len(voters) // 2 + 1)

    def get(self, node_id: str) -> Member | None:
        """The member of that id."""
        return next((member for member in self.members if member.node_id == node_id), None)

    def is_voter(self, node_id: str, incarnation: str) -> bool:
        """Whether that data directory, not an earlier one under the same id, counts."""
        member = self.get(node_id)
        return member is not None and member.voter and member.incarnation in ("", incarnation)

    def majority_of(self, node_ids: Iterable[str]) -> bool:
        """Whether these nodes contain a majority of the voters."""
        return len(self.voters.intersection(node_ids)) >= self.quorum

    def quorum_index(self, match: Mapping[str, int]) -> int:
        """The highest index that a majority of the voters has reached."""
        reached = sorted((match.get(voter, 0) for voter in self.voters), reverse=True)
        return reached[self.quorum - 1] if reached else 0

    def with_member(self, member: Member) -> Membership:
        """With that member added, or in place of the one with the same id."""
        others = [other for other in self.members if other.node_id != member.node_id]
        ordered = sorted([*others, member], key=lambda item: item.node_id)
        return replace(self, members=tuple(ordered))

    def without(self, node_id: str) -> Membership:
        """With that member gone."""
        return replace(self, members=tuple(m for m in self.members if m.node_id != node_id))


def encode_membership(membership: Membership) -> bytes:
    """The bytes of a membership in the log and in the state."""
    packed: bytes = msgpack.packb(
        (
            MEMBERSHIP_FORMAT,
            membership.cluster_id,
            [
                (m.node_id, m.raft_address, m.grpc_address, m.voter, m.incarnation)
                for m in membership.members
            ],
        )
    )
    return packed


def decode_membership(data: bytes) -> Membership:
    """The reverse of `encode_membership`.

    Raises:
        InvariantViolation: Bytes that no released version wrote: the node must stop.
    """
    fields: Any = msgpack.unpackb(data)
    if fields[0] != MEMBERSHIP_FORMAT:
        raise InvariantViolation(
            f"membership format {fields[0]} is not known to this version of namestore; "
            "start the node with the version that wrote it, or newer"
        )
    return Membership(tuple(Member(*member) for member in fields[2]), fields[1])
