"""Deliberate faults in who counts, and in what is believed of a disk; see `mutants_agreement`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from namestore.raft.bootstrap import Greeting, reason_to_refuse
from namestore.raft.engine import Engine
from namestore.raft.membership import Membership
from namestore.storage.interfaces import LogEntry

Message = dict[str, Any]


# -- members ----------------------------------------------------------------------------------


class LearnersCount(Engine):
    """A newcomer counts towards a commit before it was made a voter."""

    def _advance_commit(self) -> None:
        match = {peer: progress.match for peer, progress in self._progress.items()}
        match[self.node_id] = self._log.synced_index
        members = [member.node_id for member in self._membership.members]
        reached = sorted((match.get(member, 0) for member in members), reverse=True)
        index = reached[self._membership.quorum - 1]
        if index > self.commit_index and self._log.term_at(index) == self.term:
            self._set_commit(index)


class StrangersVote(Engine):
    """A candidate counts the votes of whoever answers, of newcomers and removed nodes as well."""

    def _count_votes(self) -> None:
        if len(self._votes) < self._membership.quorum or not self._may_take_part():
            return
        if self._pre_voting:
            self._start_election(transfer=False)
        else:
            self._become_leader()


class TwoChangesAtOnce(Engine):
    """A change of members begins before the one before is committed."""

    def _may_change(self, order: Any) -> bool:
        self._change = None
        return True


class ChangesTooEarly(Engine):
    """A new leader changes the members before an entry of its own term is committed."""

    def _carry_out(self, order: Any, deadline: float, known_index: int, done: Any) -> None:
        first, self._first_of_term = self._first_of_term, 0
        try:
            super()._carry_out(order, deadline, known_index, done)
        finally:
            self._first_of_term = first

    def _may_change(self, order: Any) -> bool:
        return self._change is None


class LateOrdersCount(Engine):
    """An order is carried out whenever it comes, whatever was changed since it was given."""

    def _carry_out(self, order: Any, deadline: float, known_index: int, done: Any) -> None:
        super()._carry_out(order, deadline, self.commit_index, done)


class KeepsLostMembership(Engine):
    """A membership that was cut off the log is still gone by."""

    def _cut_tail(self, index: int) -> None:
        kept, membership = list(self._memberships), self._membership
        super()._cut_tail(index)
        self._memberships = kept
        if kept:
            self._adopt_membership(membership)


class SnapshotWithoutMembers(Engine):
    """Who installs a snapshot goes on by the members it knew before."""

    _loaded = False

    def _load_memberships(self) -> None:
        if not self._loaded:
            self._loaded = True
            super()._load_memberships()


class GoesOnRemoved(Engine):
    """A node that was removed goes on."""

    removed = property(lambda self: False, lambda self, value: None)


class NeverToldRemoved(Engine):
    """A node is dropped at once when it is removed, and nobody tells it."""

    def _begin_farewell(self, node_id: str) -> None:
        """Nothing is said."""


class MembersUnconfirmed(Engine):
    """A leader answers that somebody is a member, or is none, without asking whether it leads."""

    def _confirm(self, deadline: float, done: Any, is_so: Any) -> None:
        del deadline, is_so
        done(self._membership)


class LeftOutOnlyAsks(Engine):
    """Who is left out by a change that is not committed never stands, only asks."""

    def _start_pre_vote(self) -> None:
        if self.is_voter:
            super()._start_pre_vote()
        else:
            self._ask_for_votes(self.term + 1, pre_vote=True)


class LeftOutJudgesNobody(Engine):
    """Who is left out by a change that is not committed lets in whoever says to be a member."""

    def reason_to_refuse(self, peer: Greeting) -> str | None:
        if self._is_left_out():
            return reason_to_refuse(self.agreed_membership, peer, outsider=True)
        return super().reason_to_refuse(peer)


class BelievesRemovalAtOnce(Engine):
    """A node stops once its removal is in its log, committed or not."""

    def _learn_memberships(self, entries: list[LogEntry]) -> None:
        super()._learn_memberships(entries)
        if self._belongs and self._membership.get(self.node_id) is None:
            self.removed = True


# -- disks ------------------------------------------------------------------------------------


class EmptiedNodeVotes(Engine):
    """Nobody asks on which disk a node comes back: an emptied one is what it was before."""

    @property
    def agreed_membership(self) -> Membership:
        real = super().agreed_membership
        return replace(real, members=tuple(replace(m, incarnation="") for m in real.members))

    @property
    def is_voter(self) -> bool:
        return self.node_id in self._membership.voters
