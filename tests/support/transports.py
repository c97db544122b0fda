"""Transports of one test, all polled on its thread; what they reported is recorded."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from pysyncobj.node import Node

from namestore.config import TlsConfig
from namestore.errors import ConfigError
from namestore.raft.transport.hello import PROTOCOL_VERSION, Hello
from namestore.raft.transport.network import TransportLimits
from namestore.raft.transport.tcp import TcpTransport

# Generous: it only ends a test that would hang.
_PATIENCE_S = 20.0


def hello_of(node_id: str, cluster_name: str = "test") -> Hello:
    """A hello in order."""
    return Hello(PROTOCOL_VERSION, cluster_name, "c1", node_id, "aa", False)


class Station:
    """One node's transport and what it reported: messages, and who came and went."""

    def __init__(self, node_id: str, cluster_name: str = "test", **options: Any) -> None:
        self.node_id = node_id
        self.messages: list[tuple[str, dict[str, Any]]] = []
        self.changes: list[tuple[str, str]] = []
        self.verdicts: dict[str, str] = {}
        options.setdefault("listen", "127.0.0.1:0")
        options.setdefault("peers", {})
        options.setdefault("connect_retry_ms", 5)
        self.hello = hello_of(node_id, cluster_name)
        self.transport = TcpTransport(
            node_id,
            cluster_name=cluster_name,
            hello=lambda: self.hello,
            accept=lambda hello: self.verdicts.get(hello.node_id),
            **options,
        )
        transport = self.transport
        transport.setOnMessageReceivedCallback(lambda n, m: self.messages.append((n.id, m)))
        transport.setOnNodeConnectedCallback(lambda n: self.changes.append(("up", n.id)))
        transport.setOnNodeDisconnectedCallback(lambda n: self.changes.append(("down", n.id)))
        try:
            transport.tryGetReady()
        except ConfigError:
            transport.destroy()
            raise

    @property
    def address(self) -> str:
        """Where it listens."""
        return self.transport.listen_address

    @property
    def port(self) -> int:
        """Of `address`."""
        return int(self.address.rpartition(":")[2])

    def meet(self, other: Station) -> None:
        """Begins to keep `other` connected."""
        self.transport.set_address(other.node_id, other.address)
        self.transport.addNode(Node(other.node_id))

    def sees(self, node_id: str) -> bool:
        """It can send to that node."""
        return self.transport.is_connected(Node(node_id))

    def send(self, node_id: str, message: dict[str, Any]) -> bool:
        """Queues."""
        return self.transport.send(Node(node_id), message)

    def terms(self, sender: str) -> list[int]:
        """The terms of the messages from one sender, in order of arrival."""
        return [message["term"] for node_id, message in self.messages if node_id == sender]


class Stage:
    """Makes stations, polls them in turn, and closes them at the end."""

    def __init__(self) -> None:
        self.stations: list[Station] = []

    def station(self, node_id: str, **options: Any) -> Station:
        """A new one, listening."""
        station = Station(node_id, **options)
        self.stations.append(station)
        return station

    def pair(
        self,
        *,
        tls: Callable[[str], TlsConfig] | None = None,
        limits: TransportLimits | None = None,
        **options: Any,
    ) -> tuple[Station, Station]:
        """Two that are connected both ways."""
        a, b = (
            self.station(name, tls=tls(name) if tls else None, limits=limits, **options)
            for name in ("n1", "n2")
        )
        a.meet(b)
        b.meet(a)
        self.until(lambda: a.sees("n2") and b.sees("n1"))
        return a, b

    def round(self) -> None:
        """Polls every station once, hardly waiting."""
        for station in self.stations:
            station.transport.poll(0.001)

    def until(self, condition: Callable[[], object]) -> None:
        """Polls until it holds."""
        end = time.monotonic() + _PATIENCE_S
        while not condition():
            assert time.monotonic() < end, "did not come about"
            self.round()

    def stop(self, station: Station) -> None:
        """Ends one."""
        self.stations.remove(station)
        station.transport.destroy()

    def close(self) -> None:
        """Ends all."""
        while self.stations:
            self.stop(self.stations[0])


def assert_honest_peers_talk(stage: Stage, a: Station, b: Station) -> None:
    """Both directions, undisturbed since they met."""
    assert a.messages == []
    assert a.changes == [("up", "n2")]
    assert b.changes == [("up", "n1")]
    assert a.send("n2", {"type": "timeout_now", "term": 7})
    assert b.send("n1", {"type": "timeout_now", "term": 8})
    stage.until(lambda: a.messages and b.messages)
    assert (a.terms("n2"), b.terms("n1")) == ([8], [7])
