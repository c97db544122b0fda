"""What operators change: who leads, and who belongs to the cluster, while it serves.

Membership changes one voter at a time, each committed before the next begins (Raft thesis, section
4.1; defect 5). A newcomer first receives the log without counting; it becomes a voter once it has
caught up (4.2.1). Who is removed is still told so: the leader sends it the log up to the entry that
removes it; it stops once it has applied that.

An order that is given again while it is carried out joins it. One that was given to a node that
did not know of the newest change is not carried out: its giver may have been told "unknown" long
ago, and have gone on since.

Invariants: no order begins while the newest membership in the leader's log is not committed, or was
not known where it was given; that something is so already says only a leader that still is one.
"""

from __future__ import annotations

from collections.abc import Callable
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
from namestore.raft.ordering import Ordering
from namestore.raft.orders import Add, Order, OrderAnswer, Remove, Transfer
from namestore.raft.reads import Read
from namestore.raft.settings import Settings
from namestore.raft.transfers import OrderDone

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


class Changes(Ordering):
    """The layer of membership changes."""

    def __init__(self, transport: Any, settings: Settings) -> None:
        self._change: _Change | None = None
        self._farewells: dict[str, float] = {}
        super().__init__(transport, settings)

    def _carry_out(self, order: Order, deadline: float, known_index: int, done: OrderDone) -> None:
        change = self._change
        if isinstance(order, Transfer):
            self._transfer(order.node_id, deadline, done)
        elif change is not None and change.order == order:
            change.deadline = max(change.deadline, deadline)
            change.waiting.append(done)
        elif self.commit_index < self._first_of_term or self._transfer_to is not None:
            done(NoLeader(f"{self.node_id} is about to begin or to end leading; ask again"))
        elif known_index < self._newest_index <= self.commit_index:
            # Given before that change was known: a removal that comes late would take away who
            # was added again since.
            done(NoLeader("the members were changed since this was asked for; ask again"))
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
        return self._change is None and self._newest_index <= self.commit_index

    @property
    def _newest_index(self) -> int:
        """Where the newest membership stands in the log, or at most somewhat after that."""
        return self._memberships[-1][0] if self._memberships else 0

    def _add(self, order: Add, deadline: float, done: OrderDone) -> None:
        known = self._membership.get(order.node_id)
        addresses = (order.raft_address, order.grpc_address)
        if known is not None and known.voter:
            if (known.raft_address, known.grpc_address) == addresses:
                self._confirm(deadline, done, lambda found: found.get(order.node_id) == known)
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
            self._confirm(deadline, done, lambda found: found.get(node_id) is None)
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

    def _confirm(
        self, deadline: float, done: OrderDone, is_so: Callable[[Membership], bool]
    ) -> None:
        """Answers that what was asked for is so already, once a round has shown it.

        A leader that was deposed and does not know it goes by members of long ago.
        """

        def confirmed(error: NamestoreError | None) -> None:
            agreed = self._newest_agreed()
            if error is not None:
                done(error)
            elif agreed is not None and is_so(agreed[1]):
                done(agreed[1])
            else:
                done(OutcomeUnknown("the members have changed meanwhile; ask again"))

        refused = self.reads.put(Read(deadline, confirmed))
        if refused is not None:
            done(refused)

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
            held = 0 if progress is None else min(progress.match, self.commit_index)
            told = held >= self._newest_index and now >= until - _FAREWELL_S / 2
            if told or now >= until or not self.is_leader:
                del self._farewells[node_id]
                self._departing.discard(node_id)
                self._progress.pop(node_id, None)
                self._adopt_membership(self._membership)

    def _drop_orders(self, error: NamestoreError) -> None:
        super()._drop_orders(error)
        self._end_change(OutcomeUnknown("this node is shutting down; look at the members"))
