"""The files of a log, in one directory: written durably, or not at all as far as one can tell.

Not responsible for what is in them; see `log_format`. Everything that the log does to the disk goes
through here, one call for each operation, so that a crash can be put between any two of them.

Invariant: `create`, `write` and `cut` return when what they did is on stable storage. A write is
one system call (O_DSYNC), so that the interpreter lock is let go of and taken back once; and mostly
it changes no size, which would have the file system sync its own log as well.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Protocol

from namestore.storage.files import sync_directory, sync_file

# Who reads it could write what passes for a record.
_MODE = 0o600
# By so much a file is made longer than it must be.
_ROOM_BYTES = 256 * 1024
# How file systems say that they cannot.
_NO_ROOM = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)


class LogFiles(Protocol):
    """What a log needs of a directory. Every method may raise OSError."""

    def names(self) -> list[str]:
        """Of the files there, in order; none, if the directory is gone."""
        ...

    def read(self, name: str) -> bytes:
        """All of a file."""
        ...

    def read_at(self, name: str, offset: int, size: int) -> bytes:
        """Up to `size` bytes; fewer at the end of the file."""
        ...

    def create(self, name: str, data: bytes) -> None:
        """Makes a file that was not there."""
        ...

    def write(self, name: str, offset: int, data: bytes) -> None:
        """Writes into a file that is there, or makes it longer: then zeros may follow."""
        ...

    def cut(self, name: str, size: int) -> None:
        """Makes a file shorter."""
        ...

    def sync(self, name: str) -> None:
        """What a file holds, and that it is there, is durable from now on, whoever wrote it."""
        ...

    def remove(self, name: str) -> None:
        """Removes a file, sooner or later: it may be back after a crash."""
        ...

    def close(self) -> None:
        """Lets go of them."""
        ...


class DirectoryFiles:
    """The files of a directory, each opened once. Implements `LogFiles`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._open: dict[str, int] = {}
        self._sizes: dict[str, int] = {}

    def names(self) -> list[str]:
        """See `LogFiles.names`."""
        try:
            return sorted(path.name for path in self._directory.iterdir())
        except FileNotFoundError:
            return []

    def read(self, name: str) -> bytes:
        """See `LogFiles.read`."""
        return (self._directory / name).read_bytes()

    def read_at(self, name: str, offset: int, size: int) -> bytes:
        """See `LogFiles.read_at`."""
        return os.pread(self._descriptor(name), size, offset)

    def create(self, name: str, data: bytes) -> None:
        """See `LogFiles.create`."""
        path = self._directory / name
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, _MODE))
        self.write(name, 0, data)
        sync_directory(self._directory)

    def write(self, name: str, offset: int, data: bytes) -> None:
        """See `LogFiles.write`."""
        descriptor = self._descriptor(name)
        if offset + len(data) > self._sizes[name]:
            self._make_room(name, offset + len(data) + _ROOM_BYTES)
        written = os.pwrite(descriptor, data, offset)
        while written < len(data):  # the disk is nearly full: the next one says so
            written += os.pwrite(descriptor, data[written:], offset + written)

    def cut(self, name: str, size: int) -> None:
        """See `LogFiles.cut`."""
        os.ftruncate(self._descriptor(name), size)
        os.fsync(self._descriptor(name))
        self._sizes[name] = size

    def sync(self, name: str) -> None:
        """See `LogFiles.sync`."""
        sync_file(self._directory / name)
        sync_directory(self._directory)

    def remove(self, name: str) -> None:
        """See `LogFiles.remove`."""
        self._sizes.pop(name, None)
        descriptor = self._open.pop(name, None)
        if descriptor is not None:
            os.close(descriptor)
        (self._directory / name).unlink(missing_ok=True)

    def close(self) -> None:
        """See `LogFiles.close`."""
        while self._open:
            os.close(self._open.popitem()[1])

    def _descriptor(self, name: str) -> int:
        descriptor = self._open.get(name)
        if descriptor is None:
            flags = os.O_RDWR | os.O_DSYNC
            descriptor = self._open[name] = os.open(self._directory / name, flags)
            self._sizes[name] = os.fstat(descriptor).st_size
        return descriptor

    def _make_room(self, name: str, size: int) -> None:
        if not hasattr(os, "posix_fallocate"):
            return  # it goes without, slower
        # Where the system cannot, the C library writes into every block: not synced, one by one.
        descriptor = os.open(self._directory / name, os.O_RDWR)
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
        finally:
            os.close(descriptor)
        self._sizes[name] = size
