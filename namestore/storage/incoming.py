"""A snapshot from another node while it arrives: files in a directory, a manifest beside them.

The manifest is written first, so that after a restart the same snapshot goes on where it stopped,
and the leftovers of any other are removed. Nothing here is trusted until `verify` has read all of
it back; only then may the state store take the files over.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgpack

from namestore.errors import DiskFailed
from namestore.storage.interfaces import CheckpointFile

_MANIFEST = "MANIFEST.incoming"
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_READ_BYTES = 1 << 20


class IncomingDirectory:
    """Implements `IncomingSnapshot` on a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self._root = directory
        self._files: list[CheckpointFile] = []
        self._sizes: list[int] = []

    @property
    def directory(self) -> Path:
        """Where the files are."""
        return self._root / "files"

    def begin(self, snapshot_id: bytes, files: Sequence[CheckpointFile]) -> None:
        """See `IncomingSnapshot.begin`."""
        names = {file.name for file in files}
        if len(names) != len(files) or not all(map(_PLAIN_NAME.fullmatch, names)):
            raise ValueError("a snapshot lists a file twice, or under a name that is no file name")
        manifest: bytes = msgpack.packb((snapshot_id, [tuple(file) for file in files]))
        try:
            if self._manifest() != manifest:
                self.discard()
                self.directory.mkdir(parents=True)
                (self._root / _MANIFEST).write_bytes(manifest)
            self._files = list(files)
            self._sizes = [self._size_on_disk(file) for file in files]
        except OSError as error:
            raise DiskFailed(f"{self._root}: a snapshot cannot be stored: {error}") from error

    def wanted(self) -> tuple[int, int, int] | None:
        """See `IncomingSnapshot.wanted`."""
        for number, file in enumerate(self._files):
            if self._sizes[number] < file.size:
                return number, self._sizes[number], file.size - self._sizes[number]
        return None

    def write(self, file: int, offset: int, data: bytes) -> bool:
        """See `IncomingSnapshot.write`."""
        wanted = self.wanted()
        if wanted is None or (file, offset) != wanted[:2] or len(data) > wanted[2]:
            return False
        try:
            with (self.directory / self._files[file].name).open("ab") as out:
                out.write(data)
        except OSError as error:
            raise DiskFailed(f"{self._root}: a snapshot cannot be stored: {error}") from error
        self._sizes[file] += len(data)
        return True

    def verify(self) -> bool:
        """See `IncomingSnapshot.verify`."""
        good = all(self._verify_file(file) for file in self._files)
        if not good:
            self.discard()
        return good

    def discard(self) -> None:
        """See `IncomingSnapshot.discard`."""
        shutil.rmtree(self._root, ignore_errors=True)
        self._files, self._sizes = [], []

    def _verify_file(self, file: CheckpointFile) -> bool:
        path = self.directory / file.name
        digest = hashlib.sha256()
        try:
            path.touch()  # a file of no bytes never had a piece to arrive
            with path.open("rb") as source:
                while block := source.read(_READ_BYTES):
                    digest.update(block)
                os.fsync(source.fileno())
                size = source.tell()
        except OSError as error:
            raise DiskFailed(f"{path}: a snapshot cannot be read back: {error}") from error
        return size == file.size and digest.digest() == file.checksum

    def _manifest(self) -> bytes | None:
        path = self._root / _MANIFEST
        return path.read_bytes() if path.exists() else None

    def _size_on_disk(self, file: CheckpointFile) -> int:
        path = self.directory / file.name
        size = path.stat().st_size if path.exists() else 0
        if size > file.size:
            path.unlink()
            return 0
        return size
