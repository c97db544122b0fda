"""How a leader has its log copied, and what is committed.

Replaces PySyncObj's sender and its answer handler (Raft paper, section 5.3 and 5.4.2, figure 2):

* Answers carry their term; only those of the current one count (defect 6).
* A rejection moves the next index backwards only and never below what matches: no livelock.
* Sending to a follower is bounded in bytes and messages; nothing is copied that is not sent.

Invariants: the leader counts itself only for what it has synced; entries of older terms are
committed by one of the current term.
"""

from __future__ import annotations

from typing import Any

from namestore.errors import InvariantViolation
from namestore.raft import bootstrap
from namestore.raft.base import Message
from namestore.raft.following import KIND_MEMBERSHIP, KIND_NOTHING, Following
from namestore.raft.log_time import LogTime
from namestore.raft.membership import encode_membership
from namestore.raft.progress import Phase, Progress
from namestore.raft.settings import Settings
from namestore.storage.interfaces import LogEntry


class Replication(Following):
    """The leader's layer of the log."""

    def __init__(self, transport: Any, settings: Settings) -> None:
        self._heartbeat_at = 0.0
        self._read_round = 0
        self._first_of_term = 0
        self._last_append: Message = {}
        self._log_time = LogTime(settings.seams.clock, settings.seams.wall_clock_ms)
        # What it was at the last heartbeat, and when that was. Read by any thread.
        self._log_time_at: tuple[int, float] | None = None
        super().__init__(transport, settings)
        self._handlers |= {"append_result": self._on_append_result}

    # -- leader: sending --------------------------------------------------------------------

    def _lead(self) -> None:
        self._log_time.begin(self.settings.seams.state.meta.time_ms)
        self._log_time_at = None
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
            time_ms = self._time_ms()
            self._log_time_at = None if time_ms is None else (time_ms, now)
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

    def _time_ms(self) -> int | None:
        """The log's time; None until a majority of the voters said what time it is."""
        membership = self._membership
        return self._log_time.now_ms(self.node_id, membership.voters, membership.quorum)

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
        message: Message = {
            "type": "append_entries",
            "term": self.term,
            "prev_index": prev_index,
            "prev_term": prev_term,
            "commit_index": self.commit_index,
            "read_round": self._read_round,
            "entries": [(entry.term, entry.command) for entry in entries],
        }
        # Followers that stand at the same place are sent the same one, which is encoded once.
        if message != self._last_append:
            self._last_append = message
        return self._last_append

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
        self._log_time.heard(peer, message["clock_ms"])
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
        if self._log.last_index == self.commit_index:
            return
        match = {peer: progress.match for peer, progress in self._progress.items()}
        match[self.node_id] = self._log.synced_index
        index = self._membership.quorum_index(match)
        if index > self.commit_index and self._log.term_at(index) == self.term:
            self._set_commit(index)

    def _peer_disconnected(self, node_id: str) -> None:
        progress = self._progress.get(node_id)
        if progress is not None:
            progress.lost_contact()
