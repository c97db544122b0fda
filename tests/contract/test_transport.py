"""The transport between nodes over real loopback sockets, in the clear and with TLS."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pysyncobj.node import Node

from namestore.config import TlsConfig
from namestore.errors import ConfigError
from namestore.raft.addresses import SocketAddress
from namestore.raft.messages import MalformedMessage
from namestore.raft.network import TransportLimits
from tests.support.certificates import Authority
from tests.support.transports import Stage, Station

Issue = Callable[[str], TlsConfig] | None


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(params=["clear", "tls"])
def tls(request: pytest.FixtureRequest, authority: Authority) -> Issue:
    return authority.issue if request.param == "tls" else None


def removed(term: int) -> dict[str, object]:
    return {"type": "removed", "term": term}


def chunk(offset: int, data: bytes) -> dict[str, object]:
    return {
        "type": "snapshot_chunk",
        "term": 1,
        "snapshot_id": b"s",
        "file": 0,
        "offset": offset,
        "data": data,
        "crc": 0,
    }


def test_messages_arrive_in_the_order_sent_in_both_directions(stage: Stage, tls: Issue) -> None:
    """While a connection lasts, everything sent arrives once and in order."""
    a, b = stage.pair(tls=tls)
    for term in range(500):
        assert a.send("n2", removed(term))
        assert b.send("n1", removed(term))
    stage.until(lambda: len(b.messages) == len(a.messages) == 500)
    assert a.terms("n2") == b.terms("n1") == list(range(500))
    assert a.changes == [("up", "n2")]


def test_large_messages_arrive_whole(stage: Stage, tls: Issue) -> None:
    """A message of many socket buffers is put together again, byte for byte."""
    a, b = stage.pair(tls=tls)
    data = bytes(range(256)) * 12_000
    assert a.send("n2", chunk(1, data))
    assert a.send("n2", removed(9))
    stage.until(lambda: len(b.messages) == 2)
    assert b.messages[0][1]["data"] == data
    assert a.transport.queued_bytes(Node("n2")) == 0
