"""The transport between nodes over real loopback sockets, in the clear and with TLS."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from pysyncobj.node import Node

from namestore.config import TlsConfig
from namestore.errors import ConfigError
from namestore.raft.transport.addresses import SocketAddress
from namestore.raft.transport.messages import MalformedMessage
from namestore.raft.transport.network import TransportLimits
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
    return {"type": "timeout_now", "term": term}


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


def test_a_restarted_peer_is_found_again(stage: Stage, tls: Issue) -> None:
    """A peer that goes is reported once, and is reported again when it is back."""
    a, b = stage.pair(tls=tls)
    address = b.address
    stage.stop(b)
    stage.until(lambda: a.changes[-1] == ("down", "n2"))
    assert not a.send("n2", removed(1))
    b = stage.station("n2", listen=address, tls=tls("n2") if tls else None)
    b.meet(a)
    stage.until(lambda: a.sees("n2") and b.sees("n1"))
    assert a.changes == [("up", "n2"), ("down", "n2"), ("up", "n2")]
    assert a.send("n2", removed(2))
    stage.until(lambda: b.messages)
    assert b.terms("n1") == [2]


def test_a_peer_that_does_not_read_fills_its_queue_and_no_more(stage: Stage, tls: Issue) -> None:
    """`send` says no at the bound; when the peer reads again, what was queued arrives in order."""
    limits = TransportLimits(queue_bytes_max=300_000)
    a, b = stage.pair(tls=tls, limits=limits)
    sent, node, data = 0, Node("n2"), bytes(50_000)
    for _ in range(2_000):
        if a.send("n2", chunk(sent, data)):
            sent += 1
        assert a.transport.queued_bytes(node) <= limits.queue_bytes_max
        a.transport.flush()
    assert sent < 2_000
    assert not a.send("n2", chunk(sent, bytes(280_000)))
    stage.until(lambda: len(b.messages) == sent)
    assert [message["offset"] for _, message in b.messages] == list(range(sent))
    assert a.send("n2", removed(1))
    assert a.changes == [("up", "n2")]


def test_wake_ends_a_poll_from_another_thread(stage: Stage) -> None:
    """A poll returns when any thread wakes it, also when that came first."""
    station = stage.station("n1")
    for _ in range(3):
        thread = threading.Thread(target=station.transport.wake)
        thread.start()
        station.transport.poll(60)
        thread.join()
    station.transport.wake()
    station.transport.wake()
    station.transport.poll(60)


def test_a_port_in_use_is_a_configuration_error(stage: Stage) -> None:
    """Two nodes never share a port: the second one says which address and what to do."""
    first = stage.station("n1")
    with pytest.raises(ConfigError, match=rf"{first.address}.*in use.*stop that process"):
        Station("n2", listen=first.address)


def test_without_tls_only_loopback_is_listened_on() -> None:
    """Anybody who reaches an unencrypted port could speak for a node."""
    with pytest.raises(ConfigError, match=r"0\.0\.0\.0.*allow_insecure_network"):
        Station("n1", listen="0.0.0.0:0")


def test_without_tls_only_loopback_is_dialed(stage: Stage) -> None:
    """The reason for not connecting can be read."""
    station = stage.station("n1", peers={"n2": "192.0.2.1:7201"})
    station.transport.addNode(Node("n2"))
    stage.until(lambda: "n2" in station.transport.refusals)
    assert "allow_insecure_network" in station.transport.refusals["n2"]


@pytest.mark.parametrize("address", ("", "host", ":1", "host:", "host:x", "host:65536", "h:-1"))
def test_an_address_is_host_and_port(address: str) -> None:
    """Anything else is refused before a socket is made."""
    with pytest.raises(ConfigError, match="host:port"):
        Station("n1", peers={"n2": address})


def test_a_host_name_is_looked_up_anew_for_every_dial_and_never_in_poll(stage: Stage) -> None:
    """A slow name server holds up nobody, and an address that moved is found."""
    b = stage.station("n2")
    threads: list[str] = []
    answers: list[list[SocketAddress]] = [[], [SocketAddress(2, ("127.0.0.1", b.port))]]

    def lookup(_host: str, _port: int) -> list[SocketAddress]:
        threads.append(threading.current_thread().name)
        found = answers[min(len(threads) - 1, 1)]
        if not found:
            raise OSError("no such host")
        return found

    a = stage.station("n1", peers={"n2": "somewhere:1"}, lookup=lookup)
    a.transport.addNode(Node("n2"))
    stage.until(lambda: a.sees("n2"))
    assert threads == ["resolve somewhere", "resolve somewhere"]


def test_a_dropped_node_is_closed_in_both_directions_without_a_callback(stage: Stage) -> None:
    """The engine asked for it, so it need not be told; the peer sees it go and is not dialed."""
    a, b = stage.pair()
    a.transport.dropNode(Node("n2"))
    assert not a.send("n2", removed(1))
    assert a.transport.hello_of("n2") is None
    stage.until(lambda: ("down", "n1") in b.changes)
    assert a.changes == [("up", "n2")]


def test_a_peer_that_answers_no_pings_is_given_up(stage: Stage) -> None:
    """A process that hangs keeps its connections open; only its silence tells."""
    now = [0.0]
    a, b = stage.pair(clock=lambda: now[0])
    stage.stations.remove(b)
    for _ in range(40):
        now[0] += 0.4
        stage.round()
    assert a.changes[:2] == [("up", "n2"), ("down", "n2")]
    b.transport.destroy()


def test_a_pause_of_ones_own_does_not_look_like_a_dead_peer(stage: Stage) -> None:
    """Pings keep a quiet connection; after a long stall the time of the stall does not count."""
    now = [0.0]
    a, b = stage.pair(clock=lambda: now[0])
    for step in [0.4] * 100 + [100.0] + [0.4] * 10:
        now[0] += step
        for _ in range(5):
            stage.round()
    assert a.changes == [("up", "n2")]
    assert b.changes == [("up", "n1")]


def test_callbacks_may_send_drop_and_destroy(stage: Stage) -> None:
    """What a callback does to the transport in the middle of a poll leaves it whole."""
    a, b = stage.pair()
    b.transport.setOnMessageReceivedCallback(lambda node, _message: b.transport.dropNode(node))
    a.send("n2", removed(1))
    a.send("n2", removed(2))
    stage.until(lambda: ("down", "n2") in a.changes)
    c = stage.station("n3")
    c.meet(a)
    a.meet(c)
    stage.until(lambda: a.sees("n3") and c.sees("n1"))
    a.transport.setOnMessageReceivedCallback(lambda _node, _message: a.transport.destroy())
    c.send("n1", removed(1))
    stage.until(lambda: ("down", "n1") in c.changes)
    a.transport.poll(0)
    a.transport.destroy()


def test_a_malformed_message_is_the_senders_mistake(stage: Stage) -> None:
    """It is refused where it is made, and the connection lives on."""
    a, b = stage.pair(limits=TransportLimits(frame_bytes_max=1000))
    for wrong in (
        {"type": "timeout_now", "term": -1},
        {"type": "timeout_now"},
        {"type": "nothing"},
        chunk(0, bytes(1000)),
    ):
        with pytest.raises(MalformedMessage):
            a.send("n2", wrong)
    assert a.send("n2", removed(1))
    stage.until(lambda: b.messages)
    assert a.changes == [("up", "n2")]


def test_destroy_frees_the_port_and_ends_quietly(stage: Stage) -> None:
    """After it nothing is connected, nothing is called back, and the port is free at once."""
    a, _ = stage.pair()
    address = a.address
    a.transport.destroy()
    a.transport.destroy()
    a.transport.poll(1)
    a.transport.wake()
    assert not a.send("n2", removed(1))
    assert a.changes == [("up", "n2")]
    with socket.create_server(("127.0.0.1", int(address.rpartition(":")[2]))):
        pass
