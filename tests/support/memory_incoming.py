"""An arriving snapshot in memory; see `tests.support.memory_stores`."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from pathlib import Path

from namestore.errors import DiskFailed
from namestore.storage.interfaces import CheckpointFile


class MemoryDisk:
    """Directories of files: where an arriving snapshot and the state store meet."""

    def __init__(self) -> None:
        self.directories: dict[Path, dict[str, bytes]] = {}


class MemoryIncoming:
    """Implements `IncomingSnapshot`; what has arrived survives a crash as unsynced files do."""

    def __init__(self, disk: MemoryDisk, directory: Path = Path("/memory/incoming")) -> None:
        self._disk = disk
        self._directory = directory
        self.disk_fails = False
        self._snapshot_id = b""
        self._files: list[CheckpointFile] = []
        self._data: list[bytearray] = []

    # -- what a test may do beside the contract ------------------------------------------------

    def crash(self, rng: random.Random) -> None:
        """Of what was not verified yet anything may be lost: its end, a block, or nothing."""
        self.disk_fails = False
        if self._directory in self._disk.directories:
            return
        if rng.random() < 0.1:  # what it is an arrival of was not written out
            self._clear()
        for data in self._data:
            if data and rng.random() < 0.5:
                self._lose(data, rng)

    def rot(self, rng: random.Random) -> bool:
        """A bit of what has arrived flips. False: nothing has arrived."""
        arrived = [data for data in self._data if data]
        if arrived:
            data = rng.choice(arrived)
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        return bool(arrived)

    def _lose(self, data: bytearray, rng: random.Random) -> None:
        place = rng.randrange(len(data))
        if rng.random() < 0.5:
            del data[place:]
        else:  # the length was written out, and the block was not
            end = min(len(data), place + rng.randrange(1, 4096))
            data[place:end] = bytes(end - place)

    # -- IncomingSnapshot ------------------------------------------------------------------------

    @property
    def directory(self) -> Path:
        return self._directory

    def begin(self, snapshot_id: bytes, files: Sequence[CheckpointFile]) -> None:
        if len({file.name for file in files}) != len(files):
            raise ValueError("a snapshot lists a file twice")
        if (snapshot_id, list(files)) != (self._snapshot_id, self._files):
            self._fail_if_told()
            self._fail_if_told()
            self._snapshot_id, self._files = snapshot_id, list(files)
            self._data = [bytearray() for _ in files]

    def wanted(self) -> tuple[int, int, int] | None:
        for number, file in enumerate(self._files):
            have = len(self._data[number])
            if have < file.size:
                return number, have, file.size - have
        return None

    def write(self, file: int, offset: int, data: bytes) -> bool:
        wanted = self.wanted()
        if wanted is None or (file, offset) != wanted[:2] or len(data) > wanted[2]:
            return False
        self._fail_if_told()
        self._data[file] += data
        return True

    def verify(self) -> bool:
        contents = {f.name: bytes(d) for f, d in zip(self._files, self._data, strict=True)}
        good = all(
            len(contents[file.name]) == file.size
            and hashlib.sha256(contents[file.name]).digest() == file.checksum
            for file in self._files
        )
        if good:
            self._disk.directories[self._directory] = contents
        else:
            self.discard()
        return good

    def discard(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._disk.directories.pop(self._directory, None)
        self._snapshot_id, self._files, self._data = b"", [], []

    def _fail_if_told(self) -> None:
        if self.disk_fails:
            raise DiskFailed("a snapshot cannot be stored")
