"""Who came to this node by itself: strangers first, then one link for each node that was let in.

It does not decide who is let in, and handles no frames. Invariant: strangers and nodes are each
bounded, and a node's link is replaced only by one whose hello was let in.
"""

from __future__ import annotations

import socket

from namestore.raft.transport.connection import Connection
from namestore.raft.transport.dialing import tune
from namestore.raft.transport.hello import Hello
from namestore.raft.transport.link import Link, MakeLink
from namestore.raft.transport.listening import Door, Exhausted
from namestore.raft.transport.network import Network
from namestore.raft.transport.quiet_log import QuietLog
from namestore.raft.transport.tls import TlsStream


class Reception:
    """The links that others dialed.

    Attributes:
        incoming: Node id -> its live link, for receiving.
    """

    def __init__(self, door: Door, network: Network, quiet: QuietLog, make_link: MakeLink) -> None:
        self.door = door
        self.incoming: dict[str, Link] = {}
        self._strangers: dict[Link, None] = {}
        self._net = network
        self._quiet = quiet
        self._make_link = make_link

    def accept(self, now: float) -> list[Link]:
        """Lets those that wait outside come in as strangers; returns the links to be dropped."""
        try:
            accepted = self.door.accept(now)
        except Exhausted as error:
            self._quiet.warning("transport.cannot_accept", "", reason=str(error))
            return []
        for sock, host in accepted:
            self._let_in(sock, host, now)
        # The newest may well be a peer that greets at once; the oldest had its chance.
        surplus = max(0, len(self._strangers) - self._net.limits.strangers_max)
        return list(self._strangers)[:surplus]

    def _let_in(self, sock: socket.socket, host: str, now: float) -> None:
        try:
            tune(sock, self._net.limits.peer_timeout_ms)
        except OSError as error:
            sock.close()
            self._quiet.warning("transport.stranger_left", host, reason=str(error))
            return
        tls = None if self._net.tls is None else TlsStream(self._net.tls.server, True)
        deadline = now + self._net.limits.greeting_timeout_ms / 1000
        self._strangers[self._make_link(Connection(sock, tls), None, host, deadline)] = None

    def reason_to_refuse(self, hello: Hello) -> str | None:
        """None while there is room for that node."""
        crowd = len(self.incoming)
        if hello.node_id in self.incoming or crowd < self._net.limits.peers_max:
            return None
        return f"{crowd} nodes are connected already"

    def admit(self, link: Link) -> Link | None:
        """A stranger has become a node's live link; returns the one it replaces."""
        self._strangers.pop(link, None)
        old = self.incoming.get(link.node_id)
        self.incoming[link.node_id] = link
        return old

    def forget(self, link: Link) -> None:
        """The link is closed."""
        self._strangers.pop(link, None)
        if self.incoming.get(link.node_id) is link:
            del self.incoming[link.node_id]

    def close(self) -> None:
        """Shuts the door. May be called twice."""
        self.door.close()
        self.incoming.clear()
        self._strangers.clear()
