"""How a cluster comes into being, and why a node that lost its disk is not part of it any more.

A node whose data directory is new may be one of two things: part of a cluster that has never run,
or an old member that lost its disk. The latter must not vote: it could have voted before, in a term
it no longer remembers (defect 7). So the first leader is elected only while *all* members of the
file are connected and new; its first entry records each one's incarnation, drawn when its data
directory was made. From then on a node with another incarnation is refused by every member.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from namestore.raft.membership import Membership


class Greeting(Protocol):
    """What a node says of itself when it connects; see `namestore.raft.transport.framing`."""

    @property
    def node_id(self) -> str:
        """Its identity."""
        ...

    @property
    def incarnation(self) -> str:
        """Of its data directory."""
        ...

    @property
    def cluster_id(self) -> str:
        """Of the cluster it is part of; empty: of none yet."""
        ...

    @property
    def raft_address(self) -> str:
        """Where it is reached, as its own configuration has it."""
        ...

    @property
    def membership_index(self) -> int:
        """Of the newest committed membership it knows, if that counts it; else 0."""
        ...

    @property
    def fresh(self) -> bool:
        """Its log is empty and it was never part of a cluster."""
        ...


def first_membership(
    own_id: str,
    incarnation: str,
    initial: Membership,
    greeting_of: Callable[[str], Greeting | None],
    cluster_id: str,
) -> Membership:
    """The membership of a new cluster, each member with the incarnation it greeted with."""
    members = []
    for member in initial.members:
        greeting = greeting_of(member.node_id)
        known = incarnation if member.node_id == own_id else getattr(greeting, "incarnation", "")
        members.append(replace(member, incarnation=known))
    return Membership(tuple(members), cluster_id)


def all_new(
    own_id: str, initial: Membership, greeting_of: Callable[[str], Greeting | None]
) -> bool:
    """Whether every other member of the file is connected and has a new data directory."""
    greetings = [greeting_of(m.node_id) for m in initial.members if m.node_id != own_id]
    return all(greeting is not None and greeting.fresh for greeting in greetings)


def reason_to_refuse(
    membership: Membership, peer: Greeting, *, known_index: int = 0, outsider: bool = False
) -> str | None:
    """Why `peer` is not the member it says it is; None: it may be.

    Args:
        membership: The newest that this node knows.
        peer: What the other one says of itself.
        known_index: Of the newest committed membership that this node knows. A peer that knows a
            newer one, which counts it, took the place of the data directory known here.
        outsider: This node does not count in `membership`. It may be catching up on times when
            another data directory stood behind the peer's id, and must not judge by them.
    """
    if membership.cluster_id and peer.cluster_id and membership.cluster_id != peer.cluster_id:
        return (
            f"{peer.node_id} belongs to cluster {peer.cluster_id}, "
            f"this node to {membership.cluster_id}"
        )
    member = membership.get(peer.node_id)
    if outsider or member is None or member.incarnation in ("", peer.incarnation):
        return None
    if membership.cluster_id == peer.cluster_id and peer.membership_index > known_index:
        return None
    return (
        f"{peer.node_id} has a data directory that this cluster does not know: it lost its disk, "
        "or was given another one. It could have voted before, so it may not come back under this "
        "id as it is: restore its data directory, or replace the member with "
        f"namestore-server --config CONFIG --node {peer.node_id} --wipe-and-rejoin"
    )
