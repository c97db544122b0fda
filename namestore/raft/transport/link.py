"""A connection to a peer and how far that peer is trusted: greeting, then live, then closing.

The side that dialed speaks first and later sends Raft messages; the side that accepted answers
and later only listens. Invariant: before a peer's hello has passed the gate, nothing but a small
hello or refusal of it is parsed; after, nothing but what its side may say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from namestore.raft.transport.connection import Connection, ConnectionLost
from namestore.raft.transport.framing import MalformedFrame
from namestore.raft.transport.hello import (
    ACCEPTED,
    DIALED,
    GREETING,
    PING_FRAME,
    PONG_FRAME,
    PROTOCOL_VERSION,
    Hello,
    hello_frame,
    hello_from,
    printable,
    refusal_frame,
)
from namestore.raft.transport.network import TransportLimits
from namestore.raft.transport.schema import MalformedMessage, Message
from namestore.raft.transport.tls import node_uri

# All that a peer may send, TLS handshake included, before its hello was let in.
_STRANGER_BYTES_MAX = 256 * 1024
_LINGER_S = 1.0
# Pongs beyond this are left out: a peer that does not read them is not owed more memory.
_PONG_QUEUE_BYTES_MAX = 1024


# Makes a link: the connection, the dialed node's id or None, host or host:port, the deadline.
MakeLink = Callable[[Connection, str | None, str, float], "Link"]


class Refuse(Exception):
    """This node does not want the peer; the text is what the peer is told."""


class PeerRefused(Exception):
    """The peer does not want this node; the text is what it said."""


@dataclass(frozen=True, slots=True)
class Gate:
    """Decides whom this node talks to.

    Attributes:
        hello: This node's hello as it is now.
        accept: None, or why the engine does not want a peer that is otherwise in order.
    """

    self_id: str
    cluster_name: str
    hello: Callable[[], Hello]
    accept: Callable[[Hello], str | None]

    def judge(self, hello: Hello, connection: Connection, dialed_id: str | None) -> str | None:
        """None, or why the peer that said `hello` is not let in."""
        if hello.protocol != PROTOCOL_VERSION:
            return f"protocol {hello.protocol} is spoken there, {PROTOCOL_VERSION} here"
        if hello.cluster_name != self.cluster_name:
            return f"cluster {hello.cluster_name!r} there, {self.cluster_name!r} here"
        if connection.tls is not None:
            expected = node_uri(hello.cluster_name, hello.node_id)
            uris = connection.tls.peer_uris()
            if uris != [expected]:
                found = ", ".join(uris) or "no namestore:// URI"
                return f"its certificate names {found}, its hello {expected}"
        if hello.node_id == self.self_id:
            return f"{hello.node_id!r} is the id of the node that was asked: two nodes share it"
        if dialed_id is not None and hello.node_id != dialed_id:
            return f"node {hello.node_id!r} answers where {dialed_id!r} was expected"
        return self.accept(hello)


class Phase(Enum):
    """How far a link has come. It only moves forward."""

    GREETING = "greeting"
    LIVE = "live"
    CLOSING = "closing"


class Link:
    """One connection with its peer's standing.

    Args:
        dialed_id: The node that was dialed; None on the side that accepted.
        remote: host:port, for the log.
        deadline: When the greeting must be over.

    Attributes:
        node_id: Proven once the link is live; before, whom we meant to reach, or "".
        hello: The peer's; None until it was let in.
    """

    def __init__(
        self,
        connection: Connection,
        gate: Gate,
        limits: TransportLimits,
        *,
        dialed_id: str | None,
        remote: str,
        deadline: float,
    ) -> None:
        self.connection = connection
        self.dialed = dialed_id is not None
        self.node_id = dialed_id or ""
        self.remote = remote
        self.hello: Hello | None = None
        self.phase = Phase.GREETING
        self._gate = gate
        self._limits = limits
        self._deadline = deadline
        self._heard_at = 0.0
        self._ping_due = 0.0
        self._pinged = False
        self._written_seen = 0
        self._ending_said = False
        if self.dialed:
            connection.queue(hello_frame(gate.hello()))

    def fileno(self) -> int:
        """Of the socket, for the selector."""
        return self.connection.fileno()

    def finish_connect(self, now: float) -> None:
        """The socket is connected, or is not: then raises ConnectionLost."""
        self.connection.finish_connect()
        self._deadline = now + self._limits.greeting_timeout_ms / 1000

    def read(self, now: float) -> None:
        """Takes what has arrived. Raises ConnectionLost."""
        self.connection.read()
        self._heard_at = now
        if self.phase is Phase.CLOSING:
            self.connection.reader.clear()
        elif self.phase is Phase.GREETING and self.connection.bytes_read > _STRANGER_BYTES_MAX:
            raise ConnectionLost("too many bytes before a hello")

    def next_body(self) -> bytes | None:
        """The next whole frame's body, or None. Raises Refuse or ConnectionLost."""
        try:
            return self.connection.reader.next_frame()
        except MalformedFrame as error:
            if self.phase is Phase.GREETING:
                raise Refuse(str(error)) from error
            raise ConnectionLost(str(error)) from error

    def handle(self, body: bytes, now: float) -> Message | None:
        """Acts on one frame; returns it if it is a message for the engine.

        Raises:
            Refuse: It is no greeting that is let in; the peer should be told.
            PeerRefused: The peer said that it does not want this node.
            ConnectionLost: A live peer said what its side may not say.
        """
        if self.phase is Phase.GREETING:
            self._greet(body, now)
            return None
        try:
            message = (DIALED if self.dialed else ACCEPTED).decode(body)
        except MalformedMessage as error:
            raise ConnectionLost(f"malformed message: {printable(str(error))}") from error
        match message["type"]:
            case "ping":
                if self.connection.queued_bytes < _PONG_QUEUE_BYTES_MAX:
                    self.connection.queue(PONG_FRAME)
            case "pong":
                self._pinged = False
                self._ping_due = now + self._limits.ping_interval_ms / 1000
            case "refused":
                raise PeerRefused(printable(message["reason"]))
            case _:
                return message
        return None

    def _greet(self, body: bytes, now: float) -> None:
        try:
            message = GREETING.decode(body)
        except MalformedMessage as error:
            raise Refuse(f"expected a hello: {printable(str(error))}") from error
        if message["type"] == "refused":
            raise PeerRefused(printable(message["reason"]))
        hello = hello_from(message)
        verdict = self._gate.judge(hello, self.connection, self.node_id or None)
        if verdict is not None:
            raise Refuse(verdict)
        self.hello = hello
        self.node_id = hello.node_id
        self.phase = Phase.LIVE
        self._heard_at = now
        self._ping_due = now + self._limits.ping_interval_ms / 1000
        if not self.dialed:
            self.connection.reader.body_bytes_max = self._limits.frame_bytes_max
            self.connection.queue(hello_frame(self._gate.hello()))

    def refuse(self, reason: str, now: float) -> None:
        """Begins to close: the reason is sent, and the peer gets a moment to read it."""
        self.phase = Phase.CLOSING
        self._deadline = now + _LINGER_S
        self.connection.queue(refusal_frame(reason))

    def write(self) -> None:
        """Sends what can be sent now. Raises ConnectionLost."""
        self.connection.write()
        said_all = self.phase is Phase.CLOSING and not self.connection.queued_bytes
        if said_all and not self._ending_said and not self.connection.connecting:
            self._ending_said = True
            self.connection.shutdown_write()

    def due(self) -> float:
        """When `check` has something to do next."""
        if self.phase is not Phase.LIVE:
            return self._deadline
        if self.dialed:
            return self._ping_due
        return self._heard_at + 2 * self._limits.peer_timeout_ms / 1000

    def excuse(self, late_s: float) -> None:
        """Puts every deadline off: this node itself was not there to listen for so long."""
        self._deadline += late_s
        self._heard_at += late_s
        self._ping_due += late_s

    def check(self, now: float) -> None:
        """Pings, and ends what takes too long. Raises ConnectionLost."""
        if now < self.due():
            return
        if self.phase is not Phase.LIVE:
            raise ConnectionLost(f"took too long over its {self.phase.value}")
        if not self.dialed:
            raise ConnectionLost("silent for too long")
        written = self.connection.bytes_written
        if self._pinged and written == self._written_seen:
            raise ConnectionLost("does not answer pings")
        if not self._pinged:
            self._pinged = True
            self.connection.queue(PING_FRAME)
        # An answer may stand behind megabytes: as long as bytes leave, the peer is alive.
        self._written_seen = written
        self._ping_due = now + self._limits.peer_timeout_ms / 1000
