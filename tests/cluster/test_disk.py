"""Disks that are full, cannot be written, or are already somebody's: clear words, nothing lost."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from namestore import NameStore, embedded
from namestore.errors import DirectoryInUse, OutcomeUnknown, Unavailable
from namestore.localcluster import LocalCluster
from namestore.localcluster.errors import NodeFailed
from tests.support.callers import Caller, Load
from tests.support.cluster import SERVE_SECONDS, finish, role_ids, running_cluster
from tests.support.history import History

pytestmark = pytest.mark.cluster

EXIT_STORAGE, EXIT_FATAL = 3, 70


@contextmanager
def small_disk(path: Path, tmp_path: Path, options: str) -> Iterator[None]:
    """A file system of its own in that directory; skips the test where that is not allowed."""
    assert path.resolve().is_relative_to(tmp_path.resolve()), "only ever inside the test's own"
    path.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if os.geteuid() != 0 or mount is None or umount is None:
        pytest.skip("mounting a file system takes root and mount(8)")
    mounted = subprocess.run(
        [mount, "-t", "tmpfs", "-o", options, "tmpfs", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a file system here: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run([umount, "--lazy", str(path)], check=True)


def fill(path: Path) -> None:
    """Leaves no byte free."""
    with (path / "filler").open("wb", buffering=0) as filler:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while filler.write(bytes(size)) == size:
                    pass
            except OSError:
                continue


@pytest.mark.parametrize("victim", ("leader", "follower"))
def test_full_disk_stops_the_node_and_loses_nothing(
    tmp_path: Path, history: History, victim: str
) -> None:
    """The node stops loudly rather than acknowledge; with space again it starts and catches up."""
    with running_cluster(tmp_path / "cluster", start=False) as cluster:
        disks = [cluster.config.node(node_id).data_dir for node_id in cluster.node_ids]
        with (
            small_disk(disks[0], tmp_path, "size=48m"),
            small_disk(disks[1], tmp_path, "size=48m"),
            small_disk(disks[2], tmp_path, "size=48m"),
        ):
            try:
                cluster.start()
                cluster.wait_until_serving(timeout=SERVE_SECONDS)
                _fill_one(cluster, history, victim)
            finally:
                cluster.end()


def _fill_one(cluster: LocalCluster, history: History, victim: str) -> None:
    leader, followers = role_ids(cluster)
    node_id = leader if victim == "leader" else followers[0]
    disk = cluster.config.node(node_id).data_dir
    with Load(cluster.endpoints, history, timeout=10) as load:
        load.wait_for_answers(20)
        fill(disk)
        assert cluster.process(node_id).wait_gone(60), "it went on without its disk"
        load.wait_for_answers(40)
        (disk / "filler").unlink()
        cluster.start(node_id)
        cluster.wait_until_serving(timeout=SERVE_SECONDS)
        load.wait_for_answers(10)
    said = cluster.process(node_id).log_path.read_text()
    assert "the disk is full" in said or "No space left" in said
    finish(cluster, history)


def test_full_disk_exits_with_its_code(tmp_path: Path) -> None:
    """A script can tell a node that lost its disk from one that was asked to end."""
    with running_cluster(tmp_path / "cluster", nodes=1, start=False) as cluster:
        disk = cluster.config.node("n1").data_dir
        with small_disk(disk, tmp_path, "size=48m"):
            try:
                cluster.start()
                cluster.wait_until_serving(timeout=SERVE_SECONDS)
                fill(disk)
                with NameStore(cluster.endpoints, timeout=3) as store:
                    with pytest.raises((OutcomeUnknown, Unavailable)):
                        _register_without_end(store)
                assert cluster.process("n1").wait_gone(30)
                assert cluster.process("n1").exit_code == EXIT_FATAL
            finally:
                cluster.end()


def _register_without_end(store: NameStore) -> None:
    for number in range(10_000):
        store.register(f"user:{number}", payload=bytes(1000))


def test_read_only_data_directory_is_refused(tmp_path: Path) -> None:
    """The node does not start; the message names the directory."""
    with running_cluster(tmp_path / "cluster", nodes=1, start=False) as cluster:
        disk = cluster.config.node("n1").data_dir
        with small_disk(disk, tmp_path, "size=8m,ro"):
            cluster.start("n1")
            with pytest.raises(NodeFailed) as failure:
                cluster.wait_until_serving("n1")

    assert f"exit code {EXIT_STORAGE}" in failure.value.message
    assert str(disk) in failure.value.log_tail
    assert "Traceback" not in failure.value.log_tail


def test_data_directory_is_used_by_one_process(tmp_path: Path) -> None:
    """A node's directory opened by a second process, or a registry's by a node: refused, named."""
    with running_cluster(tmp_path / "cluster", nodes=1) as cluster:
        directory = cluster.config.node("n1").data_dir
        with pytest.raises(DirectoryInUse, match=str(directory)):
            embedded.open(directory)
        with NameStore(cluster.endpoints) as store:
            assert store.register("user:undisturbed")


def test_embedded_registry_is_refused_to_a_node(tmp_path: Path) -> None:
    """The other way round: while a program has it open, no server gets it."""
    with running_cluster(tmp_path / "cluster", nodes=1, start=False) as cluster:
        with embedded.open(cluster.config.node("n1").data_dir) as store:
            cluster.start("n1")
            with pytest.raises(NodeFailed, match=f"exit code {EXIT_STORAGE}"):
                cluster.wait_until_serving("n1")
            assert store.register("user:undisturbed")


def test_node_that_lost_its_disk_does_not_vote(
    cluster: LocalCluster, history: History, tmp_path: Path
) -> None:
    """An emptied data directory is not the member it was: the others do not let it in."""
    _, followers = role_ids(cluster)
    lost = followers[0]
    with NameStore(cluster.endpoints) as store:
        assert Caller(store, history, "alice").register("user:alice")
    cluster.stop(lost)
    data, aside = cluster.config.node(lost).data_dir, tmp_path / "aside"
    data.rename(aside)
    cluster.start(lost)
    cluster.wait_until_answering(lost)
    with NameStore(cluster.endpoints) as store:
        assert Caller(store, history, "bob").register("user:bob")
    cluster.wait_until(
        lambda: "does not know" in cluster.process(lost).log_path.read_text(), "refused"
    )
    assert lost not in [n for n, view in cluster.views().items() if view.health.value == "serving"]

    cluster.kill(lost)
    data.rename(tmp_path / "emptied")
    aside.rename(data)
    finish(cluster, history)
