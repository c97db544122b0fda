"""`--wipe-and-rejoin`: what it waits for, and what it refuses, before anything is removed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from namestore.client.states import MemberState, PeerState
from namestore.client.values import EndpointStatus, NodeRole
from namestore.config import ClusterConfig, NodeConfig
from namestore.errors import ConfigError, NoQuorum, OutcomeUnknown
from namestore.server import rejoin
from tests.unit.cli.fake_store import status_of

NODES = ("n1", "n2", "n3")


class Others:
    """The other nodes: how they answer, look by look, and what they were told."""

    def __init__(self, *looks: EndpointStatus) -> None:
        self.looks = list(looks)
        self.removed: list[str] = []
        self.error: Exception | None = None
        self.now = 0.0

    def __call__(self, *_: object, **__: object) -> Others:
        return self

    def __enter__(self) -> Others:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def status(self, **_: object) -> list[EndpointStatus]:
        return [self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]]

    def remove_member(self, node_id: str, **_: object) -> None:
        if self.error is not None:
            raise self.error
        self.removed.append(node_id)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def leads(*connected: str) -> EndpointStatus:
    """n1 leads three members, and is connected to these."""
    answer = status_of("n1", NodeRole.LEADER)
    assert answer.node is not None
    members = tuple(MemberState(node, f"{node}:1", f"{node}:2", voter=True) for node in NODES)
    peers = tuple(PeerState(node, node in connected, None, None) for node in NODES[1:])
    return replace(answer, node=replace(answer.node, members=members, peers=peers))


NOBODY = status_of("n1", NodeRole.CANDIDATE, has_quorum=False)


@pytest.fixture
def config(tmp_path: Path) -> ClusterConfig:
    nodes = (NodeConfig(node, f"{node}:1", f"{node}:2", tmp_path / node) for node in NODES)
    return ClusterConfig("test", tuple(nodes))


def leave(
    config: ClusterConfig, others: Others, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> bool:
    monkeypatch.setattr(rejoin, "NameStore", others)
    agree = options.pop("confirm", lambda what: True)
    return rejoin.leave_and_wipe(
        config, "n2", agree, clock=lambda: others.now, sleep=others.sleep, **options
    )


def test_an_election_is_waited_for(config: ClusterConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The node led until it was killed, a moment ago: the others need a second to elect."""
    others = Others(NOBODY, NOBODY, leads("n3"))
    assert leave(config, others, monkeypatch)
    assert others.removed == ["n2"]


def test_those_who_connect_again_are_waited_for(
    config: ClusterConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that was restarted a moment ago counts as soon as it is connected."""
    others = Others(leads(), leads("n3"))
    assert leave(config, others, monkeypatch)


@pytest.mark.parametrize("look", (NOBODY, leads("n2")), ids=("nobody leads", "one is left"))
def test_without_a_majority_nothing_is_removed(
    config: ClusterConfig, monkeypatch: pytest.MonkeyPatch, look: EndpointStatus
) -> None:
    """It is not waited for longer than an election takes."""
    others = Others(look)
    with pytest.raises(NoQuorum, match="run this again"):
        leave(config, others, monkeypatch)
    assert others.removed == []
    assert others.now > 0


def test_another_cluster_is_not_waited_for(
    config: ClusterConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file with wrong addresses does not become right."""
    others = Others(leads("n3"))
    with pytest.raises(ConfigError, match="correct the grpc addresses"):
        leave(replace(config, name="other"), others, monkeypatch)
    assert others.now == 0


def test_data_stays_unless_the_member_is_removed(
    config: ClusterConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither without consent nor when nobody knows what became of the removal."""
    monkeypatch.setattr(rejoin, "wipe", lambda path: pytest.fail("the data was removed"))
    others = Others(leads("n3"))
    assert not leave(config, others, monkeypatch, confirm=lambda what: False)
    others.error = OutcomeUnknown("the leader changed meanwhile")
    with pytest.raises(OutcomeUnknown):
        leave(config, others, monkeypatch)
