"""What operators change: who leads, and who belongs to the cluster, while it serves.

Membership changes one voter at a time, each committed before the next begins (Raft thesis, section
4.1; defect 5). A newcomer first receives the log without counting; it becomes a voter once it has
caught up (4.2.1). Who is removed is still told so: the leader sends it the log up to the entry that
removes it; it stops once it has applied that.

Orders given to a follower travel to the leader. Invariant: no order begins while the newest
membership in the leader's log is not committed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from namestore.errors import ChangeUnderWay, InvalidRequest, NoLeader, OutcomeUnknown
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
from namestore.raft.requests import Requests
from namestore.raft.settings import Settings

OrderDone = Callable[[OrderAnswer], None]

# A newcomer counts as caught up when it lacks no more entries than this.
_CAUGHT_UP_ENTRIES = 64
# A removed member that cannot be told so within that time is left alone.
_FAREWELL_S = 10.0

_log = get_logger(__name__)


@dataclass(slots=True)
class _Change:
    """The change under way on this leader.

    Attributes:
        index: Of the membership entry that must be committed next.
        newcomer: To be made a voter once it has caught up; empty: nothing is left to do.
    """

    deadline: float
    term: int
    done: OrderDone
    index: int
    newcomer: str = ""


class Changes(Requests):
    """The layer of operators."""

    def __init__(self, transport: Any, settings: Settings) -> None:
        self._change: _Change | None = None
        self._transfers: list[tuple[float, int, OrderDone]] = []
        self._ordered: dict[int, tuple[float, OrderDone]] = {}
        self._farewells: dict[str, float] = {}
        super().__init__(transport, settings)
        self._handlers |= {"order": self._on_order, "order_result": self._on_order_result}

    def order(self, order: Order, timeout: float, done: OrderDone) -> None:
        """Carries out an order here or has the leader do it. `done` is called once, in time."""
        deadline = self._clock() + timeout
        if self.is_leader:
            self._carry_out(order, deadline, done)
            return
        number = self._number()
        message: Message = {
            "type": "order",
            "request": number,
            "timeout_ms": max(1, int(timeout * 1000)),
            "body": encode_order(order),
        }
        if self.leader_id is None or not self._send(self.leader_id, message):
            done(self._why_not())
        else:
            self._ordered[number] = (deadline, done)

    def _on_order(self, peer: str, message: Message) -> None:
        number = message["request"]

        def done(answer: OrderAnswer) -> None:
            result: Message = {
                "type": "order_result",
                "request": number,
                "body": encode_answer(answer),
            }
            self._send(peer, result)

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
            waiting[1](decode_answer(message["body"]))

    def _carry_out(self, order: Order, deadline: float, done: OrderDone) -> None:
        match order:
            case Transfer(node_id):
                self._transfer(node_id, deadline, done)
            case Add():
                self._add(order, deadline, done)
            case Remove(node_id):
                self._remove(node_id, deadline, done)

    # -- membership -------------------------------------------------------------------------

    def _may_change(self, done: OrderDone) -> bool:
        newest = self._memberships[-1][0] if self._memberships else 0
        settled = newest <= self.commit_index and self.commit_index >= self._first_of_term
        if self._change is None and settled and self._transfer_to is None:
            return True
        done(ChangeUnderWay("another change of the cluster is under way; ask again later"))
        return False

    def _add(self, order: Add, deadline: float, done: OrderDone) -> None:
        known = self._membership.get(order.node_id)
        wanted = Member(order.node_id, order.raft_address, order.grpc_address, voter=False)
        if known is not None and known.voter:
            same = (known.raft_address, known.grpc_address) == (
                order.raft_address,
                order.grpc_address,
            )
            done(
                self._membership
                if same
                else InvalidRequest(
                    f"{order.node_id} is a member already, at other addresses; remove it first",
                    field="node_id",
                )
            )
        elif self._may_change(done):
            membership = self._membership.with_member(wanted)
            self._begin_change(membership, deadline, done, newcomer=order.node_id)

    def _remove(self, node_id: str, deadline: float, done: OrderDone) -> None:
        if self._membership.get(node_id) is None:
            done(self._membership)  # it is gone, as was asked
        elif self._membership.voters == {node_id}:
            done(InvalidRequest(f"{node_id} is the only voter left", field="node_id"))
        elif self._may_change(done):
            self._departing.add(node_id)
            self._farewells[node_id] = self._clock() + _FAREWELL_S
            self._begin_change(self._membership.without(node_id), deadline, done)

    def _begin_change(
        self, membership: Membership, deadline: float, done: OrderDone, newcomer: str = ""
    ) -> None:
        index = self._append_membership(membership)
        self._change = _Change(deadline, self.term, done, index, newcomer)

    def _append_membership(self, membership: Membership) -> int:
        index = self._append_own(KIND_MEMBERSHIP, encode_membership(membership))
        self._take_membership(index, membership)
        _log.info("membership.proposed", index=index, voters=sorted(membership.voters))
        return index

    def _advance_change(self, now: float) -> None:
        """Takes the change under way a step further, or answers whoever waits for it."""
        self._say_farewell(now)
        self._finish_orders(now)
        change = self._change
        if change is None:
            return
        if not self.is_leader or self.term != change.term:
            self._end_change(OutcomeUnknown("the leader changed meanwhile; look at the members"))
        elif now >= change.deadline:
            self._end_change(
                OutcomeUnknown("the change is not finished in time; ask again to go on with it")
            )
        elif self.commit_index >= change.index:
            if change.newcomer:
                self._promote(change)
            else:
                self._end_change(self._membership)

    def _promote(self, change: _Change) -> None:
        """Makes the newcomer a voter, under the incarnation it greeted with, once it is ready."""
        progress = self._progress.get(change.newcomer)
        greeting = self._transport.hello_of(change.newcomer)
        member = self._membership.get(change.newcomer)
        if progress is None or greeting is None or member is None:
            return
        if progress.match + _CAUGHT_UP_ENTRIES < self._log.last_index or not progress.match:
            return
        voter = replace(member, voter=True, incarnation=greeting.incarnation)
        change.newcomer = ""
        change.index = self._append_membership(self._membership.with_member(voter))

    def _end_change(self, answer: OrderAnswer) -> None:
        change, self._change = self._change, None
        if change is not None:
            change.done(answer)

    def _say_farewell(self, now: float) -> None:
        """Lets go of removed members that know of it, or cannot be told."""
        for node_id, until in list(self._farewells.items()):
            progress = self._progress.get(node_id)
            newest = self._memberships[-1][0] if self._memberships else 0
            told = (
                progress is not None
                and self.commit_index >= newest
                and progress.match >= newest
                and now >= until - _FAREWELL_S / 2
            )
            if told or now >= until or not self.is_leader:
                del self._farewells[node_id]
                self._departing.discard(node_id)
                self._progress.pop(node_id, None)
                self._adopt_membership(self._membership)

    # -- transfer ---------------------------------------------------------------------------

    def _transfer(self, node_id: str, deadline: float, done: OrderDone) -> None:
        target = node_id or self._most_caught_up()
        if target == self.node_id:
            done(self.node_id)
        elif target is None:
            done(NoLeader("no other voting member is connected; retry once one is"))
        elif target not in self._membership.voters:
            done(InvalidRequest(f"{target} is not a voting member", field="node_id"))
        else:
            self._transfers.append((deadline, self.term, done))
            self._begin_transfer(target)

    def _most_caught_up(self) -> str | None:
        connected = [
            (progress.match, peer)
            for peer, progress in self._progress.items()
            if self.is_connected(peer) and peer in self._membership.voters
        ]
        return max(connected)[1] if connected else None

    def _finish_orders(self, now: float) -> None:
        """A transfer is done when a newer term has a leader; what is late is answered."""
        for waiting in list(self._transfers):
            deadline, term, done = waiting
            if self.term > term and self.leader_id is not None:
                done(self.leader_id)
            elif now >= deadline or (self.is_leader and self._transfer_to is None):
                done(OutcomeUnknown("leadership was not taken over in time; look at the status"))
            else:
                continue
            self._transfers.remove(waiting)
        for number in [n for n, (deadline, _) in self._ordered.items() if deadline <= now]:
            self._ordered.pop(number)[1](
                OutcomeUnknown("the leader did not answer in time; look at the members")
            )
