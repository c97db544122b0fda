"""Which endpoint an attempt goes to: what is known of each, and who seems to lead.

The endpoints are those the user gave; an address that a node reports is never dialled, because
behind NAT it means nothing here. Which of them leads is learned by asking each for its node id.
Any node takes any call, so all of this is about speed, never about correctness.

Pure but for a lock: the clock is passed in. Invariant: `pick` always returns an endpoint.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from random import Random

from namestore.errors import ConfigError
from namestore.v1.cluster_pb2 import StatusResponse

PENALTY_SECONDS_MIN = 1.0
PENALTY_SECONDS_MAX = 15.0
# How often the nodes are asked who leads, in the background of calls.
ASK_SECONDS_LEADER_KNOWN = 10.0
ASK_SECONDS_LEADER_UNKNOWN = 1.0


def parse_endpoints(endpoints: str | Sequence[str]) -> tuple[str, ...]:
    """Returns each host:port once, in the order given.

    Args:
        endpoints: "host:port,host:port", or a sequence of host:port. IPv6: "[::1]:7101".

    Raises:
        ConfigError: None, or one that is not host:port.
    """
    parts = endpoints.split(",") if isinstance(endpoints, str) else list(endpoints)
    parsed: dict[str, None] = {}
    for part in parts:
        text = part.strip()
        if text:
            _check_endpoint(text)
            parsed[text] = None
    if not parsed:
        raise ConfigError("endpoints is empty; give at least one host:port, such as 127.0.0.1:7101")
    return tuple(parsed)


def _check_endpoint(text: str) -> None:
    shown = f"endpoint {text!a}"
    if "/" in text:
        raise ConfigError(f"{shown} looks like a URL; write host:port, such as 127.0.0.1:7101")
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        raise ConfigError(f"{shown} has no port; write host:port, such as {text}:7101")
    if not host:
        raise ConfigError(f"{shown} has no host; write host:port, such as 127.0.0.1{text}")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ConfigError(f"{shown} is ambiguous; put an IPv6 address in brackets: [::1]:7101")
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise ConfigError(f"{shown} has the port {port!a}; 1 to 65535 are ports")


@dataclass(slots=True)
class _Known:
    """What is known of one endpoint. `node_id` empty: not learned yet, or no longer trusted.

    `proven` is cleared by every attempt that got no answer.
    """

    proven: bool = False
    node_id: str = ""
    penalty_until: float = 0.0
    penalty_seconds: float = 0.0


class Endpoints:
    """The endpoints of one client. Thread-safe; no method waits for anything but its own lock."""

    def __init__(self, addresses: Sequence[str], random: Random) -> None:
        self.addresses = tuple(addresses)
        self._lock = threading.Lock()
        self._known = {address: _Known() for address in self.addresses}
        # Clients start at different endpoints, so that a fleet of them spreads.
        self._random = random
        self._current = random.choice(self.addresses)
        self._leader_id = ""
        self._cluster_name = ""
        self._next_ask = 0.0

    def pick(self, now: float, avoid: Collection[str] = ()) -> str:
        """The endpoint for the next attempt.

        The leader's, else the one that served last, else the next in turn; those in `avoid`, and
        those that failed lately, come last.
        """
        with self._lock:
            first = self._leader() or self._current
            if self._known[first].penalty_until <= now and first not in avoid:
                return first
            start = self.addresses.index(first)
            turn = self.addresses[start:] + self.addresses[:start]
            return min(turn, key=lambda address: self._cost(address, now, avoid))

    def draw(self, now: float, avoid: Collection[str] = ()) -> str:
        """The endpoint for what stays there for long: one that is as good as any, drawn."""
        with self._lock:
            costs = {address: self._cost(address, now, avoid) for address in self.addresses}
            least = min(costs.values())
            return self._random.choice(
                [address for address, cost in costs.items() if cost == least]
            )

    def is_proven(self, address: str) -> bool:
        """True while a namestore server is known to answer there."""
        return self._known[address].proven  # one look: needs no lock

    def note_status(self, address: str, status: StatusResponse) -> None:
        """Learns from a node's status: that it is there, which one it is, whom it follows.

        Raises:
            ConfigError: The node belongs to another cluster than those seen before. Two clusters
                would each grant the same name.
        """
        with self._lock:
            if self._cluster_name and status.cluster_name != self._cluster_name:
                raise ConfigError(
                    f"endpoint {address} belongs to the cluster {status.cluster_name!a}, the "
                    f"others to {self._cluster_name!a}; give the endpoints of one cluster"
                )
            self._cluster_name = status.cluster_name
            known = self._known[address]
            known.proven = True
            known.node_id = status.node_id
            known.penalty_until = known.penalty_seconds = 0.0
            if status.leader_id:
                self._leader_id = status.leader_id

    def note_answer(self, address: str) -> None:
        """An attempt was answered there, with success or with an error of the server's."""
        known = self._known[address]
        if self._current is address and known.proven and not known.penalty_until:
            return  # nothing new, as after nearly every call
        with self._lock:
            known.proven = True
            known.penalty_until = known.penalty_seconds = 0.0
            self._current = address

    def note_failure(self, address: str, now: float) -> None:
        """An attempt got no answer there, or the node is about to stop."""
        with self._lock:
            known = self._known[address]
            if known.node_id and known.node_id == self._leader_id:
                self._leader_id = ""
                self._next_ask = now
            known.proven = False
            known.node_id = ""
            seconds = min(max(known.penalty_seconds * 2, PENALTY_SECONDS_MIN), PENALTY_SECONDS_MAX)
            known.penalty_seconds = seconds
            known.penalty_until = now + seconds

    def asks(self, now: float) -> bool:
        """It is time to ask somebody who leads."""
        return now >= self._next_ask and len(self.addresses) > 1

    def to_ask(self, now: float) -> list[str]:
        """The endpoints whose status is wanted now, to learn who leads; mostly none.

        Answering "these" counts as asking: the next ones are due only after a while.
        """
        with self._lock:
            if not self.asks(now):
                return []
            leader = self._leader()
            if leader:
                self._next_ask = now + ASK_SECONDS_LEADER_KNOWN
                return [leader]
            self._next_ask = now + ASK_SECONDS_LEADER_UNKNOWN
            return [a for a in self.addresses if self._known[a].penalty_until <= now]

    def _leader(self) -> str | None:
        if not self._leader_id:
            return None
        for address, known in self._known.items():
            if known.node_id == self._leader_id:
                return address
        return None

    def _cost(self, address: str, now: float, avoid: Collection[str]) -> tuple[bool, float]:
        return (address in avoid, max(self._known[address].penalty_until - now, 0.0))
