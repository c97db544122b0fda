"""How the log is copied: append messages on both sides, and what is committed.

Replaces PySyncObj's append handler and sender (Raft paper, section 5.3 and 5.4.2, figure 2):

* An entry is removed only where a newer leader shows a conflicting one, and never at or below the
  commit index: there the node stops instead (defect 2).
* The commit index follows only what this leader, in this term, was verified to agree with
  (defect 1).
* Answers carry their term; only those of the current one count (defect 6).
* A rejection places the follower's log a whole term at a time, moves the next index backwards only
  and never below what matches: no livelock, no walk one by one.
* Sending to a follower is bounded in bytes and messages; nothing is copied that is not sent.

Invariants: the leader counts itself only for what it has synced; an acknowledgement leaves only
after the follower's sync; entries of older terms are committed by one of the current term.
"""

from __future__ import annotations

from typing import Any

from namestore.errors import InvariantViolation
from namestore.raft import bootstrap
from namestore.raft.base import Message
from namestore.raft.elections import Elections
from namestore.raft.membership import Membership, decode_membership, encode_membership
from namestore.raft.progress import Phase, Progress
from namestore.raft.replica import Role
from namestore.raft.settings import Settings
from namestore.storage.interfaces import LogEntry

# The first byte of a command, as PySyncObj numbers its command types.
KIND_COMMANDS = 0
KIND_NOTHING = 1
KIND_MEMBERSHIP = 2


class Replication(Elections):
    """The log layer."""

    def __init__(self, transport: Any, settings: Settings) -> None:
        # The newest entry on which this log and the current leader's are known to agree.
        self._verified_index = 0
        self._verified_with: tuple[int, str | None] = (0, None)
        self._heartbeat_at = 0.0
        self._read_round = 0
        self._first_of_term = 0
        # Memberships in the log by index, oldest first; the newest is the one that counts.
        self._memberships: list[tuple[int, Membership]] = []
        super().__init__(transport, settings)
        self._handlers |= {
            "append_entries": self._on_append_entries,
            "append_result": self._on_append_result,
        }

    # -- leader: sending --------------------------------------------------------------------

    def _lead(self) -> None:
        if self.is_new:
            identity = self.settings.identity
            membership = bootstrap.first_membership(
                self.node_id,
                identity.incarnation,
                identity.initial,
                self._transport.hello_of,
                f"{self._rng.getrandbits(128):032x}",
            )
            self._append_own(KIND_MEMBERSHIP, encode_membership(membership))
            self._take_membership(self._log.last_index, membership)
        else:
            self._append_own(KIND_NOTHING, b"")
        self._first_of_term = self._log.last_index
        self._heartbeat_at = 0.0

    def _append_own(self, kind: int, payload: bytes) -> int:
        index = self._log.last_index + 1
        self._log.append([LogEntry(bytes((kind,)) + payload, index, self.term)])
        return index

    def _replicate(self, now: float) -> None:
        """Sends what each follower lacks, and a heartbeat when one is due."""
        beat = now >= self._heartbeat_at
        if beat:
            self._heartbeat_at = now + self.settings.timing.heartbeat
        bounds = self.settings.bounds
        for peer in self.peers:
            progress = self._progress.get(peer)
            if progress is None:
                progress = self._progress[peer] = Progress(self._log.last_index + 1, now)
            if not self.is_connected(peer):
                continue
            sent = False
            while progress.next_index <= self._log.last_index and progress.may_send(
                bounds.window_bytes, bounds.window_messages
            ):
                if not self._send_entries(peer, progress):
                    break
                sent = True
            if beat and not sent:
                self._send_heartbeat(peer, progress)

    def _send_entries(self, peer: str, progress: Progress) -> bool:
        prev_term = self._log.term_at(progress.next_index - 1)
        if prev_term is None or progress.next_index < self._log.first_index:
            progress.needs_snapshot()
            self._snapshot_wanted(peer)
            return False
        entries = self._log.entries(progress.next_index, self.settings.bounds.message_bytes)
        if not self._send(peer, self._append_message(progress.next_index - 1, prev_term, entries)):
            return False
        progress.sent(entries[-1].index, sum(len(entry.command) for entry in entries))
        return True

    def _send_heartbeat(self, peer: str, progress: Progress) -> None:
        """Says that we lead, how far is committed, and finds out what was lost on the way."""
        prev_index = progress.next_index - 1
        prev_term = self._log.term_at(prev_index)
        if prev_term is None:
            prev_index = self._log.first_index - 1
            prev_term = self._log.term_at(prev_index) or 0
            if progress.phase is not Phase.SNAPSHOT:
                progress.needs_snapshot()
                self._snapshot_wanted(peer)
        progress.probe_sent = False
        self._send(peer, self._append_message(prev_index, prev_term, []))

    def _append_message(self, prev_index: int, prev_term: int, entries: list[LogEntry]) -> Message:
        return {
            "type": "append_entries",
            "term": self.term,
            "prev_index": prev_index,
            "prev_term": prev_term,
            "commit_index": self.commit_index,
            "read_round": self._read_round,
            "entries": [(entry.term, entry.command) for entry in entries],
        }

    def _snapshot_wanted(self, peer: str) -> None:
        """The layer above offers a snapshot to a follower that needs entries which are gone."""

    # -- leader: answers --------------------------------------------------------------------

    def _on_append_result(self, peer: str, message: Message) -> None:
        term = message["term"]
        if term > self.term:
            self._become_follower(term, None)
        progress = self._progress.get(peer)
        if term != self.term or not self.is_leader or progress is None:
            return
        progress.answered_at = self._clock()
        progress.read_round = max(progress.read_round, message["read_round"])
        if message["success"]:
            if message["index"] > self._log.last_index:
                raise InvariantViolation(
                    f"{peer} acknowledged entry {message['index']}, "
                    f"and this leader's log ends at {self._log.last_index}"
                )
            progress.acknowledged(message["index"])
        else:
            progress.rejected(message["index"], self._agreeing_index(message) + 1)

    def _agreeing_index(self, message: Message) -> int:
        """The last entry that may agree, given where the follower's log stands.

        The follower names its last entry at or before the rejected one whose term is not newer
        than ours there; ours steps back over every entry of a newer term than that.
        """
        index: int = min(message["hint_index"], self._log.last_index)
        while index >= self._log.first_index:
            term = self._log.term_at(index)
            if term is None or term <= message["hint_term"]:
                break
            index -= 1
        return index

    def _advance_commit(self) -> None:
        """Commits what a majority holds durably, if it is of this term (paper, 5.4.2)."""
        match = {peer: progress.match for peer, progress in self._progress.items()}
        match[self.node_id] = self._log.synced_index
        index = self._membership.quorum_index(match)
        if index > self.commit_index and self._log.term_at(index) == self.term:
            self._set_commit(index)

    # -- follower ---------------------------------------------------------------------------

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
        if term > self.term or self.leader_id != leader_id or self.role is Role.CANDIDATE:
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
        }
        self._hold(peer, answer)

    # -- membership as the log has it -------------------------------------------------------

    def _learn_memberships(self, entries: list[LogEntry]) -> None:
        for entry in entries:
            if entry.command[0] == KIND_MEMBERSHIP:
                self._take_membership(entry.index, decode_membership(entry.command[1:]))

    def _take_membership(self, index: int, membership: Membership) -> None:
        """From its place in the log on, committed or not, this is who counts (thesis, 4.1)."""
        self._memberships.append((index, membership))
        self._adopt_membership(membership)

    def _peer_disconnected(self, node_id: str) -> None:
        progress = self._progress.get(node_id)
        if progress is not None:
            progress.lost_contact()
