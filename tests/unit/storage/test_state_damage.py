"""A state that cannot be trusted is refused; a crash of an installation leaves one or the other."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from namestore.core.state import META_KEY, StateMeta, encode_meta
from namestore.errors import DiskDamaged, DiskFailed
from namestore.storage import generations, rocks
from namestore.storage.rocks import StateLimits
from namestore.storage.state import RocksState

_LIMITS = StateLimits(cache_bytes=1 << 20, memtable_bytes=1 << 20)


def _write(state: RocksState, index: int, names: int = 0) -> None:
    meta = StateMeta(applied_index=index, applied_term=1, revision=index)
    changes = {b"n%05d" % number: b"%d" % index for number in range(names)}
    state.write({**changes, META_KEY: encode_meta(meta)}, meta)


def _open(home: Path) -> RocksState:
    return RocksState.open(home / "state", home / "snapshots", _LIMITS)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A state of a thousand names at entry 3."""
    RocksState.create(tmp_path / "state", _LIMITS)
    state = _open(tmp_path)
    _write(state, 3, names=1000)
    state.close()
    return tmp_path


def _table(home: Path) -> Path:
    return next((home / "state" / "1").glob("*.sst"))


def _flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 0x40
    path.write_bytes(data)


def test_a_flipped_bit_is_found_when_it_is_read(home: Path) -> None:
    """By look-ups, views and scans alike: a scan never just ends at a damaged block."""
    _flip(_table(home), 3000)  # beyond the block that is read at opening
    state = _open(home)
    keys = [b"n%05d" % number for number in range(1000)]
    reads: list[Callable[[], object]] = [
        lambda: state.get_many(keys),
        lambda: list(state.scan(b"n", b"n")),
    ]
    for read in reads:
        with pytest.raises(DiskDamaged, match="--wipe-and-rejoin"):
            read()
    with state.view() as view:
        with pytest.raises(DiskDamaged):
            view.get_many(keys)
        with pytest.raises(DiskDamaged):
            list(view.scan(b"n", b"n"))
    state.close()


def test_damage_is_not_handed_on(home: Path) -> None:
    """A snapshot's checksums would cover damaged blocks like any others, and one bad disk would
    become the disk of every node that needs a snapshot: what is offered is read through first."""
    state = _open(home)
    state.checkpoint().files()
    assert len(list(state.scan(b"n", b"n"))) == 1000  # every block is in the cache, and sound
    _write(state, 4)
    _flip(_table(home), 3000)
    with pytest.raises(DiskDamaged, match="--wipe-and-rejoin"):
        state.checkpoint().files()
    state.close()


@pytest.mark.parametrize(
    "damage",
    (
        lambda home: _table(home).write_bytes(b""),
        lambda home: _table(home).unlink(),
        lambda home: (home / "state" / "1" / "CURRENT").write_bytes(b""),
        lambda home: (home / "state" / "1" / "CURRENT").unlink(),
        lambda home: next((home / "state" / "1").glob("MANIFEST*")).unlink(),
        lambda home: _flip(next((home / "state" / "1").glob("MANIFEST*")), 20),
        lambda home: shutil.rmtree(home / "state" / "1"),
        lambda home: shutil.rmtree(home / "state"),
        lambda home: (home / "state" / "CURRENT").unlink(),
        lambda home: (home / "state" / "CURRENT").write_bytes(b""),
        lambda home: _flip(home / "state" / "CURRENT", 2),
        lambda home: (home / "state" / "CURRENT").write_bytes(b"1 2 0 00000000\n"),
    ),
)
def test_a_damaged_state_is_refused(home: Path, damage: Callable[[Path], object]) -> None:
    """Whatever file is missing, empty or changed, the message names it and the remedy."""
    damage(home)
    with pytest.raises(DiskDamaged, match=r"(?s)state.*--wipe-and-rejoin"):
        _open(home)


def test_a_newer_pointer_is_refused(home: Path) -> None:
    """A newer version's state is opened by the newer version, not wiped."""
    (home / "state" / "CURRENT").write_bytes(b"2 1 0 extra 2abf1c17\n")
    with pytest.raises(DiskDamaged, match="checksum"):
        _open(home)
    body = b"2 1 0 extra"
    checksum = generations.zlib.crc32(body)
    (home / "state" / "CURRENT").write_bytes(body + b" %08x\n" % checksum)
    with pytest.raises(DiskDamaged, match="or a newer one"):
        _open(home)


def test_a_newer_meta_is_refused(home: Path) -> None:
    """The format of the keys has a version as well."""
    state = _open(home)
    meta = StateMeta(applied_index=4, applied_term=1)
    newer = b"\x97\x63" + encode_meta(meta)[2:]
    state.write({META_KEY: newer}, meta)
    state.close()
    with pytest.raises(DiskDamaged, match="format 99"):
        _open(home)


def test_a_torn_note_of_the_binding_does_not_matter(home: Path) -> None:
    """rocksdict rewrites a file of its own at every opening, without syncing it."""
    note = home / "state" / "1" / "rocksdict-config.json"
    note.write_bytes(b"\0" * 40)
    state = _open(home)
    assert state.get_many([b"n00001"]) == [b"3"]
    state.close()


def test_leftovers_are_removed_at_opening(home: Path) -> None:
    """Other generations and old snapshots do not fill the disk."""
    (home / "state" / "7").mkdir()
    (home / "snapshots" / "1-1").mkdir(parents=True)
    state = _open(home)
    assert sorted(path.name for path in (home / "state").iterdir()) == ["1", "CURRENT"]
    assert list((home / "snapshots").iterdir()) == []
    state.close()


