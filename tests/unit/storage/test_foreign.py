"""Somebody else's directory is refused and left as it was; namestore's own never is."""

from __future__ import annotations

from pathlib import Path

import pytest

from namestore.errors import DiskDamaged, StorageError
from namestore.storage.directory import DataDirectory


def _open(path: Path) -> DataDirectory:
    return DataDirectory.open(path, "home", "n1")


@pytest.mark.parametrize(
    "names",
    (
        ("thesis.tex",),
        ("log", "app.py"),
        ("identity", "known_hosts"),
        ("LOCK", "CURRENT"),
        ("cluster.toml", ".namestore-local-cluster"),
    ),
)
def test_a_directory_of_other_files_is_refused_and_left_alone(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    """Names that namestore uses too make it no data directory; not even a lock is left there."""
    for name in names:
        (tmp_path / name).write_text("mine")
    with pytest.raises(StorageError, match="an empty or a new directory") as caught:
        _open(tmp_path)
    assert not isinstance(caught.value, DiskDamaged)
    assert all(name in caught.value.message for name in names)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(
        names, "mine"
    )


def test_a_refusal_names_a_few_of_many_files(tmp_path: Path) -> None:
    """Enough to tell which directory it is."""
    for name in "abcde":
        (tmp_path / name).write_text("")
    with pytest.raises(StorageError, match="it holds a, b, c and 2 more"):
        _open(tmp_path)


def test_a_disk_of_its_own_is_as_good_as_empty(tmp_path: Path) -> None:
    """A new file system holds lost+found."""
    (tmp_path / "lost+found").mkdir()
    _open(tmp_path).close()
    _open(tmp_path).close()


@pytest.mark.parametrize("left", (("LOCK",), ("LOCK", "identity.new"), ("identity.new",)))
def test_a_creation_cut_short_before_the_identity_is_no_foreign_directory(
    tmp_path: Path, left: tuple[str, ...]
) -> None:
    """The first things made may be there and empty."""
    for name in left:
        (tmp_path / name).write_text("")
    held = _open(tmp_path)
    assert held.fresh
    held.close()


def test_own_data_among_other_files_is_used(tmp_path: Path) -> None:
    """An operator's note does not make it foreign, nor does a backup without the lock file."""
    used = tmp_path / "n1"
    _open(used).close()
    (used / "NOTES").write_text("mine")
    _open(used).close()
    (used / "LOCK").unlink()
    _open(used).close()
    (used / "identity").unlink()
    with pytest.raises(DiskDamaged, match="nothing says whose"):
        _open(used)
