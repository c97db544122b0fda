"""What happens on the connections of one node: admits, dispatches, gives up.

The one place where links, peers and time meet. It knows frames and greetings, and not what a Raft
message means. Invariant: a message is handed on only from a link that is live, under the node id
that its hello, and with TLS its certificate, proved; each node has at most one such link to us.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog
from pysyncobj.node import Node

from namestore.raft.connection import Connection, ConnectionLost, PeerUntrusted
from namestore.raft.dialing import Dialer, Peer, tune
from namestore.raft.framing import MalformedFrame
from namestore.raft.hello import Hello
from namestore.raft.link import Gate, Link, PeerRefused, Phase, Refuse
from namestore.raft.links import LinkSet
from namestore.raft.listening import Door, Exhausted
from namestore.raft.network import Network
from namestore.raft.quiet_log import QuietLog
from namestore.raft.schema import Message
from namestore.raft.tls import TlsStream
from namestore.raft.waker import Waker

# Of one link in one poll; the rest waits for the next, after the other links.
_FRAMES_PER_POLL = 64

_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Events:
    """Whom to tell, on the thread that polls."""

    message: Callable[[Node, Message], None]
    connected: Callable[[Node], None]
    disconnected: Callable[[Node], None]


class Switchboard:
    """The connections of one node. One thread, but for `wake`."""

    def __init__(self, listen_on: str, gate: Gate, events: Events, network: Network) -> None:
        self._accept_hello = gate.accept
        self._gate = replace(gate, accept=self._may_enter)
        self._events = events
        self._net = network
        self._clock = network.clock
        self._quiet = QuietLog(_log, network.clock)
        self._waker = Waker()
        self._links = LinkSet()
        self._links.watch(self._waker, "waker")
        self._door = Door(listen_on, network.beyond_loopback, self._links)
        self._dialer = Dialer(network, self._quiet, self._waker.wake, self._launch)
        self._incoming: dict[str, Link] = {}
        self._strangers: dict[Link, None] = {}
        self._backlog: dict[Link, None] = {}
        self._due_at = network.clock()
        self._closed = False

    # What the transport asks for.

    @property
    def listening(self) -> bool:
        """The port is bound."""
        return self._door.is_open

    @property
    def listen_address(self) -> str:
        """As bound, or as given."""
        return self._door.address

    @property
    def refusals(self) -> dict[str, str]:
        """See `Dialer`."""
        return self._dialer.refusals

    def listen(self) -> None:
        """Binds and listens, once. Raises ConfigError."""
        if not self._door.is_open and not self._closed:
            self._door.open()
            encrypted = self._net.tls is not None
            _log.info("transport.listening", address=self.listen_address, tls=encrypted)

    def add(self, node: Node, address: str | None) -> None:
        """Keeps a node connected."""
        if node.id not in self._dialer.peers:
            now = self._clock()
            self._dialer.peers[node.id] = Peer(node, address, now)
            self._due_by(now)

    def readdress(self, node_id: str, address: str) -> None:
        """Dials there from now on; a connection that is not live yet is given up."""
        peer = self._dialer.peers.get(node_id)
        if peer is None:
            return
        peer.address = address
        peer.resolving = False
        if peer.link is not None and peer.link.phase is Phase.GREETING:
            self._forget(peer.link)
            peer.link = None
        peer.next_dial_at = self._clock()
        self._due_by(peer.next_dial_at)

    def remove(self, node_id: str) -> None:
        """Closes both directions and dials no more."""
        peer = self._dialer.peers.get(node_id)
        for link in (peer.link if peer else None, self._incoming.get(node_id)):
            if link is not None:
                self._forget(link)
        self._dialer.peers.pop(node_id, None)
        self.refusals.pop(node_id, None)

    def live(self, node_id: str) -> Link | None:
        """The live link that we dialed, for sending."""
        peer = self._dialer.peers.get(node_id)
        if peer is None or peer.link is None or peer.link.phase is not Phase.LIVE:
            return None
        return None if peer.link in self._links.lost else peer.link

    def queue(self, link: Link, framed: bytes) -> None:
        """Queues a frame; its size was checked."""
        link.connection.queue(framed)
        self._links.touch(link)

    def hello_of(self, node_id: str) -> Hello | None:
        """Of the live link, or of the one the node dialed."""
        link = self.live(node_id) or self._incoming.get(node_id)
        return None if link is None else link.hello

    def wake(self) -> None:
        """Any thread."""
        self._waker.wake()

    def flush(self) -> None:
        """Sends what can be sent; calls nothing back."""
        self._links.write_touched()

    def poll(self, timeout_s: float) -> None:
        """One round; see `TcpTransport.poll`."""
        if self._closed:
            return
        self._links.write_touched()
        wait = min(timeout_s, self._due_at - self._clock())
        ready = self._links.select(0.0 if self._backlog or self._links.lost else max(0.0, wait))
        now = self._clock()
        if "waker" in ready.sources:
            self._waker.clear()
            self._dialer.take_lookups(now)
        if Door.SOURCE in ready.sources:
            self._accept(now)
        waiting, self._backlog = self._backlog, {}
        for link in dict.fromkeys((*waiting, *ready.links)):
            self._serve(link, now, read=link not in waiting)
        # Only after reading: a pause of our own must not look like a silence of the peers.
        if now >= self._due_at and not self._closed:
            self._keep_time(now)
        self._links.write_touched()
        for link, reason in list(self._links.lost.items()):
            self._drop(link, reason)

    def close(self) -> None:
        """Closes everything; calls nothing back. May be called twice."""
        if self._closed:
            return
        self._closed = True
        self._links.close()
        for held in (self._dialer.peers, self._incoming, self._strangers, self._backlog):
            held.clear()
        self._waker.close()
        self._door.close()

    # Time.

    def _due_by(self, moment: float) -> None:
        self._due_at = min(self._due_at, moment)

    def _keep_time(self, now: float) -> None:
        """Dials, pings, gives up, and finds out when it has to come again."""
        self._dialer.dial_due(now)
        self._door.reopen(now)
        moments = [self._dialer.due(), self._door.due()]
        for link in self._links:
            try:
                link.check(now)
            except ConnectionLost as error:
                self._links.lost.setdefault(link, str(error))
            else:
                moments.append(link.due())
            self._links.touch(link)
        self._due_at = min(moments)

    # New connections.

    def _launch(self, peer: Peer, sock: socket.socket, now: float) -> None:
        tls = None if self._net.tls is None else TlsStream(self._net.tls.client, False)
        deadline = now + self._net.limits.connect_timeout_ms / 1000
        peer.link = self._link(
            Connection(sock, tls, connecting=True), peer.node.id, peer.address or "", deadline
        )

    def _accept(self, now: float) -> None:
        try:
            accepted = self._door.accept(now)
        except Exhausted as error:
            self._quiet.warning("transport.cannot_accept", "", reason=str(error))
            self._due_by(self._door.due())
            return
        deadline = now + self._net.limits.greeting_timeout_ms / 1000
        for sock, host in accepted:
            try:
                tune(sock, self._net.limits.peer_timeout_ms)
            except OSError as error:
                sock.close()
                self._quiet.warning("transport.stranger_left", host, reason=str(error))
                continue
            tls = None if self._net.tls is None else TlsStream(self._net.tls.server, True)
            self._strangers[self._link(Connection(sock, tls), None, host, deadline)] = None
            # The newest may well be a peer that greets at once; the oldest had its chance.
            while len(self._strangers) > self._net.limits.strangers_max:
                self._drop(next(iter(self._strangers)), "pushed out by newer connections")

    def _link(
        self, connection: Connection, dialed_id: str | None, remote: str, deadline: float
    ) -> Link:
        link = Link(
            connection,
            self._gate,
            self._net.limits,
            dialed_id=dialed_id,
            remote=remote,
            deadline=deadline,
        )
        self._links.add(link)
        self._due_by(deadline)
        return link

    def _may_enter(self, hello: Hello) -> str | None:
        crowd = len(self._incoming)
        if hello.node_id not in self._incoming and crowd >= self._net.limits.peers_max:
            return f"{crowd} nodes are connected already"
        return self._accept_hello(hello)

    # Links that have something.

    def _serve(self, link: Link, now: float, *, read: bool) -> None:
        """Takes its share from one link, and ends it if it goes wrong."""
        if link not in self._links or link in self._links.lost:
            return
        try:
            if link.connection.connecting:
                link.finish_connect(now)
            elif read:
                link.read(now)
            self._take_frames(link, now)
        except (ConnectionLost, MalformedFrame) as error:
            if isinstance(error, PeerUntrusted) and link.dialed:
                self._dialer.refused(link.node_id, str(error))
            self._drop(link, str(error))
        except Refuse as refusal:
            self._refuse(link, str(refusal), now)
        except PeerRefused as refusal:
            if link.dialed:
                self._dialer.refused(link.node_id, str(refusal))
            self._drop(link, f"it refused this node: {refusal}")
        if link in self._links:
            self._links.touch(link)
            self._due_by(link.due())

    def _take_frames(self, link: Link, now: float) -> None:
        for _ in range(_FRAMES_PER_POLL):
            if link.phase is Phase.CLOSING:
                break
            body = link.connection.reader.next_frame()
            if body is None:
                break
            was_live = link.phase is Phase.LIVE
            message = link.handle(body, now)
            if not was_live:
                self._admit(link, now)
            elif message is not None:
                self._events.message(self._node(link.node_id), message)
            if link not in self._links:
                return  # the callback closed it
        if link.phase is not Phase.CLOSING and link.connection.reader.has_frame:
            self._backlog[link] = None
        elif link.connection.ended:
            raise ConnectionLost("closed by the peer")

    def _admit(self, link: Link, now: float) -> None:
        """A link has just become live."""
        _log.info(
            "transport.connected" if link.dialed else "transport.peer_connected",
            node=link.node_id,
            remote=link.remote,
        )
        if link.dialed:
            peer = self._dialer.peers[link.node_id]
            self._dialer.reached(peer)
            self._events.connected(peer.node)
            return
        self._strangers.pop(link, None)
        old = self._incoming.get(link.node_id)
        if old is not None:
            self._drop(old, "replaced by a newer connection")
        self._incoming[link.node_id] = link
        peer_heard = self._dialer.heard(link.node_id)
        if peer_heard is not None and peer_heard.wants_dial:
            self._due_by(max(now, peer_heard.next_dial_at))

    def _node(self, node_id: str) -> Node:
        peer = self._dialer.peers.get(node_id)
        return Node(node_id) if peer is None else peer.node

    # Links that come to their end.

    def _refuse(self, link: Link, reason: str, now: float) -> None:
        """Tells a peer why it is not wanted; the link lingers until that is read."""
        self._quiet.warning(
            "transport.refused", link.remote, node=link.node_id, remote=link.remote, reason=reason
        )
        link.refuse(reason, now)
        if link.dialed:
            self._dialer.refused(link.node_id, reason)
            self._detach(link, reason)

    def _drop(self, link: Link, reason: str) -> None:
        """Closes a link, tells the engine if it was connected by it, and dials again later."""
        was_live = link.phase is Phase.LIVE
        self._forget(link)
        if was_live:
            _log.info(
                "transport.disconnected" if link.dialed else "transport.peer_disconnected",
                node=link.node_id,
                remote=link.remote,
                reason=reason,
            )
        elif not link.dialed and link.phase is Phase.GREETING:
            self._quiet.warning(
                "transport.stranger_left", link.remote, remote=link.remote, reason=reason
            )
        peer = self._detach(link, reason)
        if peer is not None and was_live:
            self._events.disconnected(peer.node)

    def _detach(self, link: Link, reason: str) -> Peer | None:
        """Frees the peer for its next dial, if the link was the one it had."""
        peer = self._dialer.peers.get(link.node_id)
        if peer is None or peer.link is not link:
            return None
        peer.link = None
        self._dialer.failed(peer, reason, self._clock())
        self._due_by(peer.next_dial_at)
        return peer

    def _forget(self, link: Link) -> None:
        """Closes a link without a word to anybody."""
        self._links.discard(link)
        self._strangers.pop(link, None)
        self._backlog.pop(link, None)
        if self._incoming.get(link.node_id) is link:
            del self._incoming[link.node_id]
