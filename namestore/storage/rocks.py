"""The one place that speaks to RocksDB: options, errors, reading, writing.

`rocksdict` raises bare `Exception` with RocksDB's words in it; here they become what the rest of
namestore understands. Its plain iterators end quietly at a damaged block, so scanning goes through
the one kind whose status can be asked. Some of its calls hold the interpreter lock: none of them is
made here in a way that waits for the disk.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rocksdict import (
    AccessType,
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    Rdict,
    Snapshot,
    WriteBatch,
    WriteOptions,
)
from rocksdict import Checkpoint as RocksdictCheckpoint

from namestore.errors import NamestoreError
from namestore.storage.damage import damaged, failed, unusable

_BINDING_NOTE = "rocksdict-config.json"
_MISSING = "key not found"
_STALLED = "Write stall"
# In what RocksDB says when files are not as it left them.
_DAMAGE = ("Corruption", "Invalid argument", "Not implemented", "No such file")
# How many keys a scan reads at a time: few at first, since most want few.
_SCAN_FIRST, _SCAN_NEXT = 16, 512
_STALL_S_MAX = 60.0
_MEMTABLE_BLOOM_RATIO = 0.01
_STALL_POLL_S = 0.002
# While a copy is checked: between two portions of keys.
_CHECK_PAUSE_S = 0.0005


@dataclass(frozen=True, slots=True)
class StateLimits:
    """What the state store may take of memory, in bytes.

    Attributes:
        cache_bytes: Blocks read from files. Their indexes and filters come on top.
        memtable_bytes: Changes not in a file yet, before they begin to be written to one.
        memtables_max: Such portions at most, of which all but one are being written.
    """

    cache_bytes: int = 40 * 1024 * 1024
    memtable_bytes: int = 12 * 1024 * 1024
    memtables_max: int = 4


_CHECK_LIMITS = StateLimits(cache_bytes=1 << 20, memtable_bytes=1 << 20)


def open_database(directory: Path, limits: StateLimits, create: bool = False) -> Rdict:
    """Opens one RocksDB.

    Raises:
        DiskDamaged: What is there cannot be opened as a state.
        StorageError: The disk does not let it be opened.
    """
    try:
        # rocksdict rewrites this note at every opening, unsynced, and stumbles over a torn one.
        (directory / _BINDING_NOTE).unlink(missing_ok=True)
        options = _options(limits, create)
        # Said twice: what exists is opened with RocksDB's own defaults otherwise, without filters
        # and with other bounds of memory.
        return Rdict(str(directory), options, column_families={"default": options})
    except Exception as error:
        if _speaks_of_damage(error):
            raise damaged(directory, f"cannot be opened as a state: {error}") from error
        raise unusable(directory, "open the state", error) from error


def write(
    database: Rdict,
    directory: Path,
    changes: Mapping[bytes, bytes | None],
    lock: threading.Lock,
) -> int:
    """Makes changes in one atomic step, visible on return and durable with the next flush.

    `lock` is held while they become visible, and not while RocksDB makes us wait. Returns the size
    of the changes in bytes.

    Raises:
        DiskFailed: Whether they were made is not known.
    """
    options = WriteOptions()
    # The Raft log replays what a crash takes back, so a log of its own would be a second sync.
    options.disable_wal = True  # type: ignore[method-assign, assignment]  # a property, stub wrong
    # RocksDB would wait for its compaction with the interpreter lock held: we wait without.
    options.no_slowdown = True
    deadline = time.monotonic() + _STALL_S_MAX
    while True:
        try:
            batch = _batch(changes)  # a new one each time: writing consumes it
            size: int = batch.size_in_bytes()
            with lock:
                database.write(batch, options)
            return size
        except Exception as error:
            if _STALLED not in str(error) or time.monotonic() > deadline:
                raise failed(directory, "changing the state", error) from error
        time.sleep(_STALL_POLL_S)


def _batch(changes: Mapping[bytes, bytes | None]) -> WriteBatch:
    batch = WriteBatch(raw_mode=True)
    put = batch.put
    for key, value in sorted(changes.items()):  # neighbours one after the other: a tenth cheaper
        if value is None:
            batch.delete(key)
        else:
            put(key, value)
    return batch


def flush(database: Rdict, directory: Path, wait: bool = True) -> None:
    """Writes what is in memory to files; with `wait` they are durable on return.

    Raises:
        DiskFailed: They may not be.
    """
    with translated(directory, "flushing the state"):
        database.flush(wait)


def flush_is_done(database: Rdict, directory: Path) -> bool:
    """Every flush that was begun is durable."""
    with translated(directory, "asking for the state of flushing"):
        return database.property_int_value("rocksdb.num-immutable-mem-table") == 0


def checkpoint(database: Rdict, directory: Path, target: Path) -> None:
    """Links the database's files into `target`, which must not exist.

    Flush before: it would flush by itself, but with the interpreter lock held.
    """
    with translated(directory, "making a snapshot"):
        RocksdictCheckpoint(database).create_checkpoint(str(target))


def check_all(directory: Path) -> None:
    """Reads every block of a database that nobody writes to, each against its checksum.

    From the files, not through a cache, and a little at a time: others want the interpreter, too.

    Raises:
        DiskDamaged: A block does not match.
        DiskFailed: The disk does not answer.
    """
    options = _options(_CHECK_LIMITS, create=False)
    with translated(directory, "reading a snapshot"):
        database = Rdict(str(directory), options, {"default": options}, AccessType.read_only())
    try:
        for number, _ in enumerate(Scanner(database, directory).scan(b"", b"")):
            if number % _SCAN_NEXT == 0:
                time.sleep(_CHECK_PAUSE_S)
    finally:
        database.close()


def get_many(
    source: Rdict | Snapshot, directory: Path, keys: Sequence[bytes]
) -> list[bytes | None]:
    """The value of each key, in order.

    Raises:
        DiskDamaged: A block does not match its checksum.
        DiskFailed: The disk does not answer.
    """
    with translated(directory, "reading the state"):
        if isinstance(source, Rdict):
            return source.get(list(keys)) or []
        return [_get(source, key) for key in keys]


class Scanner:
    """The keys of a database in order, as they were when this was made.

    The iterators of rocksdict's own snapshots show the present instead; those of the database are
    pinned to the moment they are made. One of them serves any number of scans here, also mixed.
    """

    def __init__(self, database: Rdict, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        with translated(directory, "reading the state"):
            self._cursor = database.iter()

    def scan(self, start: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Keys that begin with `prefix`, from `start` on, in byte order. Raises as `get_many`."""
        position, count = max(start, prefix), _SCAN_FIRST
        while True:
            pairs = self._read(position, prefix, count)
            yield from pairs
            if len(pairs) < count:
                return
            position, count = pairs[-1][0] + b"\x00", _SCAN_NEXT

    def _read(self, position: bytes, prefix: bytes, count: int) -> list[tuple[bytes, bytes]]:
        pairs: list[tuple[bytes, bytes]] = []
        cursor = self._cursor
        with self._lock, translated(self._directory, "reading the state"):
            cursor.seek(position)
            while len(pairs) < count and cursor.valid():
                key = cursor.key()
                if not key.startswith(prefix):
                    return pairs
                pairs.append((key, cursor.value()))
                cursor.next()
            # A damaged block looks like the end, unless one asks.
            cursor.status()
        return pairs


