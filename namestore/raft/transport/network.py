"""The numbers and means a transport works with, told once when it is made."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from pysyncobj.node import Node

from namestore.raft.transport.addresses import Lookup, look_up
from namestore.raft.transport.messages import MESSAGE_BYTES_MAX, Message
from namestore.raft.transport.tls import TlsContexts


@dataclass(frozen=True, slots=True)
class TransportLimits:
    """What a transport lets peers take: bytes, connections, milliseconds.

    Attributes:
        frame_bytes_max: One message, in both directions; at most MESSAGE_BYTES_MAX.
        queue_bytes_max: Queued for one peer; beyond it `send` says no.
        strangers_max: Accepted connections whose hello was not let in yet; one more pushes
            the oldest out.
        peers_max: Nodes that may be connected to this one at a time.
        connect_timeout_ms: For a dial, name lookup not included.
        greeting_timeout_ms: From the connection to the hello that is let in, TLS included.
        ping_interval_ms: Between two pings on a live connection.
        peer_timeout_ms: Without any progress or answer for so long a peer is taken for dead.
    """

    frame_bytes_max: int = MESSAGE_BYTES_MAX
    queue_bytes_max: int = 32 * 1024 * 1024
    strangers_max: int = 64
    peers_max: int = 64
    connect_timeout_ms: int = 2_000
    greeting_timeout_ms: int = 5_000
    ping_interval_ms: int = 1_000
    peer_timeout_ms: int = 5_000


@dataclass(frozen=True, slots=True)
class Network:
    """How connections are made.

    Attributes:
        tls: None: in the clear.
        beyond_loopback: Addresses that leave this machine may be listened on and dialed.
        clock: Monotonic seconds.
        retry_s: The first pause between two dials.
        lookup: Resolves host names; may block.
        rng: For the jitter in the pauses.
    """

    tls: TlsContexts | None
    beyond_loopback: bool
    clock: Callable[[], float]
    retry_s: float
    limits: TransportLimits = field(default_factory=TransportLimits)
    lookup: Lookup = look_up
    rng: random.Random = field(default_factory=random.Random)


@dataclass(frozen=True, slots=True)
class Events:
    """Whom to tell, on the thread that polls."""

    message: Callable[[Node, Message], None]
    connected: Callable[[Node], None]
    disconnected: Callable[[Node], None]
