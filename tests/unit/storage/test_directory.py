"""A data directory is one node's, whole, and one process's; everything else is refused."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from namestore.errors import (
    DirectoryInUse,
    DiskDamaged,
    DiskFailed,
    InvariantViolation,
    StorageError,
)
from namestore.storage import directory as module
from namestore.storage.directory import DataDirectory, wipe


def _open(path: Path, cluster: str = "home", node: str = "n1") -> DataDirectory:
    return DataDirectory.open(path, cluster, node)


@pytest.fixture
def used(tmp_path: Path) -> Path:
    """The directory of a node that has voted."""
    path = tmp_path / "n1"
    held = _open(path)
    log = held.open_log()
    held.open_state()
    log.save_vote(1, "n1")
    log.sync()
    held.close()
    return path


def test_a_new_directory_is_made_with_its_parents(tmp_path: Path) -> None:
    """Nothing needs to be prepared; log and state are there at once."""
    held = _open(tmp_path / "a" / "b" / "n1")
    assert held.fresh
    assert len(bytes.fromhex(held.incarnation)) == 8
    assert held.cluster_id == ""
    assert held.open_log().last_index == 0
    assert held.open_state().meta.applied_index == 0
    held.close()


def test_every_directory_has_an_incarnation_of_its_own(used: Path, tmp_path: Path) -> None:
    """The same one at every opening, another one once the directory was made anew."""
    held = _open(used)
    incarnation = held.incarnation
    held.close()
    held = _open(used)
    assert held.incarnation == incarnation
    held.close()
    wipe(used)
    held = _open(used)
    assert held.incarnation != incarnation
    held.close()


def test_fresh_means_that_it_never_took_part(tmp_path: Path) -> None:
    """Opened without voting or storing anything: still fresh. After a vote: not any more."""
    path = tmp_path / "n1"
    _open(path).close()
    held = _open(path)
    log = held.open_log()
    assert held.fresh
    log.save_vote(1, None)
    log.sync()
    held.close()
    held = _open(path)
    held.open_log()
    assert not held.fresh
    held.close()


def test_one_process_has_it(used: Path) -> None:
    """The second one is told which process has it; closing lets go."""
    held = _open(used)
    with pytest.raises(DirectoryInUse, match=f"process {os.getpid()} has this") as caught:
        _open(used)
    assert caught.value.metadata["pid"] == str(os.getpid())
    with pytest.raises(DirectoryInUse):
        wipe(used)
    held.close()
    held.close()
    _open(used).close()


def test_the_lock_file_says_who_has_it_and_whose_it_is(used: Path) -> None:
    """Its first 32 bytes are the pid, for whoever asks; the mark tells it from others' locks."""
    text = (used / "LOCK").read_bytes()
    assert text[:32].strip() == str(os.getpid()).encode()
    assert text[32:] == b"namestore\n"


def test_a_wiped_directory_with_a_note_is_used_again(used: Path) -> None:
    """Its lock file is what tells it from a foreign one."""
    (used / "NOTES").write_text("mine")
    wipe(used)
    assert not (used / "identity").exists()
    _open(used).close()
    wipe(used)
    (used / "LOCK").unlink()
    with pytest.raises(StorageError, match="it holds NOTES;"):
        _open(used)


def test_a_refused_directory_is_let_go(used: Path) -> None:
    """An opening that failed leaves no lock behind."""
    with pytest.raises(DiskDamaged):
        _open(used, node="n2")
    _open(used).close()


@pytest.mark.parametrize(("cluster", "node"), (("other", "n1"), ("home", "n2")))
def test_foreign_data_is_refused(used: Path, cluster: str, node: str) -> None:
    """Another node's or another cluster's data is neither used nor to be wiped in haste."""
    with pytest.raises(DiskDamaged, match="'n1' of cluster 'home'") as caught:
        _open(used, cluster, node)
    assert repr(node) in caught.value.message
    assert "data_dir" in caught.value.message


