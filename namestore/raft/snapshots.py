"""Followers that need entries which are gone get the state itself.

Replaces PySyncObj's snapshots and their transfer (Raft paper, section 7, figure 13):

* A snapshot is a checkpoint of the state store: what was not flushed yet is, in the background,
  and then files are linked. Nothing waits for the number of names (defects 3, 10).
* The follower *fetches* it, piece by piece: back-pressure and resumption come by themselves. Every
  piece and every file has a checksum; installation is one atomic step (defect 9).
* A message about a snapshot says nothing about the follower's log: its commit index moves only to
  what an installed snapshot covers, and success names exactly that (defect 1).
* A log that contains the snapshot's last entry keeps what follows it (defect 3).
"""

from __future__ import annotations

import zlib
from typing import Any

from namestore.errors import InvariantViolation
from namestore.logs import get_logger
from namestore.raft.base import Message
from namestore.raft.compaction import Compaction
from namestore.raft.membership import decode_membership
from namestore.raft.settings import Settings
from namestore.storage.interfaces import Checkpoint, CheckpointFile

# Where the state keeps the membership that was applied last.
MEMBERSHIP_KEY = b"c"

# A checkpoint nobody fetched from for so long is let go.
_OFFER_IDLE_S = 30.0

_log = get_logger(__name__)


class _Offer:
    """A checkpoint this leader offers."""

    def __init__(self, snapshot_id: bytes, checkpoint: Checkpoint, used_at: float) -> None:
        self.snapshot_id = snapshot_id
        self.checkpoint = checkpoint
        self.files: list[CheckpointFile] | None = None  # None: checksums are being made
        self.used_at = used_at
        self.told_at: dict[str, float] = {}


class _Arrival:
    """A snapshot this follower fetches."""

    def __init__(self, leader_id: str, message: Message) -> None:
        self.leader_id = leader_id
        self.snapshot_id: bytes = message["snapshot_id"]
        self.last_index: int = message["last_index"]
        self.last_term: int = message["last_term"]
        self.asked_at = 0.0
        self.verifying = False


