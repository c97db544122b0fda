"""Every byte format of the storage that was ever released, and directories that hold them.

`log-*.hex` are pieces of the log. `directory-<format>.tar.gz` is the data directory of a node as a
released version left it; every later version opens it. Files here never change; new ones are added:

    python -m tests.golden.test_storage_bytes      writes what is missing, and only that
"""

from __future__ import annotations

import tarfile
import tempfile
from fnmatch import fnmatch
from pathlib import Path

import pytest

from namestore.core.state import META_KEY, StateMeta, encode_meta
from namestore.storage.directory import DataDirectory, reconcile
from namestore.storage.interfaces import LogEntry
from namestore.storage.log_format import (
    LogMeta,
    decode_mark,
    decode_segment_head,
    encode_mark,
    encode_segment_head,
)
from namestore.storage.log_records import decode_entry, decode_record, encode_record

_HERE = Path(__file__).parent / "storage"
_DIRECTORY = _HERE / "directory-2.tar.gz"
# What processes leave beside the data.
_NOT_DATA = ("LOCK", "LOG*", "OPTIONS*", "snapshots", "rocksdict-config.json")

_LOG_ID = 0x0123456789ABCDEF
_SEQUENCE = 2**40 + 5
_PREVIOUS = 2**31 + 3
_RECORDS: dict[str, tuple[LogMeta, list[LogEntry]]] = {
    "log-2-record-new": (LogMeta(), []),
    "log-2-record-entry": (
        LogMeta(3, None, 6, last_index=7),
        [LogEntry(b"\x01command", 7, 3)],
    ),
    "log-2-record-entries": (
        LogMeta(9, "n2", 2**33, 2**32, 8, 2**34),
        [LogEntry(b"", 2**34 - 1, 2**33), LogEntry(b"\xff" * 5, 2**34, 2**33)],
    ),
}

_LOG = [LogEntry(b"command %d" % index * index, index, 1 + index // 5) for index in range(1, 13)]
_STATE = StateMeta(9, 2, 31, 4, 1_700_000_000_000, 1_600_000_000_000)
_NAMES = {b"nuser:n%d" % number: b"record %d" % number for number in range(4)}


def _bytes_of(name: str) -> bytes:
    return bytes.fromhex((_HERE / f"{name}.hex").read_text())


@pytest.mark.parametrize(("name", "record"), _RECORDS.items())
def test_log_records_keep_their_bytes(name: str, record: tuple[LogMeta, list[LogEntry]]) -> None:
    """A released record is written the same, and read as what it was."""
    meta, entries = record
    data = _bytes_of(name)
    assert encode_record(_LOG_ID, _SEQUENCE, _PREVIOUS, meta, entries)[0] == data
    found = decode_record(_LOG_ID, data, 0)
    assert found[:5] == (_SEQUENCE, found.checksum, _PREVIOUS, meta, found.offsets)
    assert (found.checksum, found.end) == (int.from_bytes(data[4:8], "big"), len(data))
    indexes = [entry.index for entry in entries]
    places = zip(indexes, found.offsets, strict=True)
    assert [decode_entry(index, data, at, len(data)) for index, at in places] == entries


def test_segment_head_and_mark_keep_their_bytes() -> None:
    """What a segment begins with, and what says how far the log was durable."""
    head, mark = _bytes_of("log-2-segment"), _bytes_of("log-2-mark")
    assert encode_segment_head(_LOG_ID, _SEQUENCE) == head
    assert decode_segment_head(head) == (_LOG_ID, _SEQUENCE)
    assert encode_mark(_LOG_ID, _SEQUENCE) == mark
    assert decode_mark(mark) == (_LOG_ID, _SEQUENCE)


def test_a_released_data_directory_is_opened(tmp_path: Path) -> None:
    """With everything in it, and it can be written to."""
    with tarfile.open(_DIRECTORY) as archive:
        if hasattr(tarfile, "data_filter"):  # not before Python 3.11.4
            archive.extraction_filter = tarfile.data_filter
        archive.extractall(tmp_path)  # noqa: S202  (ours)
    held = DataDirectory.open(tmp_path / "n1", "golden", "n1")
    assert (held.incarnation, held.cluster_id) == ("00112233aabbccdd", "feed")
    log, state = held.open_log(), held.open_state()
    reconcile(log, state)
    assert (log.term, log.voted_for, log.commit_index) == (4, "n3", 10)
    assert log.entries(4, 10**9) == _LOG[3:]
    assert [log.term_at(index) for index in (2, 3, 12)] == [None, 1, 3]
    assert state.meta == _STATE
    assert dict(state.scan(b"n", b"n")) == _NAMES
    log.append([LogEntry(b"goes on", 13, 4)])
    log.sync()
    state.write({b"nnew": b"1", META_KEY: encode_meta(_STATE)}, _STATE)
    held.close()


def _make_directory(path: Path) -> None:
    held = DataDirectory.open(path, "golden", "n1")
    log, state = held.open_log(), held.open_state()
    log.append(_LOG)
    log.save_vote(4, "n3")
    log.save_commit(10)
    log.sync()
    log.drop_through(3)
    log.sync()
    state.write({**_NAMES, META_KEY: encode_meta(_STATE)}, _STATE)
    held.set_cluster_id("feed")
    held.close()


def _write_missing() -> None:
    _HERE.mkdir(exist_ok=True)
    records = {
        name: encode_record(_LOG_ID, _SEQUENCE, _PREVIOUS, meta, entries)[0]
        for name, (meta, entries) in _RECORDS.items()
    }
    records["log-2-segment"] = encode_segment_head(_LOG_ID, _SEQUENCE)
    records["log-2-mark"] = encode_mark(_LOG_ID, _SEQUENCE)
    for name, record in records.items():
        if not (_HERE / f"{name}.hex").exists():
            (_HERE / f"{name}.hex").write_text(record.hex() + "\n")
    if not _DIRECTORY.exists():
        with tempfile.TemporaryDirectory() as scratch, pytest.MonkeyPatch.context() as patch:
            patch.setattr("secrets.token_hex", lambda size: "00112233aabbccdd"[: 2 * size])
            patch.setattr("secrets.randbits", lambda bits: _LOG_ID % (1 << bits))
            _make_directory(Path(scratch) / "n1")
            with tarfile.open(_DIRECTORY, "w:gz") as archive:
                archive.add(Path(scratch) / "n1", "n1", filter=_data_only)


def _data_only(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Leaves out what is no data, and who made it."""
    if any(fnmatch(Path(member.name).name, pattern) for pattern in _NOT_DATA):
        return None
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    _write_missing()
