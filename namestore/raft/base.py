"""PySyncObj under our own roof: its frame kept, its persisted state and its doors replaced.

This module alone touches PySyncObj's private names. Python mangles `self.__x` by the name of the
class it is written in, so the class here bears the *same name* as its base on purpose: a method
`__onMessageReceived` written here replaces the one there, and `self.__raftState` is one field.

What is kept: SyncObj as the object that a transport drives, its node objects, its role, term, vote,
leader, commit and apply fields and everything public that reads them. What is replaced stands in
the layers above (`elections`, `replication`, `snapshots`, `engine`), each naming the defect of
0.3.17 it closes; docs/pysyncobj.md lists them all.

Invariant kept here: nothing that speaks for persisted state leaves the node before that state is on
stable storage. Such messages are *held*; `_sync_and_send_held` syncs once, then lets all of them
go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import pysyncobj
from pysyncobj.node import Node

from namestore.errors import InvariantViolation
from namestore.raft.membership import Membership
from namestore.raft.pin import check_pysyncobj
from namestore.raft.replica import Role
from namestore.raft.settings import Settings

Message = dict[str, Any]

_FOLLOWER, _CANDIDATE, _LEADER = 0, 1, 2
_ROLES = {_FOLLOWER: Role.FOLLOWER, _CANDIDATE: Role.CANDIDATE, _LEADER: Role.LEADER}


class SyncObj(pysyncobj.SyncObj):
    """One node's Raft state over PySyncObj's frame. Belongs to one thread, the Raft thread."""

    def __init__(self, transport: Any, settings: Settings) -> None:
        check_pysyncobj()
        self.settings = settings
        self._transport = transport
        self._log = settings.seams.log
        self._clock = settings.seams.clock
        self._rng = settings.seams.rng
        self._held: list[tuple[str, Message]] = []
        self._membership = settings.identity.initial
        self._handlers: dict[str, Callable[[str, Message], None]] = {}
        self._heard_leader_at: float | None = None
        # Removed members that are still sent the log, so that they learn of it.
        self._departing: set[str] = set()
        node_id = settings.identity.node_id
        others = [m.node_id for m in self._membership.members if m.node_id != node_id]
        self._nodes = {other: Node(other) for other in others}
        # Made without a journal and without a dump: PySyncObj then keeps an empty one in memory,
        # which is put aside below. Defects 3, 4, 7, 8, 10.
        conf = pysyncobj.SyncObjConf(
            autoTick=False, appendEntriesUseBatch=True, dynamicMembershipChange=False, useFork=False
        )
        super().__init__(
            Node(node_id),
            list(self._nodes.values()),
            conf=conf,
            nodeClass=Node,
            transport=transport,
        )
        self.__raftLog = self._log
        self.__raftCurrentTerm = max(self._log.term, self._log.last_term)
        self.__votedForNodeId = self._log.voted_for
        self.__raftCommitIndex = self._log.commit_index
        self.__raftLastApplied = settings.seams.state.meta.applied_index
        self.__raftCommitIndex = max(self.__raftCommitIndex, self.__raftLastApplied)
        self._reset_election_deadline()
        # PySyncObj leaves this to the transports that it makes itself.
        for node in self._nodes.values():
            transport.addNode(node)

    # -- PySyncObj's state, under plain names ----------------------------------------------

    @property
    def node_id(self) -> str:
        """This node."""
        return self.settings.identity.node_id

    @property
    def term(self) -> int:
        """The current term."""
        return self.__raftCurrentTerm

    @property
    def voted_for(self) -> str | None:
        """Whom this node voted for in the current term."""
        return self.__votedForNodeId

    @property
    def role(self) -> Role:
        """What this node is just now."""
        if self.__raftState == _FOLLOWER and self.node_id not in self._membership.voters:
            return Role.LEARNER
        return _ROLES[self.__raftState]

    @property
    def is_leader(self) -> bool:
        """This node leads in its term; another may lead in a newer one."""
        return self.__raftState == _LEADER

    @property
    def is_candidate(self) -> bool:
        """This node asks for votes."""
        return self.__raftState == _CANDIDATE

    @property
    def leader_id(self) -> str | None:
        """The leader of the current term, as far as this node knows."""
        leader = self.__raftLeader
        return None if leader is None else leader.id

    @property
    def commit_index(self) -> int:
        """The last entry this node knows to be committed."""
        return self.__raftCommitIndex

    @property
    def applied_index(self) -> int:
        """The last entry whose effect is in the state."""
        return self.__raftLastApplied

    @property
    def log_end(self) -> int:
        """The last entry in the log."""
        return self._log.last_index

    @property
    def membership(self) -> Membership:
        """The newest one in the log, committed or not."""
        return self._membership

    @property
    def peers(self) -> list[str]:
        """The other members, in a fixed order."""
        return sorted(self._nodes)

    def is_connected(self, node_id: str) -> bool:
        """Messages to that node have somewhere to go."""
        node = self._nodes.get(node_id)
        return node is not None and self.isNodeConnected(node)

    # -- changes of that state --------------------------------------------------------------

    def _set_term(self, term: int, voted_for: str | None) -> None:
        """Enters a term, or votes in it. Durable before anything that speaks for it is sent."""
        if term < self.__raftCurrentTerm:
            raise InvariantViolation(f"term {self.__raftCurrentTerm} cannot go back to {term}")
        if term == self.__raftCurrentTerm and self.__votedForNodeId not in (None, voted_for):
            raise InvariantViolation(
                f"already voted for {self.__votedForNodeId} in term {term}, not for {voted_for}"
            )
        self.__raftCurrentTerm = term
        self.__votedForNodeId = voted_for
        self._log.save_vote(term, voted_for)

    def _set_role(self, role: Role, leader_id: str | None) -> None:
        state = {Role.CANDIDATE: _CANDIDATE, Role.LEADER: _LEADER}.get(role, _FOLLOWER)
        before = (self.__raftState, self.leader_id)
        self.__raftState = state
        self.__raftLeader = self.__node(leader_id)
        if before != (state, leader_id):
            self._leadership_changed()

    def _leadership_changed(self) -> None:
        """A layer above acts on a change of role or leader."""

    def _set_commit(self, index: int) -> None:
        """Learns that entries up to `index` are committed. Never backwards, never past the log."""
        if index <= self.__raftCommitIndex:
            return
        if index > self._log.last_index:
            raise InvariantViolation(f"commit {index} is beyond the log's end {self.log_end}")
        self.__raftCommitIndex = index
        self._log.save_commit(index)

    def _set_applied(self, index: int) -> None:
        self.__raftLastApplied = index

    def _restart_at(self, index: int) -> None:  # an installed snapshot holds all up to there
        self.__raftLastApplied = index
        self.__raftCommitIndex = max(self.__raftCommitIndex, index)

    def _adopt_membership(self, membership: Membership) -> None:
        """Goes by `membership` from now on: peers come and go with it."""
        self._membership = membership
        wanted = ({m.node_id for m in membership.members} | self._departing) - {self.node_id}
        known = {m.node_id for m in self.settings.identity.initial.members}
        for node_id in sorted(set(self._nodes) - wanted):
            node = self._nodes.pop(node_id)
            self.__otherNodes.discard(node)
            self.__connectedNodes.discard(node)
            self.__transport.dropNode(node)
        for node_id in sorted(wanted - set(self._nodes)):
            node = self._nodes[node_id] = Node(node_id)
            member = membership.get(node_id)
            if member is not None and node_id not in known:
                # Our own file knows best where a node is to be reached from here.
                self._transport.set_address(node_id, member.raft_address)
            self.__otherNodes.add(node)
            self.__transport.addNode(node)

    def _reset_election_deadline(self) -> None:
        timing = self.settings.timing
        spread = timing.election_max - timing.election_min
        self.__raftElectionDeadline = (
            self._clock() + timing.election_min + spread * self._rng.random()
        )

    def _election_due(self, now: float) -> bool:
        return self.__raftElectionDeadline <= now

    def _campaign_now(self) -> None:
        self.__raftElectionDeadline = self._clock()

    # -- messages ---------------------------------------------------------------------------

    def _send(self, node_id: str, message: Message) -> bool:
        """Sends what does not speak for unsynced state. False: it goes nowhere, nobody waits."""
        node = self._nodes.get(node_id)
        return node is not None and bool(self.__transport.send(node, message))

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

    def _poll(self, timeout: float) -> None:
        self.__transport.poll(timeout)

    def _message_from_stranger(self, node_id: str, message: Message) -> None:
        """A message of a node that is not, or no longer, a member. A layer above may answer."""

    def __onMessageReceived(self, node: Node, message: Message) -> None:
        handler = self._handlers.get(message["type"])
        if handler is None:
            return
        if node.id in self._nodes:
            handler(node.id, message)
        else:
            self._message_from_stranger(node.id, message)

    def __onNodeConnected(self, node: Node) -> None:
        self.__connectedNodes.add(node)
        self._peer_connected(node.id)

    def __onNodeDisconnected(self, node: Node) -> None:
        self.__connectedNodes.discard(node)
        self._peer_disconnected(node.id)

    def _peer_connected(self, node_id: str) -> None:
        """A layer above acts on it."""

    def _peer_disconnected(self, node_id: str) -> None:
        """A layer above acts on it."""

    def __node(self, node_id: str | None) -> Node | None:
        if node_id is None:
            return None
        return self.selfNode if node_id == self.node_id else self._nodes.get(node_id)

    # -- doors of PySyncObj that stay shut ---------------------------------------------------

    def _applyCommand(self, command: Any, callback: Any, commandType: Any = None) -> NoReturn:
        """Defects 11 and 13: its forwarding and its method numbers are not used."""
        raise InvariantViolation("commands go through the engine's propose()")

    def _doDestroy(self) -> None:
        self.__transport.destroy()
        self._log.close()

    def getStatus(self) -> Mapping[str, Any]:
        """PySyncObj's status reads a journal that is not there: see `Replica.status`."""
        raise InvariantViolation("ask the replica for its status")

    def addNodeToCluster(self, node: Any, callback: Any = None) -> NoReturn:
        """Defect 5: overlapping changes are not refused there."""
        raise InvariantViolation("membership changes go through the engine")

    removeNodeFromCluster = addNodeToCluster  # noqa: N815  PySyncObj names it so

    def setCodeVersion(self, newVersion: int, callback: Any = None) -> NoReturn:
        """Defect 14: an entry that a node cannot apply is skipped there."""
        raise InvariantViolation("versions are carried by the entries themselves")