@pytest.mark.parametrize(
    "damage",
    (
        lambda path: (path / "identity").write_bytes(b""),
        lambda path: (path / "identity").write_bytes(b"[]"),
        lambda path: (path / "identity").unlink(),
        lambda path: (path / "identity").write_text(
            (path / "identity").read_text().replace('"n1"', '"n2"')
        ),
    ),
)
def test_a_damaged_identity_is_refused(used: Path, damage: Callable[[Path], object]) -> None:
    """Data of which nobody says whose it is could be anybody's."""
    damage(used)
    with pytest.raises(DiskDamaged, match=r"identity: .*--wipe-and-rejoin"):
        _open(used)


def test_a_newer_identity_is_refused(used: Path) -> None:
    """A newer version's directory is left to it."""
    body = json.loads((used / "identity").read_text())
    del body["checksum"]
    body["format"] = 2
    body["colour"] = "green"
    text = json.dumps({**body, "checksum": module._checksum(body)})
    (used / "identity").write_text(text)
    with pytest.raises(DiskDamaged, match="written in format 2") as caught:
        _open(used)
    assert "wipe" not in caught.value.message


@pytest.mark.parametrize("lost", ("log", "state"))
def test_an_emptied_directory_is_refused(used: Path, lost: str) -> None:
    """A node without its log or state could have voted: it does not begin anew unasked."""
    shutil.rmtree(used / lost)
    held = _open(used)
    with pytest.raises(DiskDamaged, match="is gone"):
        held.open_log() and held.open_state()
    held.close()


@pytest.mark.parametrize("cut_after", range(5))
def test_making_it_can_be_cut_short(
    tmp_path: Path, cut_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash while the directory is made leaves one that the next start makes whole."""

    class Died(BaseException):
        pass

    steps = iter(range(100))

    def cutting(real: Callable[..., object]) -> Callable[..., object]:
        def step(*arguments: object) -> object:
            if next(steps) == cut_after:
                raise Died
            return real(*arguments)

        return step

    path = tmp_path / "n1"
    with monkeypatch.context() as patch:
        patch.setattr(module, "_write_identity", cutting(module._write_identity))
        patch.setattr(module.WalLog, "create", cutting(module.WalLog.create))
        patch.setattr(module.RocksState, "create", cutting(module.RocksState.create))
        if cut_after < 4:
            with pytest.raises(Died):
                _open(path)
        else:
            _open(path).close()
    held = _open(path)
    assert held.open_log().last_index == 0
    assert held.open_state().meta.applied_index == 0
    held.close()


def test_everything_is_let_go_of_although_the_disk_fails_at_the_end(
    used: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log cannot note how far it was durable; state and lock are free all the same."""
    held = _open(used)
    log, _ = held.open_log(), held.open_state()
    log.save_vote(log.term + 1, "n1")
    log.sync()

    def fails(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", fails)
        with pytest.raises(DiskFailed, match="closing the log failed"):
            held.close()
    held = _open(used)
    held.open_log()
    held.open_state()
    held.close()


def test_the_cluster_id_is_set_once(used: Path) -> None:
    """It survives, may be said again, and never changes."""
    held = _open(used)
    held.set_cluster_id("aa11")
    held.set_cluster_id("aa11")
    with pytest.raises(InvariantViolation, match="aa11"):
        held.set_cluster_id("bb22")
    held.close()
    held = _open(used)
    assert held.cluster_id == "aa11"
    held.close()


def test_wipe_removes_the_data_and_nothing_else(used: Path) -> None:
    """A note of the operator's in the same place stays."""
    (used / "NOTES").write_text("mine")
    wipe(used)
    assert sorted(path.name for path in used.iterdir()) == ["LOCK", "NOTES"]
    wipe(used)
    wipe(used / "nowhere")
    held = _open(used)
    assert held.fresh
    held.close()


def test_what_is_no_directory_is_refused(tmp_path: Path) -> None:
    """With a sentence that says what stands there."""
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "n1"):
        with pytest.raises(StorageError, match="a file stands where a directory is needed"):
            _open(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    """With a sentence that says so."""
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StorageError, match="this user may not"):
            _open(tmp_path / "n1")
    finally:
        tmp_path.chmod(0o700)
