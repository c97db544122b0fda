"""What happens on the connections of one node: admits, dispatches, gives up.

The one place where links, peers and time meet. It knows frames and greetings, and not what a Raft
message means. Invariant: a message is handed on only from a link that is live, under the node id
that its hello, and with TLS its certificate, proved; each node has at most one such link to us.
"""

from __future__ import annotations

from dataclasses import replace

from pysyncobj.node import Node

from namestore.logs import get_logger
from namestore.raft.transport.connection import Connection, ConnectionLost, PeerUntrusted
from namestore.raft.transport.dialing import Dialer, Peer
from namestore.raft.transport.diary import Diary
from namestore.raft.transport.hello import Hello
from namestore.raft.transport.link import Gate, Link, PeerRefused, Phase, Refuse
from namestore.raft.transport.links import LinkSet
from namestore.raft.transport.listening import Door
from namestore.raft.transport.network import Events, Network
from namestore.raft.transport.quiet_log import QuietLog
from namestore.raft.transport.reception import Reception
from namestore.raft.transport.waker import Waker

# Of one link in one poll; the rest waits for the next, after the other links.
_FRAMES_PER_POLL = 64
# The thread was held up for so long between two polls (a disk, the interpreter lock, a debugger).
_LATENESS_S = 0.5

_log = get_logger(__name__)


