"""Members that come and go under load, with a kill in the middle of each change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from namestore import NameStore
from namestore.localcluster import LocalCluster
from tests.support.callers import Load
from tests.support.cluster import SERVE_SECONDS
from tests.support.eventually import eventually
from tests.support.history import History
from tests.support.membership import add, endpoints, finish_members, founded_cluster, voters

pytestmark = pytest.mark.cluster

FOUNDERS = ["n1", "n2", "n3"]
ALL = [*FOUNDERS, "n4", "n5"]


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
