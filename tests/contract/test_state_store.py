"""What every state keeps to: the one on disk and its fake."""

from __future__ import annotations

import random
import shutil
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from namestore.core.state import META_KEY, StateMeta, encode_meta
from namestore.errors import DiskDamaged, DiskFailed, InvariantViolation, StorageError
from namestore.storage.interfaces import Checkpoint, StateStore
from namestore.storage.rocks import StateLimits
from namestore.storage.state import RocksState
from tests.support.memory_stores import MemoryState

_LIMITS = StateLimits(cache_bytes=1 << 20, memtable_bytes=1 << 20)


class _Real:
    """A state on disk. A copy of its files while it is open is what a crash would leave."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "life-1"
        self.directory.mkdir()
        RocksState.create(self.directory / "state", _LIMITS)
        self.state: StateStore = self._open()

    def restart(self) -> StateStore:
        crashed = self.directory.with_name(self.directory.name + "x")
        shutil.copytree(self.directory, crashed)
        self.state.close()
        self.directory = crashed
        self.state = self._open()
        return self.state

    def reopen(self) -> StateStore:
        self.state.close()
        self.state = self._open()
        return self.state

    def deliver(self, checkpoint: Checkpoint, damage: bool = False) -> Path:
        """What another node's snapshot looks like once it has arrived."""
        target = self.directory / "incoming"
        target.mkdir()
        for number, file in enumerate(checkpoint.files()):
            data = checkpoint.read(number, 0, file.size + 1)
            if damage and file.name.startswith("MANIFEST"):
                data = data[: len(data) // 2]
            (target / file.name).write_bytes(data)
        return target

    def _open(self) -> RocksState:
        return RocksState.open(self.directory / "state", self.directory / "snapshots", _LIMITS)


class _Fake:
    def __init__(self, directory: Path) -> None:
        del directory
        self.state: StateStore = MemoryState()

    def restart(self) -> StateStore:
        assert isinstance(self.state, MemoryState)
        self.state.crash()
        return self.state

    def reopen(self) -> StateStore:
        self.state.close()
        return self.restart()

    def deliver(self, checkpoint: Checkpoint, damage: bool = False) -> Path:
        assert isinstance(self.state, MemoryState)
        target = Path("/memory/incoming")
        self.state.disk.directories[target] = {
            file.name: checkpoint.read(number, 0, file.size)[: -3 if damage else None]
            for number, file in enumerate(checkpoint.files())
        }
        return target


@pytest.fixture(params=(_Real, _Fake))
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[_Real | _Fake]:
    machine: _Real | _Fake = request.param(tmp_path)
    yield machine
    machine.state.close()


def _write(
    state: StateStore, index: int, changes: Mapping[bytes, bytes | None], term: int = 1
) -> StateMeta:
    meta = StateMeta(applied_index=index, applied_term=term, revision=index)
    state.write({**changes, META_KEY: encode_meta(meta)}, meta)
    return meta


def _everything(state: StateStore) -> dict[bytes, bytes]:
    return dict(state.scan(b"", b""))


def test_a_new_state_is_empty(machine: _Real | _Fake) -> None:
    """Nothing applied, nothing durable, no key."""
    state = machine.state
    assert state.meta == StateMeta()
    assert (state.durable_index, state.installed_index) == (0, 0)
    assert _everything(state) == {}
    assert state.get_many([b"na", META_KEY]) == [None, None]


def test_changes_are_visible_at_once(machine: _Real | _Fake) -> None:
    """Values, deletions and the meta of one change appear together."""
    state = machine.state
    _write(state, 1, {b"na": b"1", b"nb": b"2"})
    meta = _write(state, 2, {b"na": None, b"nc": b"", b"nb": b"3"})
    assert state.meta == meta
    assert state.get_many([b"na", b"nb", b"nc", b"nb"]) == [None, b"3", b"", b"3"]


def test_scan_follows_the_bytes(machine: _Real | _Fake) -> None:
    """Only keys with the prefix, from `start` on, in byte order, whatever the bytes are."""
    keys = [b"n", b"n\x00", b"na", b"na\xff", b"nb", b"n\xff\xff", b"o", b"\xff", b"\xff\xff\x01"]
    state = machine.state
    _write(state, 1, dict.fromkeys(keys, b"v"))
    in_order = sorted(key for key in keys if key.startswith(b"n"))
    assert [key for key, _ in state.scan(b"n", b"n")] == in_order
    assert [key for key, _ in state.scan(b"", b"n")] == in_order
    assert [key for key, _ in state.scan(b"na\xff", b"n")] == [b"na\xff", b"nb", b"n\xff\xff"]
    assert [key for key, _ in state.scan(b"nb\x00", b"n")] == [b"n\xff\xff"]
    assert [key for key, _ in state.scan(b"o\x00", b"n")] == []
    assert [key for key, _ in state.scan(b"\xff", b"\xff")] == [b"\xff", b"\xff\xff\x01"]
    assert next(state.scan(b"na", b"n")) == (b"na", b"v")


def test_a_view_does_not_change(machine: _Real | _Fake) -> None:
    """Values, order and meta are those of the moment it was taken."""
    state = machine.state
    meta = _write(state, 1, {b"na": b"1", b"nb": b"2"})
    with state.view() as view:
        _write(state, 2, {b"na": b"x", b"nb": None, b"nc": b"3"})
        state.flush()
        assert view.meta == meta
        assert view.get_many([b"na", b"nb", b"nc"]) == [b"1", b"2", None]
        assert list(view.scan(b"n", b"n")) == [(b"na", b"1"), (b"nb", b"2")]
        with state.view() as later:
            assert later.meta.applied_index == 2
            assert list(later.scan(b"n", b"n")) == [(b"na", b"x"), (b"nc", b"3")]


def test_views_from_other_threads_are_consistent(machine: _Real | _Fake) -> None:
    """While one thread writes, every view elsewhere shows one change, whole."""
    state = machine.state
    torn: list[tuple[int, bytes | None]] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            with state.view() as view:
                first, last = view.get_many([b"na", b"nz"])
                scanned = [value for _, value in view.scan(b"n", b"n")]
                seen = first or b"0"
                if scanned not in ([], [seen, last]) or view.meta.applied_index != int(seen):
                    torn.append((view.meta.applied_index, first))

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for index in range(1, 300):
        value = b"%d" % index
        _write(state, index, {b"na": value, b"nz": value})
        if index % 50 == 0:
            state.flush()
    stop.set()
    for thread in threads:
        thread.join()
    assert torn == []


def test_flush_says_what_survives(machine: _Real | _Fake) -> None:
    """`durable_index` follows `flush`, and a crash leaves at least that, whole."""
    state = machine.state
    _write(state, 1, {b"na": b"1"})
    flushed = _write(state, 2, {b"nb": b"2"})
    assert state.durable_index <= 2
    state.flush()
    assert state.durable_index == 2
    _write(state, 3, {b"nb": b"x", b"nc": b"3"})
    assert state.durable_index == 2
    state = machine.restart()
    assert state.meta == flushed
    assert state.durable_index == 2
    assert state.get_many([b"na", b"nb", b"nc"]) == [b"1", b"2", None]


def test_closing_flushes(machine: _Real | _Fake) -> None:
    """A state that was closed is found as it was left."""
    meta = _write(machine.state, 7, {b"na": b"1"})
    state = machine.reopen()
    assert (state.meta, state.durable_index) == (meta, 7)
    assert state.get_many([b"na"]) == [b"1"]


def test_a_checkpoint_stands_still(machine: _Real | _Fake) -> None:
    """It names where it stands, its files are what they are said to be, and nothing changes it."""
    state = machine.state
    meta = _write(state, 5, {b"na": b"1"}, term=2)
    checkpoint = state.checkpoint()
    files = checkpoint.files()
    _write(state, 6, {b"na": b"2"}, term=2)
    state.flush()
    assert checkpoint.meta == meta
    assert checkpoint.files() == files
    assert all("/" not in file.name and len(file.checksum) == 32 for file in files)
    for number, file in enumerate(files):
        whole = checkpoint.read(number, 0, file.size + 10)
        assert len(whole) == file.size
        assert checkpoint.read(number, 2, 3) == whole[2:5]
    assert state.durable_index == 6
    checkpoint.release()


def test_checkpoints_never_go_back(machine: _Real | _Fake) -> None:
    """A later one is of the same position or a newer one."""
    state = machine.state
    _write(state, 5, {b"na": b"1"}, term=2)
    first, second = state.checkpoint(), state.checkpoint()
    assert first.meta == second.meta
    first.release()
    assert second.files()
    _write(state, 6, {b"na": b"2"}, term=2)
    third = state.checkpoint()
    assert third.meta.applied_index == 6
    second.release()
    third.release()


def test_install_replaces_everything(machine: _Real | _Fake, tmp_path: Path) -> None:
    """Keys of the old state are gone, those of the snapshot are there, durable, and stay."""
    other_home = tmp_path / "other"
    other_home.mkdir()
    other = type(machine)(other_home)
    snapshot_meta = _write(other.state, 9, {b"na": b"new", b"nz": b"z"}, term=3)
    checkpoint = other.state.checkpoint()

    state = machine.state
    _write(state, 4, {b"na": b"old", b"nb": b"old"})
    directory = machine.deliver(checkpoint)
    with state.view() as view:
        state.install(directory)
        assert view.meta.applied_index == 4
        assert list(view.scan(b"n", b"n")) == [(b"na", b"old"), (b"nb", b"old")]
    for _ in range(2):
        assert (state.meta, state.durable_index) == (snapshot_meta, 9)
        assert state.installed_index == 9
        assert list(state.scan(b"n", b"n")) == [(b"na", b"new"), (b"nz", b"z")]
        state = machine.restart()
    _write(state, 10, {b"nc": b"c"})
    assert state.get_many([b"nc", b"nz"]) == [b"c", b"z"]
    assert state.installed_index == 9
    other.state.close()


def test_install_refuses_what_is_no_state(machine: _Real | _Fake) -> None:
    """A directory that cannot be opened changes nothing, and the state goes on."""
    state = machine.state
    _write(state, 4, {b"na": b"1"})
    checkpoint = state.checkpoint()
    _write(state, 5, {b"na": b"2"})
    with pytest.raises(DiskDamaged):
        state.install(machine.deliver(checkpoint, damage=True))
    _write(state, 6, {b"nb": b"3"})
    assert state.get_many([b"na", b"nb"]) == [b"2", b"3"]
    checkpoint.release()


def test_install_never_goes_back(machine: _Real | _Fake) -> None:
    """A snapshot older than the state replaces nothing."""
    state = machine.state
    _write(state, 4, {b"na": b"1"})
    checkpoint = state.checkpoint()
    _write(state, 5, {b"na": b"2"})
    with pytest.raises(InvariantViolation):
        state.install(machine.deliver(checkpoint))
    assert state.get_many([b"na"]) == [b"2"]
    checkpoint.release()


def test_a_closed_state_refuses_and_closes_twice(machine: _Real | _Fake) -> None:
    """Nothing is read or written after `close`."""
    state = machine.state
    state.close()
    state.close()
    with pytest.raises(StorageError):
        _write(state, 1, {})
    with pytest.raises(StorageError):
        state.get_many([b"na"])
    with pytest.raises(StorageError):
        with state.view():
            pass


def test_a_failed_disk_is_never_tried_again() -> None:
    """After DiskFailed every call refuses; a crash leaves what was flushed."""
    state = MemoryState()
    _write(state, 1, {b"na": b"1"})
    state.flush()
    state.disk_fails = True
    with pytest.raises(DiskFailed):
        _write(state, 2, {b"na": b"2"})
    state.disk_fails = False
    for call in (state.flush, state.checkpoint, lambda: state.get_many([b"na"])):
        with pytest.raises(DiskFailed):
            call()
    state.close()
    state.crash()
    assert state.get_many([b"na"]) == [b"1"]


def test_a_crash_of_the_fake_may_keep_some_changes() -> None:
    """RocksDB flushes when it likes: any number of the first changes may have survived."""
    for kept in range(4):
        state = MemoryState()
        _write(state, 1, {b"na": b"1"})
        state.flush()
        for index in (2, 3, 4):
            _write(state, index, {b"n%d" % index: b"x", b"na": b"%d" % index})
        assert state.unflushed_changes == 3
        state.crash(kept)
        assert state.meta.applied_index == state.durable_index == 1 + kept
        assert state.get_many([b"na"]) == [b"%d" % (1 + kept)]


@pytest.mark.parametrize("seed", range(4))
def test_random_histories_end_alike(tmp_path: Path, seed: int) -> None:
    """The state on disk and the fake agree after every step of a long random history."""
    rng = random.Random(seed)
    real, fake = _Real(tmp_path), _Fake(tmp_path)
    for index in range(1, 120):
        changes = {
            b"n%d" % rng.randrange(60): rng.choice((None, rng.randbytes(rng.randrange(40))))
            for _ in range(rng.randrange(1, 10))
        }
        flushes, reopens = rng.random() < 0.1, rng.random() < 0.03
        for machine in (real, fake):
            _write(machine.state, index, changes)
            if flushes:
                machine.state.flush()
            if reopens:
                machine.reopen()
        assert _everything(real.state) == _everything(fake.state)
        assert real.state.meta == fake.state.meta
        start = b"n%d" % rng.randrange(60)
        with real.state.view() as view:
            assert list(view.scan(start, b"n")) == list(fake.state.scan(start, b"n"))
    real.state.close()
