"""A log that cannot be trusted is refused, with words that help; a sound one is never refused."""

from __future__ import annotations

import errno
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from namestore.errors import DiskDamaged, DiskFailed, StorageError
from namestore.storage.interfaces import LogEntry
from namestore.storage.log import WalLog
from namestore.storage.log_format import (
    LOG_FORMAT,
    MARK_PLACES,
    LogMeta,
    decode_mark,
    encode_mark,
    encode_segment_head,
)
from namestore.storage.log_records import encode_record
from namestore.storage.log_segments import MARK, LogLimits, segment_name

_ENTRIES = [LogEntry(b"command %d" % index * (index % 40), index, 1) for index in range(1, 81)]
_SEGMENT_BYTES = 3000
_LIMITS = LogLimits(segment_bytes=_SEGMENT_BYTES)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A log of 80 entries in several segments, the last of them cut from it again."""
    directory = tmp_path / "log"
    WalLog.create(directory)
    log = WalLog.open(directory, _LIMITS)
    for start in range(0, 80, 8):
        log.append(_ENTRIES[start : start + 8])
        log.save_vote(start + 1, "n1")
        log.sync()
    log.append([LogEntry(b"x" * 900, 81, 1)])
    log.sync()
    log.truncate_from(81)
    log.save_commit(60)
    log.sync()
    log.close()
    _leave_out_room(directory)
    return directory


def _segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.wal"))


def _leave_out_room(directory: Path) -> None:
    """Ends each segment where its last record ends, which no zero ends here."""
    for path in _segments(directory):
        path.write_bytes(path.read_bytes().rstrip(b"\x00"))


def _log_id(directory: Path) -> int:
    return decode_mark((directory / MARK).read_bytes())[0]


def _read_all(directory: Path) -> tuple[object, ...]:
    log = WalLog.open(directory, LogLimits(tail_bytes=2000))
    try:
        return log.term, log.voted_for, log.commit_index, log.entries(log.first_index, 10**9)
    finally:
        log.close()


def _unmark(directory: Path, sequence: int) -> None:
    """The mark as it was when that record was the newest it knew of."""
    mark = encode_mark(_log_id(directory), sequence)
    (directory / MARK).write_bytes(mark.ljust(MARK_PLACES[1], b"\x00") + mark)


def _set_mark_back(directory: Path) -> None:
    """As a crash soon after the last sync leaves it."""
    _unmark(directory, decode_mark((directory / MARK).read_bytes())[1] - 1)


def _last_checksum(directory: Path) -> int:
    newest = _segments(directory)[-1]
    at = _last_record_at(newest) + 4
    return int.from_bytes(newest.read_bytes()[at : at + 4], "big")


def _last_record_at(path: Path) -> int:
    return path.read_bytes().rindex(b"\xd7rec")


def test_the_log_is_in_several_segments(directory: Path) -> None:
    """Or what follows would show little."""
    assert len(_segments(directory)) > 2
    assert _read_all(directory)[3] == _ENTRIES


def test_a_flipped_bit_is_found_or_does_not_matter(directory: Path) -> None:
    """Wherever a bit changes, the log is refused or holds exactly what was written."""
    expected = _read_all(directory)
    rng = random.Random(7)
    messages = []
    for file in (*_segments(directory), directory / MARK):
        sound = file.read_bytes()
        mark = (directory / MARK).read_bytes()
        for place in rng.sample(range(len(sound)), min(len(sound), 150)):
            torn = bytearray(sound)
            torn[place] ^= 1 << rng.randrange(8)
            file.write_bytes(torn)
            try:
                assert _read_all(directory) == expected
            except DiskDamaged as error:
                messages.append(error.message)
            finally:
                (directory / MARK).write_bytes(mark)
                file.write_bytes(sound)
    assert len(messages) > 300
    assert all(str(directory) in message for message in messages)
    assert all("--wipe-and-rejoin" in message for message in messages)


def test_a_file_cut_short_is_refused(directory: Path) -> None:
    """Wherever it is cut, also between two records."""
    for file in _segments(directory):
        sound = file.read_bytes()
        places = [at for at in range(len(sound)) if sound.startswith(b"\xd7rec", at)]
        for kept in {*range(0, len(sound), 97), *places, len(sound) - 1}:
            file.write_bytes(sound[:kept])
            with pytest.raises(DiskDamaged, match=r"\.wal"):
                WalLog.open(directory)
        file.write_bytes(sound)
    assert _read_all(directory)[3] == _ENTRIES


def test_a_missing_segment_is_refused(directory: Path) -> None:
    """The first, one in the middle, the last, all of them."""
    for file in _segments(directory):
        sound = file.read_bytes()
        file.unlink()
        with pytest.raises(DiskDamaged, match=r"is missing|was durable"):
            WalLog.open(directory)
        file.write_bytes(sound)
    assert _read_all(directory)[3] == _ENTRIES
    for file in _segments(directory):
        file.unlink()
    with pytest.raises(DiskDamaged, match="is gone"):
        WalLog.open(directory)
    assert not _segments(directory)


def test_nothing_is_removed_from_a_log_that_is_refused(directory: Path) -> None:
    """Whoever looks for what went wrong finds everything as it was."""
    files = _segments(directory)
    files[-2].write_bytes(files[-2].read_bytes()[:-1])
    files[-1].write_bytes(files[-1].read_bytes()[:-1])
    before = {path: path.read_bytes() for path in directory.iterdir()}
    with pytest.raises(DiskDamaged):
        WalLog.open(directory)
    assert {path: path.read_bytes() for path in directory.iterdir()} == before


def test_a_torn_end_is_cut_off(directory: Path) -> None:
    """However much of the newest record a crash has left: the log is as it was before it."""
    _set_mark_back(directory)
    newest = _segments(directory)[-1]
    sound, at = newest.read_bytes(), _last_record_at(newest)
    mark = (directory / MARK).read_bytes()
    for kept in range(at, len(sound)):
        newest.write_bytes(sound[:kept])
        log = WalLog.open(directory)
        assert (log.last_index, log.commit_index) == (81, 0)
        log.close()
        assert newest.read_bytes() == sound[:at]
        (directory / MARK).write_bytes(mark)


def test_room_for_more_is_no_damage(directory: Path) -> None:
    """Zeros behind the records, in any segment; and what follows the last one is torn."""
    expected = _read_all(directory)
    for path in _segments(directory):
        path.write_bytes(path.read_bytes() + bytes(1000))
    assert _read_all(directory) == expected
    newest = _segments(directory)[-1]
    newest.write_bytes(newest.read_bytes() + b"\x00\x01" + bytes(400))
    assert _read_all(directory) == expected
    assert not newest.read_bytes().endswith(b"\x00")


def test_a_file_system_that_makes_no_room(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log goes on, slower; a disk without room is told as such."""

    def refuses(code: int) -> Callable[..., None]:
        def fallocate(*_: object) -> None:
            raise OSError(code, os.strerror(code))

        return fallocate

    log = WalLog.open(directory, LogLimits(segment_bytes=1 << 20))
    monkeypatch.setattr(os, "posix_fallocate", refuses(errno.EOPNOTSUPP))
    log.append([LogEntry(b"y" * 3000, 81, 1)])
    log.sync()
    monkeypatch.setattr(os, "posix_fallocate", refuses(errno.ENOSPC))
    log.append([LogEntry(b"y" * 600_000, 82, 1)])
    with pytest.raises(DiskFailed, match="the disk is full"):
        log.sync()
    log.close()
    assert _read_all(directory)[3] == [*_ENTRIES, LogEntry(b"y" * 3000, 81, 1)]


