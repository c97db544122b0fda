"""All of what is missing is started, or nothing of it stays."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Mapping

import pytest

from namestore.localcluster import LocalCluster
from namestore.localcluster.bring_up import bring_up
from namestore.localcluster.errors import NodeFailed, PortTaken, UnknownNode
from namestore.localcluster.observe import Health, NodeView
from namestore.localcluster.table import all_serve, as_json, as_table, gather
from namestore.v1 import cluster_pb2
from tests.unit.localcluster.conftest import wait_ready


def _serving(endpoints: Mapping[str, str]) -> dict[str, NodeView]:
    return dict.fromkeys(endpoints, NodeView(Health.SERVING))


def _silent(endpoints: Mapping[str, str]) -> dict[str, NodeView]:
    return dict.fromkeys(endpoints, NodeView(Health.NO_ANSWER))


def test_brings_up_every_node(cluster: LocalCluster) -> None:
    """Three processes run afterwards; a second call finds them and starts none."""
    cluster._ask = _serving

    assert bring_up(cluster, 10).started == ("n1", "n2", "n3")
    again = bring_up(cluster, 10)
    assert (again.running, again.started) == (("n1", "n2", "n3"), ())


def _two_serve(
    cluster: LocalCluster, members: list[cluster_pb2.Member]
) -> Callable[[Mapping[str, str]], dict[str, NodeView]]:
    """n1 and n2 serve and say that these are the members; n3 answers, and serves not."""

    def ask(endpoints: Mapping[str, str]) -> dict[str, NodeView]:
        name, views = cluster.config.name, {}
        for node_id in endpoints:
            status = cluster_pb2.StatusResponse(node_id=node_id, cluster_name=name)
            if node_id != "n3":
                status.members.extend(members)
            health = Health.NOT_SERVING if node_id == "n3" else Health.SERVING
            views[node_id] = NodeView(health, status)
        return views

    return ask


def _members(*voters: str, learners: tuple[str, ...] = ()) -> list[cluster_pb2.Member]:
    counting = [cluster_pb2.Member(node_id=node_id, voter=True) for node_id in voters]
    return counting + [cluster_pb2.Member(node_id=node_id, voter=False) for node_id in learners]


@pytest.mark.parametrize("learners", ((), ("n3",)), ids=("not a member", "not yet one"))
def test_a_node_that_waits_to_be_added_is_not_waited_for(
    cluster: LocalCluster, learners: tuple[str, ...]
) -> None:
    """It runs and is well, and only its operator can have it serve: nothing is ended."""
    cluster._ask = _two_serve(cluster, _members("n1", "n2", learners=learners))
    done = bring_up(cluster, 10)
    assert (done.started, done.outside) == (("n1", "n2", "n3"), ("n3",))
    assert cluster.running() == ["n1", "n2", "n3"]


def test_a_member_that_does_not_serve_is_waited_for(cluster: LocalCluster) -> None:
    """By its own word it is outside as well, but who serves counts it: something is wrong."""
    cluster._ask = _two_serve(cluster, _members("n1", "n2", "n3"))
    with pytest.raises(NodeFailed, match="not serving"):
        bring_up(cluster, 0.01)
    assert cluster.running() == []


def test_starts_only_what_is_missing(cluster: LocalCluster) -> None:
    """A half-dead cluster is made whole; one that crashed is told from one that was stopped."""
    cluster._ask = _serving
    bring_up(cluster, 10)
    survivor = cluster.process("n1").pid
    pid = cluster.process("n2").pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    cluster.kill("n3")

    done = bring_up(cluster, 10)
    assert done.running == ("n1",)
    assert done.started == ("n2", "n3")
    assert done.stale == ("n2",)
    assert cluster.process("n1").pid == survivor


def test_failed_start_leaves_no_orphan(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One node ends at once: the others that were started go, the log says why, what ran runs."""
    cluster._ask = _silent
    cluster.start("n1")
    wait_ready(cluster.process("n1"))
    monkeypatch.setenv("STAND_IN", "3")

    with pytest.raises(NodeFailed, match="exit code 3") as failure:
        bring_up(cluster, 10)
    assert "this is why it failed" in failure.value.log_tail
    assert cluster.running() == ["n1"]


def test_nodes_that_never_serve_are_ended(cluster: LocalCluster) -> None:
    """Waiting is bounded, and then nothing is left."""
    cluster._ask = _silent

    with pytest.raises(NodeFailed, match="not serving: n1, n2, n3"):
        bring_up(cluster, 0.01)
    assert cluster.running() == []


