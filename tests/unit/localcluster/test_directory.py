"""Only what this tool made is written to, and removed."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path

import pytest

from namestore.localcluster.directory import MARKER, ClusterDirectory
from namestore.localcluster.errors import Busy, DataHeld, DirectoryUnusable


def _made(path: Path) -> ClusterDirectory:
    directory = ClusterDirectory.create(path)
    directory.remember_nodes(["n1", "n2"])
    directory.config_path.write_text("")
    (path / "n1").mkdir()
    (path / "n1" / "data").write_text("x")
    (path / "n1.log").write_text("x")
    return directory


def test_wipe_removes_what_was_made(tmp_path: Path) -> None:
    """A directory that the tool made, and that holds nothing else, is gone afterwards."""
    path = tmp_path / "deep" / "c"

    assert _made(path).wipe() == []
    assert not path.exists()
    assert path.parent.exists()


def test_wipe_keeps_what_is_not_ours(tmp_path: Path) -> None:
    """Other files stay, and are named."""
    path = tmp_path / "c"
    directory = _made(path)
    (path / "notes.txt").write_text("mine")
    (path / "n3").mkdir()

    assert directory.wipe() == ["n3", "notes.txt"]
    assert (path / "notes.txt").read_text() == "mine"


def test_wipe_keeps_a_directory_that_was_there_before(tmp_path: Path) -> None:
    """It was the caller's, even though it was empty."""
    path = tmp_path / "c"
    path.mkdir()

    assert _made(path).wipe() == []
    assert list(path.iterdir()) == []


def test_wipe_does_not_follow_links(tmp_path: Path) -> None:
    """A data directory that was moved away and linked is not removed through the link."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("x")
    directory = _made(tmp_path / "c")
    (directory.path / "n2").symlink_to(elsewhere)

    assert directory.wipe() == ["n2"]
    assert (elsewhere / "precious").exists()


def test_wipe_refuses_while_a_process_has_data(tmp_path: Path) -> None:
    """Whoever holds the lock of one node's data keeps all of the cluster; nothing goes."""
    directory = _made(tmp_path / "c")
    before = sorted(path.name for path in directory.path.rglob("*"))
    with (directory.path / "n1" / "LOCK").open("w+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4711 of namestore\n")
        lock.flush()
        with pytest.raises(DataHeld, match=r"n1 by pid 4711.*kill 4711"):
            directory.wipe()

    (directory.path / "n1" / "LOCK").unlink()
    assert sorted(path.name for path in directory.path.rglob("*")) == before
    assert directory.wipe() == []


def test_wipe_refuses_when_it_cannot_tell(tmp_path: Path) -> None:
    """A lock that is a link to elsewhere says nothing of who has the data."""
    directory = _made(tmp_path / "c")
    (directory.path / "n1" / "LOCK").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(DirectoryUnusable, match="cannot tell"):
        directory.wipe()
    assert (directory.path / "n1" / "data").exists()
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("node_id", ("..", "../elsewhere", "a/b", ""))
def test_wipe_stays_inside(tmp_path: Path, node_id: str) -> None:
    """A marker that names a place outside is not obeyed."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    directory = ClusterDirectory.create(tmp_path / "c")
    with pytest.raises(DirectoryUnusable, match="leads elsewhere"):
        directory.remember_nodes([node_id])
    (directory.path / MARKER).write_text(
        json.dumps({"format": 1, "made_directory": True, "nodes": [node_id]})
    )
    with pytest.raises(DirectoryUnusable, match="damaged"):
        directory.wipe()

    assert elsewhere.exists()
    assert tmp_path.exists()


def test_create_refuses_a_directory_with_other_things(tmp_path: Path) -> None:
    """A foreign directory is neither used nor marked; the message names what is in it."""
    (tmp_path / "thesis.txt").write_text("x")

    with pytest.raises(DirectoryUnusable, match=r"thesis\.txt"):
        ClusterDirectory.create(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.txt"]


def test_create_stands_beside_the_data_of_a_dev_server(tmp_path: Path) -> None:
    """`namestore-server --dev` uses the same place by default: neither is in the other's way."""
    (tmp_path / "dev").mkdir()
    directory = ClusterDirectory.create(tmp_path)
    directory.remember_nodes(["n1"])

    assert directory.wipe() == ["dev"]
    assert (tmp_path / "dev").is_dir()


def test_create_again_is_the_same_directory(tmp_path: Path) -> None:
    """What is known of a directory outlives the process that made it."""
    ClusterDirectory.create(tmp_path / "c").remember_nodes(["n1"])

    assert ClusterDirectory.create(tmp_path / "c").node_ids == ("n1",)
    assert ClusterDirectory.open(tmp_path / "c").node_ids == ("n1",)


def test_create_refuses_a_file(tmp_path: Path) -> None:
    """A path that is a file is said to be unusable."""
    (tmp_path / "f").write_text("")

    with pytest.raises(DirectoryUnusable):
        ClusterDirectory.create(tmp_path / "f")


def test_open_says_what_to_do_when_there_is_none(tmp_path: Path) -> None:
    """Absent: `up` makes one. There, but not ours: said so."""
    with pytest.raises(DirectoryUnusable, match="namestore-local-cluster up"):
        ClusterDirectory.open(tmp_path / "absent")
    with pytest.raises(DirectoryUnusable, match="not a local cluster's directory"):
        ClusterDirectory.open(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    (
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"format": 9, "nodes": [], "made_directory": 1}', "newer"),
    ),
)
def test_open_refuses_a_marker_it_cannot_trust(tmp_path: Path, content: str, said: str) -> None:
    """A damaged marker, or one of a later version, gives no right to anything."""
    (tmp_path / MARKER).write_text(content)

    with pytest.raises(DirectoryUnusable, match=said):
        ClusterDirectory.open(tmp_path)


def test_second_command_is_told_who_is_at_work(tmp_path: Path) -> None:
    """One command at a time changes a directory; afterwards the next one may."""
    directory = ClusterDirectory.create(tmp_path / "c")
    with directory.locked():
        with pytest.raises(Busy, match="pid"):
            with ClusterDirectory.open(tmp_path / "c").locked():
                pass
    with directory.locked():
        pass


def test_lock_outlives_a_wipe(tmp_path: Path) -> None:
    """The one who wipes holds the lock to the end; the directory may then be made anew."""
    directory = ClusterDirectory.create(tmp_path / "c")
    with directory.locked():
        directory.wipe()
    with ClusterDirectory.create(tmp_path / "c").locked():
        pass
