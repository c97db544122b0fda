"""A leader that is held for longer than an election timeout, and does not know it.

Crashes are the easy case. A paused process still believes what it believed before, and goes on
exactly where it stopped.
"""

from __future__ import annotations

from functools import partial

import pytest

from namestore import NameStore
from namestore.localcluster import LocalCluster
from tests.support.callers import Caller, Load, in_thread
from tests.support.cluster import endpoints_of, finish, role_ids
from tests.support.history import History

pytestmark = pytest.mark.cluster


def test_paused_leader_is_replaced_and_follows(cluster: LocalCluster, history: History) -> None:
    """SIGSTOP under load: another leads; after SIGCONT the old one follows it, and catches up."""
    leader, _ = role_ids(cluster)
    with Load(cluster.endpoints, history) as load:
        load.wait_for_answers(40)
        cluster.pause(leader)
        cluster.wait_for_leader(other_than=leader)
        load.wait_for_answers(40)
        cluster.resume(leader)
        cluster.wait_until_serving(leader)
        load.wait_for_answers(20)

    finish(cluster, history)


def test_calls_held_by_a_paused_leader_do_not_grant_again(
    cluster: LocalCluster, history: History
) -> None:
    """Asked of it before the pause, answered after it: no name that others took meanwhile."""
    leader, followers = role_ids(cluster)
    names = [f"user:both-{number}" for number in range(10)]
    with (
        NameStore(cluster.endpoint(leader), timeout=20) as to_leader,
        NameStore(endpoints_of(cluster, followers), timeout=20) as to_others,
    ):
        held, other = Caller(to_leader, history, "held"), Caller(to_others, history, "other")
        held.register("user:connected")
        cluster.pause(leader)
        waiting = [in_thread(partial(held.register, name)) for name in names]
        cluster.wait_for_leader(other_than=leader)
        granted = [other.register(name) for name in names]
        cluster.resume(leader)
        late = [result() for result in waiting]

    assert all(granted)
    assert not any(late)
    finish(cluster, history)


def test_pauses_again_and_again(cluster: LocalCluster, history: History) -> None:
    """Whoever leads is held and let go on, three times, with reads and writes on both sides."""
    with Load(cluster.endpoints, history) as load:
        for _ in range(3):
            leader = cluster.wait_for_leader()
            cluster.pause(leader)
            cluster.wait_for_leader(other_than=leader)
            load.wait_for_answers(15)
            cluster.resume(leader)
            cluster.wait_until_serving(leader)

    finish(cluster, history)
