"""What `--wipe-and-rejoin` may remove: this node's data, and nothing that could be another's."""

from __future__ import annotations

from pathlib import Path

import pytest

from namestore.errors import DirectoryInUse, DiskDamaged, StorageError
from namestore.storage.directory import DataDirectory
from namestore.storage.wiping import check_wipeable


def made(path: Path, node_id: str = "n2") -> Path:
    DataDirectory.open(path, "c", node_id).close()
    return path


def test_nothing_to_remove_is_no_obstacle(tmp_path: Path) -> None:
    """A lost directory, or an emptied one."""
    assert check_wipeable(tmp_path / "gone", "c", "n2") == ""
    assert check_wipeable(tmp_path, "c", "n2") == ""


def test_own_data_may_go(tmp_path: Path) -> None:
    """Whole or damaged; what would go is named."""
    path = made(tmp_path / "n2")
    assert "identity" in check_wipeable(path, "c", "n2")
    (path / "identity").write_bytes(b"\x00 not an identity")
    assert "log" in check_wipeable(path, "c", "n2")
    (path / "identity").unlink()
    assert "state" in check_wipeable(path, "c", "n2")


def test_anothers_data_stays(tmp_path: Path) -> None:
    """Of another node or cluster: data_dir is wrong, not the disk."""
    path = made(tmp_path / "n3", "n3")
    with pytest.raises(DiskDamaged, match="node 'n3'"):
        check_wipeable(path, "c", "n2")
    with pytest.raises(DiskDamaged, match="cluster 'c'"):
        check_wipeable(path, "other", "n3")


def test_what_namestore_did_not_make_stays(tmp_path: Path) -> None:
    """A wrong path in the configuration must not cost somebody's files, whatever their names."""
    (tmp_path / "thesis.tex").write_text("x")
    (tmp_path / "log").mkdir()
    (tmp_path / "state").mkdir()
    with pytest.raises(StorageError, match="not a namestore data directory"):
        check_wipeable(tmp_path, "c", "n2")
    with pytest.raises(StorageError, match="not a directory"):
        check_wipeable(tmp_path / "thesis.tex", "c", "n2")
    assert {entry.name for entry in tmp_path.iterdir()} == {"thesis.tex", "log", "state"}


def test_a_new_disk_has_nothing_to_wipe(tmp_path: Path) -> None:
    """A file system comes with its lost+found."""
    (tmp_path / "lost+found").mkdir()
    assert check_wipeable(tmp_path, "c", "n2") == ""


def test_a_running_nodes_data_stays(tmp_path: Path) -> None:
    """Stop it first."""
    held = DataDirectory.open(tmp_path, "c", "n2")
    with pytest.raises(DirectoryInUse):
        check_wipeable(tmp_path, "c", "n2")
    held.close()
