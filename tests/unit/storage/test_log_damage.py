"""A log that cannot be trusted is refused, with words that help; a sound one is never refused."""

from __future__ import annotations

import random
import zlib
from pathlib import Path

import lmdb
import msgpack
import pytest

from namestore.errors import DiskDamaged, DiskFailed, StorageError
from namestore.storage.interfaces import LogEntry
from namestore.storage.log import LmdbLog
from namestore.storage.log_format import LOG_FORMAT, META_KEY, LogMeta, encode_log_meta, entry_key

_ENTRIES = [LogEntry(b"command %d" % index * (index % 40), index, 1) for index in range(1, 81)]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A log of 80 entries, some of them larger than a page, with free pages in between."""
    directory = tmp_path / "log"
    LmdbLog.create(directory)
    log = LmdbLog.open(directory)
    for start in range(0, 80, 8):
        log.append(_ENTRIES[start : start + 8])
        log.save_vote(start + 1, "n1")
        log.sync()
    log.append([LogEntry(b"x" * 9000, 81, 1)])
    log.sync()
    log.truncate_from(81)
    log.save_commit(60)
    log.sync()
    log.close()
    return directory


def _read_all(directory: Path) -> tuple[object, ...]:
    log = LmdbLog.open(directory, tail_bytes=2000)
    try:
        return log.term, log.voted_for, log.commit_index, log.entries(log.first_index, 10**9)
    finally:
        log.close()


def _put(directory: Path, key: bytes, value: bytes | None) -> None:
    """Writes behind the log's back, in a transaction of its own."""
    environment = lmdb.open(str(directory), map_size=1 << 30)
    with environment.begin(write=True) as transaction:
        if value is None:
            transaction.delete(key)
        else:
            transaction.put(key, value)
    environment.close()


def test_a_flipped_bit_is_found_or_does_not_matter(directory: Path) -> None:
    """Wherever a bit changes, the log is refused or holds exactly what was written."""
    file = directory / "data.mdb"
    sound = file.read_bytes()
    expected = _read_all(directory)
    rng = random.Random(7)
    meta_pages = [*range(160), *range(4096, 4256)]
    messages = []
    for place in meta_pages + rng.sample(range(8192, len(sound)), 160):
        torn = bytearray(sound)
        torn[place] ^= 1 << rng.randrange(8)
        file.write_bytes(torn)
        try:
            assert _read_all(directory) == expected
        except DiskDamaged as error:
            messages.append(error.message)
    assert len(messages) > 100
    assert all(str(file) in message and "--wipe-and-rejoin" in message for message in messages)


@pytest.mark.parametrize("kept", (0, 1, 100, 4096, 8192, 8193, 16384))
def test_a_file_cut_short_is_refused(directory: Path, kept: int) -> None:
    """LMDB would map what is not there and the process would die; it is found before."""
    file = directory / "data.mdb"
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(DiskDamaged, match=r"data\.mdb"):
        LmdbLog.open(directory)


def test_a_file_cut_short_by_a_page_in_use_is_refused(directory: Path) -> None:
    """Also when only the last page that counts is missing."""
    file = directory / "data.mdb"
    sound = file.read_bytes()
    for kept in range(len(sound) - 4096, 8192, -4096):
        file.write_bytes(sound[:kept])
        try:
            assert _read_all(directory)[3] == _ENTRIES
        except DiskDamaged:
            return
    pytest.fail("no page was missed")


def test_a_missing_file_is_refused(directory: Path) -> None:
    """A log that was made once does not come into being again, empty."""
    (directory / "data.mdb").unlink()
    with pytest.raises(DiskDamaged, match="is gone"):
        LmdbLog.open(directory)
    assert not (directory / "data.mdb").exists()


def test_a_file_of_another_kind_is_refused(directory: Path) -> None:
    """What is not LMDB's is not opened."""
    (directory / "data.mdb").write_bytes(b"#!/bin/sh\n" * 5000)
    with pytest.raises(DiskDamaged):
        LmdbLog.open(directory)