def test_a_torn_end_is_found_by_what_stands_behind_it(directory: Path) -> None:
    """A record was begun after it, so it had been durable, whatever the mark says."""
    _unmark(directory, 1)
    newest = _segments(directory)[-1]
    sound = newest.read_bytes()
    torn = bytearray(sound)
    torn[_last_record_at(newest) - 10] ^= 1
    newest.write_bytes(torn)
    with pytest.raises(DiskDamaged, match="although it was durable"):
        WalLog.open(directory)


def test_a_command_that_looks_like_a_record_passes_for_none(tmp_path: Path) -> None:
    """Callers choose what stands in the log; what they cannot know is the log's id."""
    directory = tmp_path / "log"
    WalLog.create(directory)
    log = WalLog.open(directory)
    forged = encode_record(0, 9, 0, LogMeta(last_index=9), ())[0]
    log.append([LogEntry(b"x" * 50 + forged, 1, 0)])
    log.sync()
    log.close()
    _unmark(directory, 1)
    (segment,) = _segments(directory)
    data = bytearray(segment.read_bytes())
    data[_last_record_at(segment) - 1] ^= 1
    segment.write_bytes(data)
    log = WalLog.open(directory)
    assert log.last_index == 0
    log.close()


def test_a_segment_that_was_just_being_made_is_removed(directory: Path) -> None:
    """Empty, or with less than a record in it; and it can be made again."""
    sequence = decode_mark((directory / MARK).read_bytes())[1] + 1
    path = directory / segment_name(sequence)
    head = encode_segment_head(_log_id(directory), sequence)
    record = encode_record(_log_id(directory), sequence, 0, LogMeta(last_index=80), ())[0]
    for left in (b"", head[:7], head, head + record[:-1], bytes(300)):
        path.write_bytes(left)
        assert _read_all(directory)[3] == _ENTRIES
        assert not path.exists()