def test_released_checkpoints_leave_the_disk(home: Path) -> None:
    """The files go when the last holder has let go, and a second release does no harm."""
    state = _open(home)
    first, second = state.checkpoint(), state.checkpoint()
    assert first is second
    first.release()
    assert first.path.is_dir()
    second.release()
    second.release()
    assert not first.path.exists()
    state.close()


def _arrived(home: Path) -> Path:
    """A snapshot at entry 9 from another node, arrived whole."""
    other = home / "other"
    other.mkdir()
    RocksState.create(other / "state", _LIMITS)
    state = _open(other)
    _write(state, 9, names=10)
    shutil.copytree(state.checkpoint().path, home / "incoming")
    state.close()
    return home / "incoming"


@pytest.mark.parametrize("step", ("adopt", "make_current", "retire"))
@pytest.mark.parametrize("when", ("before", "after"))
def test_a_crash_of_an_installation_leaves_old_or_new(
    home: Path, step: str, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At whatever point it dies, the next process finds one of the two states, whole."""

    class Died(BaseException):
        pass

    owner = generations.Generation if step == "retire" else generations
    real = getattr(owner, step)

    def dying(*arguments: object) -> object:
        if when == "before":
            raise Died
        real(*arguments)
        raise Died

    state = _open(home)
    arrived = _arrived(home)
    with monkeypatch.context() as patch:
        patch.setattr(owner, step, dying)
        with pytest.raises(Died):
            state.install(arrived)
    crashed = home / "crashed"
    shutil.copytree(home / "state", crashed / "state")
    survivor = _open(crashed)
    replaced = step == "retire" or (step, when) == ("make_current", "after")
    assert survivor.meta.applied_index == (9 if replaced else 3)
    assert survivor.installed_index == (9 if replaced else 0)
    assert len(list(survivor.scan(b"n", b"n"))) == (10 if replaced else 1000)
    assert len(list((crashed / "state").iterdir())) == 2
    survivor.close()


def test_an_installed_state_replaces_the_files_of_the_old_one(home: Path) -> None:
    """The old generation leaves the disk once no view needs it."""
    state = _open(home)
    with state.view() as view:
        state.install(_arrived(home))
        assert (home / "state" / "1").is_dir()
        assert len(list(view.scan(b"n", b"n"))) == 1000
    assert not (home / "state" / "1").exists()
    assert not (home / "incoming").exists()
    state.close()


def test_a_failed_write_ends_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After DiskFailed every call refuses, and closing flushes nothing more."""
    state = _open(home)

    def fail(*_: object, **__: object) -> None:
        raise DiskFailed("IO error: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(rocks, "write", fail)
        with pytest.raises(DiskFailed):
            _write(state, 4)
    calls: list[Callable[[], object]] = [
        lambda: _write(state, 4),
        state.flush,
        state.checkpoint,
        lambda: state.get_many([b"n"]),
    ]
    for call in calls:
        with pytest.raises(DiskFailed, match="No space left"):
            call()
    state.close()


def test_a_full_disk_is_said_once_when_it_is_closed(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flushing fails, as DiskFailed; that RocksDB cannot close either adds nothing."""
    state = _open(home)
    _write(state, 4)
    database = state._generation.database

    class Full:
        """A database on a disk that takes nothing."""

        def flush(self, wait: bool = True) -> None:
            raise RuntimeError(f"IO error: No space left on device, waiting {wait}")

        def close(self) -> None:
            database.close()
            raise RuntimeError("IO error: No space left on device, again")

    monkeypatch.setattr(state._generation, "database", Full())
    with pytest.raises(DiskFailed, match="flushing the state failed: the disk is full"):
        state.close()
    state.close()


def test_a_stalled_write_waits_without_holding_the_interpreter(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RocksDB is told not to wait for its compaction; the change is made again, once."""
    state = _open(home)
    naps: list[float] = []
    monkeypatch.setattr(rocks.time, "sleep", naps.append)

    class Stalling:
        def __init__(self) -> None:
            self.calls = 0

        def write(self, *_: object) -> None:
            self.calls += 1
            if self.calls < 3:
                raise RuntimeError("Result incomplete: Write stall")

    database = Stalling()
    rocks.write(database, home, {b"n": b"1"}, state._visible)  # type: ignore[arg-type]
    assert (database.calls, len(naps)) == (3, 2)
    state.close()


def test_large_changes_become_durable_by_themselves(home: Path) -> None:
    """Beyond `memtable_bytes` a flush begins, and `durable_index` follows once it has ended."""
    state = _open(home)
    for index in range(4, 20_000):
        meta = StateMeta(applied_index=index, applied_term=1)
        state.write({b"n%d" % (index % 100): b"x" * 20_000, META_KEY: encode_meta(meta)}, meta)
        if state.durable_index > 3:
            break
    # More than the megabyte that starts a flush, and less than what was written since.
    assert 40 < state.durable_index < state.meta.applied_index
    state.close()


def test_a_reopened_state_keeps_its_filters_and_bounds(home: Path) -> None:
    """rocksdict opens what exists with defaults, unless told the options once more."""
    state = _open(home)
    for index in range(4, 8):
        _write(state, index, names=500)
        state.flush()
    tables = state._generation.database.property_value("rocksdb.aggregated-table-properties")
    filtered = int(re.search(r"# entries for filter=(\d+)", tables or "")[1])  # type: ignore[index]
    assert filtered > 500
    options = max((home / "state" / "1").glob("OPTIONS-*")).read_text()
    assert f"write_buffer_size={2 * _LIMITS.memtable_bytes}" in options
    assert "filter_policy=bloomfilter" in options
    assert "memtable_whole_key_filtering=true" in options
    assert "memtable_prefix_bloom_size_ratio=0.01" in options
    assert "compression=kLZ4Compression" in options
    state.close()
