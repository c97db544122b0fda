"""One state after another: directories by number, and a pointer to the one that counts.

    state/CURRENT   format, number of the generation that counts, index of the snapshot it began as
                    (0: as an empty state), checksum
    state/7/        its files

A snapshot from another node becomes a new generation; moving the pointer is the one step that makes
it count. Whatever the pointer does not name is garbage, and is removed when the state is opened.
"""

from __future__ import annotations

import shutil
import threading
import zlib
from pathlib import Path

from rocksdict import Rdict

from namestore.core.state import META_KEY, StateMeta, decode_meta
from namestore.errors import InvariantViolation
from namestore.storage import rocks
from namestore.storage.damage import damaged, newer, unusable
from namestore.storage.files import making_whole, sync_directory, sync_file, write_atomically
from namestore.storage.rocks import StateLimits

POINTER_FORMAT = 1
_POINTER = "CURRENT"


class Generation:
    """One open RocksDB, with what is known of it.

    Attributes:
        meta: Of the last change.
        durable_index: As `StateStore.durable_index`.
        installed_index: As `StateStore.installed_index`.
    """

    def __init__(
        self, directory: Path, database: Rdict, meta: StateMeta, installed_index: int
    ) -> None:
        self.directory = directory
        self.database = database
        self.meta = meta
        self.durable_index = meta.applied_index
        self.installed_index = installed_index
        self._lock = threading.Lock()
        self._holders = 0
        self._retired = False

    @classmethod
    def open(
        cls, directory: Path, limits: StateLimits, installed_index: int | None = None
    ) -> Generation:
        """Opens a generation and finds where it stands. No index: it is being installed now.

        Raises:
            DiskDamaged: It cannot be opened, or is of a newer version.
        """
        database = rocks.open_database(directory, limits)
        try:
            (data,) = rocks.get_many(database, directory, [META_KEY])
            meta = decode_meta(data)
        except InvariantViolation as error:
            database.close()
            raise damaged(directory, error.message) from error
        except (ValueError, TypeError) as error:
            database.close()
            raise damaged(directory, f"where the state stands cannot be read: {error}") from error
        except BaseException:
            database.close()
            raise
        if installed_index is None:
            installed_index = meta.applied_index
        return cls(directory, database, meta, installed_index)

    def hold(self) -> bool:
        """Keeps its files until `let_go`. False: it was retired, take the one that counts now."""
        with self._lock:
            if self._retired:
                return False
            self._holders += 1
            return True

    def let_go(self) -> None:
        """The reverse of `hold`."""
        with self._lock:
            self._holders -= 1
            last = self._retired and self._holders == 0
        if last:
            self._remove()

    def retire(self) -> None:
        """It does not count any more: its files go as soon as nobody holds them."""
        with self._lock:
            self._retired = True
            last = self._holders == 0
        if last:
            self._remove()

    def _remove(self) -> None:
        self.database.close()
        shutil.rmtree(self.directory, ignore_errors=True)  # else: removed at the next opening


def create(root: Path, limits: StateLimits) -> None:
    """Makes an empty state that is whole or, after a crash, not there.

    Raises:
        StorageError: The directory cannot be written.
    """
    try:
        with making_whole(root) as making:
            rocks.open_database(making / "1", limits, create=True).close()
            _sync_all(making / "1")
            write_atomically(making / _POINTER, _encode_pointer(1, 0))
    except OSError as error:
        raise unusable(root, "make the state", error) from error


def open_current(root: Path, limits: StateLimits) -> Generation:
    """Opens the generation that counts and removes all others.

    Raises:
        DiskDamaged: The pointer or the state cannot be trusted.
        StorageError: They cannot be read.
    """
    pointer = root / _POINTER
    try:
        if not pointer.exists():
            raise damaged(pointer, "the state is gone, although this node has taken part")
        number, installed_index = _decode_pointer(pointer, pointer.read_bytes())
        directory = root / str(number)
        if not directory.is_dir():
            raise damaged(directory, f"{pointer} names this directory, and it is not there")
        for other in root.iterdir():
            if other.is_dir() and other != directory:
                shutil.rmtree(other)
    except OSError as error:
        raise unusable(root, "read the state", error) from error
    return Generation.open(directory, limits, installed_index)


def adopt(root: Path, files: Path, after: Generation, limits: StateLimits) -> Generation:
    """Moves a snapshot's files in, and opens them as the generation after `after`.

    It does not count yet: see `make_current`.

    Raises:
        DiskDamaged: They cannot be opened as a state, and were removed.
        OSError: They could not be moved or synced.
    """
    directory = root / str(int(after.directory.name) + 1)
    shutil.rmtree(directory, ignore_errors=True)
    files.rename(directory)
    _sync_all(directory)
    sync_directory(root)
    try:
        generation = Generation.open(directory, limits)
        if generation.meta.applied_index <= 0:
            generation.database.close()
            raise damaged(directory, "a snapshot that says nothing of where it stands")
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    return generation


def make_current(root: Path, generation: Generation) -> None:
    """From here on, also after a crash, this is the state. Raises OSError."""
    number = int(generation.directory.name)
    write_atomically(root / _POINTER, _encode_pointer(number, generation.installed_index))


def _sync_all(directory: Path) -> None:
    for path in directory.iterdir():
        sync_file(path)
    sync_directory(directory)


def _encode_pointer(number: int, installed_index: int) -> bytes:
    body = f"{POINTER_FORMAT} {number} {installed_index}"
    return f"{body} {zlib.crc32(body.encode()):08x}\n".encode()


def _decode_pointer(path: Path, data: bytes) -> tuple[int, int]:
    fields = data.split()
    body = b" ".join(fields[:-1])
    if len(fields) < 2 or fields[-1] != b"%08x" % zlib.crc32(body):
        raise damaged(path, "does not match its checksum")
    if fields[0] != b"%d" % POINTER_FORMAT:
        raise newer(path, fields[0].decode(), POINTER_FORMAT)
    return int(fields[1]), int(fields[2])
