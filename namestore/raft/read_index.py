"""Linearizable reads: the layer that confirms leadership and carries reads between nodes.

A follower asks the leader for a read index and answers its callers from its own state once it has
applied that far. See `namestore.raft.reads` for the book that is kept and its invariant.
"""

from __future__ import annotations

from typing import Any

from namestore.raft.base import Message
from namestore.raft.reads import Read, Reads
from namestore.raft.settings import Settings
from namestore.raft.snapshots import Snapshots

# The `status` of forward_result and read_index_result.
DECIDED, NOT_LEADING, OVERLOADED, LOST, MALFORMED = range(5)


class ReadIndex(Snapshots):
    """The layer of reads."""

    def __init__(self, transport: Any, settings: Settings) -> None:
        self.reads = Reads(settings.bounds.pending_commands)
        # Random in every process: an answer meant for an earlier one finds nobody (defect 11).
        self._next_number = settings.seams.rng.getrandbits(62)
        super().__init__(transport, settings)
        self._handlers |= {
            "read_index": self._on_read_index,
            "read_index_result": self._on_read_index_result,
        }

    def _serve_reads(self, now: float) -> None:
        reads = self.reads
        reads.take_in()
        if self.is_leader:
            self._begin_round(now)
            self._finish_round()
        elif reads.waiting and self.leader_id is not None:
            number = self._number()
            if self._send(self.leader_id, {"type": "read_index", "request": number}):
                reads.asked[number] = (now, list(reads.waiting))
                reads.waiting.clear()
        if reads.applying:
            for read in reads.applying:
                if read.index <= self.applied_index:
                    reads.answer(read, None)
            reads.applying = [read for read in reads.applying if not read.answered]

    def _begin_round(self, now: float) -> None:
        """Begins one round for all that wait, unless another is under way.

        Not before this term's first entry is committed: a new leader does not know how far the
        last one had got.
        """
        reads = self.reads
        if not reads.waiting or reads.confirming or self.commit_index < self._first_of_term:
            return
        self._read_round += 1
        for read in reads.waiting:
            read.round, read.index = self._read_round, self.commit_index
        reads.confirming, reads.waiting = reads.waiting, reads.confirming
        self._heartbeat_at = 0.0
        self._replicate(now)

    def _finish_round(self) -> None:
        reads = self.reads
        if not reads.confirming:
            return
        answered = {peer: progress.read_round for peer, progress in self._progress.items()}
        answered[self.node_id] = self._read_round
        confirmed = self._membership.quorum_index(answered)
        while reads.confirming and reads.confirming[0].round <= confirmed:
            read = reads.confirming.popleft()
            if read.origin is None:
                reads.applying.append(read)
            else:
                self._send_read_index(*read.origin, DECIDED, read.index)
        if reads.waiting and not reads.confirming:
            self._begin_round(self._clock())

    def _on_read_index(self, peer: str, message: Message) -> None:
        origin = (peer, message["request"])
        if not self.is_leader:
            self._send_read_index(*origin, NOT_LEADING, 0)
            return
        patience = 2 * self.settings.timing.election_max
        self.reads.waiting.append(Read(self._clock() + patience, origin=origin))

    def _send_read_index(self, peer: str, number: int, status: int, index: int) -> None:
        message: Message = {
            "type": "read_index_result",
            "request": number,
            "term": self.term,
            "status": status,
            "index": index,
        }
        self._send(peer, message)

    def _on_read_index_result(self, peer: str, message: Message) -> None:
        _, batch = self.reads.asked.pop(message["request"], (0.0, []))
        if message["status"] != DECIDED:
            self.reads.waiting.extend(read for read in batch if not read.answered)
            if peer == self.leader_id and batch:
                self._leader_stepped_down(peer)
            return
        if self._verified_with == (message["term"], peer) and message["term"] == self.term:
            # The leader says that this much is committed; as far as our log was verified to
            # agree with its log, it is committed here too.
            self._set_commit(min(message["index"], self._verified_index))
        for read in batch:
            read.index = message["index"]
            self.reads.applying.append(read)

    def _leader_stepped_down(self, peer: str) -> None:
        """It says so itself: wait for another instead of asking it again and again."""
        self._become_follower(self.term, None)

    def _number(self) -> int:
        self._next_number = (self._next_number + 1) % (1 << 63)
        return self._next_number
