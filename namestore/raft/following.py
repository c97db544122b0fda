"""How a follower copies its leader's log.

Replaces the follower's half of PySyncObj's append handler (Raft paper, section 5.3, figure 2):

* An entry is removed only where a newer leader shows a conflicting one, and never at or below the
  commit index: there the node stops instead (defect 2).
* The commit index follows only what this leader, in this term, was verified to agree with
  (defect 1).
* A rejection places the log a whole term at a time, so a long divergence takes few round trips.

Invariant: an acknowledgement leaves only after the sync of everything it speaks for.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from namestore.errors import InvariantViolation
from namestore.raft import bootstrap
from namestore.raft.base import Message
from namestore.raft.elections import Elections
from namestore.raft.membership import Membership, decode_membership
from namestore.raft.settings import Settings
from namestore.storage.interfaces import LogEntry

# The first byte of a command, as PySyncObj numbers its command types.
KIND_COMMANDS = 0
KIND_NOTHING = 1
KIND_MEMBERSHIP = 2


class Following(Elections):
    """The follower's layer, and what the log says about membership."""

    def __init__(self, transport: Any, settings: Settings) -> None:
        # The newest entry on which this log and the current leader's are known to agree.
        self._verified_index = 0
        self._verified_with: tuple[int, str | None] = (0, None)
        # Memberships in the log by index, oldest first; the newest is the one that counts.
        self._memberships: list[tuple[int, Membership]] = []
        super().__init__(transport, settings)
        self._handlers |= {"append_entries": self._on_append_entries}

    # -- what the leader sends --------------------------------------------------------------

    def _on_append_entries(self, peer: str, message: Message) -> None:
        if message["term"] < self.term:
            self._answer_append(peer, message, success=False, index=message["prev_index"])
            return
        self._follow(peer, message["term"])
        prev_index, entries = message["prev_index"], message["entries"]
        if prev_index <= self.commit_index:
            # What is committed here the leader has as well (leader completeness); what lies
            # before our log's beginning is committed.
            known = self.commit_index - prev_index
            terms = [message["prev_term"], *(term for term, _ in entries[:known])]
            self._check_committed(prev_index, terms)
            if len(entries) <= known:
                self._verified(peer, self.commit_index, message)
                return
            prev_index, entries = self.commit_index, entries[known:]
        elif self._log.term_at(prev_index) != message["prev_term"]:
            self._reject(peer, message)
            return
        self._store(prev_index, entries)
        self._verified(peer, prev_index + len(entries), message)

    def _follow(self, leader_id: str, term: int) -> None:
        """A leader of a term not older than ours spoke: it leads."""
        if self.is_leader and term == self.term:
            raise InvariantViolation(f"{leader_id} leads in term {term}, and so does this node")
        if term > self.term or self.leader_id != leader_id or self.is_candidate:
            self._become_follower(term, leader_id)
        self._heard_leader_at = self._clock()
        self._reset_election_deadline()
        if self._verified_with != (term, leader_id):
            self._verified_with = (term, leader_id)
            self._verified_index = 0

    def _check_committed(self, start: int, terms: list[int]) -> None:
        for place, term in enumerate(terms, start):
            ours = self._log.term_at(place)
            if ours is not None and ours != term:
                raise InvariantViolation(
                    f"entry {place} is committed here with term {ours}, "
                    f"and the leader has it with term {term}"
                )

    def _reject(self, peer: str, message: Message) -> None:
        index = min(message["prev_index"], self._log.last_index)
        while index > self.commit_index:
            term = self._log.term_at(index)
            if term is not None and term <= message["prev_term"]:
                break
            index -= 1
        self._answer_append(
            peer,
            message,
            success=False,
            index=message["prev_index"],
            hint=(index, self._log.term_at(index) or 0),
        )

    def _store(self, prev_index: int, entries: list[tuple[int, bytes]]) -> None:
        """Adds what is new; removes our tail only from the first entry that conflicts."""
        for place, (term, _) in enumerate(entries):
            index = prev_index + 1 + place
            ours = self._log.term_at(index) if index <= self._log.last_index else None
            if ours == term:
                continue
            if ours is not None:
                self._cut_tail(index)
            added = [
                LogEntry(command, index + offset, entry_term)
                for offset, (entry_term, command) in enumerate(entries[place:])
            ]
            self._log.append(added)
            self._learn_memberships(added)
            return

    def _cut_tail(self, index: int) -> None:
        if index <= self.commit_index:
            raise InvariantViolation(
                f"the leader conflicts with entry {index}, and {self.commit_index} is committed"
            )
        self._log.truncate_from(index)
        while self._memberships and self._memberships[-1][0] >= index:
            self._memberships.pop()
            self._adopt_membership(
                self._memberships[-1][1] if self._memberships else self.settings.identity.initial
            )

    def _verified(self, peer: str, index: int, message: Message) -> None:
        self._verified_index = max(self._verified_index, index)
        self._answer_append(peer, message, success=True, index=index)
        self._set_commit(min(message["commit_index"], self._verified_index))

    def _answer_append(
        self,
        peer: str,
        message: Message,
        *,
        success: bool,
        index: int,
        hint: tuple[int, int] = (0, 0),
    ) -> None:
        answer: Message = {
            "type": "append_result",
            "term": self.term,
            "success": success,
            "index": index,
            "hint_index": hint[0],
            "hint_term": hint[1],
            "read_round": message["read_round"],
            "clock_ms": max(0, self.settings.seams.wall_clock_ms()),
        }
        self._hold(peer, answer)

    # -- membership as the log has it -------------------------------------------------------

    @property
    def agreed_membership(self) -> Membership:
        """The newest membership, under the cluster id that is committed; none before.

        Two nodes can each believe to have begun the cluster, and one of them is wrong: a cluster
        id of its own must not keep it from hearing the other.
        """
        agreed = self._newest_agreed()
        return replace(self._membership, cluster_id=agreed[1].cluster_id if agreed else "")

    @property
    def agreed_index(self) -> int:
        """Where the newest committed membership stands in the log; 0: none is known."""
        agreed = self._newest_agreed()
        return agreed[0] if agreed else 0

    def _newest_agreed(self) -> tuple[int, Membership] | None:
        """The newest committed membership and where it stands in the log; None: none is known."""
        newest_first = reversed(self._memberships)
        return next((each for each in newest_first if each[0] <= self.commit_index), None)

    def reason_to_refuse(self, peer: bootstrap.Greeting) -> str | None:
        """Why a node that greets so is not heard; None: it is. See `bootstrap`."""
        return bootstrap.reason_to_refuse(
            self.agreed_membership,
            peer,
            known_index=self.agreed_index,
            outsider=not (self.is_voter or self._is_left_out()),
        )

    def _reconsider_peers(self) -> None:
        """Lets go of who was let in when we knew less; its next greeting is judged by what we know.

        Until its first vote counts, a newcomer lets in whoever says to be a member: also a node
        that lost its disk, whose votes must not be counted later. A node that is left out by what
        is not committed stands for election, so it judges like one that counts.
        """
        for node_id in sorted(self._nodes):
            greeting = self._transport.hello_of(node_id)
            if greeting is not None and self.reason_to_refuse(greeting) is not None:
                node = self._nodes[node_id]
                self._drop_node(node)
                self._add_node(node)

    def _is_left_out(self) -> bool:
        """The membership agreed on counts this node, and a newer one in its log does not."""
        incarnation = self.settings.identity.incarnation
        agreed = self._newest_agreed()
        counted = agreed is not None and agreed[1].is_voter(self.node_id, incarnation)
        return counted and not self.is_voter

    def _learn_memberships(self, entries: list[LogEntry]) -> None:
        for entry in entries:
            if entry.command[0] == KIND_MEMBERSHIP:
                self._take_membership(entry.index, decode_membership(entry.command[1:]))

    def _take_membership(self, index: int, membership: Membership) -> None:
        """From its place in the log on, committed or not, this is who counts (thesis, 4.1)."""
        self._memberships.append((index, membership))
        self._adopt_membership(membership)
        self._reconsider_peers()