def test_a_missing_entry_is_refused(directory: Path) -> None:
    """A gap between first and last is damage, in the middle and at the end."""
    _put(directory, entry_key(40), None)
    with pytest.raises(DiskDamaged, match="entry 40 is missing"):
        LmdbLog.open(directory)


def test_a_missing_end_is_refused(directory: Path) -> None:
    """The log says how far it goes: less than that is damage."""
    _put(directory, entry_key(80), None)
    with pytest.raises(DiskDamaged, match="entry 80 is missing"):
        LmdbLog.open(directory)


def test_records_after_the_end_do_not_count(directory: Path) -> None:
    """What lies after the last entry was never acknowledged: it is cut off."""
    _put(directory, entry_key(81), b"torn")
    _put(directory, entry_key(95), b"torn")
    log = LmdbLog.open(directory)
    assert log.last_index == 80
    log.append([LogEntry(b"new", 81, 99)])
    log.sync()
    log.close()
    log = LmdbLog.open(directory)
    assert log.entries(80, 10**9)[1:] == [LogEntry(b"new", 81, 99)]
    log.close()


def test_a_record_at_another_place_is_found(directory: Path) -> None:
    """An entry under the index of another does not pass for it."""
    environment = lmdb.open(str(directory), map_size=1 << 30)
    with environment.begin() as transaction:
        record = transaction.get(entry_key(10))
    environment.close()
    _put(directory, entry_key(11), record)
    log = LmdbLog.open(directory, tail_bytes=100)
    assert log.entries(10, 1)[0].index == 10
    for read in (lambda: log.entries(11, 1), lambda: log.term_at(11)):
        with pytest.raises(DiskDamaged, match="entry 11 does not match its checksum"):
            read()
    log.close()


@pytest.mark.parametrize(
    ("record", "finding"),
    (
        (None, "vote and commit index is missing"),
        (b"", "checksum"),
        (b"\0\0\0\0\x91\x01", "checksum"),
        (encode_log_meta(LogMeta(commit_index=90, last_index=80)), "up to 90 were committed"),
        (encode_log_meta(LogMeta(first_index=99, last_index=80)), "cannot go from 99 to 80"),
    ),
)
def test_a_bad_meta_record_is_refused(directory: Path, record: bytes | None, finding: str) -> None:
    """Term, vote and commit index are believed whole or not at all."""
    _put(directory, META_KEY, record)
    with pytest.raises(DiskDamaged, match=finding):
        LmdbLog.open(directory)


def test_a_newer_format_is_refused_with_another_remedy(directory: Path) -> None:
    """A newer version's log is not damaged and must not be wiped: the newer version opens it."""
    body = msgpack.packb((LOG_FORMAT + 1, "whatever", 7))
    _put(directory, META_KEY, zlib.crc32(body).to_bytes(4, "big") + body)
    with pytest.raises(DiskDamaged, match="or a newer one") as caught:
        LmdbLog.open(directory)
    assert "wipe" not in caught.value.message


def test_opening_twice_is_refused(directory: Path) -> None:
    """One process, one log object."""
    log = LmdbLog.open(directory)
    with pytest.raises(StorageError):
        LmdbLog.open(directory)
    log.close()


def test_a_failed_sync_ends_it(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After DiskFailed nothing is tried again, not even what would succeed."""
    log = LmdbLog.open(directory)

    def fail(*_: object) -> bool:
        raise lmdb.Error("mdb_txn_commit: Input/output error")

    log.append([LogEntry(b"", 81, 99)])
    with monkeypatch.context() as patch:
        patch.setattr("namestore.storage.log.write_changes", fail)
        with pytest.raises(DiskFailed, match="the disk reported an error"):
            log.sync()
    for call in (log.sync, lambda: log.entries(1, 1), lambda: log.save_commit(61)):
        with pytest.raises(DiskFailed):
            call()
    log.close()
    assert _read_all(directory)[3] == _ENTRIES
