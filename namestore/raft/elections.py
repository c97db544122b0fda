"""Who leads: pre-vote, votes, the leader's check of its own quorum, transfer.

Replaces PySyncObj's election (Raft paper, section 5.2 and 5.4.1; thesis, 4.2.2, 4.2.3, 6.2, 9.6):

* A candidate first asks whether it could win (pre-vote), so that a node that was cut off does not
  depose a healthy leader when it returns.
* A node that hears from a leader does not vote for another one, except in a transfer.
* A leader that a majority has not answered for an election timeout stops leading.
* Every answer carries a term; votes are durable before they are given (defects 6, 7).

Invariants: one vote per term; a leader holds every committed entry.
"""

from __future__ import annotations

from typing import Any

from namestore.errors import InvariantViolation
from namestore.raft import bootstrap
from namestore.raft.base import Base, Message
from namestore.raft.progress import Progress
from namestore.raft.replica import Role
from namestore.raft.settings import Settings


class Elections(Base):
    """The election layer."""

    def __init__(self, transport: Any, settings: Settings) -> None:
        self._votes: set[str] = set()
        self._pre_voting = False
        self._progress: dict[str, Progress] = {}
        self._transfer_to: str | None = None
        self._transfer_until = 0.0
        self._transfer_told = False
        super().__init__(transport, settings)
        self._handlers |= {
            "request_vote": self._on_request_vote,
            "vote_result": self._on_vote_result,
            "timeout_now": self._on_timeout_now,
        }

    # -- time -------------------------------------------------------------------------------

    def _run_elections(self, now: float) -> None:
        """Starts an election when no leader is heard, and ends a leadership nobody confirms."""
        if self.is_leader:
            if not self._quorum_answers(now):
                self._become_follower(self.term, None)
            elif self._transfer_to is not None and now >= self._transfer_until:
                self._transfer_to = None
        elif self._election_due(now):
            self._reset_election_deadline()
            # Who is left out by what may never be committed stands as well (thesis, 4.2.2): it may
            # hold what nobody else can be elected without. Or it is gone already, and nobody
            # speaks to it any more: the leader hears this, and does.
            if (self.is_voter or self._is_left_out()) and self._may_take_part():
                self._start_pre_vote()

    def _quorum_answers(self, now: float) -> bool:
        horizon = now - self.settings.timing.election_max
        answering = [p for p, progress in self._progress.items() if progress.answered_at >= horizon]
        return self._membership.majority_of([*answering, self.node_id])

    def _hears_leader(self, now: float) -> bool:
        """A leader leads: for a leader, itself; for others, one heard less than a timeout ago."""
        if self.is_leader:
            return self._quorum_answers(now)
        heard_at = self._heard_leader_at
        return (
            self.leader_id is not None
            and heard_at is not None
            and now - heard_at < self.settings.timing.election_min
        )

    @property
    def is_voter(self) -> bool:
        """This data directory counts, by the newest membership in its log."""
        return self._membership.is_voter(self.node_id, self.settings.identity.incarnation)

    @property
    def is_new(self) -> bool:
        """Nothing was ever in this node's log."""
        return self._log.last_index == 0

    def _may_take_part(self) -> bool:
        return not self.is_new or bootstrap.all_new(
            self.node_id, self.settings.identity.initial, self._transport.hello_of
        )

    def _is_left_out(self) -> bool:
        """A layer above knows whether this node was a voter, and may not be one any more."""
        return False

    # -- asking -----------------------------------------------------------------------------

    def _start_pre_vote(self) -> None:
        self._set_role(Role.CANDIDATE, None)
        self._pre_voting = True
        self._votes = {self.node_id}
        self._ask_for_votes(self.term + 1, pre_vote=True)
        self._count_votes()

    def _start_election(self, *, transfer: bool) -> None:
        self._set_role(Role.CANDIDATE, None)
        self._pre_voting = False
        self._set_term(self.term + 1, self.node_id)
        self._reset_election_deadline()
        self._votes = {self.node_id}
        self._ask_for_votes(self.term, pre_vote=False, transfer=transfer)
        self._count_votes()

    def _ask_for_votes(self, term: int, *, pre_vote: bool, transfer: bool = False) -> None:
        message: Message = {
            "type": "request_vote",
            "term": term,
            "last_log_index": self._log.last_index,
            "last_log_term": self._log.last_term,
            "pre_vote": pre_vote,
            "transfer": transfer,
        }
        for peer in self.peers:
            self._hold(peer, message)

    def _count_votes(self) -> None:
        if not self._membership.majority_of(self._votes) or not self._may_take_part():
            return
        if self._pre_voting:
            self._start_election(transfer=False)
        else:
            self._become_leader()

    def _on_vote_result(self, peer: str, message: Message) -> None:
        granted, pre_vote, term = message["granted"], message["pre_vote"], message["term"]
        if not granted:
            if term > self.term:
                self._become_follower(term, None)
            return
        expected = self.term + 1 if pre_vote else self.term
        if self.is_candidate and pre_vote == self._pre_voting and term == expected:
            self._votes.add(peer)
            self._count_votes()

    # -- giving -----------------------------------------------------------------------------

    def _on_request_vote(self, peer: str, message: Message) -> None:
        term, pre_vote = message["term"], message["pre_vote"]
        hears = not message["transfer"] and self._hears_leader(self._clock())
        if hears and not pre_vote:
            return  # a leader leads: neither this vote nor its term concerns us (thesis, 4.2.3)
        if term > self.term and not pre_vote:
            self._become_follower(term, None)
        granted = self._log_is_behind(message) and not hears
        if pre_vote:
            granted = granted and term > self.term
        else:
            granted = (
                granted
                and term == self.term
                and self.voted_for in (None, peer)
                and not self.is_leader
            )
            if granted:
                self._set_term(term, peer)
                self._reset_election_deadline()
        answer: Message = {
            "type": "vote_result",
            "term": term if granted else self.term,
            "granted": granted,
            "pre_vote": pre_vote,
        }
        self._hold(peer, answer)

    def _log_is_behind(self, message: Message) -> bool:
        """The candidate's log holds all that ours could have committed (paper, 5.4.1)."""
        candidate = (message["last_log_term"], message["last_log_index"])
        return candidate >= (self._log.last_term, self._log.last_index)

    # -- becoming ---------------------------------------------------------------------------

    def _become_follower(self, term: int, leader_id: str | None) -> None:
        if term > self.term:
            self._set_term(term, None)
        was_following = not self.is_leader and not self.is_candidate
        self._pre_voting = False
        self._votes = set()
        self._transfer_to = None
        self._progress = {}
        self._set_role(Role.FOLLOWER, leader_id)
        if not was_following:
            self._reset_election_deadline()

    def _become_leader(self) -> None:
        if self._pre_voting or self.voted_for != self.node_id:
            raise InvariantViolation("a leader must have voted for itself in its term")
        # A leader speaks at once. Where its own vote alone is a majority, term and vote may not be
        # durable yet, and after a crash it could lead twice in one term.
        self._log.sync()
        now = self._clock()
        self._progress = {peer: Progress(self._log.last_index + 1, now) for peer in self.peers}
        self._votes = set()
        self._transfer_to = None
        self._set_role(Role.LEADER, self.node_id)
        self._lead()

    def _lead(self) -> None:
        """The layer above begins the leader's work with an entry of its own term."""

    # -- transfer (thesis, 3.10) ------------------------------------------------------------

    def _on_timeout_now(self, peer: str, message: Message) -> None:
        if message["term"] == self.term and peer == self.leader_id:
            self._start_election(transfer=True)

    def _begin_transfer(self, node_id: str) -> None:
        """Stops taking proposals; once `node_id` holds everything it is told to stand."""
        self._transfer_to = node_id
        self._transfer_told = False
        self._transfer_until = self._clock() + self.settings.timing.election_max

    def _advance_transfer(self) -> None:
        target = self._transfer_to
        if target is None or self._transfer_told or not self.is_leader:
            return
        progress = self._progress.get(target)
        if progress is not None and progress.match == self._log.last_index:
            self._transfer_told = True
            self._hold(target, {"type": "timeout_now", "term": self.term})
