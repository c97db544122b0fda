"""The log's LMDB environment: made, checked, opened.

LMDB maps its file into memory and trusts what it finds there: a damaged page can end the process
without a word. So a file is read through once, page by page, before LMDB sees it; what the entries
themselves say is checked by their own checksums afterwards. The interpreter lock and the memory
map stay out of this: everything here happens before a node takes part in anything.
"""

from __future__ import annotations

import errno
import os
import shutil
import struct
from collections.abc import Sequence
from pathlib import Path

import lmdb
import lmdb.verify

from namestore.storage.damage import damaged, newer, unusable
from namestore.storage.files import sync_directory
from namestore.storage.interfaces import LogEntry
from namestore.storage.log_format import (
    LOG_FORMAT,
    META_KEY,
    BadRecord,
    LogMeta,
    NewerFormat,
    decode_entry,
    decode_log_meta,
    encode_entry,
    encode_log_meta,
    entry_key,
    key_index,
)

_DATA_FILE = "data.mdb"
# Where a meta page of LMDB 0.9 has the size of a page, and the number of its transaction.
_PAGE_SIZE = struct.Struct("=40xI")
_TRANSACTION = struct.Struct("=144xQ")
# Address space, not disk or memory: the log never meets the end of its map.
_MAP_BYTES = 1 << 40
_MAP_BYTES_MIN = 1 << 30
# Pages nobody refers to. They cost a little space, and no entry is missing because of them.
_HARMLESS = "a leak"
# Dropped records removed with each commit: at least so many, and twice as many as it adds, so that
# they are gone before as many again have come.
_SWEPT_PER_COMMIT_MIN = 64


def create_environment(directory: Path) -> None:
    """Makes an empty log that is whole or, after a crash, not there.

    Raises:
        StorageError: The directory cannot be written.
    """
    making = directory.with_name(directory.name + ".making")
    try:
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir()
        environment = _open(making)
        try:
            with environment.begin(write=True) as transaction:
                transaction.put(META_KEY, encode_log_meta(LogMeta()))
        finally:
            environment.close()
        sync_directory(making)
        making.rename(directory)
        sync_directory(directory.parent)
    except (OSError, lmdb.Error) as error:
        raise unusable(directory, "make the log", error) from error


def open_environment(directory: Path) -> tuple[lmdb.Environment, LogMeta]:
    """Opens a log that was made before, after checking all of its structure.

    Raises:
        DiskDamaged: It is not what was once written, or was written by a newer version.
        StorageError: The files cannot be opened.
    """
    data_file = directory / _DATA_FILE
    _check_structure(data_file)
    try:
        environment = _open(directory)
    except (OSError, lmdb.Error) as error:
        raise unusable(directory, "open the log", error) from error
    try:
        with environment.begin() as transaction:
            record = transaction.get(META_KEY)
            if record is None:
                raise BadRecord("the record of term, vote and commit index is missing")
            meta = decode_log_meta(record)
            _check_gaps(transaction, meta)
    except BaseException as error:
        environment.close()
        raise _explained(data_file, error) from error
    return environment, meta


def read_newest(
    environment: lmdb.Environment, directory: Path, meta: LogMeta, bytes_max: int
) -> list[LogEntry]:
    """The newest entries that fit into `bytes_max`, oldest first, each against its checksum."""
    newest: list[LogEntry] = []
    held = 0
    try:
        with environment.begin() as transaction:
            for index in range(meta.last_index, meta.first_index - 1, -1):
                entry = decode_entry(index, transaction.get(entry_key(index)) or b"")
                held += len(entry.command)
                if held > bytes_max:
                    break
                newest.append(entry)
    except (BadRecord, lmdb.Error) as error:
        raise _explained(directory / _DATA_FILE, error) from error
    return newest[::-1]


def read_entry(transaction: lmdb.Transaction, directory: Path, index: int) -> LogEntry:
    """One entry, against its checksum.

    Raises:
        DiskDamaged: It is missing or does not match.
    """
    try:
        record = transaction.get(entry_key(index))
        if record is None:
            raise BadRecord(f"entry {index} is missing")
        return decode_entry(index, record)
    except (BadRecord, lmdb.Error) as error:
        raise _explained(directory / _DATA_FILE, error) from error


