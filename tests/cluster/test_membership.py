"""Members that come and go under load, with a kill in the middle of each change."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from namestore import NameStore, errors
from namestore.localcluster import LocalCluster
from namestore.localcluster.bring_up import bring_up
from namestore.localcluster.node_process import SERVER_COMMAND, NodeProcess
from namestore.localcluster.observe import Health
from namestore.server.node import EXIT_REMOVED
from tests.support.callers import Load
from tests.support.cluster import SERVE_SECONDS
from tests.support.eventually import eventually
from tests.support.history import History
from tests.support.membership import add, endpoints, finish_members, founded_cluster, voters

pytestmark = pytest.mark.cluster

FOUNDERS = ["n1", "n2", "n3"]
ALL = [*FOUNDERS, "n4", "n5"]


REJOIN = "--wipe-and-rejoin"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    """Three members that serve, and two nodes that are none and do not run."""
    with founded_cluster(tmp_path / "cluster") as made:
        yield made


def warnings_of(cluster: LocalCluster, node_id: str) -> list[str]:
    status = cluster.views([node_id])[node_id].status
    return [] if status is None else list(status.warnings)


def ended(cluster: LocalCluster, node_id: str) -> bool:
    return cluster.process(node_id).pid is None


def change_with_kill(
    cluster: LocalCluster, load: Load, victim: str, change: Callable[[], object]
) -> None:
    """Kills a node while the change is asked for and starts it again; the change comes true."""
    with ThreadPoolExecutor(1) as beside:
        load.wait_for_answers(10)
        under_way = beside.submit(change)
        cluster.kill(victim)
        load.wait_for_answers(10)
        cluster.start(victim)
        under_way.result(SERVE_SECONDS)


def test_three_grow_to_five_and_back_under_load(cluster: LocalCluster, history: History) -> None:
    """kill -9 in the middle of each change, of the leader, a follower and the newcomer."""
    with (
        Load(endpoints(cluster, FOUNDERS), history) as load,
        NameStore(endpoints(cluster, ALL), timeout=SERVE_SECONDS) as store,
    ):
        cluster.start("n4")
        cluster.wait_until_answering("n4")
        leader = cluster.wait_for_leader(timeout=SERVE_SECONDS)
        change_with_kill(cluster, load, leader, lambda: add(cluster, store, "n4"))
        cluster.start("n5")
        cluster.wait_until_answering("n5")
        change_with_kill(cluster, load, "n5", lambda: add(cluster, store, "n5"))
        cluster.wait_until_serving(*ALL, timeout=SERVE_SECONDS)
        assert voters(store) == ALL

        change_with_kill(cluster, load, "n2", lambda: store.remove_member("n5"))
        leader = cluster.wait_for_leader(timeout=SERVE_SECONDS)
        change_with_kill(cluster, load, leader, lambda: store.remove_member("n4"))
        cluster.wait_until_serving(*FOUNDERS, timeout=SERVE_SECONDS)
        assert voters(store) == FOUNDERS
        for node_id in ("n4", "n5"):
            eventually(lambda node_id=node_id: ended(cluster, node_id), f"{node_id} stopped")
    finish_members(cluster, history, FOUNDERS)


def test_two_changes_at_once_are_one_and_a_refusal(cluster: LocalCluster, history: History) -> None:
    """While a newcomer that is not there is waited for, another is refused; removal gives it up."""
    with NameStore(endpoints(cluster, FOUNDERS), timeout=SERVE_SECONDS) as store:
        with ThreadPoolExecutor(1) as beside:
            waiting = beside.submit(add, cluster, store, "n4")
            eventually(lambda: len(store.members()) == 4, "n4 is taken in")
            with pytest.raises(errors.ChangeUnderWay):
                add(cluster, store, "n5")
            assert "n4" not in [member.node_id for member in store.remove_member("n4")]
            # What was begun may be asked for again: here, by the client's own retry.
            cluster.start("n4")
            assert waiting.result(SERVE_SECONDS) == [*FOUNDERS, "n4"]
        files = warnings_of(cluster, "n1")
        assert any("does not name the member n4" in finding for finding in files)
        store.remove_member("n4")
        eventually(lambda: ended(cluster, "n4"), "n4 stopped")
        assert cluster.process("n4").exit_code == EXIT_REMOVED
        assert "server.removed" in cluster.process("n4").log_tail()
        # Its data stays: it waits, and says for what.
        cluster.start("n4")
        view = cluster.wait_until_answering("n4")
        assert view.health is Health.NOT_SERVING
        assert any("members add n4" in finding for finding in warnings_of(cluster, "n4"))
        cluster.kill("n4")
    finish_members(cluster, history, FOUNDERS)


def test_leadership_moves_under_load(cluster: LocalCluster, history: History) -> None:
    """From node to node, with no call lost; a node that is no voter cannot lead."""
    with (
        Load(endpoints(cluster, FOUNDERS), history) as load,
        NameStore(endpoints(cluster, FOUNDERS), timeout=SERVE_SECONDS) as store,
    ):
        for node_id in FOUNDERS:
            assert store.transfer_leadership(node_id) == node_id
            load.wait_for_answers(10)
        with pytest.raises(errors.InvalidRequest):
            store.transfer_leadership("n4")
    finish_members(cluster, history, FOUNDERS)


def rejoin(cluster: LocalCluster, node_id: str, *options: str) -> NodeProcess:
    """The node's process, which was told to begin anew."""
    command = (*SERVER_COMMAND, REJOIN, *options)
    cluster.process(node_id).pid_path.unlink(missing_ok=True)
    process = NodeProcess(node_id, cluster.directory.path, command)
    process.start()
    return process


