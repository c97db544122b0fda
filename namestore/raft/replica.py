"""The small face of consensus that everything above uses.

A `Replica` is one node's copy of the registry and its voice in the cluster. It is asked from any
thread and answers through a callback on its own; it never blocks its caller.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from namestore.core.outcomes import Decision
from namestore.core.state import StateMeta
from namestore.errors import NamestoreError
from namestore.storage.interfaces import StateView


class Role(Enum):
    """What a node is in the cluster just now."""

    FOLLOWER = "follower"
    CANDIDATE = "candidate"
    LEADER = "leader"
    LEARNER = "learner"


@dataclass(frozen=True, slots=True)
class MemberInfo:
    """One member as the log has it. Addresses are host:port."""

    node_id: str
    raft_address: str
    grpc_address: str
    voter: bool


@dataclass(frozen=True, slots=True)
class PeerInfo:
    """What this node knows of another. The last two are None except on the leader."""

    node_id: str
    connected: bool
    match_index: int | None
    lag_entries: int | None


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """One node's view of itself and of the cluster, at one moment.

    Attributes:
        leader_id: None: no leader is known.
        has_quorum: This node reaches a majority of the voters (itself included).
        serving: A write or linearizable read accepted now could be answered: a leader is known
            and, on the leader, a majority answers.
        warnings: Why this node, or another, does not take part, in sentences for people.
        heartbeat_age_ms: Since the leader was last heard; 0 on the leader; None: never.
        log_time_ms: The log's time, as an entry made now would have it, to within a heartbeat;
            None: this node does not lead, or too few voters have said what time it is.
    """

    node_id: str
    role: Role
    leader_id: str | None
    term: int
    commit_index: int
    applied_index: int
    last_index: int
    has_quorum: bool
    serving: bool
    heartbeat_age_ms: float | None
    meta: StateMeta
    peers: tuple[PeerInfo, ...]
    members: tuple[MemberInfo, ...]
    warnings: tuple[str, ...] = ()
    log_time_ms: int | None = None


# Called exactly once, on the replica's thread (or, when the request is refused at once, on the
# caller's), with the result or with what went wrong. Must return soon and must not raise.
ProposalDone = Callable[[list[Decision] | NamestoreError], None]
BarrierDone = Callable[[NamestoreError | None], None]
MembersDone = Callable[[tuple[MemberInfo, ...] | NamestoreError], None]
# Called on the replica's thread. Must return soon and must not raise.
Changed = Callable[[], None]


class Replica(Protocol):
    """One node's copy of the registry and its voice in the cluster."""

    def start(self) -> None:
        """Opens the stores, replays, and begins to take part. Raises `StorageError`."""
        ...

    def propose(self, commands: Sequence[bytes], timeout: float, done: ProposalDone) -> None:
        """Has encoded commands decided, in order and next to each other in the log.

        On a follower they travel to the leader, and again to the next one if it is lost: under
        their request_ids that is safe.

        Args:
            commands: 1 to 1000, each from `encode_command`.
            timeout: Seconds after which `done` is called in any case.
            done: One `Decision` per command, in order; or `NoQuorum`, `NoLeader`, `Overloaded`,
                `ShuttingDown` (certainly not applied), or `OutcomeUnknown`.
        """
        ...

    def read_barrier(self, timeout: float, done: BarrierDone) -> None:
        """Calls `done(None)` once `view()` reflects every write answered before this call.

        ReadIndex (Raft thesis, section 6.4): no log write; many barriers share one round.
        Otherwise `done` gets `NoQuorum`, `NoLeader`, `Overloaded` or `ShuttingDown`.
        """
        ...

    def view(self) -> AbstractContextManager[StateView]:
        """This node's state as it is now; any thread."""
        ...

    @property
    def meta(self) -> StateMeta:
        """Where this node's state stands now, for little more than nothing; any thread."""
        ...

    def on_change(self, changed: Changed) -> None:
        """Has `changed` called whenever the state has moved on, and `view()` shows it.

        Once for all that was applied together; nobody else is told any more. After `start`.
        """
        ...

    def status(self) -> ReplicaStatus:
        """This node's view; any thread; never waits for others."""
        ...

    def transfer_leadership(
        self, node_id: str | None, timeout: float, done: Callable[[str | NamestoreError], None]
    ) -> None:
        """Hands leadership to `node_id` (None: to the most caught-up follower).

        `done` gets the new leader's id, or why it did not happen.
        """
        ...

    def add_member(self, member: MemberInfo, timeout: float, done: MembersDone) -> None:
        """Has a node join: it receives the log, and counts once it has caught up.

        `done` gets the members afterwards; `ChangeUnderWay`, `InvalidRequest`, `NoLeader` or
        `NoQuorum` (nothing was changed); or `OutcomeUnknown`: ask again, which goes on with it.
        """
        ...

    def remove_member(self, node_id: str, timeout: float, done: MembersDone) -> None:
        """Has a node leave; it stops once it knows. `done` as in `add_member`."""
        ...

    def stop(self, timeout: float) -> None:
        """Fails what waits, flushes, closes; returns within about `timeout` seconds."""
        ...
