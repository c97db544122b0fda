"""Endpoints: how they are written, and which one is picked."""

from __future__ import annotations

import pytest

from namestore.client.endpoints import Endpoints, parse_endpoints
from namestore.errors import ConfigError
from namestore.v1.cluster_pb2 import StatusResponse
from tests.unit.client.fake_network import FirstOf


def status(node_id: str, leader_id: str, cluster_name: str = "test") -> StatusResponse:
    return StatusResponse(node_id=node_id, leader_id=leader_id, cluster_name=cluster_name)


def three() -> Endpoints:
    return Endpoints(("a:1", "b:1", "c:1"), FirstOf())


def test_parse_endpoints_takes_text_or_sequence() -> None:
    """Commas, spaces, repetitions and brackets are understood."""
    assert parse_endpoints(" a:1, b:2,a:1,") == ("a:1", "b:2")
    assert parse_endpoints(["[::1]:7101", "host:65535"]) == ("[::1]:7101", "host:65535")


@pytest.mark.parametrize(
    ("endpoints", "says"),
    (
        ("", "endpoints is empty"),
        ([], "endpoints is empty"),
        (" , ", "endpoints is empty"),
        ("localhost", "has no port; write host:port, such as localhost:7101"),
        (":7101", "has no host"),
        ("a:0", "1 to 65535 are ports"),
        ("a:65536", "1 to 65535 are ports"),
        ("a:http", "1 to 65535 are ports"),
        ("http://a:7101", "looks like a URL"),
        ("::1:7101", "put an IPv6 address in brackets"),
        ("[::1]", "has no port"),
    ),
)
def test_parse_endpoints_names_what_is_wrong(endpoints: str | list[str], says: str) -> None:
    """Every endpoint that is none is refused with what would be right."""
    with pytest.raises(ConfigError) as caught:
        parse_endpoints(endpoints)
    assert says in caught.value.message


def test_pick_stays_with_what_works() -> None:
    """Without a known leader the endpoint that answered last is asked again."""
    endpoints = three()
    assert endpoints.pick(0) == "a:1"
    endpoints.note_answer("c:1")
    assert endpoints.pick(0) == "c:1"


def test_pick_avoids_failed_endpoints_for_a_while() -> None:
    """A failed endpoint is passed over, longer each time, and then gets another chance."""
    endpoints = three()
    endpoints.note_failure("a:1", 0)
    assert endpoints.pick(0.5) == "b:1"
    assert endpoints.pick(1.0) == "a:1"
    endpoints.note_failure("a:1", 1)
    assert endpoints.pick(2.5) == "b:1"
    assert endpoints.pick(3.0) == "a:1"


def test_pick_always_finds_one() -> None:
    """If all failed, or all are to be avoided, the one least lately failed is picked."""
    endpoints = three()
    for now, address in enumerate(("b:1", "a:1", "c:1")):
        endpoints.note_failure(address, now)
    assert endpoints.pick(0.5, {"a:1", "b:1", "c:1"}) == "b:1"


def test_pick_prefers_the_leader_by_its_node_id() -> None:
    """The leader is found by asking endpoints who they are, never by a reported address."""
    endpoints = three()
    seen = status("n1", "n2")
    seen.leader_grpc_address = "10.0.0.2:1"
    endpoints.note_status("a:1", seen)
    assert endpoints.pick(0) == "a:1"
    endpoints.note_status("b:1", status("n2", "n2"))
    assert endpoints.pick(0) == "b:1"
    endpoints.note_failure("b:1", 0)
    assert endpoints.pick(0) == "a:1"


def test_a_failure_takes_the_proof_away() -> None:
    """After an attempt without an answer the endpoint has to show again that it is there."""
    endpoints = three()
    endpoints.note_status("a:1", status("n1", "n1"))
    assert endpoints.is_proven("a:1")
    endpoints.note_failure("a:1", 0)
    assert not endpoints.is_proven("a:1")


def test_to_ask_is_rare_and_only_for_several_endpoints() -> None:
    """All are asked while the leader is unknown, then only the leader, now and then."""
    alone = Endpoints(("a:1",), FirstOf())
    assert alone.to_ask(0) == []
    endpoints = three()
    assert endpoints.to_ask(0) == ["a:1", "b:1", "c:1"]
    assert endpoints.to_ask(0.5) == []
    endpoints.note_status("b:1", status("n2", "n2"))
    assert endpoints.to_ask(1.5) == ["b:1"]
    assert endpoints.to_ask(11) == []
    assert endpoints.to_ask(11.5) == ["b:1"]


def test_a_lost_leader_is_asked_for_at_once() -> None:
    """When the leader's endpoint fails, the others are asked with the next call."""
    endpoints = three()
    endpoints.note_status("b:1", status("n2", "n2"))
    assert endpoints.to_ask(0) == ["b:1"]
    endpoints.note_failure("b:1", 1)
    assert endpoints.to_ask(1) == ["a:1", "c:1"]


def test_endpoints_of_two_clusters_do_not_mix() -> None:
    """A node of another cluster is not taken for one of ours."""
    endpoints = three()
    endpoints.note_status("a:1", status("n1", "n1"))
    with pytest.raises(ConfigError, match="b:1 belongs to the cluster 'other'"):
        endpoints.note_status("b:1", status("n2", "n1", cluster_name="other"))
    assert not endpoints.is_proven("b:1")