def test_an_emptied_node_neither_votes_nor_serves_until_it_rejoins(
    cluster: LocalCluster, history: History
) -> None:
    """It says why; the documented command brings it back, also when it is cut short."""
    data = cluster.directory.path / "n2"
    with Load(endpoints(cluster, ["n1", "n3"]), history) as load:
        load.wait_for_answers(20)
        cluster.kill("n2")
        shutil.rmtree(data)
        cluster.start("n2")
        cluster.wait_until_answering("n2")
        eventually(lambda: any(REJOIN in w for w in warnings_of(cluster, "n2")), "n2 says why")
        load.wait_for_answers(20)
        assert cluster.views(["n2"])["n2"].health is Health.NOT_SERVING

        # While it runs, and with nobody asked, nothing is done.
        assert refused(cluster, "n2", "--yes") == 3
        cluster.kill("n2")
        assert refused(cluster, "n2") == 2

        first = rejoin(cluster, "n2", "--yes")
        eventually(lambda: "rejoin.wiped" in first.log_tail(), "n2 is wiped")
        first.signal(signal.SIGKILL)
        first.wait_gone(SERVE_SECONDS)
        again = rejoin(cluster, "n2", "--yes")
        cluster.wait_until_serving("n2", timeout=SERVE_SECONDS)
        load.wait_for_answers(20)
    with NameStore(endpoints(cluster, FOUNDERS)) as store:
        assert voters(store) == FOUNDERS
    finish_members(cluster, history, FOUNDERS)
    again.signal(signal.SIGTERM)
    assert again.wait_gone(SERVE_SECONDS)


def test_rejoining_needs_a_majority_of_the_others(cluster: LocalCluster) -> None:
    """Else the cluster would lose the ability to decide: nothing is removed."""
    cluster.kill("n2")
    cluster.kill("n3")
    assert refused(cluster, "n2", "--yes") == 1
    assert (cluster.directory.path / "n2" / "identity").exists()


def test_bringing_up_does_not_wait_for_those_who_are_no_members(cluster: LocalCluster) -> None:
    """Nodes that only wait to be added are told of, and neither they nor the others are ended."""
    done = bring_up(cluster, SERVE_SECONDS)
    assert (done.started, done.outside) == (("n4", "n5"), ("n4", "n5"))
    assert cluster.running() == ALL


def test_rejoining_waits_for_an_election(cluster: LocalCluster, history: History) -> None:
    """Whoever is told to begin anew may have led a moment ago: the others elect first."""
    leader = cluster.wait_for_leader(timeout=SERVE_SECONDS)
    cluster.kill(leader)
    others = [node_id for node_id in FOUNDERS if node_id != leader]
    for node_id in others:
        cluster.pause(node_id)  # so that they certainly have not elected anybody yet
    again = rejoin(cluster, leader, "--yes")
    try:
        eventually(lambda: "rejoin.waiting" in again.log_tail(), "it waits for them")
    finally:
        for node_id in others:
            cluster.resume(node_id)
    cluster.wait_until_serving(leader, timeout=SERVE_SECONDS)
    finish_members(cluster, history, FOUNDERS)
    again.signal(signal.SIGTERM)
    assert again.wait_gone(SERVE_SECONDS)


def refused(cluster: LocalCluster, node_id: str, *options: str) -> int:
    """The exit code of a command that ends by itself."""
    config = cluster.process(node_id).config_path
    command = [*SERVER_COMMAND, "--config", str(config), "--node", node_id, REJOIN, *options]
    ran = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SERVE_SECONDS, check=False
    )
    return ran.returncode
