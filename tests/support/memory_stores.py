"""Log, state and arriving snapshot in memory: fakes that know what a crash would take.

What was synced or flushed is kept apart from what was not. `crash()` is what a power failure leaves
the next process: the object goes on as if it had been opened again. Deterministic, no files; the
same contract suites run on these and on the real ones. `disk_fails` makes the next write or sync
fail as a broken disk does.
"""

from __future__ import annotations

import hashlib
import random
import threading
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import msgpack

from namestore.core.state import META_KEY, StateMeta, decode_meta
from namestore.errors import DiskDamaged, DiskFailed, InvariantViolation, StorageError
from namestore.storage.damage import damaged
from namestore.storage.interfaces import CheckpointFile
from tests.support.memory_incoming import MemoryDisk, MemoryIncoming
from tests.support.memory_log import MemoryLog

__all__ = [
    "MemoryCheckpoint",
    "MemoryDisk",
    "MemoryIncoming",
    "MemoryLog",
    "MemoryState",
    "MemoryView",
]


class _Table:
    """Keys and values in key order. Copied before it is changed while somebody else looks."""

    def __init__(self, values: dict[bytes, bytes], keys: list[bytes], meta: StateMeta) -> None:
        self.values, self.keys, self.meta = values, keys, meta
        self.unreadable: frozenset[bytes] = frozenset()  # in blocks that were damaged

    def changed(self, changes: Mapping[bytes, bytes | None], meta: StateMeta) -> None:
        if self.unreadable:
            self.unreadable -= changes.keys()  # what is newer hides what is in the block
        for key, value in changes.items():
            if value is None:
                if self.values.pop(key, None) is not None:
                    del self.keys[bisect_left(self.keys, key)]
            else:
                if key not in self.values:
                    insort(self.keys, key)
                self.values[key] = value
        self.meta = meta

    def copy(self) -> _Table:
        copied = _Table(dict(self.values), list(self.keys), self.meta)
        copied.unreadable = self.unreadable
        return copied

    def check(self, keys: Iterable[bytes]) -> None:
        """As RocksDB does with every block that it reads."""
        if self.unreadable and not self.unreadable.isdisjoint(keys):
            raise damaged(Path("/memory/state"), "Corruption: block checksum mismatch")