def test_segments_that_are_back_after_a_crash_do_not_matter(directory: Path) -> None:
    """They were removed, and the directory was not synced: all of them, or the oldest are back."""
    old = {path: path.read_bytes() for path in _segments(directory)}
    log = WalLog.open(directory, _LIMITS)
    log.drop_through(60)
    log.sync()
    log.append([LogEntry(b"x" * _SEGMENT_BYTES, 81, 1)])
    log.sync()
    log.close()
    removed = {path: data for path, data in old.items() if not path.exists()}
    assert len(removed) > 1
    expected = _read_all(directory)
    for kept in range(1, len(removed) + 1):
        for path, data in list(removed.items())[:kept]:
            path.write_bytes(data)
        assert _read_all(directory) == expected


def test_a_mark_that_is_gone_is_refused(directory: Path) -> None:
    """Without it nobody knows what else is gone."""
    (directory / MARK).unlink()
    with pytest.raises(DiskDamaged, match="is gone"):
        WalLog.open(directory)
    (directory / MARK).write_bytes(b"")
    with pytest.raises(DiskDamaged, match="how far"):
        WalLog.open(directory)


def test_a_segment_of_another_log_is_refused(directory: Path, tmp_path: Path) -> None:
    """Also one that is in every other way what is expected."""
    other = tmp_path / "other"
    WalLog.create(other)
    for path in _segments(directory):
        path.unlink()
    (other / segment_name(1)).rename(directory / segment_name(1))
    with pytest.raises(DiskDamaged, match="of another log"):
        WalLog.open(directory)


def test_a_segment_of_another_history_is_refused(directory: Path, tmp_path: Path) -> None:
    """A copy of the log was put back once, and went on otherwise: a segment of that life."""
    copy = tmp_path / "copy"
    shutil.copytree(directory, copy)
    for path, letter in ((directory, b"a"), (copy, b"b")):
        log = WalLog.open(path, _LIMITS)
        for index in range(81, 121):
            log.append([LogEntry(letter * 200, index, 1)])
            log.sync()
        log.close()
    names = [path.name for path in _segments(directory)]
    assert names == [path.name for path in _segments(copy)]
    (directory / names[-3]).write_bytes((copy / names[-3]).read_bytes())
    with pytest.raises(DiskDamaged, match="written behind another one"):
        WalLog.open(directory)


def test_files_of_others_are_left_alone(directory: Path) -> None:
    """Whatever they are called; also beside a torn end."""
    expected = _read_all(directory)
    for name in ("backup.wal", "zz.wal", "1.wal", "00000000000000000002.wal.old"):
        (directory / name).write_bytes(b"not ours")
    assert _read_all(directory) == expected
    newest = max(directory.glob("0*[0-9].wal"))
    newest.write_bytes(newest.read_bytes().rstrip(b"\x00") + b"\xd7re")
    assert _read_all(directory) == expected
    assert (directory / "backup.wal").read_bytes() == b"not ours"


def test_a_damaged_newest_segment_is_not_taken_for_half_made(directory: Path) -> None:
    """Only the one that would come next is."""
    newest = _segments(directory)[-1]
    _unmark(directory, 1)
    data = newest.read_bytes()
    newest.write_bytes(bytes(40) + data[40:])
    with pytest.raises(DiskDamaged):
        WalLog.open(directory)
    assert newest.exists()


