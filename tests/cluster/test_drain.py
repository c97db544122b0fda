"""The end of a node that was asked to end: nobody is left without an answer."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from namestore import NameStore
from namestore.errors import OutcomeUnknown, ShuttingDown, Unavailable
from namestore.localcluster import LocalCluster
from namestore.localcluster.observe import Health
from tests.support.callers import Caller, Load, in_thread
from tests.support.cluster import finish, role_ids, running_cluster
from tests.support.eventually import eventually
from tests.support.history import History

pytestmark = pytest.mark.cluster


@pytest.fixture
def slow_to_elect(tmp_path: Path) -> Iterator[LocalCluster]:
    """Three nodes whose leader waits for silent followers for a while before it gives up."""
    settings = {"raft": {"election_timeout_ms_min": 3000, "election_timeout_ms_max": 4000}}
    with running_cluster(tmp_path / "cluster", settings=settings) as made:
        yield made


def test_drain_finishes_what_is_under_way_and_refuses_what_is_new(
    slow_to_elect: LocalCluster, history: History
) -> None:
    """A call that waits for a majority when SIGTERM comes is still granted; exit code 0."""
    cluster = slow_to_elect
    leader, followers = role_ids(cluster)
    with (
        NameStore(cluster.endpoint(leader), timeout=20) as early,
        NameStore(cluster.endpoint(leader), timeout=0.3) as late,
    ):
        caller = Caller(early, history, "early")
        caller.register("user:connected")
        late.lookup("user:connected")
        for node_id in followers:
            cluster.pause(node_id)
        behind = cluster.views()[leader].status
        assert behind is not None
        result = in_thread(lambda: caller.register("user:under-way"))
        eventually(lambda: _proposed(cluster, leader, behind.commit_index), "proposed", every=0.01)
        assert cluster.terminate(leader)
        eventually(lambda: _refuses(late), "refuses new calls", every=0.01)
        for node_id in followers:
            cluster.resume(node_id)

        assert result()
    assert cluster.process(leader).wait_gone(30)
    assert cluster.process(leader).exit_code == 0
    finish(cluster, history)


def _proposed(cluster: LocalCluster, leader: str, committed: int) -> bool:
    """The leader has an entry that its followers have not got."""
    status = cluster.views([leader])[leader].status
    return status is not None and any(peer.lag_entries > 0 for peer in status.peers)


def _refuses(store: NameStore) -> bool:
    try:
        store.register("user:new", "late")
    except ShuttingDown:
        return True
    except (Unavailable, OutcomeUnknown):  # unknown: its first attempt came before the end began
        return False
    return False


def test_drain_under_load_leaves_no_call_unanswered(
    cluster: LocalCluster, history: History
) -> None:
    """The leader is asked to end under load: it hands over, and no outcome is left unknown."""
    leader, _ = role_ids(cluster)
    with Load(cluster.endpoints, history, timeout=20) as load:
        load.wait_for_answers(40)
        assert cluster.stop(leader)
        load.wait_for_answers(40)

    assert cluster.process(leader).exit_code == 0
    assert "handed_over" in cluster.process(leader).log_tail(30)
    assert all(operation.answered for operation in history.operations)
    finish(cluster, history)


@pytest.mark.parametrize("number", (signal.SIGTERM, signal.SIGINT))
def test_second_signal_ends_at_once(slow_to_elect: LocalCluster, number: signal.Signals) -> None:
    """Whoever asks twice does not want to wait; the exit code says by which signal."""
    cluster = slow_to_elect
    leader, followers = role_ids(cluster)
    with NameStore(cluster.endpoint(leader), timeout=20) as store:
        store.register("user:connected")
        for node_id in followers:
            cluster.pause(node_id)
        result = in_thread(lambda: store.register("user:under-way", timeout=3))
        eventually(lambda: _proposed(cluster, leader, 0), "proposed", every=0.01)
        process = cluster.process(leader)
        assert process.signal(number)
        eventually(
            lambda: cluster.views([leader])[leader].health is Health.NOT_SERVING,
            "draining",
            every=0.01,
        )
        assert process.signal(number)
        assert process.wait_gone(30)
        assert process.exit_code == 128 + number
        with pytest.raises(Exception, match="may have been applied"):
            result()
