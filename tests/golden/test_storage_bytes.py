"""Every byte format of the storage that was ever released, and directories that hold them.

`record-*.hex` are single records. `directory-<format>.tar.gz` is the data directory of a node as a
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
    decode_entry,
    decode_log_meta,
    encode_entry,
    encode_log_meta,
)

_HERE = Path(__file__).parent / "storage"
_DIRECTORY = _HERE / "directory-1.tar.gz"
# What processes leave beside the data.
_NOT_DATA = ("LOCK", "LOG*", "OPTIONS*", "lock.mdb", "snapshots", "rocksdict-config.json")

_ENTRIES = {
    "record-1-entry": LogEntry(b"\x01command", 7, 3),
    "record-1-entry-empty": LogEntry(b"", 1, 1),
    "record-1-entry-far": LogEntry(b"\xff" * 5, 2**40, 2**33),
}
_METAS = {
    "record-1-meta-new": LogMeta(),
    "record-1-meta-used": LogMeta(9, "n2", 2**33, 2**32, 8, 2**34),
}

_LOG = [LogEntry(b"command %d" % index * index, index, 1 + index // 5) for index in range(1, 13)]
_STATE = StateMeta(9, 2, 31, 4, 1_700_000_000_000, 1_600_000_000_000)
_NAMES = {b"nuser:n%d" % number: b"record %d" % number for number in range(4)}


def _bytes_of(name: str) -> bytes:
    return bytes.fromhex((_HERE / f"{name}.hex").read_text())


@pytest.mark.parametrize(("name", "entry"), _ENTRIES.items())
def test_entries_keep_their_bytes(name: str, entry: LogEntry) -> None:
    """A released record is written the same, and read as what it was."""
    assert encode_entry(entry) == _bytes_of(name)
    assert decode_entry(entry.index, _bytes_of(name)) == entry


@pytest.mark.parametrize(("name", "meta"), _METAS.items())
def test_log_metas_keep_their_bytes(name: str, meta: LogMeta) -> None:
    """Term, vote and indexes as released versions wrote them."""
    assert encode_log_meta(meta) == _bytes_of(name)
    assert decode_log_meta(_bytes_of(name)) == meta


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
    records = {name: encode_entry(entry) for name, entry in _ENTRIES.items()}
    records |= {name: encode_log_meta(meta) for name, meta in _METAS.items()}
    for name, record in records.items():
        if not (_HERE / f"{name}.hex").exists():
            (_HERE / f"{name}.hex").write_text(record.hex() + "\n")
    if not _DIRECTORY.exists():
        with tempfile.TemporaryDirectory() as scratch, pytest.MonkeyPatch.context() as patch:
            patch.setattr("secrets.token_hex", lambda size: "00112233aabbccdd"[: 2 * size])
            _make_directory(Path(scratch) / "n1")
            with tarfile.open(_DIRECTORY, "w:gz") as archive:
                archive.add(Path(scratch) / "n1", "n1", filter=_data_only)


def _data_only(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Leaves out what is no data, and who made it."""
    if any(fnmatch(Path(member.name).name, pattern) for pattern in _NOT_DATA):
        return None
    return member.replace(uid=0, gid=0, uname="", gname="", mtime=0, deep=False)


if __name__ == "__main__":
    _write_missing()