def write_changes(
    environment: lmdb.Environment,
    meta: LogMeta,
    added: Sequence[LogEntry],
    cut_from: int | None,
    swept: bool,
) -> bool:
    """One transaction, one commit: durable on return, or raises what LMDB raises.

    Args:
        environment: Of the log.
        meta: Takes the place of the one before.
        added: Follow what is stored, or what is left of it after the cut.
        cut_from: Records from this index on are removed first.
        swept: No record before `meta.first_index` is left, as far as is known.

    Returns:
        What is known now about `swept`.
    """
    with environment.begin(write=True) as transaction:
        cursor = transaction.cursor()
        if cut_from is not None and cursor.set_range(entry_key(cut_from)):
            while cursor.delete():
                pass
        if added:
            cursor.putmulti(
                ((entry_key(entry.index), encode_entry(entry)) for entry in added), append=True
            )
        transaction.put(META_KEY, encode_log_meta(meta))
        return swept or _sweep(cursor, meta.first_index, max(_SWEPT_PER_COMMIT_MIN, 2 * len(added)))


def _sweep(cursor: lmdb.Cursor, first_index: int, records_max: int) -> bool:
    """Removes some records before `first_index`; True once none is left."""
    cursor.set_range(entry_key(0))
    for _ in range(records_max):
        key = cursor.key()  # empty after the last record
        if not key or key_index(key) >= first_index:
            return True
        cursor.delete()
    return False


def _open(directory: Path) -> lmdb.Environment:
    """Opens with as much address space as the system grants."""
    map_bytes = _MAP_BYTES
    while True:
        try:
            # Committing syncs (the default). Reads jump about, so reading ahead would only
            # fill the page cache with what nobody asked for.
            return lmdb.open(str(directory), map_size=map_bytes, readahead=False, max_readers=16)
        except lmdb.Error as error:
            map_bytes //= 4
            if map_bytes < _MAP_BYTES_MIN or os.strerror(errno.ENOMEM) not in str(error):
                raise


def _check_structure(data_file: Path) -> None:
    try:
        if not data_file.exists() or data_file.stat().st_size == 0:
            raise damaged(data_file, "the log is gone, although this node has taken part")
        findings = lmdb.verify.verify(str(data_file), subdir=False)
        _check_succession(data_file)
    except lmdb.verify.VerifyError as error:
        raise damaged(data_file, str(error)) from error
    except OSError as error:
        raise unusable(data_file, "read the log", error) from error
    findings = [finding for finding in findings if _HARMLESS not in finding]
    if findings:
        raise damaged(data_file, f"{findings[0]} ({len(findings)} such findings)")


def _check_succession(data_file: Path) -> None:
    """The two meta pages are of one transaction and the next.

    LMDB takes the newer and has no checksum for it: with its number damaged, the log would be the
    one before the last sync, without a vote or an entry that was acknowledged.
    """
    with data_file.open("rb") as file:
        first = file.read(_TRANSACTION.size)
        file.seek(_PAGE_SIZE.unpack_from(first)[0])
        second = file.read(_TRANSACTION.size)
    numbers = _TRANSACTION.unpack(first)[0], _TRANSACTION.unpack(second)[0]
    if abs(numbers[0] - numbers[1]) != 1:
        raise damaged(data_file, f"its two newest transactions are {numbers[0]} and {numbers[1]}")


def _check_gaps(transaction: lmdb.Transaction, meta: LogMeta) -> None:
    """Every entry from first to last is there.

    What lies outside was never acknowledged, or was dropped; a later commit removes it.
    """
    cursor = transaction.cursor()
    expected = meta.first_index
    if cursor.set_range(entry_key(expected)):
        for key in cursor.iternext(keys=True, values=False):
            index = key_index(key)
            if index != expected or index > meta.last_index:
                break
            expected += 1
    if expected <= meta.last_index:
        raise BadRecord(f"entry {expected} is missing, and the log goes on to {meta.last_index}")


def _explained(data_file: Path, error: BaseException) -> BaseException:
    if isinstance(error, NewerFormat):
        return newer(data_file, error.found, LOG_FORMAT)
    if isinstance(error, BadRecord | lmdb.Error | ValueError):
        return damaged(data_file, str(error))
    return error
