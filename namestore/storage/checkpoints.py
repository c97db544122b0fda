"""Frozen copies of the state, as directories of hard links: snapshots/<index>-<term>/.

A copy lives as long as somebody holds it and no longer than the process: what a crash leaves is
removed when the directory is opened, because a copy costs nothing to make again. One object owns
the directory, and a copy once made is never written to, so no late writer can put an older one in
the place of a newer.
"""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from namestore.core.state import StateMeta
from namestore.errors import InvariantViolation
from namestore.storage.damage import failed, unusable
from namestore.storage.interfaces import CheckpointFile

_READ_BYTES = 1024 * 1024


class DirectoryCheckpoint:
    """Implements `Checkpoint`. Made by `Checkpoints.take`."""

    def __init__(
        self,
        path: Path,
        meta: StateMeta,
        check: Callable[[Path], None],
        released: Callable[[], None],
    ) -> None:
        self._path = path
        self._meta = meta
        self._check = check
        self._released = released
        self._listing = threading.Lock()
        self._files: list[CheckpointFile] | None = None

    @property
    def meta(self) -> StateMeta:
        """Where the copy stands."""
        return self._meta

    @property
    def path(self) -> Path:
        """The directory that holds the files."""
        return self._path

    def files(self) -> list[CheckpointFile]:
        """See `Checkpoint.files`.

        Raises:
            DiskDamaged: It is not what was written, and must not be handed on.
            DiskFailed: A file cannot be read.
        """
        with self._listing:
            if self._files is None:
                try:
                    files = [_describe(path) for path in sorted(self._path.iterdir())]
                except OSError as error:
                    raise failed(self._path, "reading a snapshot", error) from error
                # Only now: whatever changes after this is told by the checksums just made.
                self._check(self._path)
                self._files = files
            return list(self._files)

    def read(self, file: int, offset: int, length: int) -> bytes:
        """See `Checkpoint.read`.

        Raises:
            DiskFailed: The file cannot be read.
        """
        path = self._path / self.files()[file].name
        try:
            with path.open("rb") as source:
                source.seek(offset)
                return source.read(length)
        except OSError as error:
            raise failed(path, "reading a snapshot", error) from error

    def release(self) -> None:
        """See `Checkpoint.release`."""
        self._released()


class Checkpoints:
    """The owner of the directory that holds them."""

    def __init__(self, directory: Path) -> None:
        """Makes the directory, or removes what an earlier process left in it.

        Raises:
            StorageError: It cannot be written.
        """
        self._directory = directory
        self._lock = threading.Lock()
        self._newest: tuple[int, int] = (0, 0)
        self._held: dict[Path, tuple[DirectoryCheckpoint, int]] = {}
        try:
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()
        except OSError as error:
            raise unusable(directory, "make room for snapshots", error) from error

    def take(
        self, meta: StateMeta, write: Callable[[Path], None], check: Callable[[Path], None]
    ) -> DirectoryCheckpoint:
        """A copy at `meta`: the one that is held already, or one that `write` makes.

        Args:
            meta: Where the state stands.
            write: Makes the copy in a directory that is not there yet.
            check: Raises `DiskDamaged` unless a copy is what was once written.

        Raises:
            InvariantViolation: A newer one was made before.
        """
        position = meta.applied_index, meta.applied_term
        path = self._directory / f"{meta.applied_index}-{meta.applied_term}"
        with self._lock:
            if position < self._newest:
                raise InvariantViolation(f"a snapshot at {position} after one at {self._newest}")
            checkpoint, holders = self._held.get(path, (None, 0))
            if checkpoint is None:
                shutil.rmtree(path, ignore_errors=True)
                write(path)
                checkpoint = DirectoryCheckpoint(path, meta, check, lambda: self._release(path))
            self._held[path] = checkpoint, holders + 1
            self._newest = position
            return checkpoint

    def _release(self, path: Path) -> None:
        with self._lock:
            checkpoint, holders = self._held.pop(path, (None, 0))
            if checkpoint is None:
                return
            if holders > 1:
                self._held[path] = checkpoint, holders - 1
                return
        shutil.rmtree(path, ignore_errors=True)  # else: removed when the process starts again


def _describe(path: Path) -> CheckpointFile:
    digest = hashlib.sha256()
    with path.open("rb") as source:
        while block := source.read(_READ_BYTES):
            digest.update(block)
        return CheckpointFile(path.name, source.tell(), digest.digest())
