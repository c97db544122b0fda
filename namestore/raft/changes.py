"""What operators change: who leads, and who belongs to the cluster, while it serves.

Membership changes one voter at a time, each committed before the next begins (Raft thesis, section
4.1; defect 5). A newcomer first receives the log without counting; it becomes a voter once it has
caught up (4.2.1). Who is removed is still told so: the leader sends it the log up to the entry that
removes it; it stops once it has applied that.

Orders given to a follower travel to the leader. An order that is given again while it is carried
out joins it. Invariant: no order begins while the newest membership in the leader's log is not
committed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from namestore.config import NODES_MAX
from namestore.errors import (
    ChangeUnderWay,
    InvalidRequest,
    NamestoreError,
    NoLeader,
    NoQuorum,
    OutcomeUnknown,
)
from namestore.logs import get_logger
from namestore.raft.base import Message
from namestore.raft.following import KIND_MEMBERSHIP
from namestore.raft.membership import Member, Membership, encode_membership
from namestore.raft.orders import (
    Add,
    Order,
    OrderAnswer,
    Remove,
    Transfer,
    decode_answer,
    decode_order,
    encode_answer,
    encode_order,
)
from namestore.raft.settings import Settings
from namestore.raft.transfers import OrderDone, Transfers

# A newcomer counts as caught up when it lacks no more entries than this.
_CAUGHT_UP_ENTRIES = 64
# A removed member that cannot be told so within that time is left alone.
_FAREWELL_S = 10.0

_log = get_logger(__name__)


@dataclass(slots=True)
class _Change:
    """The change under way on this leader.

    Attributes:
        waiting: Told what became of it.
        index: Of the membership entry that must be committed next.
        newcomer: To be made a voter once it has caught up; empty: nothing is left to do.
        incarnation: Of the newcomer's data directory that is being caught up.
    """

    order: Order
    deadline: float
    term: int
    waiting: list[OrderDone]
    index: int
    newcomer: str = ""
    incarnation: str = ""


@dataclass(frozen=True, slots=True)
class _Ordered:
    """An order that was sent to a leader."""

    order: Order
    deadline: float
    leader_id: str
    done: OrderDone


class Changes(Transfers):
    """The layer of operators."""

    def __init__(self, transport: Any, settings: Settings) -> None:
        self._change: _Change | None = None
        self._ordered: dict[int, _Ordered] = {}
        self._farewells: dict[str, float] = {}
        super().__init__(transport, settings)
        self._handlers |= {"order": self._on_order, "order_result": self._on_order_result}

    def order(self, order: Order, timeout: float, done: OrderDone) -> None:
        """Carries out an order here or has the leader do it. `done` is called once, in time."""
        deadline = self._clock() + timeout
        if self.is_leader:
            self._carry_out(order, deadline, done)
            return
        number, leader_id = self._number(), self.leader_id
        message: Message = {
            "type": "order",
            "request": number,
            "timeout_ms": max(1, int(timeout * 1000)),
            "body": encode_order(order),
        }
        if leader_id is None or not self._send(leader_id, message):
            done(self._why_not())
        else:
            self._ordered[number] = _Ordered(order, deadline, leader_id, done)

    def _on_order(self, peer: str, message: Message) -> None:
        number = message["request"]

        def done(answer: OrderAnswer) -> None:
            body = encode_answer(answer)
            self._send(peer, {"type": "order_result", "request": number, "body": body})

        if not self.is_leader:
            done(NoLeader(f"node {self.node_id} does not lead; retry"))
            return
        try:
            order = decode_order(message["body"])
        except ValueError as error:
            done(InvalidRequest(str(error)))
            return
        timeout = min(message["timeout_ms"] / 1000, 3600.0)
        self._carry_out(order, self._clock() + timeout, done)

    def _on_order_result(self, peer: str, message: Message) -> None:
        waiting = self._ordered.pop(message["request"], None)
        if waiting is not None:
            waiting.done(decode_answer(message["body"]))

    def _carry_out(self, order: Order, deadline: float, done: OrderDone) -> None:
        change = self._change
        if isinstance(order, Transfer):
            self._transfer(order.node_id, deadline, done)
        elif change is not None and change.order == order:
            change.deadline = max(change.deadline, deadline)
            change.waiting.append(done)
        elif self.commit_index < self._first_of_term or self._transfer_to is not None:
            done(NoLeader(f"{self.node_id} is about to begin or to end leading; ask again"))
        elif not self._may_change(order):
            done(ChangeUnderWay("another change of the cluster is under way; ask again later"))
        elif isinstance(order, Add):
            self._add(order, deadline, done)
        else:
            self._remove(order, deadline, done)

    # -- membership -------------------------------------------------------------------------

    def _may_change(self, order: Order) -> bool:
        change = self._change
        if change is not None and change.newcomer and order == Remove(change.newcomer):
            # Who waits in vain for a newcomer may think better of it.
            self._end_change(OutcomeUnknown(f"{change.newcomer} is removed instead"))
        newest = self._memberships[-1][0] if self._memberships else 0
        return self._change is None and newest <= self.commit_index

    def _add(self, order: Add, deadline: float, done: OrderDone) -> None:
        known = self._membership.get(order.node_id)
        addresses = (order.raft_address, order.grpc_address)
        if known is not None and known.voter:
            if (known.raft_address, known.grpc_address) == addresses:
                done(self._membership)
                return
            reason = f"{order.node_id} is a member already, at other addresses; remove it first"
            done(InvalidRequest(reason, field="node_id"))
        elif known is None and len(self._membership.members) >= NODES_MAX:
            reason = f"there are {NODES_MAX} members, which is the most a cluster can have"
            done(InvalidRequest(reason, field="node_id"))
        else:
            self._farewells.pop(order.node_id, None)
            self._departing.discard(order.node_id)
            wanted = Member(order.node_id, *addresses, voter=False)
            membership = self._membership.with_member(wanted)
            self._begin_change(order, membership, deadline, done).newcomer = order.node_id

    def _remove(self, order: Remove, deadline: float, done: OrderDone) -> None:
        node_id, remaining = order.node_id, self._membership.without(order.node_id)
        alive = [peer for peer in self.peers if self.is_connected(peer)]
        if self._membership.get(node_id) is None:
            done(self._membership)  # it is gone, as was asked
        elif not remaining.voters:
            done(InvalidRequest(f"{node_id} is the only voter left", field="node_id"))
        elif not remaining.majority_of([*alive, self.node_id]):
            left = ", ".join(sorted(remaining.voters))
            done(NoQuorum(f"without {node_id}, {left} lack a majority; start the others first"))
        elif node_id == self.node_id:
            # The next leader removes this one, which would not see its own removal through.
            self._transfer("", deadline, lambda answer: None)
            done(NoLeader(f"{node_id} leads, and hands leadership over first; ask again"))
        else:
            self._begin_farewell(node_id)
            self._begin_change(order, remaining, deadline, done)

    def _begin_change(
        self, order: Order, membership: Membership, deadline: float, done: OrderDone
    ) -> _Change:
        index = self._append_membership(membership)
        self._change = _Change(order, deadline, self.term, [done], index)
        return self._change

    def _append_membership(self, membership: Membership) -> int:
        index = self._append_own(KIND_MEMBERSHIP, encode_membership(membership))
        self._take_membership(index, membership)
        _log.info("membership.proposed", index=index, voters=sorted(membership.voters))
        return index

    def _advance_change(self, now: float) -> None:
        """Takes the change under way a step further, or answers whoever waits for it."""
        self._say_farewell(now)
        self._finish_transfers(now)
        self._finish_ordered(now)
        change = self._change
        if change is None:
            return
        if not self.is_leader or self.term != change.term:
            self._end_change(OutcomeUnknown("the leader changed meanwhile; look at the members"))
        elif now >= change.deadline:
            self._end_change(OutcomeUnknown("not finished in time; ask again to go on with it"))
        elif self.commit_index >= change.index:
            if change.newcomer:
                self._promote(change)
            else:
                self._end_change(self._membership)

    def _promote(self, change: _Change) -> None:
        """Makes the newcomer a voter, under the incarnation it greeted with, once it is ready."""
        greeting = self._transport.hello_of(change.newcomer)
        member = self._membership.get(change.newcomer)
        if greeting is None or member is None:
            return
        if change.incarnation != greeting.incarnation:
            # What is known of its log may be of an earlier data directory under the same id.
            change.incarnation = greeting.incarnation
            self._progress.pop(change.newcomer, None)
            return
        progress = self._progress.get(change.newcomer)
        if progress is None or not progress.match:
            return
        if progress.match + _CAUGHT_UP_ENTRIES < self._log.last_index:
            return
        voter = replace(member, voter=True, incarnation=greeting.incarnation)
        change.newcomer = ""
        change.index = self._append_membership(self._membership.with_member(voter))

    def _end_change(self, answer: OrderAnswer) -> None:
        change, self._change = self._change, None
        for done in change.waiting if change is not None else ():
            done(answer)

    def _on_request_vote(self, peer: str, message: Message) -> None:
        """Who stands without being a member was not told that it is none: the leader was lost."""
        super()._on_request_vote(peer, message)
        if self.is_leader and self._membership.get(peer) is None and peer not in self._farewells:
            self._begin_farewell(peer)
            self._adopt_membership(self._membership)

    def _begin_farewell(self, node_id: str) -> None:
        self._departing.add(node_id)
        self._farewells[node_id] = self._clock() + _FAREWELL_S

    def _say_farewell(self, now: float) -> None:
        """Lets go of removed members that know of it, or cannot be told."""
        for node_id, until in list(self._farewells.items()):
            progress = self._progress.get(node_id)
            newest = self._memberships[-1][0] if self._memberships else 0
            held = 0 if progress is None else min(progress.match, self.commit_index)
            told = held >= newest and now >= until - _FAREWELL_S / 2
            if told or now >= until or not self.is_leader:
                del self._farewells[node_id]
                self._departing.discard(node_id)
                self._progress.pop(node_id, None)
                self._adopt_membership(self._membership)

    # -- orders sent to a leader ------------------------------------------------------------

    def _finish_ordered(self, now: float) -> None:
        """Answers those whose leader is lost, or silent for too long."""
        for number, waiting in list(self._ordered.items()):
            answer: OrderAnswer | None = None
            if self.leader_id != waiting.leader_id or not self.is_connected(waiting.leader_id):
                lost = OutcomeUnknown("the leader changed meanwhile; look at the members")
                # That leadership changed is what a transfer asks for.
                answer = self.leader_id if isinstance(waiting.order, Transfer) else lost
            if answer is None and now >= waiting.deadline:
                answer = OutcomeUnknown("the leader did not answer in time; look at the members")
            if answer is not None:
                del self._ordered[number]
                waiting.done(answer)

    def _drop_orders(self, error: NamestoreError) -> None:
        """The node stops: nobody is left waiting."""
        self._drop_transfers(error)
        ordered, self._ordered = self._ordered, {}
        for waiting in ordered.values():
            waiting.done(error)
        self._end_change(OutcomeUnknown("this node is shutting down; look at the members"))
