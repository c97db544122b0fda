"""The log in memory; see `tests.support.memory_stores`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from namestore.errors import DiskFailed, InvariantViolation, StorageError
from namestore.storage.interfaces import LogEntry


class _LogBase(NamedTuple):
    """What stands beside the entries of a log."""

    term: int = 0
    voted_for: str | None = None
    commit_index: int = 0
    first_index: int = 1
    base_term: int = 0


class MemoryLog:
    """Implements `LogStore`, and can lose what was not synced."""

    def __init__(self) -> None:
        self.disk_fails = False
        self._failed = self._closed = False
        self._durable_base = self._base = _LogBase()
        self._durable: list[LogEntry] = []
        self._entries: list[LogEntry] = []
        self._stored_index = 0  # up to here the durable entries are those shown
        self._dirty = False

    # -- what a test may do and see beside the contract ----------------------------------------

    def crash(self) -> None:
        """Loses what was not synced, and starts again."""
        self._base, self._entries = self._durable_base, list(self._durable)
        self._stored_index = self.last_index
        self._dirty = self._failed = self._closed = self.disk_fails = False

    @property
    def durable_last_index(self) -> int:
        """Of the newest entry that would survive a crash."""
        return self._durable_base.first_index - 1 + len(self._durable)

    @property
    def durable_vote(self) -> tuple[int, str | None]:
        """Term and vote that would survive a crash."""
        return self._durable_base.term, self._durable_base.voted_for

    def durable_entry(self, index: int) -> LogEntry | None:
        """The entry that would be there after a crash."""
        at = index - self._durable_base.first_index
        return self._durable[at] if 0 <= at < len(self._durable) else None

    # -- LogStore ----------------------------------------------------------------------------

    @property
    def first_index(self) -> int:
        return self._base.first_index

    @property
    def last_index(self) -> int:
        return self._base.first_index - 1 + len(self._entries)

    @property
    def last_term(self) -> int:
        return self._entries[-1].term if self._entries else self._base.base_term

    @property
    def term(self) -> int:
        return self._base.term

    @property
    def voted_for(self) -> str | None:
        return self._base.voted_for

    @property
    def commit_index(self) -> int:
        return self._base.commit_index

    @property
    def dirty(self) -> bool:
        return self._dirty

    @property
    def synced_index(self) -> int:
        return self._stored_index

    def term_at(self, index: int) -> int | None:
        self._check_usable()
        if index == self.first_index - 1:
            return self._base.base_term
        if not self.first_index <= index <= self.last_index:
            return None
        return self._entries[index - self.first_index].term

    def entries(self, start: int, bytes_max: int) -> list[LogEntry]:
        self._check_usable()
        if start < self.first_index:
            raise ValueError(f"entry {start} was dropped; the log begins at {self.first_index}")
        found: list[LogEntry] = []
        for entry in islice(self._entries, start - self.first_index, None):
            bytes_max -= len(entry.command)
            if bytes_max < 0 and found:
                break
            found.append(entry)
            if bytes_max <= 0:
                break
        return found

    def append(self, entries: Sequence[LogEntry]) -> None:
        self._check_usable()
        index, term = self.last_index, self.last_term
        for entry in entries:
            if entry.index != index + 1 or entry.term < term:
                raise InvariantViolation(f"{entry} cannot follow entry {index} of term {term}")
            index, term = entry.index, entry.term
        self._entries.extend(entries)
        self._dirty = self._dirty or bool(entries)

    def truncate_from(self, index: int) -> None:
        self._check_usable()
        if index <= self.commit_index:
            raise InvariantViolation(f"entry {index} is committed")
        if index > self.last_index:
            return
        del self._entries[index - self.first_index :]
        self._stored_index = min(self._stored_index, index - 1)
        self._dirty = True

    def drop_through(self, index: int) -> None:
        self._check_usable()
        if index < self.first_index:
            return
        base_term = self.term_at(index)
        if base_term is None or index > self.commit_index:
            raise InvariantViolation(f"entry {index} is not committed")
        del self._entries[: index - self.first_index + 1]
        self._base = self._base._replace(first_index=index + 1, base_term=base_term)
        self._stored_index = max(self._stored_index, index)
        self._dirty = True

    def reset(self, index: int, term: int) -> None:
        self._check_usable()
        if index < self.commit_index:
            raise InvariantViolation(f"the log is committed up to {self.commit_index}")
        self._entries = []
        self._base = self._base._replace(first_index=index + 1, base_term=term, commit_index=index)
        self._stored_index = index
        self._dirty = True

    def save_vote(self, term: int, voted_for: str | None) -> None:
        self._check_usable()
        if (term, voted_for) == (self.term, self.voted_for):
            return
        if term < self.term or (term == self.term and self.voted_for is not None):
            raise InvariantViolation(f"a vote in term {self.term} cannot be taken back")
        self._base = self._base._replace(term=term, voted_for=voted_for)
        self._dirty = True

    def save_commit(self, index: int) -> None:
        self._check_usable()
        if not self.commit_index <= index <= self.last_index:
            raise InvariantViolation(f"the commit index cannot become {index}")
        self._base = self._base._replace(commit_index=index)

    def sync(self) -> None:
        self._check_usable()
        if not self._dirty:
            return
        if self.disk_fails:
            self._failed = True
            raise DiskFailed("writing the log failed")
        # Only the difference is copied: a simulation syncs often.
        durable_first = self._durable_base.first_index
        del self._durable[max(self._stored_index + 1 - durable_first, 0) :]
        del self._durable[: self.first_index - durable_first]
        self._durable += self._entries[len(self._durable) :]
        self._durable_base = self._base
        self._stored_index = self.last_index
        self._dirty = False

    def close(self) -> None:
        self._closed = True

    def _check_usable(self) -> None:
        if self._failed:
            raise DiskFailed("writing the log failed")
        if self._closed:
            raise StorageError("the log is closed")
