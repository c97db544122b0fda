"""How long the log is, and how far it is known to be durable.

What every node has no use for any more is dropped. Replaces PySyncObj's compaction (Raft paper,
section 7; defects 3, 8, 10). Dropping costs the same however long the log is; the state itself is
the snapshot.

Invariant: an entry is dropped only once the state holds it durably.
"""

from __future__ import annotations

from typing import Any

from namestore.raft.replication import Replication
from namestore.raft.settings import Settings


class Compaction(Replication):
    """The layer of the log's length."""

    def __init__(self, transport: Any, settings: Settings) -> None:
        self._state = settings.seams.state
        # Where the log was when it was last considered for shortening, and what came since.
        self._compaction_mark = self._state.meta.applied_index
        self._bytes_since_mark = 0
        self._flushing = False
        self._marked_at = 0.0
        super().__init__(transport, settings)

    def _shorten_log(self) -> None:
        """Drops the stretch of entries before the last, once the state holds it durably.

        Between one and two stretches stay, for followers that lag.
        """
        bounds = self.settings.bounds
        stretch = self.applied_index - self._compaction_mark
        if self._flushing or (
            stretch < bounds.log_entries and self._bytes_since_mark < bounds.log_bytes
        ):
            return
        drop_through, self._compaction_mark = self._compaction_mark, self.applied_index
        self._bytes_since_mark = 0
        self._flushing = True

        def flushed(error: Exception | None) -> None:
            self._flushing = False
            if isinstance(error, Exception):
                raise error
            last = min(drop_through, self._droppable_through())
            if last >= self._log.first_index:
                self._log.drop_through(last)

        self.settings.seams.background(self._state.flush, flushed)

    def _mark_log(self, now: float) -> None:
        """Notes how far the log is synced, once a heartbeat, when nobody waits for the disk."""
        if now - self._marked_at >= self.settings.timing.heartbeat:
            self._marked_at = now
            self._log.mark()

    def _droppable_through(self) -> int:
        """The last entry that may be dropped. Layers above need some for longer."""
        return self._state.durable_index
