"""Nodes that are killed and come back: the others go on, and nothing is lost or granted twice."""

from __future__ import annotations

import pytest

from namestore import NameStore
from namestore.localcluster import LocalCluster
from tests.support.callers import Caller, Load
from tests.support.cluster import SERVE_SECONDS, finish, role_ids
from tests.support.history import History

pytestmark = pytest.mark.cluster


def test_killed_leader_is_followed_by_another(cluster: LocalCluster, history: History) -> None:
    """kill -9 of the leader under load: another leads, callers go on, the old one catches up."""
    leader, _ = role_ids(cluster)
    with Load(cluster.endpoints, history) as load:
        load.wait_for_answers(40)
        cluster.kill(leader)
        cluster.wait_for_leader(other_than=leader)
        load.wait_for_answers(40)
        cluster.start(leader)
        cluster.wait_until_serving(leader)
        load.wait_for_answers(20)

    finish(cluster, history)


def test_killed_follower_is_not_noticed(cluster: LocalCluster, history: History) -> None:
    """Two of three are a majority: the leader stays, in its term, and no call fails."""
    leader, followers = role_ids(cluster)
    term = cluster.views()[leader].status.term  # type: ignore[union-attr]
    with Load(cluster.endpoints, history) as load:
        load.wait_for_answers(20)
        cluster.kill(followers[0])
        load.wait_for_answers(60)
        status = cluster.views()[leader].status
        cluster.start(followers[0])
        cluster.wait_until_serving(followers[0])

    assert status is not None
    assert (cluster.wait_for_leader(), status.term) == (leader, term)
    finish(cluster, history)


def test_each_node_killed_in_turn(cluster: LocalCluster, history: History) -> None:
    """A rolling series of kills under load; after each the cluster is whole again."""
    with Load(cluster.endpoints, history) as load:
        for node_id in cluster.node_ids:
            load.wait_for_answers(20)
            cluster.kill(node_id)
            load.wait_for_answers(20)
            cluster.start(node_id)
            cluster.wait_until_serving(timeout=SERVE_SECONDS)

    finish(cluster, history)


def test_all_killed_at_once(cluster: LocalCluster, history: History) -> None:
    """Power loss of every node at once, under load, twice: what was acknowledged is there."""
    with Load(cluster.endpoints, history) as load:
        for _ in range(2):
            load.wait_for_answers(40)
            for node_id in cluster.node_ids:
                cluster.kill(node_id)
            cluster.start()
            cluster.wait_until_serving(timeout=SERVE_SECONDS)
        load.wait_for_answers(20)

    finish(cluster, history)


def test_rolling_restart(cluster: LocalCluster, history: History) -> None:
    """Each node stopped and started in turn, as in an upgrade: each ends with exit code 0."""
    with Load(cluster.endpoints, history) as load:
        for node_id in cluster.node_ids:
            load.wait_for_answers(20)
            assert cluster.stop(node_id)
            assert cluster.process(node_id).exit_code == 0
            cluster.start(node_id)
            cluster.wait_until_serving(timeout=SERVE_SECONDS)

    finish(cluster, history)


def test_restart_of_all_keeps_every_answer(cluster: LocalCluster, history: History) -> None:
    """Stopped and started as a whole: names are held, and the winner's retry is granted again."""
    with NameStore(cluster.endpoints) as store:
        granted = Caller(store, history, "alice").register("user:alice")
        assert granted
    assert cluster.end() == []
    cluster.start()
    cluster.wait_until_serving(timeout=SERVE_SECONDS)

    with NameStore(cluster.endpoints) as store:
        again = Caller(store, history, "alice").register("user:alice", granted.request_id)
        assert again
        assert again.record == granted.record
        assert not Caller(store, history, "bob").register("user:alice")
    finish(cluster, history)


def test_stop_one_write_restart_compare(cluster: LocalCluster, history: History) -> None:
    """A node that was away gets what it missed, to the last byte."""
    leader, followers = role_ids(cluster)
    cluster.stop(followers[0])
    with NameStore(cluster.endpoint(leader)) as store:
        caller = Caller(store, history, "writer")
        for number in range(50):
            assert caller.register(f"user:missed-{number}")
    cluster.start(followers[0])
    cluster.wait_until_serving(followers[0])
    cluster.wait_until_equal()

    with NameStore(cluster.endpoint(followers[0])) as store:
        assert len(list(store.list("user:missed-", stale=True))) == 50
    finish(cluster, history)