def test_a_renamed_segment_is_refused(directory: Path) -> None:
    """Its name says where it belongs."""
    path = _segments(directory)[-1]
    path.rename(directory / segment_name(1000))
    with pytest.raises(DiskDamaged, match="begins with record"):
        WalLog.open(directory)


def test_a_file_of_another_kind_is_refused(directory: Path) -> None:
    """What is not the log's is not opened."""
    _segments(directory)[0].write_bytes(b"#!/bin/sh\n" * 5000)
    with pytest.raises(DiskDamaged, match="does not begin as"):
        WalLog.open(directory)


def test_a_log_of_an_earlier_kind_is_refused(tmp_path: Path) -> None:
    """With its name, and a way on."""
    directory = tmp_path / "log"
    directory.mkdir()
    (directory / "data.mdb").write_bytes(b"x" * 8192)
    with pytest.raises(DiskDamaged, match=r"data\.mdb: .*earlier version"):
        WalLog.open(directory)
    assert (directory / "data.mdb").exists()


@pytest.mark.parametrize(
    ("meta", "words"),
    (
        (LogMeta(commit_index=81, last_index=80), "were committed"),
        (LogMeta(first_index=82, last_index=80), "cannot go from 82 to 80"),
        (LogMeta(last_index=90), "is missing, and the log goes on to 90"),
    ),
)
def test_numbers_that_contradict_each_other_are_refused(
    directory: Path, meta: LogMeta, words: str
) -> None:
    """They are under a checksum; if they are wrong all the same, it is not the disk."""
    sequence = decode_mark((directory / MARK).read_bytes())[1] + 1
    previous = _last_checksum(directory)
    record = encode_record(_log_id(directory), sequence, previous, meta, ())[0]
    with _segments(directory)[-1].open("ab") as file:
        file.write(record)
    with pytest.raises(DiskDamaged, match=words):
        WalLog.open(directory)


def test_a_newer_format_is_refused(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do, which is not to let the node start anew."""
    with monkeypatch.context() as patch:
        patch.setattr("namestore.storage.log_format.LOG_FORMAT", LOG_FORMAT + 1)
        head = encode_segment_head(_log_id(directory), 1)
    path = _segments(directory)[0]
    path.write_bytes(head + path.read_bytes()[len(head) :])
    with pytest.raises(DiskDamaged, match=f"format {LOG_FORMAT + 1}.* newer one") as raised:
        WalLog.open(directory)
    assert "--wipe-and-rejoin" not in raised.value.message


def test_an_entry_that_rots_while_the_log_is_open(directory: Path) -> None:
    """It is not handed out, and the log goes on otherwise."""
    log = WalLog.open(directory, LogLimits(tail_bytes=10))
    path = _segments(directory)[1]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    with pytest.raises(DiskDamaged, match="does not match its checksum"):
        log.entries(1, 10**9)
    log.close()


@pytest.mark.parametrize("call", ("sync", "mark", "close"))
def test_after_a_failure_nothing_is_done_any_more(
    directory: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """What reached the disk is not known: every further call says so."""
    log = WalLog.open(directory)
    log.append([LogEntry(b"x", 81, 1)])
    if call != "sync":
        log.sync()
        log.save_vote(1000, None)

    def fails(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("namestore.storage.log_files.os.pwrite", fails)
    with pytest.raises(DiskFailed, match="disk reported an error"):
        getattr(log, call)()
    monkeypatch.undo()
    calls: list[Callable[[], object]] = [log.sync, log.mark, lambda: log.entries(1, 1)]
    for again in calls:
        with pytest.raises(StorageError):
            again()
    log.close()
    expected = 80 if call == "sync" else 81
    assert len(_read_all(directory)[3]) == expected  # type: ignore[arg-type]


def test_a_write_that_is_cut_short_goes_on(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system may write less than it was given."""
    log = WalLog.open(directory)
    real = os.pwrite
    monkeypatch.setattr(
        "namestore.storage.log_files.os.pwrite", lambda fd, data, at: real(fd, data[:7], at)
    )
    log.append([LogEntry(b"y" * 100, 81, 1)])
    log.sync()
    log.close()
    monkeypatch.undo()
    assert _read_all(directory)[3] == [*_ENTRIES, LogEntry(b"y" * 100, 81, 1)]
