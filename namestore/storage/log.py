"""The Raft log on disk, over LMDB.

Responsible for entries, term, vote and commit index surviving anything that a disk survives. It
decides nothing about Raft, but refuses what no Raft may do: taking back a term, a vote or a
committed entry, leaving a gap.

Invariants: what `sync` returned from is on stable storage, all of it; a crash leaves the log as it
was after some `sync`; memory does not grow with the log. One LMDB commit is one sync of the data
and one of the page that points to it, with the interpreter lock released.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import lmdb

from namestore.errors import DiskFailed, InvariantViolation, StorageError
from namestore.storage.damage import failed
from namestore.storage.interfaces import LogEntry
from namestore.storage.log_files import (
    create_environment,
    open_environment,
    read_entry,
    read_newest,
    write_changes,
)
from namestore.storage.log_format import LogMeta
from namestore.storage.log_tail import LogTail, take

_TAIL_BYTES = 32 * 1024 * 1024


class LmdbLog:
    """Implements `LogStore`. Made by `create` and `open`.

    After `DiskFailed` or `close` every method refuses; the numbers can still be read.
    """

    def __init__(
        self, directory: Path, environment: lmdb.Environment, meta: LogMeta, tail_bytes: int
    ) -> None:
        self._directory = directory
        self._environment: lmdb.Environment | None = environment
        self._failure: str | None = None
        self._term, self._voted_for, self._commit_index = meta[:3]
        self._first_index, self._base_term, self._last_index = meta[3:]
        # Up to here the disk holds what this object shows; first_index - 1 <= it <= last_index.
        self._stored_index = self._last_index
        # The disk may hold records after _stored_index that do not count any more.
        self._cut = True
        # The disk may hold records before first_index.
        self._swept = False
        self._dirty = False
        newest = read_newest(environment, directory, meta, tail_bytes)
        self._tail = LogTail(tail_bytes, newest[0].index if newest else self._last_index + 1)
        self._tail.extend(newest)
        self._last_term = newest[-1].term if newest else self._find_last_term()

    @classmethod
    def create(cls, directory: Path) -> None:
        """Makes an empty log at `directory`, which must not exist; its parent must.

        Raises:
            StorageError: It cannot be written there.
        """
        create_environment(directory)

    @classmethod
    def open(cls, directory: Path, tail_bytes: int = _TAIL_BYTES) -> Self:
        """Opens and checks a log that `create` made.

        Args:
            directory: Where it is.
            tail_bytes: How much of the newest entries is kept in memory.

        Raises:
            DiskDamaged: The log cannot be trusted: damaged, emptied, or of a newer version.
            StorageError: The files cannot be opened.
        """
        environment, meta = open_environment(directory)
        try:
            return cls(directory, environment, meta, tail_bytes)
        except BaseException:
            environment.close()
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
        environment = self._usable()
        if index == self._first_index - 1:
            return self._base_term
        if not self._first_index <= index <= self._last_index:
            return None
        entry = self._tail.get(index)
        if entry is None:
            with environment.begin() as transaction:
                entry = read_entry(transaction, self._directory, index)
        return entry.term

    def entries(self, start: int, bytes_max: int) -> list[LogEntry]:
        """See `LogStore.entries`."""
        environment = self._usable()
        if start < self._first_index:
            raise ValueError(f"entry {start} was dropped; the log begins at {self._first_index}")
        end = self._last_index + 1
        in_memory = max(start, self._tail.first_index)
        found: list[LogEntry] = []
        if start < in_memory:
            with environment.begin() as transaction:
                stored = (
                    read_entry(transaction, self._directory, index)
                    for index in range(start, in_memory)
                )
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
        self._cut = self._dirty = True

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
        self._swept = False
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
        self._cut, self._swept = True, False
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
        environment = self._usable()
        if not self._dirty:
            return
        added = self._tail.run(self._stored_index + 1, self._last_index + 1)
        cut_from = self._stored_index + 1 if self._cut else None
        try:
            self._swept = write_changes(environment, self._meta(), added, cut_from, self._swept)
        except (lmdb.Error, OSError, MemoryError) as error:
            failure = failed(self._directory, "writing the log", error)
            self._failure = failure.message
            raise failure from error
        self._stored_index = self._last_index
        self._cut = self._dirty = False
        self._tail.shrink(self._last_index + 1)

    def close(self) -> None:
        """See `LogStore.close`."""
        environment, self._environment = self._environment, None
        if environment is not None:
            environment.close()

    def _usable(self) -> lmdb.Environment:
        if self._failure is not None:
            raise DiskFailed(self._failure)
        if self._environment is None:
            raise StorageError(f"{self._directory}: the log is closed")
        return self._environment

    def _meta(self) -> LogMeta:
        return LogMeta(
            self._term,
            self._voted_for,
            self._commit_index,
            self._first_index,
            self._base_term,
            self._last_index,
        )

    def _find_last_term(self) -> int:
        term = self.term_at(self._last_index)
        if term is None:
            raise InvariantViolation(f"no term for entry {self._last_index}")
        return term
