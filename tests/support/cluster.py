"""Clusters of real processes for a test, and how every such test ends.

A test acts on a `LocalCluster` while callers whose calls are recorded work on it. `finish` then
makes all nodes run, waits until they are equal, asks for every name, and has the history judged:
nothing that was acknowledged is missing, nothing was granted twice, and what is not known may have
happened or not.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from namestore import NameStore
from namestore.localcluster import LocalCluster
from namestore.localcluster.configuration import Settings
from tests.support.history import Ask, History, Said
from tests.support.linearizability import check

# Machines that run tests are slow at times: these bounds end a test that hangs, no more.
SERVE_SECONDS = 60.0


@contextmanager
def running_cluster(
    path: Path,
    *,
    nodes: int = 3,
    settings: Settings | None = None,
    tls: bool = False,
    start: bool = True,
) -> Iterator[LocalCluster]:
    """A cluster on free ports that serves; every process of it is ended afterwards.

    When the block fails, what the nodes logged last is printed.
    """
    with LocalCluster.create(path, nodes=nodes, base_port=0, settings=settings, tls=tls) as cluster:
        try:
            if start:
                cluster.start()
                cluster.wait_until_serving(timeout=SERVE_SECONDS)
            yield cluster
        except BaseException:
            for node_id in cluster.node_ids:
                tail = cluster.process(node_id).log_tail(40)
                sys.stdout.write(f"\n--- the end of {node_id}'s log\n{tail}\n")
            raise


def finish(cluster: LocalCluster, history: History) -> None:
    """How every test ends; see the module.

    Raises:
        NodeFailed: The nodes do not all serve, or do not become equal.
        Violation: The history cannot be that of one registry.
    """
    for node_id in cluster.running():
        cluster.resume(node_id)
    cluster.start()
    cluster.wait_until_serving(timeout=SERVE_SECONDS)
    cluster.wait_until_equal(timeout=SERVE_SECONDS)
    names = sorted({operation.name for operation in history.operations})
    with NameStore(cluster.endpoints, timeout=SERVE_SECONDS) as store:
        look_up_all(store, names, history)
    check(history.operations)


def look_up_all(store: NameStore, names: list[str], history: History) -> None:
    """Asks for every name, as the last calls of a history."""
    records = store.lookup_many(names)
    for name, record in zip(names, records, strict=True):
        with history.call("the end", Ask.LOOKUP, name) as call:
            if record is None:
                call.answer(Said.NOT_FOUND)
            else:
                call.answer(Said.FOUND, None, record.owner, record.create_revision)


def role_ids(cluster: LocalCluster) -> tuple[str, list[str]]:
    """The leader and the followers, once there is one leader."""
    leader = cluster.wait_for_leader(timeout=SERVE_SECONDS)
    return leader, [node_id for node_id in cluster.node_ids if node_id != leader]


def endpoints_of(cluster: LocalCluster, node_ids: list[str]) -> str:
    """Where to reach some of the nodes, as `NameStore` takes it."""
    return ",".join(cluster.endpoint(node_id) for node_id in node_ids)
