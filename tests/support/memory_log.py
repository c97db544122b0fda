"""The real log over an LMDB in memory; see `tests.support.memory_stores`.

Everything but LMDB itself is the product's: what it writes, in which order, in which bytes, and
what it finds when they were changed. `MemoryEnvironment` keeps what LMDB promises: a transaction is
there after a crash, whole, or it is not. That it keeps this on torn and damaged pages is shown with
real files (`tests/unit/storage/test_log_damage.py`, `tests/faults`).
"""

from __future__ import annotations

import errno
import random
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from namestore.storage.damage import damaged
from namestore.storage.interfaces import LogEntry
from namestore.storage.log import LmdbLog
from namestore.storage.log_files import _check_gaps, _explained
from namestore.storage.log_format import (
    META_KEY,
    BadRecord,
    LogMeta,
    decode_entry,
    decode_log_meta,
    encode_log_meta,
    entry_key,
)

_PATH = Path("/memory/log")
_TAIL_BYTES = 32 * 1024 * 1024


class _Cursor:
    """A place among the keys. Implements what the log uses of `lmdb.Cursor`."""

    def __init__(self, environment: MemoryEnvironment) -> None:
        self._environment = environment
        self._at = 0

    def set_range(self, key: bytes) -> bool:
        keys = self._environment.keys
        self._at = bisect_left(keys, key)
        return self._at < len(keys)

    def key(self) -> bytes:
        keys = self._environment.keys
        return keys[self._at] if self._at < len(keys) else b""

    def delete(self) -> bool:
        keys = self._environment.keys
        if self._at >= len(keys):
            return False
        key = keys.pop(self._at)
        del self._environment.records[key]
        self._environment.originals.pop(key, None)
        return True

    def putmulti(self, items: Iterable[tuple[bytes, bytes]], append: bool) -> None:
        for key, value in items:
            self._environment.put(key, value)

    def iternext(self, keys: bool, values: bool) -> Iterator[bytes]:
        yield from self._environment.keys[self._at :]


class _Transaction:
    """Implements what the log uses of `lmdb.Transaction`."""

    def __init__(self, environment: MemoryEnvironment) -> None:
        self._environment = environment

    def __enter__(self) -> _Transaction:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def get(self, key: bytes) -> bytes | None:
        return self._environment.records.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        self._environment.put(key, value)

    def cursor(self) -> _Cursor:
        return _Cursor(self._environment)


class MemoryEnvironment:
    """What of `lmdb.Environment` the log uses. What was committed is durable.

    Attributes:
        records: As they are read.
        originals: Of those that were damaged: as they were written.
        fails: The disk takes no more.
    """

    def __init__(self) -> None:
        self.records: dict[bytes, bytes] = {}
        self.keys: list[bytes] = []
        self.originals: dict[bytes, bytes] = {}
        self.fails = False

    def begin(self, write: bool = False) -> _Transaction:
        if write and self.fails:
            raise OSError(errno.ENOSPC, "No space left on device")
        return _Transaction(self)

    def put(self, key: bytes, value: bytes) -> None:
        if key not in self.records:
            if not self.keys or key > self.keys[-1]:
                self.keys.append(key)
            else:
                insort(self.keys, key)
        self.records[key] = value
        self.originals.pop(key, None)

    def close(self) -> None:
        """Nothing is let go of."""


class MemoryLog(LmdbLog):
    """Implements `LogStore`, and can lose what was not synced, and be damaged.

    Args:
        tail_bytes: As for `LmdbLog.open`: how much is answered from memory.
    """

    def __init__(self, tail_bytes: int = _TAIL_BYTES) -> None:
        self.disk = MemoryEnvironment()
        self.disk.put(META_KEY, encode_log_meta(LogMeta()))
        self._tail_bytes_max = tail_bytes
        self._structure_damaged = False
        self._durable = LogMeta()
        self.reopen()

    # -- what a test may do and see beside the contract ----------------------------------------

    def crash(self) -> None:
        """Loses what was not synced, and starts again."""
        self.close()
        self.reopen()

    def reopen(self) -> None:
        """What the next process finds.

        Raises:
            DiskDamaged: The log cannot be trusted.
        """
        self.disk_fails = False
        try:
            if self._structure_damaged:
                raise damaged(_PATH, "a page is not what it should be")
            with self.disk.begin() as transaction:
                meta = decode_log_meta(transaction.get(META_KEY) or b"")
                _check_gaps(_as_lmdb(transaction), meta)
        except (BadRecord, ValueError) as error:
            raise _explained(_PATH, error) from error
        super().__init__(_PATH, _as_lmdb(self.disk), meta, self._tail_bytes_max)

    def damage(self, rng: random.Random) -> str:
        """Something on the disk is not any more what was written; says what.

        A bit in a record is flipped, a record is zeroed or cut short, a page is spoilt. What the
        next process needs is hit more often than its share: term and vote, and the newest entries.
        """
        kind = rng.choice(["bit", "bit", "zeroes", "torn", "page"])
        if kind == "page":
            self._structure_damaged = True
            return "a page of the log"
        newest_first = self.disk.keys[1:][::-1]
        among = newest_first[: rng.choice([5, len(newest_first)])]
        key = META_KEY if rng.random() < 0.3 or not among else rng.choice(among)
        record = bytearray(self.disk.records[key])
        self.disk.originals.setdefault(key, bytes(record))
        place = rng.randrange(len(record))
        if kind == "bit":
            record[place] ^= 1 << rng.randrange(8)
        elif kind == "zeroes":
            record[place:] = bytes(len(record) - place)
        else:
            del record[place:]
        self.disk.records[key] = bytes(record)
        return f"{kind} in the log's record {key.hex()}"

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
        return decode_entry(index, self._written(index))

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
        held = self._tail.get(index)
        return held or decode_entry(index, self._written(index))

    def peek_term(self, index: int) -> int | None:
        """As `term_at`, whatever happened to the disk."""
        if index == self._first_index - 1:
            return self._base_term
        entry = self.peek(index)
        return None if entry is None else entry.term

    def _written(self, index: int) -> bytes:
        key = entry_key(index)
        return self.disk.originals.get(key) or self.disk.records[key]

    # -- LogStore ----------------------------------------------------------------------------

    def sync(self) -> None:
        dirty = self.dirty
        super().sync()
        if dirty:
            self._durable = self._meta()

    def close(self) -> None:
        self._environment = None


def _as_lmdb(fake: MemoryEnvironment | _Transaction) -> Any:
    return fake
