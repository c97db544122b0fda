"""Getting connections to peers: when to try, which address, and the socket itself.

It does not know what is said on a connection. Invariant: at most one attempt or connection for
a peer at a time, and the pauses between attempts grow with the failures, within a bound.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Callable

from pysyncobj.node import Node

from namestore.raft.transport.addresses import Resolver, SocketAddress, numeric, split_address
from namestore.raft.transport.connection import Connection, ConnectionLost
from namestore.raft.transport.link import Link, MakeLink
from namestore.raft.transport.network import Network
from namestore.raft.transport.quiet_log import QuietLog
from namestore.raft.transport.tls import TlsStream

# Pauses double up to this many times the first one: a healed link is found again soon.
_PAUSE_FACTOR_MAX = 8


class Peer:
    """A node that is to be kept connected.

    Attributes:
        address: host:port; None until somebody says it.
        link: The connection this node dialed, in whatever phase; None between attempts.
        resolving: A name lookup is under way.
        next_dial_at: Not before.
    """

    def __init__(self, node: Node, address: str | None, now: float) -> None:
        self.node = node
        self.address = address
        self.link: Link | None = None
        self.resolving = False
        self.next_dial_at = now
        self._dialed_at = now
        self._failures = 0
        self._turn = 0

    @property
    def wants_dial(self) -> bool:
        """Nothing is under way, and an address is known."""
        return self.link is None and not self.resolving and self.address is not None

    def choose(self, found: list[SocketAddress], now: float) -> SocketAddress:
        """The address to try now: each of a host's takes its turn."""
        self._dialed_at = now
        self._turn += 1
        return found[(self._turn - 1) % len(found)]

    def connected(self) -> None:
        """The next pause is the shortest again; an address that worked is kept to."""
        self._failures = 0
        self._turn -= 1

    def pause(self, now: float, retry_s: float, rng: random.Random) -> None:
        """Sets when to try again: between half and all of a pause that grows."""
        factor = min(2**self._failures, _PAUSE_FACTOR_MAX)
        self._failures = min(self._failures + 1, _PAUSE_FACTOR_MAX)
        self.next_dial_at = now + retry_s * factor * (0.5 + rng.random() / 2)

    def hurry(self, retry_s: float) -> None:
        """The peer was heard: it is there, so the growing pause is not waited out."""
        self.next_dial_at = min(self.next_dial_at, self._dialed_at + retry_s)


class Dialer:
    """The peers of a node, and the attempts to reach those that are not connected.

    Args:
        wake: Thread-safe; called when `take_lookups` has something.

    Attributes:
        refusals: Node id -> why the last dial ended in a refusal, by either side.
    """

    def __init__(
        self,
        network: Network,
        quiet: QuietLog,
        wake: Callable[[], None],
        make_link: MakeLink,
    ) -> None:
        self.peers: dict[str, Peer] = {}
        self.refusals: dict[str, str] = {}
        self._net = network
        self._quiet = quiet
        self._make_link = make_link
        self._resolver = Resolver(wake, network.lookup)

    def due(self) -> float:
        """When `dial_due` has something to do next."""
        waiting = (peer.next_dial_at for peer in self.peers.values() if peer.wants_dial)
        return min(waiting, default=float("inf"))

    def dial_due(self, now: float) -> None:
        """Begins the attempts whose time has come."""
        for peer in list(self.peers.values()):
            if peer.wants_dial and now >= peer.next_dial_at:
                self._dial(peer, now)

    def _dial(self, peer: Peer, now: float) -> None:
        host, port = split_address(peer.address or "")
        found = numeric(host, port)
        if found is None:
            peer.resolving = True
            self._resolver.request(host, port)
        else:
            self._dial_one(peer, found, now)

    def take_lookups(self, now: float) -> None:
        """Goes on with the peers whose names were looked up."""
        for answer in self._resolver.answers():
            for peer in list(self.peers.values()):
                if not peer.resolving or split_address(peer.address or "") != answer[:2]:
                    continue
                peer.resolving = False
                if answer.found:
                    self._dial_one(peer, answer.found, now)
                else:
                    self.failed(peer, answer.problem, now)

    def _dial_one(self, peer: Peer, found: list[SocketAddress], now: float) -> None:
        target = peer.choose(found, now)
        if not (self._net.beyond_loopback or target.is_loopback):
            reason = "not a loopback address: it needs [tls] or allow_insecure_network = true"
            self.refused(peer.node.id, f"{target.address[0]} is {reason}")
            self.failed(peer, reason, now)
            return
        try:
            sock = open_socket(target, self._net.limits.peer_timeout_ms)
        except ConnectionLost as error:
            self.failed(peer, str(error), now)
            return
        tls = None if self._net.tls is None else TlsStream(self._net.tls.client, False)
        connection = Connection(sock, tls, connecting=True)
        deadline = now + self._net.limits.connect_timeout_ms / 1000
        peer.link = self._make_link(connection, peer.node.id, peer.address or "", deadline)

    def failed(self, peer: Peer, reason: str, now: float) -> None:
        """An attempt or a connection came to its end: pause, then try again."""
        peer.pause(now, self._net.retry_s, self._net.rng)
        self._quiet.warning(
            "transport.not_connected", peer.node.id, address=peer.address, reason=reason
        )

    def refused(self, node_id: str, reason: str) -> None:
        """Remembers it for whoever asks why a node stays unconnected."""
        if node_id in self.peers:
            self.refusals[node_id] = reason

    def reached(self, peer: Peer) -> None:
        """A dial ended in a live link."""
        peer.connected()
        self.refusals.pop(peer.node.id, None)

    def heard(self, node_id: str) -> Peer | None:
        """A node connected to us: if we wait before dialing it, we need not wait long."""
        peer = self.peers.get(node_id)
        if peer is not None and peer.wants_dial:
            peer.hurry(self._net.retry_s)
        return peer


def tune(sock: socket.socket, peer_timeout_ms: int) -> None:
    """Small messages leave at once; the kernel gives up on a peer that acknowledges nothing."""
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    seconds = max(1, peer_timeout_ms // 1000)
    for name, value in (
        ("TCP_KEEPIDLE", seconds),
        ("TCP_KEEPINTVL", max(1, seconds // 3)),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", peer_timeout_ms),
    ):
        option = getattr(socket, name, None)  # Linux has all of them
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def open_socket(target: SocketAddress, peer_timeout_ms: int) -> socket.socket:
    """A socket on its way to `target`. Never blocks. Raises ConnectionLost."""
    try:
        sock = socket.socket(target.family, socket.SOCK_STREAM)
    except OSError as error:
        raise ConnectionLost(f"no socket can be made: {error.strerror}") from error
    try:
        tune(sock, peer_timeout_ms)
        sock.connect(target.address)
    except BlockingIOError:
        return sock
    except OSError as error:
        sock.close()
        raise ConnectionLost(f"cannot connect: {error.strerror or error}") from error
    return sock