class Snapshots(Compaction):
    """The layer of snapshots."""

    def __init__(self, transport: Any, settings: Settings) -> None:
        self._wanting: set[str] = set()
        self._offer: _Offer | None = None
        self._preparing_offer = False
        self._arrival: _Arrival | None = None
        self._incoming = settings.seams.incoming
        super().__init__(transport, settings)
        self._handlers |= {
            "snapshot_offer": self._on_snapshot_offer,
            "snapshot_fetch": self._on_snapshot_fetch,
            "snapshot_chunk": self._on_snapshot_chunk,
            "snapshot_result": self._on_snapshot_result,
        }

    # -- leader: offering -------------------------------------------------------------------

    def _snapshot_wanted(self, peer: str) -> None:
        self._wanting.add(peer)

    def _leadership_changed(self) -> None:
        self._wanting.clear()

    def _offer_snapshots(self, now: float) -> None:
        """Makes a checkpoint when somebody is there to fetch it; lets go of it when it is idle."""
        self._forget_overtaken()
        offer = self._offer
        if offer is None and not self._wanting:
            return
        wanting = sorted(filter(self.is_connected, self._wanting))
        if offer is None:
            if wanting and self.is_leader and not self._preparing_offer:
                self._prepare_offer()
        elif offer.files is None:  # it is being read, however long that takes
            return
        elif now - offer.used_at > _OFFER_IDLE_S or not self.is_leader:
            offer.checkpoint.release()
            self._offer = None
        else:
            for peer in wanting:
                if now - offer.told_at.get(peer, -1e9) >= self.settings.timing.election_min:
                    offer.told_at[peer] = now
                    self._send(peer, self._offer_message(offer))

    def _prepare_offer(self) -> None:
        """Makes a checkpoint, in two steps: what takes long does not happen on this thread."""
        self._preparing_offer = True

        def flushed(error: Exception | None) -> None:
            self._preparing_offer = False
            if isinstance(error, Exception):
                raise error
            if self.is_leader:
                self._make_offer()

        self.settings.seams.background(self._state.flush, flushed)

    def _make_offer(self) -> None:
        snapshot_id = self._rng.getrandbits(128).to_bytes(16, "big")
        offer = self._offer = _Offer(snapshot_id, self._state.checkpoint(), self._clock())

        def listed(files: list[CheckpointFile] | Exception) -> None:
            if isinstance(files, Exception):
                raise files
            offer.files = files
            offer.used_at = self._clock()

        self.settings.seams.background(offer.checkpoint.files, listed)

    def _offer_message(self, offer: _Offer) -> Message:
        meta = offer.checkpoint.meta
        return {
            "type": "snapshot_offer",
            "term": self.term,
            "snapshot_id": offer.snapshot_id,
            "last_index": meta.applied_index,
            "last_term": meta.applied_term,
            "files": [tuple(file) for file in offer.files or ()],
        }

    def _on_snapshot_fetch(self, peer: str, message: Message) -> None:
        offer, files = self._offer, self._offer.files if self._offer else None
        if offer is None or files is None or message["snapshot_id"] != offer.snapshot_id:
            return
        file, offset = message["file"], message["offset"]
        if file >= len(files) or offset >= files[file].size:
            return
        offer.used_at = offer.told_at[peer] = self._clock()
        length = min(message["length"], self.settings.bounds.chunk_bytes)
        data = offer.checkpoint.read(file, offset, length)
        chunk: Message = {
            "type": "snapshot_chunk",
            "term": self.term,
            "snapshot_id": offer.snapshot_id,
            "file": file,
            "offset": offset,
            "data": data,
            "crc": zlib.crc32(data),
        }
        self._send(peer, chunk)

    def _on_snapshot_result(self, peer: str, message: Message) -> None:
        progress = self._progress.get(peer)
        if message["term"] != self.term or not self.is_leader or progress is None:
            return
        progress.answered_at = self._clock()
        if message["installed"]:
            if message["last_index"] > self._log.last_index:
                raise InvariantViolation(f"{peer} has more committed entries than its leader")
            self._wanting.discard(peer)
            progress.installed(message["last_index"])
        elif self._offer is not None:
            self._offer.used_at = self._clock()

    def _droppable_through(self) -> int:
        """Whoever installs the snapshot goes on with the entries after it."""
        offer, last = self._offer, super()._droppable_through()
        return last if offer is None else min(last, offer.checkpoint.meta.applied_index)

    # -- follower: fetching -----------------------------------------------------------------

    def _on_snapshot_offer(self, peer: str, message: Message) -> None:
        if message["term"] < self.term:
            return
        self._follow(peer, message["term"])
        if message["last_index"] <= self.commit_index:
            self._answer_snapshot(peer, message["snapshot_id"], self.commit_index, True)
            return
        arrival = self._arrival
        if arrival is not None and arrival.verifying:
            self._answer_snapshot(peer, arrival.snapshot_id, self.commit_index, False)
            return
        if arrival is None or arrival.snapshot_id != message["snapshot_id"]:
            files = [CheckpointFile(*file) for file in message["files"]]
            self._incoming.begin(message["snapshot_id"], files)
            _log.info("snapshot.fetch.started", index=message["last_index"], leader=peer)
        self._arrival = _Arrival(peer, message)
        self._fetch_next()

    def _forget_overtaken(self) -> None:
        """What was fetched of a snapshot goes once the log has brought what it would have."""
        arrival = self._arrival
        if (
            arrival is not None
            and not arrival.verifying
            and arrival.last_index <= self.commit_index
        ):
            self._arrival = None
            self._incoming.discard()

    def _fetch_next(self) -> None:
        arrival = self._arrival
        if arrival is None or arrival.verifying:
            return
        wanted = self._incoming.wanted()
        if wanted is None:
            arrival.verifying = True
            self.settings.seams.background(
                self._incoming.verify, lambda good: self._verified_arrival(arrival, good)
            )
            return
        arrival.asked_at = self._clock()
        file, offset, left = wanted
        request: Message = {
            "type": "snapshot_fetch",
            "term": self.term,
            "snapshot_id": arrival.snapshot_id,
            "file": file,
            "offset": offset,
            "length": min(left, self.settings.bounds.chunk_bytes),
        }
        self._send(arrival.leader_id, request)

    def _on_snapshot_chunk(self, peer: str, message: Message) -> None:
        arrival = self._arrival
        if arrival is None or message["snapshot_id"] != arrival.snapshot_id:
            return
        if zlib.crc32(message["data"]) != message["crc"] or not message["data"]:
            return
        if self._incoming.write(message["file"], message["offset"], message["data"]):
            self._fetch_next()

    def _verified_arrival(self, arrival: _Arrival, good: bool | Exception) -> None:
        if isinstance(good, Exception):
            raise good
        if self._arrival is arrival:
            self._arrival = None
        if not good:
            _log.warning("snapshot.fetch.failed", index=arrival.last_index, reason="checksum")
            return
        if arrival.last_index > self.commit_index:
            self._install(arrival)
        else:
            self._incoming.discard()
        self._answer_snapshot(arrival.leader_id, arrival.snapshot_id, self.commit_index, True)

    def _install(self, arrival: _Arrival) -> None:
        """Replaces the state first, then the log.

        A crash in between leaves a state ahead of its log, which the next start mends.
        """
        self._state.install(self._incoming.directory)
        meta = self._state.meta
        if (meta.applied_index, meta.applied_term) != (arrival.last_index, arrival.last_term):
            raise InvariantViolation(
                f"a snapshot said to end at {arrival.last_index} ends at {meta.applied_index}"
            )
        if self._log.term_at(arrival.last_index) != arrival.last_term:
            self._log.reset(arrival.last_index, arrival.last_term)
        self._restart_at(arrival.last_index)
        self._log.save_commit(arrival.last_index)
        self._load_memberships()
        self._verified_index = max(self._verified_index, arrival.last_index)
        self._compaction_mark = arrival.last_index
        self._incoming.discard()
        _log.info("snapshot.installed", index=arrival.last_index)

    def _answer_snapshot(self, peer: str, snapshot_id: bytes, index: int, installed: bool) -> None:
        answer: Message = {
            "type": "snapshot_result",
            "term": self.term,
            "snapshot_id": snapshot_id,
            "last_index": index,
            "installed": installed,
        }
        self._hold(peer, answer)

    def _load_memberships(self) -> None:
        """What the state and the log after it say about membership; the newest counts."""
        (data,) = self._state.get_many([MEMBERSHIP_KEY])
        applied = self._state.meta.applied_index
        self._memberships = []
        if data is not None:
            self._take_membership(applied, decode_membership(data))
        index = max(applied + 1, self._log.first_index)
        while index <= self._log.last_index:
            entries = self._log.entries(index, self.settings.bounds.apply_bytes)
            self._learn_memberships(entries)
            index = entries[-1].index + 1
