"""Nodes that see each other under addresses of their own, and networks that break in between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from namestore import NameStore
from namestore.localcluster import LocalCluster
from tests.support.callers import Caller, Load
from tests.support.cluster import (
    SERVE_SECONDS,
    endpoints_of,
    finish,
    role_ids,
    running_cluster,
)
from tests.support.history import History
from tests.support.proxy import Proxy

pytestmark = pytest.mark.cluster

Between = dict[tuple[str, str], list[Proxy]]


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[tuple[LocalCluster, Between]]:
    """Three nodes, each of which reaches each other one by addresses that nobody else knows."""
    with (
        ExitStack() as proxies,
        running_cluster(tmp_path / "cluster", start=False) as cluster,
    ):
        between: Between = {}
        for source in cluster.node_ids:
            addresses = {}
            for target in cluster.node_ids:
                if source != target:
                    node = cluster.config.node(target)
                    pair = [proxies.enter_context(Proxy(a)) for a in (node.grpc, node.raft)]
                    between[source, target] = pair
                    addresses[target] = (pair[0].address, pair[1].address)
            cluster.set_addresses(source, addresses)
        cluster.start()
        cluster.wait_until_serving(timeout=SERVE_SECONDS)
        yield cluster, between


def test_nodes_whose_files_differ_in_addresses_are_one_cluster(
    proxied: tuple[LocalCluster, Between], history: History
) -> None:
    """A node's id is its identity: address translation between nodes changes nothing."""
    cluster, between = proxied
    leader, followers = role_ids(cluster)
    for node_id in cluster.node_ids:
        with NameStore(cluster.endpoint(node_id)) as store:
            assert Caller(store, history, node_id).register(f"user:via-{node_id}")
    cluster.kill(leader)
    cluster.wait_for_leader(other_than=leader)
    with NameStore(endpoints_of(cluster, followers), timeout=20) as store:
        assert Caller(store, history, "after").register("user:after")

    assert all(raft.passed_bytes > 0 for _, raft in between.values())
    finish(cluster, history)


def test_leader_cut_off_from_the_others(
    proxied: tuple[LocalCluster, Between], history: History
) -> None:
    """Both sides have callers; only the majority's side grants, and after the cut all agree."""
    cluster, between = proxied
    leader, followers = role_ids(cluster)
    with (
        Load(cluster.endpoint(leader), history, callers=2, client_prefix="cut-off") as lonely,
        Load(endpoints_of(cluster, followers), history, callers=2, client_prefix="rest") as rest,
    ):
        lonely.wait_for_answers(10)
        rest.wait_for_answers(10)
        for pair, proxies in between.items():
            if leader in pair:
                for proxy in proxies:
                    proxy.cut()
        cluster.wait_for_leader(other_than=leader)
        rest.wait_for_answers(30)
        for proxies in between.values():
            for proxy in proxies:
                proxy.heal()
        cluster.wait_until_serving(timeout=SERVE_SECONDS)
        lonely.wait_for_answers(10)

    finish(cluster, history)


def test_follower_that_is_not_heard_does_not_depose_the_leader(
    proxied: tuple[LocalCluster, Between], history: History
) -> None:
    """Cut off and back again, a follower rejoins in the leader's term."""
    cluster, between = proxied
    leader, followers = role_ids(cluster)
    before = cluster.views()[leader].status
    alone = followers[0]
    with Load(endpoints_of(cluster, [leader, followers[1]]), history) as load:
        for pair, proxies in between.items():
            if alone in pair:
                for proxy in proxies:
                    proxy.cut()
        cluster.wait_until(lambda: _knows_no_leader(cluster, alone), "without a leader")
        load.wait_for_answers(20)
        for proxies in between.values():
            for proxy in proxies:
                proxy.heal()
        cluster.wait_until_serving(timeout=SERVE_SECONDS)

    after = cluster.views()[leader].status
    assert before is not None
    assert after is not None
    assert (after.leader_id, after.term) == (leader, before.term)
    finish(cluster, history)


def _knows_no_leader(cluster: LocalCluster, node_id: str) -> bool:
    status = cluster.views([node_id])[node_id].status
    return status is not None and not status.leader_id
