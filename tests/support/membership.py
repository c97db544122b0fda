"""Clusters of real processes whose members come and go.

Every node's file is its own: the founders' name the founders only, as files do that were written
before anybody joined; the newcomers' name all nodes. What a membership is, the log says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from namestore import NameStore
from namestore.localcluster import LocalCluster
from tests.support.cluster import SERVE_SECONDS, look_up_all, running_cluster
from tests.support.history import History
from tests.support.linearizability import check


@contextmanager
def founded_cluster(path: Path, *, founders: int = 3, nodes: int = 5) -> Iterator[LocalCluster]:
    """A cluster whose first nodes serve, and whose others do not run and are no members yet."""
    with running_cluster(path, nodes=nodes, start=False) as cluster:
        first = cluster.node_ids[:founders]
        for node_id in first:
            text = cluster.directory.config_path.read_text()
            (path / f"{node_id}.toml").write_text(without(text, cluster.node_ids[founders:]))
        cluster.start(*first)
        cluster.wait_until_serving(*first, timeout=SERVE_SECONDS)
        yield cluster


def without(text: str, node_ids: Sequence[str]) -> str:
    """A cluster.toml with the sections of these nodes taken out."""
    for node_id in node_ids:
        pattern = rf'\[\[nodes\]\]\nid = "{node_id}"\n(?:[a-z_]+ = .*\n)*\n?'
        text = re.sub(pattern, "", text)
    return text


def endpoints(cluster: LocalCluster, node_ids: Sequence[str]) -> str:
    """Where to reach these nodes, as `NameStore` takes it."""
    return ",".join(cluster.endpoint(node_id) for node_id in node_ids)


def add(cluster: LocalCluster, store: NameStore, node_id: str) -> list[str]:
    """Has a node of the cluster's file join, and returns the voters' ids once it counts."""
    node = cluster.config.node(node_id)
    members = store.add_member(node.id, node.raft, node.grpc, timeout=SERVE_SECONDS)
    return [member.node_id for member in members if member.voter]


def voters(store: NameStore) -> list[str]:
    """The ids of those that count."""
    return [member.node_id for member in store.members() if member.voter]


def finish_members(cluster: LocalCluster, history: History, node_ids: Sequence[str]) -> None:
    """As `tests.support.cluster.finish`, where these are the members and no other node runs."""
    cluster.start(*node_ids)
    cluster.wait_until_serving(*node_ids, timeout=SERVE_SECONDS)
    cluster.wait_until_equal(timeout=SERVE_SECONDS)
    names = sorted({operation.name for operation in history.operations})
    with NameStore(endpoints(cluster, node_ids), timeout=SERVE_SECONDS) as store:
        look_up_all(store, names, history)
    check(history.operations)