class MemoryView:
    """Implements `StateView`."""

    def __init__(self, table: _Table) -> None:
        self._table = table

    @property
    def meta(self) -> StateMeta:
        return self._table.meta

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        self._table.check(keys)
        return [self._table.values.get(key) for key in keys]

    def scan(self, start: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        first = bisect_left(self._table.keys, max(start, prefix))
        for key in islice(self._table.keys, first, None):
            if not key.startswith(prefix):
                return
            self._table.check((key,))
            yield key, self._table.values[key]


class MemoryCheckpoint:
    """Implements `Checkpoint`: one file with everything in it."""

    def __init__(self, table: _Table, released: Callable[[], None]) -> None:
        self._table = table
        self._released = released
        self._data: bytes | None = None

    @property
    def meta(self) -> StateMeta:
        return self._table.meta

    @property
    def path(self) -> Path:
        return Path(f"/memory/snapshots/{self.meta.applied_index}-{self.meta.applied_term}")

    def files(self) -> list[CheckpointFile]:
        self._table.check(self._table.keys)
        data = self._content()
        return [CheckpointFile("table", len(data), hashlib.sha256(data).digest())]

    def read(self, file: int, offset: int, length: int) -> bytes:
        if file != 0:
            raise IndexError(file)
        return self._content()[offset : offset + length]

    def release(self) -> None:
        self._released()

    def _content(self) -> bytes:
        if self._data is None:
            table = self._table
            pairs = [(k, table.values[k]) for k in table.keys]
            self._data = msgpack.packb((pairs, sorted(table.unreadable)))
        return self._data


class MemoryState:
    """Implements `StateStore`, and can lose what was not flushed."""

    def __init__(self, disk: MemoryDisk | None = None) -> None:
        self.disk = disk or MemoryDisk()
        self.disk_fails = False
        self.checkpoints_held: dict[tuple[int, int], int] = {}
        self._failed = self._closed = False
        self._table = self._durable = _Table({}, [], StateMeta())
        self._installed_index = 0
        self._newest_checkpoint = (0, 0)
        # Changes since the last flush, in order: a crash keeps the first few of them.
        self._unflushed: list[tuple[Mapping[bytes, bytes | None], StateMeta]] = []
        self._shared = True
        self._lock = threading.Lock()  # views may be taken by any thread

    # -- what a test may do and see beside the contract ----------------------------------------

    def crash(self, kept: int = 0) -> None:
        """Loses what was not flushed, but the first `kept` changes, and starts again.

        RocksDB flushes when it likes, so a state may be newer than `durable_index` said.
        """
        table = self._durable.copy()
        for changes, meta in self._unflushed[:kept]:
            table.changed(changes, meta)
        self._table = self._durable = table
        self._shared, self._unflushed = True, []
        self._failed = self._closed = self.disk_fails = False
        self._newest_checkpoint, self.checkpoints_held = (0, 0), {}

    def reopen(self) -> None:
        """What the next process does first.

        Raises:
            DiskDamaged: Where the state stands cannot be read.
        """
        MemoryView(self._table).get_many([META_KEY])

    def damage(self, rng: random.Random) -> str:
        """A block of the files does not match its checksum any more; says which.

        It is found when something is read from it, never taken for what it was.
        """
        keys = self._durable.keys
        if not keys:
            return "a free block of the state"
        first = rng.randrange(len(keys))
        block = keys[first : first + rng.randrange(1, 9)]
        # What was changed since is in memory, and hides what is in the block; see `changed`.
        newer = {key for changes, _ in self._unflushed for key in changes}
        self._table.unreadable |= set(block) - newer
        self._durable.unreadable |= set(block)
        return f"a block of the state, from {block[0]!r} on"

    @property
    def unreadable(self) -> frozenset[bytes]:
        """Keys in blocks that were damaged, here or where a snapshot came from."""
        return self._table.unreadable

    def peek(self) -> Mapping[bytes, bytes]:
        """What the state would say if nobody had damaged it."""
        return self._table.values

    @property
    def unflushed_changes(self) -> int:
        """How many changes a crash could take."""
        return len(self._unflushed)

    # -- StateStore --------------------------------------------------------------------------

    @property
    def meta(self) -> StateMeta:
        return self._table.meta

    @property
    def durable_index(self) -> int:
        return self._durable.meta.applied_index

    @property
    def installed_index(self) -> int:
        return self._installed_index

    def write(self, changes: Mapping[bytes, bytes | None], meta: StateMeta) -> None:
        self._check_usable()
        self._fail_if_told()
        with self._lock:
            if self._shared:
                self._table, self._shared = self._table.copy(), False
            self._table.changed(changes, meta)
        self._unflushed.append((dict(changes), meta))

    @contextmanager
    def view(self) -> Iterator[MemoryView]:
        self._check_usable()
        yield MemoryView(self._share())

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        self._check_usable()
        return MemoryView(self._table).get_many(keys)

    def scan(self, start: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        self._check_usable()
        return MemoryView(self._share()).scan(start, prefix)

    def flush(self) -> None:
        self._check_usable()
        self._fail_if_told()
        self._durable, self._unflushed = self._share(), []

    def checkpoint(self) -> MemoryCheckpoint:
        self._check_usable()
        position = self.meta.applied_index, self.meta.applied_term
        if position < self._newest_checkpoint:
            raise InvariantViolation(f"a snapshot at {position} after {self._newest_checkpoint}")
        self.flush()
        self._newest_checkpoint = position
        self.checkpoints_held[position] = self.checkpoints_held.get(position, 0) + 1
        return MemoryCheckpoint(self._share(), lambda: self._release(position))

    def install(self, directory: Path) -> None:
        self._check_usable()
        self._fail_if_told()
        table = self._load(directory)
        if table.meta.applied_index < self.meta.applied_index:
            raise InvariantViolation("a snapshot cannot replace a newer state")
        del self.disk.directories[directory]
        self._table = self._durable = table
        self._shared, self._unflushed = True, []
        self._installed_index = table.meta.applied_index

    def close(self) -> None:
        if not self._closed and not self._failed:
            self.flush()
        self._closed = True

    def _share(self) -> _Table:
        with self._lock:
            self._shared = True
            return self._table

    def _load(self, directory: Path) -> _Table:
        try:
            data = self.disk.directories[directory]["table"]
            pairs, unreadable = msgpack.unpackb(data)
            values: dict[bytes, bytes] = dict(pairs)
        except (KeyError, ValueError, TypeError) as error:
            raise DiskDamaged(f"{directory}: cannot be opened as a state") from error
        meta = decode_meta(values.get(META_KEY))
        if meta.applied_index <= 0:
            raise DiskDamaged(f"{directory}: says nothing of where it stands")
        table = _Table(values, sorted(values), meta)
        table.unreadable = frozenset(unreadable)
        table.check((META_KEY,))
        return table

    def _release(self, position: tuple[int, int]) -> None:
        holders = self.checkpoints_held.pop(position, 0) - 1
        if holders > 0:
            self.checkpoints_held[position] = holders

    def _fail_if_told(self) -> None:
        if self.disk_fails:
            self._failed = True
            raise DiskFailed("changing the state failed")

    def _check_usable(self) -> None:
        if self._failed:
            raise DiskFailed("changing the state failed")
        if self._closed:
            raise StorageError("the state is closed")
