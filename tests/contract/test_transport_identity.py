"""Who is let in: the reason of every refusal can be read by whoever was refused.

After each attempt nothing was handed to the engine, and two honest nodes still talk.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from pysyncobj.node import Node

from tests.support.certificates import Authority
from tests.support.transports import Stage, Station, assert_honest_peers_talk


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def refused(stage: Stage, a: Station, b: Station) -> str:
    """b dials a; the reason why that came to nothing."""
    b.meet(a)
    stage.until(lambda: a.node_id in b.transport.refusals)
    assert not b.changes
    assert not a.messages
    return b.transport.refusals[a.node_id]


def test_the_reason_of_a_refusal_reaches_the_refused(stage: Stage) -> None:
    """Whoever is not let in can read why; once let in, the reason is forgotten."""
    a, b = stage.station("n1"), stage.station("n2")
    a.verdicts["n2"] = "no member of this cluster"
    assert refused(stage, a, b) == "no member of this cluster"
    a.verdicts.clear()
    stage.until(lambda: b.sees("n1"))
    assert "n1" not in b.transport.refusals


def test_the_dialing_side_refuses_as_well(stage: Stage) -> None:
    """Whom the engine does not want gets no message from it, though it would take them."""
    a, b = stage.station("n1"), stage.station("n2")
    b.verdicts["n1"] = "a stranger"
    assert refused(stage, a, b) == "a stranger"


def test_another_cluster_and_another_protocol_are_refused(stage: Stage) -> None:
    """Nodes of two clusters on one machine do not mix."""
    a = stage.station("n1")
    b, c = stage.station("n2", cluster_name="other"), stage.station("n3")
    assert "cluster 'other' there, 'test' here" in refused(stage, a, b)
    c.hello = dataclasses.replace(c.hello, protocol=2)
    assert "protocol 2" in refused(stage, a, c)


def test_a_wrong_node_behind_an_address_is_refused(stage: Stage) -> None:
    """Addresses swapped in a configuration connect nobody under a wrong name."""
    a, b = stage.station("n1"), stage.station("n2")
    b.transport.set_address("n3", a.address)
    b.transport.addNode(Node("n3"))
    stage.until(lambda: "n3" in b.transport.refusals)
    assert "node 'n1' answers where 'n3' was expected" in b.transport.refusals["n3"]


def test_two_nodes_with_one_id_refuse_each_other(stage: Stage) -> None:
    """A copied configuration is noticed."""
    a, b = stage.station("n1"), stage.station("n2")
    b.hello = dataclasses.replace(b.hello, node_id="n1")
    assert "two nodes share it" in refused(stage, a, b)


def test_the_certificate_of_another_node_is_refused(stage: Stage, authority: Authority) -> None:
    """A node of the cluster cannot speak for another one of it."""
    a, b = stage.pair(tls=authority.issue)
    c = stage.station("n3", tls=authority.issue("n3"))
    c.hello = dataclasses.replace(c.hello, node_id="n2")
    assert "its certificate names namestore://test/n3" in refused(stage, a, c)
    assert_honest_peers_talk(stage, a, b)


def test_the_certificate_of_another_cluster_is_refused(stage: Stage, authority: Authority) -> None:
    """One authority may serve several clusters."""
    a, b = stage.pair(tls=authority.issue)
    c = stage.station("n3", cluster_name="other", tls=authority.issue("n3", "other"))
    c.hello = dataclasses.replace(c.hello, cluster_name="test")
    assert "namestore://other/n3" in refused(stage, a, c)
    assert_honest_peers_talk(stage, a, b)


def test_another_authority_is_refused(stage: Stage, authority: Authority, tmp_path: Path) -> None:
    """A certificate that anybody could have made proves nothing; both sides say so."""
    a, b = stage.pair(tls=authority.issue)
    c = stage.station("n3", tls=Authority(tmp_path).issue("n3"))
    assert "certificate is not accepted" in refused(stage, a, c)
    a.meet(c)
    stage.until(lambda: "n3" in a.transport.refusals)
    assert_honest_peers_talk(stage, a, b)


def test_a_node_without_tls_and_one_with_do_not_meet(stage: Stage, authority: Authority) -> None:
    """Neither side falls back to talking in the clear."""
    a, b = stage.station("n1", tls=authority.issue("n1")), stage.station("n2")
    a.meet(b)
    b.meet(a)
    for _ in range(60):
        stage.round()
    assert not a.changes
    assert not b.changes
    assert "TLS" in a.transport.refusals["n2"]