class Switchboard:
    """The connections of one node. One thread, but for the waker.

    Attributes:
        door: Where others knock.
        dialer: The peers to be kept connected.
        waker: Ends a poll.
    """

    def __init__(self, listen_on: str, gate: Gate, events: Events, network: Network) -> None:
        self._accept_hello = gate.accept
        self._gate = replace(gate, accept=self._reason_to_refuse)
        self._events = events
        self._net = network
        self._clock = network.clock
        quiet = QuietLog(_log, network.clock)
        self._diary = Diary(_log, quiet)
        self.waker = Waker()
        self._links = LinkSet()
        self._links.watch(self.waker, "waker")
        self.door = Door(listen_on, network.beyond_loopback, self._links)
        self._reception = Reception(self.door, network, quiet, self._link)
        self.dialer = Dialer(network, quiet, self.waker.wake, self._link)
        self._backlog: dict[Link, None] = {}
        self._left_at = self._due_at = network.clock()
        self._closed = False

    def listen(self) -> None:
        """Binds and listens, once. Raises ConfigError."""
        if not self.door.is_open and not self._closed:
            self.door.open()
            encrypted = self._net.tls is not None
            _log.info("transport.listening", address=self.door.address, tls=encrypted)

    def add(self, node: Node, address: str | None) -> None:
        """Keeps a node connected."""
        if node.id not in self.dialer.peers:
            now = self._clock()
            self.dialer.peers[node.id] = Peer(node, address, now)
            self._due_by(now)

    def readdress(self, node_id: str, address: str) -> None:
        """Dials there from now on; a connection that is not live yet is given up."""
        peer = self.dialer.peers.get(node_id)
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
        peer = self.dialer.peers.get(node_id)
        for link in (peer.link if peer else None, self._reception.incoming.get(node_id)):
            if link is not None:
                self._forget(link)
        self.dialer.peers.pop(node_id, None)
        self.dialer.refusals.pop(node_id, None)

    def live(self, node_id: str) -> Link | None:
        """The live link that we dialed, for sending."""
        peer = self.dialer.peers.get(node_id)
        if peer is None or peer.link is None or peer.link.phase is not Phase.LIVE:
            return None
        return None if peer.link in self._links.lost else peer.link

    def queue(self, link: Link, framed: bytes) -> None:
        """Queues a frame; its size was checked."""
        link.connection.queue(framed)
        self._links.touch(link)

    def flush(self) -> None:
        """Sends what can be sent; calls nothing back."""
        self._links.write_touched()

    def hello_of(self, node_id: str) -> Hello | None:
        """Of the live link, or of the one the node dialed."""
        link = self.live(node_id) or self._reception.incoming.get(node_id)
        return None if link is None else link.hello

    def poll(self, timeout_s: float) -> None:
        """One round; see `TcpTransport.poll`."""
        if self._closed:
            return
        self._links.write_touched()
        wait = min(timeout_s, self._due_at - self._clock())
        wait = 0.0 if self._backlog or self._links.lost else max(0.0, wait)
        ready = self._links.select(wait)
        now = self._clock()
        self._excuse_lateness(now - self._left_at - wait)
        if "waker" in ready.sources:
            self.waker.clear()
            self.dialer.take_lookups(now)
            self._due_by(self.dialer.due())
        if Door.SOURCE in ready.sources:
            for link in self._reception.accept(now):
                self._drop(link, "pushed out by newer connections")
            self._due_by(self.door.due())
        waiting, self._backlog = self._backlog, {}
        for link in dict.fromkeys((*waiting, *ready.links)):
            self._serve(link, now, read=link not in waiting)
        # Only after reading: what has arrived counts.
        if now >= self._due_at and not self._closed:
            self._keep_time(now)
        self._links.write_touched()
        for link, reason in list(self._links.lost.items()):
            self._drop(link, reason)
        self._left_at = self._clock()

    def close(self) -> None:
        """Closes everything; calls nothing back. May be called twice."""
        if self._closed:
            return
        self._closed = True
        self._links.close()
        self.dialer.peers.clear()
        self._backlog.clear()
        self.waker.close()
        self._reception.close()

    # Time.

    def _due_by(self, moment: float) -> None:
        self._due_at = min(self._due_at, moment)

    def _excuse_lateness(self, late_s: float) -> None:
        """A pause of our own must not look like a silence of the peers."""
        if late_s >= _LATENESS_S:
            for link in self._links:
                link.excuse(late_s)

    def _keep_time(self, now: float) -> None:
        """Dials, pings, gives up, and finds out when it has to come again."""
        self.dialer.dial_due(now)
        self.door.reopen(now)
        moments = [self.dialer.due(), self.door.due()]
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

    def _reason_to_refuse(self, hello: Hello) -> str | None:
        return self._reception.reason_to_refuse(hello) or self._accept_hello(hello)

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
        except ConnectionLost as error:
            if isinstance(error, PeerUntrusted) and link.dialed:
                self.dialer.refused(link.node_id, str(error))
            self._drop(link, str(error))
        except Refuse as refusal:
            self._refuse(link, str(refusal), now)
        except PeerRefused as refusal:
            if link.dialed:
                self.dialer.refused(link.node_id, str(refusal))
            self._drop(link, f"it refused this node: {refusal}")
        if link in self._links:
            self._links.touch(link)
            self._due_by(link.due())

    def _take_frames(self, link: Link, now: float) -> None:
        for _ in range(_FRAMES_PER_POLL):
            if link.phase is Phase.CLOSING:
                break
            body = link.next_body()
            if body is None:
                break
            was_live = link.phase is Phase.LIVE
            message = link.handle(body, now)
            if not was_live:
                self._admit(link, now)
            elif message is not None:
                self._events.message(Node(link.node_id), message)
            if link not in self._links:
                return  # the callback closed it
        if link.phase is not Phase.CLOSING and link.connection.reader.has_frame:
            self._backlog[link] = None
        elif link.connection.ended:
            raise ConnectionLost("closed by the peer")

    def _admit(self, link: Link, now: float) -> None:
        """A link has just become live."""
        self._diary.live(link)
        if link.dialed:
            peer = self.dialer.peers[link.node_id]
            self.dialer.reached(peer)
            self._events.connected(peer.node)
            return
        old = self._reception.admit(link)
        if old is not None:
            self._drop(old, "replaced by a newer connection")
        peer_heard = self.dialer.heard(link.node_id)
        if peer_heard is not None and peer_heard.wants_dial:
            self._due_by(max(now, peer_heard.next_dial_at))

    # Links that come to their end.

    def _refuse(self, link: Link, reason: str, now: float) -> None:
        """Tells a peer why it is not wanted; the link lingers until that is read."""
        self._diary.refused(link, reason)
        link.refuse(reason, now)
        if link.dialed:
            self.dialer.refused(link.node_id, reason)
            self._detach(link, reason)

    def _drop(self, link: Link, reason: str) -> None:
        """Closes a link, tells the engine if it was connected by it, and dials again later."""
        was_live = link.phase is Phase.LIVE
        self._forget(link)
        self._diary.ended(link, reason)
        peer = self._detach(link, reason)
        if peer is not None and was_live:
            self._events.disconnected(peer.node)

    def _detach(self, link: Link, reason: str) -> Peer | None:
        """Frees the peer for its next dial, if the link was the one it had."""
        peer = self.dialer.peers.get(link.node_id)
        if peer is None or peer.link is not link:
            return None
        peer.link = None
        self.dialer.failed(peer, reason, self._clock())
        self._due_by(peer.next_dial_at)
        return peer

    def _forget(self, link: Link) -> None:
        """Closes a link without a word to anybody."""
        self._links.discard(link)
        self._reception.forget(link)
        self._backlog.pop(link, None)
