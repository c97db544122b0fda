"""An engine as the `Replica` that callers see: what they ask goes in, from any thread.

Not responsible for what runs the engine, nor for its life: `RaftReplica` gives it a thread, and a
simulation its turns. Invariant: nothing here waits, and everything handed to the engine is answered
by the engine.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from namestore.core.state import StateMeta
from namestore.errors import InvariantViolation, NamestoreError, ShuttingDown
from namestore.raft.engine import Engine, member_infos
from namestore.raft.membership import Membership
from namestore.raft.orders import Add, Order, OrderAnswer, Remove, Transfer
from namestore.raft.proposals import Proposal
from namestore.raft.reads import Read
from namestore.raft.replica import (
    BarrierDone,
    Changed,
    MemberInfo,
    MembersDone,
    ProposalDone,
    ReplicaStatus,
)
from namestore.raft.standing import Standing
from namestore.raft.transfers import OrderDone
from namestore.storage.interfaces import StateStore, StateView

TransferDone = Callable[[str | NamestoreError], None]


class Front(ABC):
    """The calls of `namestore.raft.replica.Replica`, but for `start` and `stop`.

    Args:
        clock: Monotonic seconds; the engine's own.
    """

    _engine: Engine
    _transport: Any
    _state: StateStore

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock

    @abstractmethod
    def _post(self, call: Callable[[], None]) -> None:
        """Has `call` called on the engine's thread, before its next turn."""

    def _stops(self) -> bool:
        """The engine takes no more turns, or will soon not."""
        return False

    def propose(self, commands: Sequence[bytes], timeout: float, done: ProposalDone) -> None:
        """See `Replica.propose`."""
        refused = self._engine.proposals.queue.put(
            Proposal(commands, self._clock() + timeout, done)
        )
        if refused is not None:
            done(refused)
        else:
            self._transport.wake()

    def read_barrier(self, timeout: float, done: BarrierDone) -> None:
        """See `Replica.read_barrier`."""
        refused = self._engine.reads.put(Read(self._clock() + timeout, done))
        if refused is not None:
            done(refused)
        else:
            self._transport.wake()

    def view(self) -> AbstractContextManager[StateView]:
        """See `Replica.view`."""
        return self._state.view()

    @property
    def meta(self) -> StateMeta:
        """See `Replica.meta`."""
        return self._state.meta

    def on_change(self, changed: Changed) -> None:
        """See `Replica.on_change`."""
        self._engine.changed = changed

    def status(self) -> ReplicaStatus:
        """See `Replica.status`."""
        engine, transport = self._engine, self._transport
        initial = engine.settings.identity.initial
        standing = Standing(
            next(member for member in initial.members if member.node_id == engine.node_id),
            initial,
            engine.membership,
            engine.is_new,
            engine.is_voter,
            dict(transport.refusals),
        )
        return replace(engine.status(), warnings=standing.warnings(transport.hello_of))

    def transfer_leadership(self, node_id: str | None, timeout: float, done: TransferDone) -> None:
        """See `Replica.transfer_leadership`."""

        def answered(answer: OrderAnswer) -> None:
            done(answer if not isinstance(answer, Membership) else self._engine.node_id)

        self._order(Transfer(node_id or ""), timeout, answered)

    def add_member(self, member: MemberInfo, timeout: float, done: MembersDone) -> None:
        """See `Replica.add_member`."""
        order = Add(member.node_id, member.raft_address, member.grpc_address)
        self._order(order, timeout, lambda answer: done(_members(answer)))

    def remove_member(self, node_id: str, timeout: float, done: MembersDone) -> None:
        """See `Replica.remove_member`."""
        self._order(Remove(node_id), timeout, lambda answer: done(_members(answer)))

    def _order(self, order: Order, timeout: float, done: OrderDone) -> None:
        if self._stops():
            done(ShuttingDown("this node is shutting down; retry at another one"))
        else:
            self._post(lambda: self._engine.order(order, timeout, done))


def _members(answer: OrderAnswer) -> tuple[MemberInfo, ...] | NamestoreError:
    if isinstance(answer, str):
        return InvariantViolation("an order about members was answered with a leader")
    return member_infos(answer) if isinstance(answer, Membership) else answer
