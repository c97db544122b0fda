"""Where a node's file and the members differ, and when that is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from namestore.config import ClusterConfig, NodeConfig
from namestore.raft.replica import MemberInfo, PeerInfo
from namestore.server.node import Attention
from namestore.server.reports import StatusReport
from tests.support.replica import FakeReplica


def node(node_id: str) -> NodeConfig:
    number = node_id[1:]
    return NodeConfig(node_id, f"h:710{number}", f"h:720{number}", Path(node_id))


def member(node_id: str) -> MemberInfo:
    return MemberInfo(node_id, f"r:720{node_id[1:]}", f"r:710{node_id[1:]}", voter=True)


def report() -> StatusReport:
    config = ClusterConfig("c", (node("n1"), node("n2"), node("n3")))
    return StatusReport(config, "n1", lambda: 0.0, lambda: 0.0)


def test_a_file_that_names_the_members_is_in_order() -> None:
    """Other addresses are no finding: they may differ for good reasons."""
    replica = FakeReplica("n1")
    replica.members = (member("n1"), member("n2"), member("n3"))
    assert report().warnings(replica.status()) == ()


def test_differences_between_file_and_members_are_told() -> None:
    """A member that the file lacks, a node that is no member, and what the replica itself says."""
    replica = FakeReplica("n1")
    replica.members = (member("n1"), member("n2"), member("n4"))
    replica.warnings = ("said by the replica",)
    own, unnamed, outside = report().warnings(replica.status())
    assert own == "said by the replica"
    assert "does not name the member n4" in unnamed
    assert 'raft = "r:7204"' in unnamed
    assert "names n3, which is not a member" in outside


def test_an_address_that_leads_nowhere_is_told_beside_the_one_that_was_given() -> None:
    """A member that was added anew elsewhere: this node's file still has the old address."""
    replica = FakeReplica("n1")
    replica.members = (member("n1"), member("n2"), member("n3"))
    replica.peers = (PeerInfo("n2", False, None, None), PeerInfo("n3", True, None, None))
    (moved,) = report().warnings(replica.status())
    assert "does not reach n2 at h:7202" in moved
    assert "added as r:7202" in moved


def test_attention_is_asked_for_once_and_not_for_what_passes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What stood for a second is logged, once; that all is well again, too."""
    attention = Attention("n1")
    attention.look(["passing", "lasting"], 0.0)
    assert caplog.records == []
    attention.look(["lasting"], 1.0)
    attention.look(["lasting"], 2.0)
    attention.look([], 3.0)
    said = [str(record.msg) for record in caplog.records if record.levelname == "WARNING"]
    assert len(said) == 1
    assert "lasting" in said[0]
