"""The registry's state on disk, over RocksDB.

Responsible for changes being atomic, for pictures that do not change, for knowing how much would
survive a crash, and for replacing everything by a snapshot in one step. It does not know what the
keys mean, except where the state stands.

Invariants: one column family and no log of its own, so that after a crash the state is the one
after some earlier change, whole; `durable_index` never says more than is on the disk; memory is
bounded by `StateLimits` however many names there are.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from rocksdict import Snapshot

from namestore.core.state import META_KEY, StateMeta, decode_meta
from namestore.errors import DiskFailed, InvariantViolation, StorageError
from namestore.storage import generations, rocks
from namestore.storage.checkpoints import Checkpoints, DirectoryCheckpoint
from namestore.storage.damage import failed
from namestore.storage.generations import Generation
from namestore.storage.rocks import Scanner, StateLimits

# What a change takes in memory beside its key and value, roughly.
_CHANGE_OVERHEAD_BYTES = 48


class RocksView:
    """Implements `StateView`. Usable within its `with` block only.

    Values come from a RocksDB snapshot, which has bloom filters, and the order of keys from an
    iterator of the same moment.
    """

    def __init__(self, snapshot: Snapshot, scanner: Scanner, directory: Path) -> None:
        self._pictures: tuple[Snapshot, Scanner] | None = snapshot, scanner
        self._directory = directory
        self._meta: StateMeta | None = None

    @property
    def meta(self) -> StateMeta:
        """Where this picture stands: read from it, so that the two cannot disagree."""
        if self._meta is None:
            self._meta = decode_meta(self.get_many([META_KEY])[0])
        return self._meta

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """See `StateReader.get_many`."""
        return rocks.get_many(self._open()[0], self._directory, keys)

    def scan(self, start: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """See `StateReader.scan`."""
        return self._open()[1].scan(start, prefix)

    def close(self) -> None:
        """Lets go of the pictures: as long as they live, RocksDB keeps its files open."""
        self._pictures = None

    def _open(self) -> tuple[Snapshot, Scanner]:
        if self._pictures is None:
            raise StorageError(f"{self._directory}: this view is closed")
        return self._pictures


class RocksState:
    """Implements `StateStore`. Made by `create` and `open`.

    `write`, `install` and `checkpoint` belong to one thread; `view`, `meta`, `durable_index` and
    `flush` may be used from any. After `DiskFailed` or `close` every method refuses.
    """

    def __init__(
        self, root: Path, generation: Generation, checkpoints: Checkpoints, limits: StateLimits
    ) -> None:
        self._root = root
        self._generation = generation
        self._checkpoints = checkpoints
        self._limits = limits
        self._failure: str | None = None
        self._closed = False
        self._unflushed_bytes = 0
        # The entry up to which a flush under way will make things durable; None: none is.
        self._flushing_index: int | None = None
        self._flush_lock = threading.Lock()
        # Held while a change becomes visible: a view takes two pictures, of the same moment.
        self._visible = threading.Lock()

    @classmethod
    def create(cls, root: Path, limits: StateLimits | None = None) -> None:
        """Makes an empty state at `root`, which must not exist; its parent must.

        Raises:
            StorageError: It cannot be written there.
        """
        generations.create(root, limits or StateLimits())

    @classmethod
    def open(cls, root: Path, snapshots: Path, limits: StateLimits | None = None) -> Self:
        """Opens a state that `create` made.

        Args:
            root: Where it is.
            snapshots: Where checkpoints go; on the same file system. What is in it is removed.
            limits: Of memory.

        Raises:
            DiskDamaged: The state cannot be trusted: damaged, emptied, or of a newer version.
            StorageError: The files cannot be opened.
        """
        limits = limits or StateLimits()
        generation = generations.open_current(root, limits)
        try:
            return cls(root, generation, Checkpoints(snapshots), limits)
        except BaseException:
            generation.database.close()
            raise

    @property
    def meta(self) -> StateMeta:
        """Of the last change; any thread."""
        return self._generation.meta

    @property
    def durable_index(self) -> int:
        """Entries up to this one need no replay after a crash; any thread."""
        return self._generation.durable_index

    @property
    def installed_index(self) -> int:
        """Where the snapshot stood that this state began as; 0: it began empty."""
        return self._generation.installed_index

    # -- reading ----------------------------------------------------------------------------

    @contextmanager
    def view(self) -> Iterator[RocksView]:
        """See `StateStore.view`."""
        with self._held() as generation:
            database, directory = generation.database, generation.directory
            with self._visible:
                view = RocksView(database.snapshot(), Scanner(database, directory), directory)
            try:
                yield view
            finally:
                view.close()

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """See `StateStore.get_many`."""
        self._check_usable()
        return rocks.get_many(self._generation.database, self._generation.directory, keys)

    def scan(self, start: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """See `StateStore.scan`."""
        self._check_usable()
        generation = self._generation
        return Scanner(generation.database, generation.directory).scan(start, prefix)

    # -- changing ---------------------------------------------------------------------------

    def write(self, changes: Mapping[bytes, bytes | None], meta: StateMeta) -> None:
        """See `StateStore.write`."""
        self._check_usable()
        generation = self._generation
        with self._noting_failure():
            size = rocks.write(generation.database, generation.directory, changes, self._visible)
            generation.meta = meta
            self._unflushed_bytes += size + _CHANGE_OVERHEAD_BYTES * len(changes)
            self._flush_when_large(generation)

    def flush(self) -> None:
        """See `StateStore.flush`. Any thread; releases the interpreter lock."""
        self._check_usable()
        with self._held() as generation, self._noting_failure():
            # Read before: the flush covers it, and perhaps more.
            index = generation.meta.applied_index
            rocks.flush(generation.database, generation.directory)
            self._note_durable(generation, index)

    def checkpoint(self) -> DirectoryCheckpoint:
        """See `StateStore.checkpoint`."""
        self._check_usable()
        generation = self._generation

        def write(target: Path) -> None:
            self.flush()
            rocks.checkpoint(generation.database, generation.directory, target)

        with self._noting_failure():
            return self._checkpoints.take(generation.meta, write, rocks.check_all)

    def install(self, directory: Path) -> None:
        """See `StateStore.install`."""
        self._check_usable()
        old = self._generation
        with self._noting_failure():
            try:
                new = generations.adopt(self._root, directory, old, self._limits)
                if new.meta.applied_index < old.meta.applied_index:
                    new.retire()
                    raise InvariantViolation(
                        f"a snapshot at {new.meta.applied_index} cannot replace the state at "
                        f"{old.meta.applied_index}"
                    )
                generations.make_current(self._root, new)
            except OSError as error:
                raise failed(self._root, "installing a snapshot", error) from error
        self._generation = new
        self._unflushed_bytes, self._flushing_index = 0, None
        old.retire()

    def close(self) -> None:
        """See `StateStore.close`. After `DiskFailed` it only lets go."""
        if self._closed:
            return
        try:
            if self._failure is None:
                self.flush()
        finally:
            self._closed = True
            self._let_go()

    # -- inside -----------------------------------------------------------------------------

    def _let_go(self) -> None:
        generation = self._generation
        try:
            with rocks.translated(generation.directory, "closing the state"):
                generation.database.close()
        except StorageError:
            # RocksDB flushes once more. That the disk takes nothing was said before, by whoever
            # met it first; the log replays what is lost.
            if self._failure is None:
                raise

    def _flush_when_large(self, generation: Generation) -> None:
        """Begins a flush when enough has come together, and notes when one has ended."""
        if self._flushing_index is not None:
            if not rocks.flush_is_done(generation.database, generation.directory):
                return
            self._note_durable(generation, self._flushing_index)
            self._flushing_index = None
        if self._unflushed_bytes >= self._limits.memtable_bytes:
            rocks.flush(generation.database, generation.directory, wait=False)
            self._flushing_index = generation.meta.applied_index
            self._unflushed_bytes = 0

    def _note_durable(self, generation: Generation, index: int) -> None:
        with self._flush_lock:
            generation.durable_index = max(generation.durable_index, index)

    @contextmanager
    def _held(self) -> Iterator[Generation]:
        self._check_usable()
        generation = self._generation
        while not generation.hold():
            generation = self._generation
        try:
            yield generation
        finally:
            generation.let_go()

    @contextmanager
    def _noting_failure(self) -> Iterator[None]:
        try:
            yield
        except DiskFailed as error:
            self._failure = error.message
            raise

    def _check_usable(self) -> None:
        if self._failure is not None:
            raise DiskFailed(self._failure)
        if self._closed:
            raise StorageError(f"{self._root}: the state is closed")
