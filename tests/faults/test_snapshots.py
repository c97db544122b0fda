"""Nodes whose missing entries are gone: they get the state itself, also when that is cut short."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from namestore import NameStore
from namestore.client.values import NewName
from namestore.localcluster import LocalCluster
from tests.support.callers import Caller, in_thread
from tests.support.cluster import SERVE_SECONDS, endpoints_of, finish, role_ids, running_cluster
from tests.support.eventually import eventually
from tests.support.history import History

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]

# Small, so that a second of writes leaves a node too far behind for the log.
_SETTINGS = {"raft": {"snapshot_entries": 20}, "limits": {"entry_bytes_max": 65536}}
_INSTALLED, _STARTED = "snapshot.installed", "snapshot.fetch.started"
# A snapshot of so many bytes, in pieces of half a megabyte, can be met in the middle.
_BULK_NAMES, _BULK_PAYLOAD, _BULK_BATCH = 20_000, 1000, 500
_PIECE_BYTES = 512 * 1024


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    """Three nodes with short logs."""
    with running_cluster(tmp_path / "cluster", settings=_SETTINGS) as made:
        yield made


def said(cluster: LocalCluster, node_id: str, event: str) -> int:
    """How often a node's log has an event."""
    return cluster.process(node_id).log_path.read_text().count(event)


def write_many(store: NameStore, history: History, prefix: str, count: int = 120) -> None:
    """An entry of the log for each name: several times what a log keeps."""
    caller = Caller(store, history, prefix)
    for number in range(count):
        caller.register(f"user:{prefix}-{number}")


def write_bulk(store: NameStore) -> None:
    """Payloads that do not compress, so that the snapshot is as large as they are."""
    for start in range(0, _BULK_NAMES, _BULK_BATCH):
        names = [
            NewName(f"user:bulk-{number}", payload=os.urandom(_BULK_PAYLOAD))
            for number in range(start, start + _BULK_BATCH)
        ]
        assert all(store.register_many(names, "bulk", timeout=60))


def test_follower_catches_up_by_snapshot(cluster: LocalCluster, history: History) -> None:
    """Down while the log was shortened beyond it, a node is equal to the others after a restart."""
    _, followers = role_ids(cluster)
    behind = followers[0]
    cluster.kill(behind)
    with NameStore(cluster.endpoints, timeout=20) as store:
        write_many(store, history, "while-down")
        cluster.start(behind)
        write_many(store, history, "while-it-returns")
    cluster.wait_until_serving(behind, timeout=SERVE_SECONDS)

    eventually(lambda: said(cluster, behind, _INSTALLED), "a snapshot was installed")
    finish(cluster, history)


def test_paused_leader_returns_to_a_snapshot(cluster: LocalCluster, history: History) -> None:
    """SIGSTOP of the leader, both sides ask for the same names, the log is shortened, SIGCONT."""
    leader, followers = role_ids(cluster)
    names = [f"user:both-{number}" for number in range(10)]
    with (
        NameStore(cluster.endpoint(leader), timeout=30) as to_leader,
        NameStore(endpoints_of(cluster, followers), timeout=30) as to_others,
    ):
        held, other = Caller(to_leader, history, "held"), Caller(to_others, history, "other")
        held.register("user:connected")
        cluster.pause(leader)
        waiting = [in_thread(partial(held.register, name)) for name in names]
        cluster.wait_for_leader(other_than=leader)
        granted = [other.register(name) for name in names]
        write_many(to_others, history, "meanwhile")
        cluster.resume(leader)
        late = [result() for result in waiting]

    assert all(granted)
    assert not any(late)
    eventually(lambda: said(cluster, leader, _INSTALLED), "a snapshot was installed")
    finish(cluster, history)


@pytest.mark.parametrize("killed", ("receiver", "sender"))
def test_snapshot_survives_a_kill_in_the_middle(
    cluster: LocalCluster, history: History, killed: str
) -> None:
    """kill -9 of either side while the snapshot is under way: it goes on, or begins again."""
    leader, followers = role_ids(cluster)
    behind = followers[0]
    incoming = cluster.config.node(behind).data_dir / "incoming" / "files"
    cluster.kill(behind)
    with NameStore(cluster.endpoints, timeout=60) as store:
        write_bulk(store)
        write_many(store, history, "small", 40)
    leader, _ = role_ids(cluster)
    cluster.start(behind)
    victim = behind if killed == "receiver" else leader
    eventually(lambda: _bytes_in(incoming) >= _PIECE_BYTES, "a piece arrived", every=0.001)
    cluster.kill(victim)
    assert not said(cluster, behind, _INSTALLED), "too late to be the middle"

    with NameStore(cluster.endpoints, timeout=60) as store:
        cluster.start(victim)
        write_many(store, history, "after", 40)
    eventually(lambda: said(cluster, behind, _INSTALLED), "a snapshot was installed", 60)
    finish(cluster, history)


def _bytes_in(directory: Path) -> int:
    try:
        return sum(path.stat().st_size for path in directory.iterdir())
    except FileNotFoundError:
        return 0