@contextmanager
def translated(directory: Path, doing: str) -> Iterator[None]:
    """Turns what rocksdict raises into `DiskDamaged` or `DiskFailed`."""
    try:
        yield
    except NamestoreError:
        raise
    except Exception as error:
        if _speaks_of_damage(error):
            raise damaged(directory, f"{doing} failed: {error}") from error
        raise failed(directory, doing, error) from error


def _speaks_of_damage(error: Exception) -> bool:
    return any(word in str(error) for word in _DAMAGE)


def _get(source: Snapshot, key: bytes) -> bytes | None:
    try:
        value: bytes = source[key]
    except Exception as error:
        if str(error) == _MISSING:
            return None
        raise
    return value


def _table_options(limits: StateLimits) -> BlockBasedOptions:
    table = BlockBasedOptions()
    table.set_block_cache(Cache(limits.cache_bytes))
    # The common question is about a name that is absent: fifteen bits a key answer 999 of 1000
    # such questions without reading. Filters and indexes stand in memory, about three bytes a key:
    # looking for them in the cache would take longer than looking into them.
    table.set_bloom_filter(15, False)
    table.set_cache_index_and_filter_blocks(False)
    table.set_format_version(5)
    return table


def _options(limits: StateLimits, create: bool) -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(create)
    options.set_block_based_table_factory(_table_options(limits))
    options.set_compression_type(DBCompressionType.lz4())
    options.set_paranoid_checks(True)
    # Twice what begins a flush: ours comes first, so that we know what it covers.
    options.set_write_buffer_size(2 * limits.memtable_bytes)
    options.set_db_write_buffer_size(limits.memtables_max * limits.memtable_bytes)
    # As for files: absent names are known without a walk through memory. About twenty bits a key.
    options.set_memtable_prefix_bloom_ratio(_MEMTABLE_BLOOM_RATIO)
    options.set_memtable_whole_key_filtering(True)
    # One thread writes.
    options.set_allow_concurrent_memtable_write(False)
    options.set_max_write_buffer_number(limits.memtables_max)
    # Names come in no order, so that what is new is merged with all there is. Seldom, then: a
    # filter more to look into costs less.
    options.set_level_zero_file_num_compaction_trigger(16)
    options.set_level_zero_slowdown_writes_trigger(40)
    options.set_level_zero_stop_writes_trigger(60)
    options.set_level_compaction_dynamic_level_bytes(True)
    options.set_target_file_size_base(64 * 1024 * 1024)
    options.set_max_background_jobs(2)
    options.set_max_open_files(512)
    # Their size is part of every snapshot, or of nothing but the disk.
    options.set_max_manifest_file_size(4 * 1024 * 1024)
    options.set_max_log_file_size(1024 * 1024)
    options.set_keep_log_file_num(2)
    options.set_stats_dump_period_sec(0)
    return options
