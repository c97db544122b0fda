"""PySyncObj under our own roof: its frame kept, its private names behind plain ones.

This module alone touches PySyncObj's private names. Python mangles `self.__x` by the name of the
class it is written in, so the class here bears the *same name* as its base on purpose: a method
`__onMessageReceived` written here replaces the one there, and `self.__raftState` is one field.

What is kept: SyncObj as the object that a transport drives, its node objects, its role, term, vote,
leader, commit and apply fields and everything public that reads them. What is replaced stands in
the layers above (`base` to `engine`), each naming the defect of 0.3.17 it closes; docs/pysyncobj.md
lists them all.

Invariants kept here: a term never goes back; one vote per term; the commit index never goes back
and never beyond the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import pysyncobj
from pysyncobj.node import Node

from namestore.errors import InvariantViolation
from namestore.raft.pin import check_pysyncobj
from namestore.raft.replica import Role
from namestore.raft.settings import Settings

Message = dict[str, Any]

_FOLLOWER, _CANDIDATE, _LEADER = 0, 1, 2
_ROLES = {_FOLLOWER: Role.FOLLOWER, _CANDIDATE: Role.CANDIDATE, _LEADER: Role.LEADER}


class SyncObj(pysyncobj.SyncObj):
    """One node's Raft state in PySyncObj's fields. Belongs to one thread, the Raft thread."""

    def __init__(self, transport: Any, settings: Settings, nodes: list[Node]) -> None:
        check_pysyncobj()
        self._log = settings.seams.log
        self._clock = settings.seams.clock
        # Made without a journal and without a dump: PySyncObj then keeps an empty one in memory,
        # which is put aside below. Defects 3, 4, 7, 8, 10.
        conf = pysyncobj.SyncObjConf(
            autoTick=False, appendEntriesUseBatch=True, dynamicMembershipChange=False, useFork=False
        )
        # The ids of PySyncObj's connected nodes, which it compares slowly.
        self._connected: set[str] = set()
        own = Node(settings.identity.node_id)
        super().__init__(own, nodes, conf=conf, nodeClass=Node, transport=transport)
        self.__raftLog = self._log
        self.__raftCurrentTerm = max(self._log.term, self._log.last_term)
        self.__votedForNodeId = self._log.voted_for
        self.__raftLastApplied = settings.seams.state.meta.applied_index
        self.__raftCommitIndex = max(self._log.commit_index, self.__raftLastApplied)

    # -- PySyncObj's state, under plain names ----------------------------------------------

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
        self.__raftLeader = None if leader_id is None else Node(leader_id)
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

    def _restart_at(self, index: int) -> None:
        """An installed snapshot holds everything up to `index`."""
        self.__raftLastApplied = index
        self.__raftCommitIndex = max(self.__raftCommitIndex, index)

    def _set_election_deadline(self, when: float) -> None:
        self.__raftElectionDeadline = when

    def _election_due(self, now: float) -> bool:
        return self.__raftElectionDeadline <= now

    def _add_node(self, node: Node) -> None:
        self.__otherNodes.add(node)
        self.__transport.addNode(node)

    def _drop_node(self, node: Node) -> None:
        self.__otherNodes.discard(node)
        self.__connectedNodes.discard(node)
        self._connected.discard(node.id)
        self.__transport.dropNode(node)

    # -- what the transport calls -----------------------------------------------------------

    def _message(self, node_id: str, message: Message) -> None:
        """The layer above hears a message."""

    def _peer_connected(self, node_id: str) -> None:
        """A layer above acts on it."""

    def _peer_disconnected(self, node_id: str) -> None:
        """A layer above acts on it."""

    def __onMessageReceived(self, node: Node, message: Message) -> None:
        self._message(node.id, message)

    def __onNodeConnected(self, node: Node) -> None:
        self.__connectedNodes.add(node)
        self._connected.add(node.id)
        self._peer_connected(node.id)

    def __onNodeDisconnected(self, node: Node) -> None:
        self.__connectedNodes.discard(node)
        self._connected.discard(node.id)
        self._peer_disconnected(node.id)

    # -- doors of PySyncObj that stay shut ---------------------------------------------------

    def _applyCommand(self, command: Any, callback: Any, commandType: Any = None) -> NoReturn:
        """Defects 11 and 13: its forwarding and its method numbers are not used."""
        raise InvariantViolation("commands go through the engine's proposals")

    def _doDestroy(self) -> None:
        self.__transport.destroy()
        self._log.close()

    def getStatus(self) -> Mapping[str, Any]:
        """PySyncObj's status reads a journal that is not there: see `Replica.status`."""
        raise InvariantViolation("ask the replica for its status")

    def addNodeToCluster(self, node: Any, callback: Any = None) -> NoReturn:
        """Defect 5: overlapping changes are not refused there."""
        raise InvariantViolation("membership changes go through the engine")

    def removeNodeFromCluster(self, node: Any, callback: Any = None) -> NoReturn:
        """Defect 5: overlapping changes are not refused there."""
        raise InvariantViolation("membership changes go through the engine")

    def setCodeVersion(self, newVersion: int, callback: Any = None) -> NoReturn:
        """Defect 14: an entry that a node cannot apply is skipped there."""
        raise InvariantViolation("versions are carried by the entries themselves")
