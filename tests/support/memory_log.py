"""The real log over files in memory; see `tests.support.memory_stores`.

Everything but the operations on files is the product's: what it writes, in which order, in which
bytes, and what it finds when they were changed or when a crash has cut them short.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from namestore.storage.interfaces import LogEntry
from namestore.storage.log import WalLog
from namestore.storage.log_format import LogMeta
from namestore.storage.log_recovery import write_empty
from namestore.storage.log_segments import MARK, LogLimits, is_segment
from tests.support.memory_files import CutShort, MemoryFiles

_PATH = Path("/memory/log")
_LIMITS = LogLimits(segment_bytes=4096)
_LOG_ID = 0x6E616D6573746F72


class MemoryLog(WalLog):
    """Implements `LogStore`, and can lose what was not synced, and be damaged.

    Args:
        limits: As for `WalLog.open`.
    """

    def __init__(self, limits: LogLimits = _LIMITS) -> None:
        self.disk = MemoryFiles()
        write_empty(self.disk, _LOG_ID)
        self._limits = limits
        self._durable = LogMeta()
        # Every entry that is durable, as it was written, whatever happened to the disk since.
        self._written: dict[int, LogEntry] = {}
        # Of the newest segment, and how much of it the mark covers.
        self._marked: tuple[str, int] = ("", 0)
        self.reopen()

    # -- what a test may do and see beside the contract ----------------------------------------

    def crash(self, rng: random.Random | None = None) -> None:
        """Loses what was not synced, and starts again."""
        self.power_off(rng)
        self.reopen()

    def power_off(self, rng: random.Random | None = None) -> None:
        """Ends the process. What it was about to write is drawn from `rng`; None: nothing."""
        if rng is not None:
            if self._segments is not None and not self.disk.fails:
                self._cut_short(rng)
            self.disk.power_off(rng)
        self.disk.close()
        self._segments = None

    def reopen(self) -> None:
        """What the next process finds.

        Raises:
            DiskDamaged: The log cannot be trusted.
        """
        self.disk_fails = False
        super().__init__(_PATH, self.disk, self._limits)
        # What a crash has cut short may be there, whole.
        self._note_durable(self.entries(self._first_index, 1 << 62))
        self._note_mark()

    def damage(self, rng: random.Random) -> str:
        """Something on the disk is not any more what was written; says what.

        A bit is flipped, sectors are zeroed, a file is cut short or is gone. The newest records are
        hit more often than their share. What the mark does not cover is left alone, unless all
        behind it is hit as well: nobody could tell it from what a crash has torn.
        """
        kind = rng.choice(["bit", "bit", "bit", "zeroes", "cut", "gone"])
        newest, covered = self._marked
        there = self.disk.names()
        names = [newest, newest, newest, MARK, *filter(is_segment, there)]
        name = rng.choice([name for name in names if name in there])
        content = self.disk.contents[name]
        size = covered if name == newest else len(content)
        place = max(0, size - 1 - rng.randrange(rng.choice([min(200, size), size])))
        if kind == "bit":
            content[place] ^= 1 << rng.randrange(8)
        elif kind == "zeroes":
            end = size if rng.random() < 0.5 else min(size, place + 512)
            content[place:end] = bytes(end - place)
        elif kind == "cut":
            del content[place:]
        else:
            self.disk.lose(name)
        return f"{kind} in the log's {name} at {place}"

    @property
    def disk_fails(self) -> bool:
        """Whether the next sync fails."""
        return self.disk.fails

    @disk_fails.setter
    def disk_fails(self, fails: bool) -> None:
        self.disk.fails = fails

    @property
    def durable_last_index(self) -> int:
        """Of the newest entry that would survive a crash."""
        return self._durable.last_index

    @property
    def durable_vote(self) -> tuple[int, str | None]:
        """Term and vote that would survive a crash."""
        return self._durable[:2]

    def durable_entry(self, index: int) -> LogEntry | None:
        """The entry that would be there after a crash, if nobody had damaged the disk since."""
        if not self._durable.first_index <= index <= self._durable.last_index:
            return None
        return self._written[index]

    def has_durably(self, index: int, term: int | None) -> bool:
        """The entry of that index and term survives a crash, here or in the state."""
        entry = self.durable_entry(index)
        if entry is None:
            return index <= self.durable_last_index
        return entry.term == term

    def peek(self, index: int) -> LogEntry | None:
        """The entry that was put there, synced or not, whatever happened to the disk since."""
        if not self.first_index <= index <= self.last_index:
            return None
        return self._tail.get(index) or self._written[index]

    def peek_term(self, index: int) -> int | None:
        """As `term_at`, whatever happened to the disk."""
        if index == self._first_index - 1:
            return self._base_term
        entry = self.peek(index)
        return None if entry is None else entry.term

    # -- LogStore ----------------------------------------------------------------------------

    def sync(self) -> None:
        dirty = self.dirty
        added = self._tail.run(self._stored_index + 1, self._last_index + 1)
        super().sync()
        if dirty:
            self._note_durable(added)

    def mark(self) -> None:
        super().mark()
        self._note_mark()

    # -- within ------------------------------------------------------------------------------

    def _cut_short(self, rng: random.Random) -> None:
        """Half a sync or half a mark, perhaps."""
        doing = rng.choice([None, super().sync, super().mark])
        if doing is not None:
            self.disk.tears = rng
            with suppress(CutShort):
                doing()
            self.disk.tears = None

    def _note_durable(self, added: Sequence[LogEntry]) -> None:
        before, meta = self._durable, self._meta()
        for index in range(before.first_index, meta.first_index):
            self._written.pop(index, None)
        for index in range(meta.last_index + 1, before.last_index + 1):
            self._written.pop(index, None)
        self._written.update((entry.index, entry) for entry in added)
        self._durable = meta

    def _note_mark(self) -> None:
        assert self._segments is not None
        newest = self._segments._segments[-1]
        if min(self._segments._marked.values()) == self._segments._sequence:
            self._marked = newest.name, newest.size