def test_interrupt_ends_what_was_started(cluster: LocalCluster) -> None:
    """Ctrl-C while waiting: the nodes of this call go before the command does."""

    def interrupted(endpoints: Mapping[str, str]) -> dict[str, NodeView]:
        raise KeyboardInterrupt

    cluster._ask = interrupted
    with pytest.raises(KeyboardInterrupt):
        bring_up(cluster, 10)
    assert cluster.running() == []


def test_taken_port_is_named_before_anything_starts(cluster: LocalCluster) -> None:
    """The message names the port, the node, and the process that has it."""
    host, _, port = cluster.config.node("n2").raft.rpartition(":")
    with socket.create_server((host, int(port))):
        with pytest.raises(PortTaken, match=rf"port {port} \(Raft of n2\).*pid {os.getpid()}"):
            bring_up(cluster, 10)
    assert cluster.running() == []


def test_end_kills_what_lingers(cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM first, SIGKILL after the bound; the pid files go too."""
    cluster.start("n1")
    monkeypatch.setenv("STAND_IN", "deaf")
    cluster.start("n2")
    for node_id in ("n1", "n2"):
        wait_ready(cluster.process(node_id))

    assert cluster.end(timeout=0.3) == ["n2"]
    assert cluster.running() == []
    assert not list(cluster.directory.path.glob("*.pid"))


def test_stop_of_a_deaf_node_says_so_and_leaves_it(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop is a request; only `kill` is not."""
    monkeypatch.setenv("STAND_IN", "deaf")
    cluster.start("n1")
    wait_ready(cluster.process("n1"))

    with pytest.raises(NodeFailed, match="still runs"):
        cluster.stop("n1", timeout=0.05)
    assert cluster.running() == ["n1"]
    cluster.kill("n1")


def test_stop_reaches_a_paused_node(cluster: LocalCluster) -> None:
    """It is let go on, so that it hears the request."""
    cluster.start("n1")
    wait_ready(cluster.process("n1"))
    cluster.pause("n1")

    assert cluster.stop("n1", timeout=10)
    assert cluster.process("n1").exit_code == 0


def test_node_is_found_by_id_and_by_number(cluster: LocalCluster) -> None:
    """`n2` and `2` are the same; anything else is unknown, and the known ones are listed."""
    assert cluster.node_id("n2") == cluster.node_id("2") == "n2"
    with pytest.raises(UnknownNode, match="n1, n2, n3"):
        cluster.node_id("4")


def test_answer_of_another_cluster_is_not_taken_for_ours(cluster: LocalCluster) -> None:
    """Whoever answers at the port has to be that node of this cluster."""
    foreign = cluster_pb2.StatusResponse(node_id="n1", cluster_name="somebody-else")
    cluster._ask = lambda endpoints: dict.fromkeys(endpoints, NodeView(Health.SERVING, foreign))
    cluster.start("n1")

    assert cluster.views() == {"n1": NodeView(Health.FOREIGN)}


def test_rows_tell_serving_from_killed_paused_and_down(cluster: LocalCluster) -> None:
    """Every node has a row, whatever became of it, and lag is told as far as anybody knows it."""
    name = cluster.config.name
    leader = cluster_pb2.StatusResponse(
        node_id="n1",
        cluster_name=name,
        role=cluster_pb2.LEADER,
        term=4,
        commit_index=20,
        applied_index=20,
        peers=[cluster_pb2.PeerStatus(node_id="n3", lag_entries=7)],
    )
    cluster._ask = lambda endpoints: {
        node_id: NodeView(Health.SERVING, leader) if node_id == "n1" else NodeView(Health.NO_ANSWER)
        for node_id in endpoints
    }
    cluster.start()
    cluster.pause("n2")
    pid = cluster.process("n3").pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    cluster.process("n3")._child.wait()  # type: ignore[union-attr]

    rows = gather(cluster)
    assert [(row.node, row.process, row.health, row.role, row.lag) for row in rows] == [
        ("n1", "running", "serving", "leader", 0),
        ("n2", "paused", "no answer", None, None),
        ("n3", "gone", "down", None, 7),
    ]
    assert not all_serve(rows)
    assert as_json(cluster, rows)["nodes"][2]["node"] == "n3"
    assert as_table(rows).row_count == 3


def test_rows_of_a_cluster_that_is_down(cluster: LocalCluster) -> None:
    """No process, no question asked, no error."""
    rows = gather(cluster)

    assert {(row.process, row.health, row.pid) for row in rows} == {("down", "down", None)}
