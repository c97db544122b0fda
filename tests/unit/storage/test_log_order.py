"""In which order a log does what to its files: what must be durable before what."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from namestore.errors import DiskDamaged, DiskFailed
from namestore.storage import log_files, log_records
from namestore.storage.interfaces import LogEntry
from namestore.storage.log import WalLog
from namestore.storage.log_files import DirectoryFiles
from namestore.storage.log_format import MARK_PLACES
from namestore.storage.log_records import RECORD_MAGIC
from namestore.storage.log_recovery import write_empty
from namestore.storage.log_segments import MARK, LogLimits, segment_name
from tests.support.memory_files import MemoryFiles

_LIMITS = LogLimits(segment_bytes=500)
_PATH = Path("/memory/log")


class _Told(MemoryFiles):
    """Files that write down what is done to them."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple[str, str, int]] = []
        self.written: list[bytes] = []
        write_empty(self, 7)
        self.done.clear()

    def create(self, name: str, data: bytes) -> None:
        self.done.append(("create", name, 0))
        super().create(name, data)

    def write(self, name: str, offset: int, data: bytes) -> None:
        self.done.append(("write", name, offset))
        self.written.append(bytes(data))
        super().write(name, offset, data)

    def cut(self, name: str, size: int) -> None:
        self.done.append(("cut", name, size))
        super().cut(name, size)

    def sync(self, name: str) -> None:
        self.done.append(("sync", name, 0))
        super().sync(name)

    def remove(self, name: str) -> None:
        self.done.append(("remove", name, 0))
        super().remove(name)


def _open(files: MemoryFiles) -> WalLog:
    return WalLog(_PATH, files, _LIMITS)


def _entry(index: int, size: int = 20) -> LogEntry:
    return LogEntry(b"x" * size, index, 1)


def test_what_a_log_ends_with_is_written_again_when_it_is_opened() -> None:
    """It can be read, which says nothing of the disk: a system that could not write it back tells
    it once, and shows what was not written from then on."""
    files = _Told()
    log = _open(files)
    log.append([_entry(1)])
    log.sync()
    record = files.written[-1]
    files.done.clear()
    log = _open(files)
    newest, at = segment_name(1), len(files.contents[segment_name(1)].split(record)[0])
    marks = [("write", MARK, place) for place in MARK_PLACES]
    assert files.done == [("write", newest, at), ("sync", newest, 0), *marks]
    assert files.written[-3] == record


def test_a_segment_of_one_record_is_written_again_with_its_head() -> None:
    """Both were written at once."""
    files = _Told()
    first = bytes(files.contents[segment_name(1)]).rstrip(b"\x00")
    _open(files)
    assert files.done[0] == ("write", segment_name(1), 0)
    assert files.written[0].rstrip(b"\x00") == first


def test_a_torn_end_is_cut_off_before_anything_is_written() -> None:
    """What comes next takes its place."""
    files = _Told()
    content = files.contents[segment_name(1)]
    size = len(content.rstrip(b"\x00"))
    content[size + 3 :] = RECORD_MAGIC
    _open(files)
    assert files.done[0][:2] == ("cut", segment_name(1))
    assert files.done[1][0] == "write"


def test_segments_are_removed_once_the_record_that_says_so_is_durable() -> None:
    """Not a moment before: a crash in between must find all of it."""
    files = _Told()
    log = _open(files)
    for index in range(1, 9):
        log.append([_entry(index, 200)])
        log.sync()
    log.save_commit(8)
    log.drop_through(7)
    files.done.clear()
    log.append([_entry(9, 200)])
    log.sync()
    kinds = [kind for kind, _, _ in files.done]
    removed = kinds.index("remove")
    assert kinds[:removed] in (["write"], ["create", "write"])
    assert set(kinds[removed:]) == {"remove"}


def test_the_mark_goes_to_its_places_in_turn() -> None:
    """A torn write spoils the older one; a log at rest says the same in both."""
    files = _Told()
    log = _open(files)
    places = []
    for index in range(1, 4):
        for _ in range(2):  # so that numbers of records are even
            log.save_vote(2 * index + _, None)
            log.sync()
        files.done.clear()
        log.mark()
        places += [place for _, _, place in files.done]
    assert len(set(places[:2])) == 2
    assert places[0] == places[2]
    files.done.clear()
    log.mark()
    assert files.done == [("write", MARK, places[1])]
    log.mark()
    assert len(files.done) == 1


def test_files_are_opened_for_synced_writes(tmp_path: Path) -> None:
    """Each write is durable on return, and nobody else may read what is in the log."""
    files = DirectoryFiles(tmp_path)
    files.create("one", b"abc")
    flags = fcntl.fcntl(files._open["one"], fcntl.F_GETFL)
    assert flags & os.O_DSYNC
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o600
    files.close()


def test_names_and_cuts_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new segment that is not in its directory after a crash would be a hole."""
    synced: list[Any] = []
    monkeypatch.setattr(log_files, "sync_directory", synced.append)
    files = DirectoryFiles(tmp_path)
    files.create("one", b"abc")
    assert synced == [tmp_path]
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (synced.append("cut"), real(descriptor)))
    files.cut("one", 1)
    assert synced == [tmp_path, "cut"]
    assert files.read("one") == b"a"
    files.close()


def test_what_callers_wrote_does_not_make_the_search_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A torn record full of what begins one, each of which claims to be very long."""
    seen: list[int] = []
    real = log_records._record_checksum

    def measured(log_id: int, head: bytes, fields: bytes) -> int:
        seen.append(len(fields))
        return real(log_id, head, fields)

    monkeypatch.setattr(log_records, "_record_checksum", measured)
    claims = RECORD_MAGIC * 20_000
    assert log_records.find_record_after(7, claims, 0, 1) is None
    short = RECORD_MAGIC + bytes(28) + (1000).to_bytes(4, "big") + bytes(8)
    assert log_records.find_record_after(7, b"." + short * 50, 0, 1) is None
    assert len(seen) == 50
    assert max(seen) <= 1024


def test_a_read_that_fails_ends_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not tried again, and nothing is written after it."""
    WalLog.create(tmp_path / "log")
    log = WalLog.open(tmp_path / "log", LogLimits(tail_bytes=10))
    log.append([_entry(1), _entry(2)])
    log.sync()

    def fails(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", fails)
        with pytest.raises(DiskFailed, match="reading the log failed"):
            log.entries(1, 100)
    with pytest.raises(DiskFailed):
        log.sync()
    log.close()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", fails)
        with pytest.raises(DiskDamaged, match=r"cannot be read any more.*--wipe-and-rejoin"):
            WalLog.open(tmp_path / "log")
