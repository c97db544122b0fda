"""A replica of a cluster of one, all in memory, with switches for what can go wrong.

Decides through the real state machine. Answers on the caller's thread, on a thread of its own
(`threaded`), or only when told to (`hold`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from namestore.config import ClusterConfig
from namestore.core.commands import Entry, encode_entry
from namestore.core.state import StateMeta, decode_meta
from namestore.errors import NamestoreError, NoLeader, NoQuorum, Overloaded, ShuttingDown
from namestore.raft.replica import (
    BarrierDone,
    MemberInfo,
    MembersDone,
    PeerInfo,
    ProposalDone,
    ReplicaStatus,
    Role,
)
from namestore.storage.interfaces import StateView
from tests.support.registry_driver import DictState, RegistryDriver


@dataclass
class Switches:
    """What is wrong, or slow. All of it may be changed while calls wait.

    Attributes:
        leader: A leader is known.
        leads: It is this node.
        quorum: A majority is reached.
        overloaded: Everything is refused at once.
        drop_answers: Proposals are applied, barriers pass, and nobody is told.
        hold: Answers wait until `FakeReplica.let_go`.
        delay: Seconds before each answer; needs `threaded`.
    """

    leader: bool = True
    leads: bool = True
    quorum: bool = True
    overloaded: bool = False
    drop_answers: bool = False
    hold: bool = False
    delay: float = 0.0


class MemoryView(DictState):
    """A frozen copy of the state."""

    def __init__(self, content: dict[bytes, bytes]) -> None:
        super().__init__()
        self.content = dict(content)

    @property
    def meta(self) -> StateMeta:
        """Where this picture stands."""
        return decode_meta(self.content.get(b"m"))


@dataclass
class Calls:
    """What was asked of the replica."""

    proposals: list[list[bytes]] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)
    barriers: int = 0
    transfers: list[str | None] = field(default_factory=list)
    added: list[MemberInfo] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    stopped: bool = False


class FakeReplica:
    """Implements `namestore.raft.replica.Replica`."""

    def __init__(self, node_id: str = "dev", *, threaded: bool = False) -> None:
        self.switches = Switches()
        self.calls = Calls()
        self.registry = RegistryDriver()
        self.peers: tuple[PeerInfo, ...] = ()
        self.members = (MemberInfo(node_id, "127.0.0.1:0", "127.0.0.1:7101", voter=True),)
        self.warnings: tuple[str, ...] = ()
        self.order_error: NamestoreError | None = None
        self.on_fatal: Callable[[Exception], None] | None = None
        self.start_error: NamestoreError | None = None
        self.changed: Callable[[], None] | None = None
        self._node_id = node_id
        self._worker = ThreadPoolExecutor(1, "fake-replica") if threaded else None
        self._held: list[Callable[[], None]] = []

    # -- what tests do ----------------------------------------------------------------------

    def let_go(self) -> None:
        """Gives the answers that are held, in order, and holds no more."""
        self.switches.hold = False
        # Where the answers were held, so that none slips in behind them.
        self._run(self._let_go_here)

    def _let_go_here(self) -> None:
        held, self._held = self._held, []
        for answer in held:
            answer()

    # -- Replica ----------------------------------------------------------------------------

    def start(self) -> None:
        if self.start_error is not None:
            raise self.start_error

    def propose(self, commands: Sequence[bytes], timeout: float, done: ProposalDone) -> None:
        self.calls.proposals.append(list(commands))
        self.calls.timeouts.append(timeout)
        refusal = self._refusal()
        if refusal is not None:
            done(refusal)
            return

        def decide() -> None:
            entry = Entry(self.registry.clock_ms, list(commands))
            decisions = self.registry.apply_log_entry(encode_entry(entry))
            if self.changed is not None:
                self.changed()
            self._answer(lambda: done(decisions))

        self._run(decide)

    def read_barrier(self, timeout: float, done: BarrierDone) -> None:
        self.calls.barriers += 1
        self.calls.timeouts.append(timeout)
        refusal = self._refusal()
        if refusal is not None:
            done(refusal)
            return
        self._run(lambda: self._answer(lambda: done(None)))

    def view(self) -> AbstractContextManager[StateView]:
        return self._view()

    @property
    def meta(self) -> StateMeta:
        return self.registry.meta

    def on_change(self, changed: Callable[[], None]) -> None:
        self.changed = changed

    def status(self) -> ReplicaStatus:
        meta = self.registry.meta
        up = self.switches.leader and self.switches.quorum
        return ReplicaStatus(
            node_id=self._node_id,
            role=self._role(up),
            leader_id=(self._node_id if self.switches.leads else "other") if up else None,
            term=1,
            commit_index=meta.applied_index,
            applied_index=meta.applied_index,
            last_index=meta.applied_index,
            has_quorum=self.switches.quorum,
            serving=up,
            heartbeat_age_ms=0.0 if up else None,
            meta=meta,
            peers=self.peers,
            members=self.members,
            warnings=self.warnings,
            log_time_ms=self.registry.clock_ms if self._role(up) is Role.LEADER else None,
        )

    def transfer_leadership(
        self, node_id: str | None, timeout: float, done: Callable[[str | NamestoreError], None]
    ) -> None:
        self.calls.transfers.append(node_id)
        self._run(lambda: self._answer(lambda: done(node_id or "n2")))

    def add_member(self, member: MemberInfo, timeout: float, done: MembersDone) -> None:
        self.calls.added.append(member)
        self.calls.timeouts.append(timeout)
        self._change((*self.members, member), done)

    def remove_member(self, node_id: str, timeout: float, done: MembersDone) -> None:
        self.calls.removed.append(node_id)
        self.calls.timeouts.append(timeout)
        self._change(tuple(m for m in self.members if m.node_id != node_id), done)

    def _change(self, members: tuple[MemberInfo, ...], done: MembersDone) -> None:
        if self.order_error is None:
            self.members = members
        answer = self.order_error or members
        self._run(lambda: self._answer(lambda: done(answer)))

    def stop(self, timeout: float) -> None:
        self.calls.stopped = True
        if self._worker is not None:
            self._worker.shutdown()

    # -- within -----------------------------------------------------------------------------

    def _role(self, up: bool) -> Role:
        if not up:
            return Role.CANDIDATE
        return Role.LEADER if self.switches.leads else Role.FOLLOWER

    def _refusal(self) -> NamestoreError | None:
        if self.calls.stopped:
            return ShuttingDown("stopped")
        if self.switches.overloaded:
            return Overloaded("full")
        if not self.switches.quorum:
            return NoQuorum("no majority")
        return None if self.switches.leader else NoLeader("no leader")

    def _run(self, work: Callable[[], None]) -> None:
        if self._worker is None:
            work()
        else:
            self._worker.submit(self._slowly, work)

    def _slowly(self, work: Callable[[], None]) -> None:
        if self.switches.delay:
            time.sleep(self.switches.delay)
        work()

    def _answer(self, answer: Callable[[], None]) -> None:
        if self.switches.drop_answers:
            return
        if self.switches.hold:
            self._held.append(answer)
        else:
            answer()

    @contextmanager
    def _view(self) -> Iterator[StateView]:
        yield MemoryView(self.registry.state.content)


def open_fake_replica(
    config: ClusterConfig, node_id: str, *, on_fatal: Callable[[Exception], None]
) -> FakeReplica:
    """In the place of `namestore.raft.node.open_replica`."""
    replica = FakeReplica(config.node(node_id).id, threaded=True)
    replica.on_fatal = on_fatal
    return replica
