"""A node that reaches no majority: says so in time, does nothing, and serves again afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from namestore import NameStore
from namestore.errors import NoQuorum, OutcomeUnknown
from namestore.localcluster import LocalCluster
from namestore.localcluster.observe import Health, open_channel
from namestore.v1 import registry_pb2, registry_pb2_grpc
from tests.support.callers import Caller
from tests.support.cluster import finish, role_ids, running_cluster
from tests.support.eventually import eventually
from tests.support.history import History

pytestmark = pytest.mark.cluster

REQUEST_SECONDS = 1.5


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    """Three nodes that let no call wait for long."""
    limits = {"limits": {"request_timeout_ms": int(REQUEST_SECONDS * 1000)}}
    with running_cluster(tmp_path / "cluster", settings=limits) as made:
        yield made


def test_node_without_a_quorum_says_so_in_time(cluster: LocalCluster, history: History) -> None:
    """Reads and writes get NO_QUORUM within the deadline, health NOT_SERVING; then all is well."""
    survivor = "n2"
    with NameStore(cluster.endpoint(survivor), timeout=30) as store:
        Caller(store, history, "alice").register("user:alice")
        cluster.wait_until_equal()
        for node_id in ("n1", "n3"):
            cluster.kill(node_id)
        # If it led, it believes so for a moment longer; see the next test.
        eventually(lambda: not cluster.views()[survivor].leads, "no leader")
        eventually(lambda: cluster.views()[survivor].health is Health.NOT_SERVING, "it says so")

        with open_channel(cluster.endpoint(survivor)) as channel:
            stub = registry_pb2_grpc.NameRegistryStub(channel)
            bob = registry_pb2.RegisterRequest(name="user:bob", owner="bob", request_id=b"bob")
            for ask, request in (
                (stub.Register, bob),
                (stub.RegisterMany, registry_pb2.RegisterManyRequest(requests=[bob])),
                (stub.Lookup, registry_pb2.LookupRequest(name="user:alice")),
                (stub.Release, registry_pb2.ReleaseRequest(name="user:alice", owner="alice")),
            ):
                assert _refusal(ask, request) == (grpc.StatusCode.UNAVAILABLE, "NO_QUORUM")
        stale = store.lookup("user:alice", stale=True)
        assert stale is not None
        assert stale.owner == "alice"

        cluster.start("n1")
        cluster.wait_until_serving(survivor, "n1")
        assert store.lookup("user:bob") is None, "certainly not applied means just that"
        assert Caller(store, history, "bob").register("user:bob")
    finish(cluster, history)


def _refusal(ask: Callable[..., object], request: object) -> tuple[grpc.StatusCode, str]:
    """What one single call is told, and that it is told in time."""
    asked_at = time.monotonic()
    with pytest.raises(grpc.RpcError) as refused:
        ask(request, timeout=10 * REQUEST_SECONDS)
    # No call waits longer than the node lets it, and as much again for a slow machine.
    assert time.monotonic() - asked_at < 2 * REQUEST_SECONDS
    details = rpc_status.from_call(refused.value)  # type: ignore[arg-type]
    assert details is not None
    info = error_details_pb2.ErrorInfo()
    assert details.details[0].Unpack(info)
    return refused.value.code(), info.reason


def test_leader_that_loses_its_followers_never_guesses(
    cluster: LocalCluster, history: History
) -> None:
    """What it had proposed may still be applied, and it says so in time; a retry settles it."""
    leader, followers = role_ids(cluster)
    with NameStore(cluster.endpoint(leader), timeout=REQUEST_SECONDS) as store:
        caller = Caller(store, history, "caller")
        assert caller.register("user:before")
        for node_id in followers:
            cluster.pause(node_id)
        request_id = b"one-and-the-same"
        asked_at = time.monotonic()
        with pytest.raises((OutcomeUnknown, NoQuorum)):
            store.register("user:meanwhile", "caller", request_id=request_id)
        assert time.monotonic() - asked_at < 2 * REQUEST_SECONDS
        for node_id in followers:
            cluster.resume(node_id)
        cluster.wait_until_serving()
        assert caller.register("user:meanwhile", request_id), "its retry is the same request"
    finish(cluster, history)
