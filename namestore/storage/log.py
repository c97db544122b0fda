"""The Raft log on disk.

Responsible for entries, term, vote and commit index surviving anything that a disk survives. It
decides nothing about Raft, but refuses what no Raft may do: taking back a term, a vote or a
committed entry, leaving a gap. How it lies on the disk is `log_segments`.

Invariants: what `sync` returned from is on stable storage, all of it; a crash leaves the log as it
was after some `sync`; memory grows with the log by eight bytes an entry. A `sync` is one synced
write, with the interpreter lock released.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from namestore.errors import DiskFailed, InvariantViolation, StorageError
from namestore.storage.damage import damaged, failed, unusable
from namestore.storage.interfaces import LogEntry
from namestore.storage.log_files import DirectoryFiles, LogFiles
from namestore.storage.log_format import LogMeta
from namestore.storage.log_recovery import create_log, open_log
from namestore.storage.log_segments import LogLimits, LogSegments
from namestore.storage.log_tail import LogTail, take


class WalLog:
    """Implements `LogStore`. Made by `create` and `open`.

    After `DiskFailed` or `close` every method refuses; the numbers can still be read.

    Args:
        directory: Where it is, for errors.
        files: In it; closed with this object.
        limits: What it may take.
    """

    def __init__(self, directory: Path, files: LogFiles, limits: LogLimits) -> None:
        self._directory = directory
        self._failure: str | None = None
        opened, meta = open_log(files, directory, limits.segment_bytes)
        self._segments: LogSegments | None = opened
        self._term, self._voted_for, self._commit_index = meta[:3]
        self._first_index, self._base_term, self._last_index = meta[3:]
        # Up to here the disk holds what this object shows; first_index - 1 <= it <= last_index.
        self._stored_index = self._last_index
        self._dirty = False
        newest = opened.read_newest(self._first_index, self._last_index, limits.tail_bytes)
        self._tail = LogTail(limits.tail_bytes, newest[0].index if newest else self._last_index + 1)
        self._tail.extend(newest)
        # No tail: there is no entry, or the newest is too large for it.
        self._last_term = newest[-1].term if newest else self.term_at(self._last_index) or 0

    @classmethod
    def create(cls, directory: Path) -> None:
        """Makes an empty log at `directory`, which must not exist; its parent must.

        Raises:
            StorageError: It cannot be written there.
        """
        create_log(directory)

    @classmethod
    def open(cls, directory: Path, limits: LogLimits | None = None) -> Self:
        """Opens and checks a log that `create` made.

        Raises:
            DiskDamaged: The log cannot be trusted: damaged, emptied, or of another version.
            StorageError: The files cannot be opened.
        """
        files = DirectoryFiles(directory)
        try:
            return cls(directory, files, limits or LogLimits())
        except OSError as error:
            files.close()
            if error.errno == errno.EIO:
                raise damaged(directory, f"it cannot be read any more ({error})") from error
            raise unusable(directory, "open the log", error) from error
        except BaseException:
            files.close()
            raise

    # -- where it stands --------------------------------------------------------------------

    @property
    def first_index(self) -> int:
        """Of the oldest entry kept."""
        return self._first_index

    @property
    def last_index(self) -> int:
        """Of the newest entry; `first_index - 1` when there is none."""
        return self._last_index

    @property
    def last_term(self) -> int:
        """Of the newest entry, or of the one just before `first_index` when there is none."""
        return self._last_term

    @property
    def term(self) -> int:
        """The current term."""
        return self._term

    @property
    def voted_for(self) -> str | None:
        """The node voted for in the current term."""
        return self._voted_for

    @property
    def commit_index(self) -> int:
        """The last entry known to be committed; never beyond `last_index`."""
        return self._commit_index

    @property
    def dirty(self) -> bool:
        """Something but the commit index was changed since the last `sync`."""
        return self._dirty

    @property
    def synced_index(self) -> int:
        """The newest entry that is on stable storage."""
        return self._stored_index

    # -- reading ----------------------------------------------------------------------------

    def term_at(self, index: int) -> int | None:
        """See `LogStore.term_at`."""
        segments = self._usable()
        if index == self._first_index - 1:
            return self._base_term
        if not self._first_index <= index <= self._last_index:
            return None
        with self._failing("reading the log"):
            return (self._tail.get(index) or segments.read(index)).term

    def entries(self, start: int, bytes_max: int) -> list[LogEntry]:
        """See `LogStore.entries`."""
        segments = self._usable()
        if start < self._first_index:
            raise ValueError(f"entry {start} was dropped; the log begins at {self._first_index}")
        end = self._last_index + 1
        in_memory = max(start, self._tail.first_index)
        found: list[LogEntry] = []
        if start < in_memory:
            stored = (segments.read(index) for index in range(start, in_memory))
            with self._failing("reading the log"):
                found, bytes_max = take(stored, bytes_max, found)
        if len(found) == in_memory - start and (bytes_max > 0 or not found):
            found, _ = take(self._tail.run(in_memory, end), bytes_max, found)
        return found

    # -- changing ---------------------------------------------------------------------------

    def append(self, entries: Sequence[LogEntry]) -> None:
        """See `LogStore.append`."""
        self._usable()
        index, term = self._last_index, self._last_term
        for entry in entries:
            if entry.index != index + 1 or entry.term < term:
                raise InvariantViolation(
                    f"entry {entry.index} of term {entry.term} cannot follow entry {index} of "
                    f"term {term}"
                )
            index, term = entry.index, entry.term
        self._tail.extend(entries)
        self._last_index, self._last_term = index, term
        self._dirty = self._dirty or bool(entries)

    def truncate_from(self, index: int) -> None:
        """See `LogStore.truncate_from`."""
        self._usable()
        if index <= self._commit_index:
            raise InvariantViolation(
                f"entry {index} must not be removed: the log is committed up to "
                f"{self._commit_index}"
            )
        if index > self._last_index:
            return
        last_term = self.term_at(index - 1)
        if last_term is None:
            raise InvariantViolation(f"the log does not reach back to entry {index - 1}")
        self._tail.cut_from(index)
        self._last_index, self._last_term = index - 1, last_term
        self._stored_index = min(self._stored_index, index - 1)
        self._dirty = True

    def drop_through(self, index: int) -> None:
        """See `LogStore.drop_through`. At most the commit index."""
        self._usable()
        if index < self._first_index:
            return
        base_term = self.term_at(index)
        if base_term is None or index > self._commit_index:
            raise InvariantViolation(
                f"entries up to {index} cannot be dropped: the log ends at {self._last_index} and "
                f"is committed up to {self._commit_index}"
            )
        self._first_index, self._base_term = index + 1, base_term
        self._stored_index = max(self._stored_index, index)
        self._dirty = True

    def reset(self, index: int, term: int) -> None:
        """See `LogStore.reset`. Not before the commit index."""
        self._usable()
        if index < self._commit_index:
            raise InvariantViolation(
                f"the log is committed up to {self._commit_index} and cannot go on after {index}"
            )
        self._tail.restart(index + 1)
        self._first_index, self._base_term = index + 1, term
        self._last_index, self._last_term = index, term
        self._commit_index = self._stored_index = index
        self._dirty = True

    def save_vote(self, term: int, voted_for: str | None) -> None:
        """See `LogStore.save_vote`. A vote given in a term stays."""
        self._usable()
        if (term, voted_for) == (self._term, self._voted_for):
            return
        if term < self._term or (term == self._term and self._voted_for is not None):
            raise InvariantViolation(
                f"term {self._term} with a vote for {self._voted_for} cannot become term {term} "
                f"with a vote for {voted_for}"
            )
        self._term, self._voted_for = term, voted_for
        self._dirty = True

    def save_commit(self, index: int) -> None:
        """See `LogStore.save_commit`. Reaches the disk with the next change that is synced."""
        self._usable()
        if not self._commit_index <= index <= self._last_index:
            raise InvariantViolation(
                f"the commit index cannot go from {self._commit_index} to {index} in a log that "
                f"ends at {self._last_index}"
            )
        self._commit_index = index

    # -- the disk ---------------------------------------------------------------------------

    def sync(self) -> None:
        """See `LogStore.sync`."""
        segments = self._usable()
        if not self._dirty:
            return
        added = self._tail.run(self._stored_index + 1, self._last_index + 1)
        with self._failing("writing the log"):
            segments.append(self._meta(), added)
        self._stored_index = self._last_index
        self._dirty = False
        self._tail.shrink(self._last_index + 1)

    def mark(self) -> None:
        """See `LogStore.mark`."""
        segments = self._usable()
        with self._failing("marking how far the log is durable"):
            segments.mark()

    def close(self) -> None:
        """See `LogStore.close`."""
        segments, self._segments = self._segments, None
        if segments is not None:
            try:
                if self._failure is None:
                    with self._failing("closing the log"):
                        segments.mark_all()
            finally:
                segments.close()

    def _usable(self) -> LogSegments:
        if self._failure is not None:
            raise DiskFailed(self._failure)
        if self._segments is None:
            raise StorageError(f"{self._directory}: the log is closed")
        return self._segments

    @contextmanager
    def _failing(self, doing: str) -> Iterator[None]:
        """After an error within, what reached the disk is not known."""
        try:
            yield
        except (OSError, MemoryError) as error:
            failure = failed(self._directory, doing, error)
            self._failure = failure.message
            raise failure from error

    def _meta(self) -> LogMeta:
        vote = self._term, self._voted_for
        return LogMeta(
            *vote, self._commit_index, self._first_index, self._base_term, self._last_index
        )
