"""The watch of a run with callers of the whole API: it also keeps the log, and minds the clocks.

The log's time must not run ahead of what the clocks of a majority have passed, whatever single
clocks do; beside that, every entry is entered into the ledger, with the moment at which anybody
first knew it to be committed.
"""

from __future__ import annotations

from typing import Any

from namestore.core.commands import decode_entry
from namestore.raft.following import KIND_COMMANDS
from namestore.storage.interfaces import LogEntry
from tests.simulation.names_model import Ledger
from tests.simulation.watch import Violation, Watch

# What a monotonic clock that is a fiftieth fast can take log time ahead by while a leader hears of
# no other clock: for some seconds, and over several leaderships.
_CARRIED_MS = 400


class NamesWatch(Watch):
    """The checker of invariants, with a ledger.

    Attributes:
        committed_at: Index to when.
        made_at: Index of a committed entry to when it was made; once there is a ledger.
    """

    def __init__(self) -> None:
        super().__init__()
        self.committed_at: dict[int, float] = {}
        self.made_at: dict[int, float] = {}
        # By which each wall clock was ever ahead of the world, at most; milliseconds.
        self._skews: dict[str, int] = {}
        self._ahead_ms = -(10**12)
        self._slowest_ms = 0
        self._made: dict[tuple[int, int], float] = {}

    def turned(self, host: Any) -> None:
        """A node finished a turn."""
        super().turned(host)
        if host.leads:  # it looks at the clocks also while nobody asks it for anything
            self._look_at_clocks(host)
        self._note_committed(host, self.committed_index)

    def died(self, host: Any) -> None:
        """A process is gone; it may have answered in its last turn, which it did not finish."""
        super().died(host)
        self._note_committed(host, host.engine.commit_index)

    def _note_committed(self, host: Any, index: int) -> None:
        while index and index not in self.committed_at:
            self.committed_at[index] = host.world.now
            index -= 1

    def appends(self, host: Any, entries: list[LogEntry]) -> None:
        """Entries are added to a log."""
        for entry in entries:
            if (entry.index, entry.term) not in self._made:
                self._made[(entry.index, entry.term)] = host.world.now
                if entry.command[0] == KIND_COMMANDS:
                    self._check_time(host, decode_entry(entry.command[1:]).time_ms)
        super().appends(host, entries)

    def clock_set(self, host: Any) -> None:
        """The wall clock of a node is about to be set."""
        self._slowest_ms = min(self._slowest_ms, host.skew_ms)
        known = self._skews.get(host.node_id, host.skew_ms)
        self._skews[host.node_id] = max(known, host.skew_ms)

    def _check_time(self, host: Any, time_ms: int) -> None:
        """An entry is made: its time is one that a majority's clocks have passed."""
        self._look_at_clocks(host)
        latest = int(host.clock() * 1000) + self._ahead_ms + _CARRIED_MS
        if time_ms > latest:
            raise Violation(
                "time of a majority", f"{host.node_id} says {time_ms}, and it is {latest} at most"
            )

    def _look_at_clocks(self, host: Any) -> None:
        voters = self.book.in_force(host.log).voters
        for other in self.hosts:
            self.clock_set(other)
        skews = sorted((self._skews[node_id] for node_id in voters), reverse=True)
        # Log time goes on from where it was, also when those have left whose clocks said so.
        self._ahead_ms = max(self._ahead_ms, skews[len(voters) // 2])

    @property
    def apart_s(self) -> float:
        """By how much log time may be ahead of the slowest clock."""
        return max(0, self._ahead_ms - self._slowest_ms) / 1000

    def ledger(self) -> Ledger:
        """All that was committed."""
        ledger, chain = Ledger(), []
        index, newest = self.committed_index, self._committed.get(self.committed_index)
        term = newest.term if newest is not None else None
        while index and term is not None:
            command, before = self._entries[(index, term)]
            chain.append(LogEntry(command, index, term))
            index, term = index - 1, before
        for entry in reversed(chain):
            self.made_at[entry.index] = self._made[(entry.index, entry.term)]
            ledger.enter(entry)
        return ledger
