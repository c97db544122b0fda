"""A node without a pid file is found by the lock of its data; a stranger there is never touched."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from namestore.localcluster import LocalCluster
from namestore.localcluster.errors import DataHeld
from namestore.localcluster.table import gather
from tests.unit.localcluster.conftest import wait_ready


@pytest.fixture
def held(cluster: LocalCluster) -> Iterator[Path]:
    """The LOCK of n1's data, held by this process, which is no node; free again afterwards."""
    path = cluster.directory.path / "n1" / "LOCK"
    path.parent.mkdir()
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path.write_text(f"{os.getpid()}\n")
        yield path


def _lose(cluster: LocalCluster, lock: Path, pid_file: str | None) -> int:
    """Starts n1, has its data locked in its name, and spoils its pid file."""
    cluster.start("n1")
    process = cluster.process("n1")
    wait_ready(process)
    pid = process.pid
    if pid is None:
        pytest.fail("n1 does not run")
    lock.write_text(f"{pid} of namestore\n")
    process.pid_path.unlink()
    if pid_file is not None:
        process.pid_path.write_text(pid_file)
    return pid


@pytest.mark.parametrize("content", (None, "{", '{"pid": 1, "identity": "another"}'))
def test_node_without_pid_file_is_adopted(
    cluster: LocalCluster, held: Path, content: str | None
) -> None:
    """Lost, garbage or altered: the node runs still, is shown so, and has a pid file again."""
    pid = _lose(cluster, held, content)
    cluster._ask = lambda endpoints: {}

    assert [row.process for row in gather(cluster)] == ["lost", "down", "down"]
    assert cluster.running() == ["n1"]
    assert cluster.adopt() == {"n1": pid}
    assert cluster.adopt() == {}
    held.unlink()  # from now on the pid file is enough
    assert cluster.running() == ["n1"]


@pytest.mark.parametrize("noted", (str(os.getpid()), "", "garbage", "-1", "0", "4194305"))
def test_stranger_is_named_and_left_alone(cluster: LocalCluster, held: Path, noted: str) -> None:
    """What cannot be proven to be the node is not signalled, and every verb says so."""
    held.write_text(noted)
    cluster._ask = lambda endpoints: {}

    assert cluster.adopt() == {}
    assert cluster.running() == []
    assert gather(cluster)[0].process == "held"
    for verb in (lambda: cluster.kill("n1"), lambda: cluster.stop("n1"), cluster.end):
        with pytest.raises(DataHeld, match="n1 by "):
            verb()
    with pytest.raises(DataHeld):
        cluster.directory.wipe()
    held.unlink()  # for the fixture's own end


def test_end_ends_the_known_nodes_before_it_refuses(cluster: LocalCluster, held: Path) -> None:
    """One stranger does not keep the others running."""
    cluster.start("n2")
    wait_ready(cluster.process("n2"))

    with pytest.raises(DataHeld, match="n1 by pid"):
        cluster.end()
    assert cluster.running() == []
    held.unlink()


def test_free_lock_is_no_node(cluster: LocalCluster) -> None:
    """A LOCK that a dead process left behind stands in nobody's way, and asking makes none."""
    (cluster.directory.path / "n1").mkdir()
    (cluster.directory.path / "n1" / "LOCK").write_text(f"{os.getpid()}\n")
    (cluster.directory.path / "n2").mkdir()

    assert cluster.end() == []
    assert list((cluster.directory.path / "n2").iterdir()) == []
