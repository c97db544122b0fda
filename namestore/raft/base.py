"""What all layers of the engine stand on: who is there, what is said, and when it may leave.

Invariant kept here: nothing that speaks for persisted state leaves the node before that state is on
stable storage. Such messages are *held*; `_sync_and_send_held` syncs once, then lets them all go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pysyncobj.node import Node

from namestore.raft.frame import Message, SyncObj
from namestore.raft.membership import Membership
from namestore.raft.replica import Role
from namestore.raft.settings import Settings

__all__ = ["Base", "Message"]

# What a node that is not a member here may begin a conversation with.
_OPENERS = ("append_entries", "request_vote", "snapshot_offer")
_ACQUAINTANCES_MAX = 64


class Base(SyncObj):
    """Membership in force, peers, messages in and out."""

    def __init__(self, transport: Any, settings: Settings) -> None:
        self.settings = settings
        self._transport = transport
        self._rng = settings.seams.rng
        self._membership = settings.identity.initial
        self._handlers: dict[str, Callable[[str, Message], None]] = {}
        self._held: list[tuple[str, Message]] = []
        self._heard_leader_at: float | None = None
        # Removed members that are still sent the log, so that they learn of it.
        self._departing: set[str] = set()
        others = {m.node_id for m in self._membership.members} - {settings.identity.node_id}
        self._peers = sorted(others)
        # Everybody we can speak to; `_peers` are those of them that count or are leaving.
        self._nodes = {other: Node(other) for other in self._peers}
        super().__init__(transport, settings, list(self._nodes.values()))
        self._reset_election_deadline()
        # PySyncObj leaves this to the transports that it makes itself.
        for node in self._nodes.values():
            transport.addNode(node)

    @property
    def node_id(self) -> str:
        """This node."""
        return self.settings.identity.node_id

    @property
    def role(self) -> Role:
        """What this node is just now."""
        role = super().role
        if role is Role.FOLLOWER and self.node_id not in self._membership.voters:
            return Role.LEARNER
        return role

    @property
    def membership(self) -> Membership:
        """The newest one in the log, committed or not."""
        return self._membership

    @property
    def peers(self) -> list[str]:
        """The other members, and those that must still learn that they are none, in order."""
        return self._peers

    def is_connected(self, node_id: str) -> bool:
        """Messages to that node have somewhere to go."""
        return node_id in self._connected and node_id in self._nodes

    def _reset_election_deadline(self) -> None:
        timing = self.settings.timing
        spread = timing.election_max - timing.election_min
        delay = timing.election_min + spread * self._rng.random()
        self._set_election_deadline(self._clock() + delay)

    # -- who is there -----------------------------------------------------------------------

    def _adopt_membership(self, membership: Membership) -> None:
        """Goes by `membership` from now on: peers come and go with it."""
        self._membership = membership
        members = {m.node_id: m.raft_address for m in membership.members}
        self._peers = sorted((set(members) | self._departing) - {self.node_id})
        for node_id in sorted(set(self._nodes) - set(self._peers)):
            self._drop_node(self._nodes.pop(node_id))
        for node_id in self._peers:
            self._meet(node_id, members.get(node_id, ""))

    def _meet(self, node_id: str, address: str) -> None:
        """Begins to speak to a node. One that was met before it was known where it is is found now.

        Our own file knows best where a node is to be reached from here; else it is `address`.
        """
        if address and self.settings.identity.initial.get(node_id) is None:
            self._transport.set_address(node_id, address)
        if node_id not in self._nodes:
            node = self._nodes[node_id] = Node(node_id)
            self._add_node(node)

    # -- what is said -----------------------------------------------------------------------

    def _message(self, node_id: str, message: Message) -> None:
        """Hears everybody of this cluster, member or not (Raft thesis, section 4.1).

        Our membership may be the wrong one: not yet committed, or long replaced. Whoever leads or
        stands by another one must be answered, so that ours is put right.
        """
        handler = self._handlers.get(message["type"])
        if handler is None:
            return
        if node_id not in self._nodes:
            if message["type"] not in _OPENERS or len(self._nodes) >= _ACQUAINTANCES_MAX:
                return
            greeting = self._transport.hello_of(node_id)
            self._meet(node_id, "" if greeting is None else greeting.raft_address)
        handler(node_id, message)

    def _send(self, node_id: str, message: Message) -> bool:
        """Sends what does not speak for unsynced state. False: it goes nowhere, nobody waits."""
        node = self._nodes.get(node_id)
        return node is not None and bool(self._transport.send(node, message))

    def _hold(self, node_id: str, message: Message) -> None:
        """Sends once everything changed so far is on stable storage."""
        self._held.append((node_id, message))

    def _sync_and_send_held(self) -> None:
        """One sync for all that was changed since the last, then everything that waited for it."""
        if self._log.dirty:
            # What may leave before the sync leaves now: the followers' syncs run beside ours.
            self._transport.flush()
            self._log.sync()
        if self._held:
            held, self._held = self._held, []
            for node_id, message in held:
                self._send(node_id, message)
            # A leader waits for these: they leave before what is committed is applied here.
            self._transport.flush()
