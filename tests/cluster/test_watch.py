"""Feeds of real clusters: copies that follow through changes of leaders, and nodes cut off."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest

from namestore import NameStore
from namestore.errors import NoLeader, NoQuorum
from namestore.localcluster import LocalCluster
from namestore.rpc.status import error_from_rpc
from namestore.v1 import registry_pb2 as pb
from namestore.v1.registry_pb2_grpc import NameRegistryStub
from tests.cluster.following import follow_through_changes
from tests.support.cluster import SERVE_SECONDS, endpoints_of, role_ids

pytestmark = pytest.mark.cluster


@pytest.mark.timeout(300)
def test_copies_follow_through_leader_changes(tmp_path: Path) -> None:
    """Killed, paused, stopped or deposed, under load: every change once, and each copy is equal."""
    tally = follow_through_changes(tmp_path, changes=5)

    assert tally.leader_changes == 5
    assert tally.followers == 5
    assert tally.events > tally.revisions


def test_a_feed_leaves_a_node_that_stands_still(cluster: LocalCluster) -> None:
    """A paused node breaks no connection; its silence is noticed, and another one goes on."""
    with NameStore(cluster.endpoints, timeout=SERVE_SECONDS) as store, store.watch() as feed:
        flow = feed._following.flow
        assert flow is not None
        store.register("user:a")
        assert next(feed).revision == 1
        still = next(each for each in cluster.node_ids if cluster.endpoint(each) == flow.endpoint)
        cluster.pause(still)
        others = [each for each in cluster.node_ids if each != still]
        with NameStore(endpoints_of(cluster, others), timeout=SERVE_SECONDS) as writer:
            assert writer.register("user:b")
        event = next(feed)
        assert (event.kind, event.record and event.record.name) == ("REGISTERED", "user:b")
        assert feed.resumes == 1
        cluster.resume(still)


def test_a_node_that_is_cut_off_ends_its_feeds(cluster: LocalCluster) -> None:
    """What it has it may send; then it says that it is out of touch, and callers go elsewhere."""
    leader, (alone, other) = role_ids(cluster)
    with grpc.insecure_channel(cluster.endpoint(alone)) as channel:
        stub = NameRegistryStub(channel)
        stream = stub.Watch(pb.WatchRequest())
        stream.initial_metadata()
        assert stub.Register(pb.RegisterRequest(name="user:a")).registered
        assert next(stream).revision == 1
        for node_id in (leader, other):
            cluster.pause(node_id)
        with pytest.raises(grpc.RpcError) as caught:
            next(stream)
        assert isinstance(error_from_rpc(caught.value), NoQuorum | NoLeader)
        with pytest.raises(grpc.RpcError) as caught:
            next(stub.Watch(pb.WatchRequest(from_revision=1), timeout=2.0))
        assert isinstance(error_from_rpc(caught.value), NoQuorum | NoLeader)
        for node_id in (leader, other):
            cluster.resume(node_id)
        cluster.wait_until_serving(timeout=SERVE_SECONDS)
        assert next(stub.Watch(pb.WatchRequest(from_revision=1))).revision == 1
