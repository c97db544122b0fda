"""Messages between the Raft nodes: TCP, optional TLS, and nothing that trusts a byte unseen.

Every node dials every peer. What a node dialed it sends on; what it accepted it receives on. So
nobody has to decide which of two connections survives, and a cut in one direction is seen as one.
Delivery is at most once and in order for as long as one connection lasts; Raft does the rest.

This is the engine's face of it; the work is done by `switchboard`. It is not thread-safe but for
`wake`: one thread, the Raft thread, owns it, and everything happens inside its calls.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping

from pysyncobj.node import Node
from pysyncobj.transport import Transport

from namestore.config import TlsConfig
from namestore.raft.transport import messages
from namestore.raft.transport.addresses import Lookup, look_up, split_address
from namestore.raft.transport.framing import HEADER, frame
from namestore.raft.transport.hello import Hello
from namestore.raft.transport.link import Gate
from namestore.raft.transport.network import Events, Network, TransportLimits
from namestore.raft.transport.switchboard import Switchboard
from namestore.raft.transport.tls import load_contexts


class TcpTransport(Transport):
    """The transport of one node.

    Args:
        self_id: This node's id.
        listen: host:port to listen on; port 0 takes a free one, see `listen_address`.
        peers: Node id -> host:port. May name nodes that are never added.
        cluster_name: Peers of another cluster are refused.
        hello: What to say of this node, asked anew for every connection.
        accept: None, or why a peer with that hello is refused. Must not raise.
        tls: None: no encryption and no proof of identity; then only loopback is listened on and
            dialed, unless `allow_insecure_network`.
        clock: Monotonic seconds.
        connect_retry_ms: The first pause between two dials; it doubles up to eight times that.
        lookup: Resolves host names, on a thread of its own.

    Raises:
        ConfigError: The TLS files cannot be used, or an address is not host:port.
    """

    def __init__(
        self,
        self_id: str,
        listen: str,
        peers: Mapping[str, str],
        cluster_name: str,
        hello: Callable[[], Hello],
        accept: Callable[[Hello], str | None],
        tls: TlsConfig | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        connect_retry_ms: int = 200,
        allow_insecure_network: bool = False,
        limits: TransportLimits | None = None,
        lookup: Lookup = look_up,
        rng: random.Random | None = None,
    ) -> None:
        super().__init__(None, None, [])
        for address in (listen, *peers.values()):
            split_address(address)
        self._self_id = self_id
        self._addresses = dict(peers)
        self._limits = limits or TransportLimits()
        # The last message that was sent, and its bytes: mostly it goes to others as well.
        self._sent: tuple[messages.Message | None, bytes] = (None, b"")
        self._board = Switchboard(
            listen,
            Gate(self_id, cluster_name, hello, accept),
            Events(self._onMessageReceived, self._onNodeConnected, self._onNodeDisconnected),
            Network(
                tls=None if tls is None else load_contexts(tls, cluster_name, self_id),
                beyond_loopback=tls is not None or allow_insecure_network,
                limits=self._limits,
                clock=clock,
                retry_s=connect_retry_ms / 1000,
                lookup=lookup,
                rng=rng or random.Random(),
            ),
        )

    @property
    def refusals(self) -> Mapping[str, str]:
        """Node id -> why the last dial to it ended in a refusal, by either side."""
        return self._board.dialer.refusals

    @property
    def ready(self) -> bool:
        """The port is bound."""
        return self._board.door.is_open

    @property
    def listen_address(self) -> str:
        """host:port as bound, once `ready`; before, as it was given."""
        return self._board.door.address

    def tryGetReady(self) -> None:
        """Binds and listens, once. Raises ConfigError: the address cannot be used."""
        self._board.listen()

    def waitReady(self) -> None:
        """As `tryGetReady`: it never needs to wait."""
        self._board.listen()

    def set_address(self, node_id: str, address: str) -> None:
        """Where to dial a node from now on; what is connected stays. Raises ConfigError."""
        split_address(address)
        if self._addresses.get(node_id) != address:
            self._addresses[node_id] = address
            self._board.readdress(node_id, address)

    def addNode(self, node: Node) -> None:
        """Keeps `node` connected from the next `poll` on. Adding it again changes nothing.

        Its address may come later, by `set_address`.
        """
        if node.id == self._self_id:
            raise ValueError(f"{node.id!r} is this node itself")
        self._board.add(node, self._addresses.get(node.id))

    def dropNode(self, node: Node) -> None:
        """Closes what is connected to `node` and dials it no more; calls nothing back."""
        self._board.remove(node.id)

    def send(self, node: Node, message: messages.Message) -> bool:
        """Queues a message, which must not be changed; never blocks. `flush` or `poll` sends it.

        Returns:
            False when the node is not connected or its queue is full: the message is gone.

        Raises:
            MalformedMessage: It is not of the table, or too long; a mistake of the caller.
        """
        link = self._board.live(node.id)
        if link is None:
            return False
        if message is not self._sent[0]:
            self._sent = message, messages.encode(message)
        body = self._sent[1]
        body_bytes_max = self._limits.frame_bytes_max
        if len(body) > body_bytes_max:
            raise messages.MalformedMessage(
                f"{message['type']}: {len(body)} bytes, at most {body_bytes_max} may be sent"
            )
        queued_bytes = link.connection.queued_bytes + len(body) + HEADER.size
        if queued_bytes > self._limits.queue_bytes_max:
            return False
        self._board.queue(link, frame(body))
        return True

    def is_connected(self, node: Node) -> bool:
        """What is sent to `node` now would be queued, as far as its queue has room."""
        return self._board.live(node.id) is not None

    def queued_bytes(self, node: Node) -> int:
        """Bytes queued for a node that the kernel has not taken yet; 0 when not connected."""
        link = self._board.live(node.id)
        return 0 if link is None else link.connection.queued_bytes

    def hello_of(self, node_id: str) -> Hello | None:
        """The hello of a node that is connected, on the connection we dialed if there is one."""
        return self._board.hello_of(node_id)

    def wake(self) -> None:
        """Makes the present or the next `poll` return at once. Any thread; cheap."""
        self._board.waker.wake()

    def flush(self) -> None:
        """Hands queued bytes to the kernel; calls nothing back. Before a wait for the disk."""
        self._board.flush()

    def poll(self, timeout_s: float) -> None:
        """One round: waits for the network at most `timeout_s`, then does a bounded share of it.

        It may return earlier with nothing done. Exceptions of callbacks pass through.
        """
        self._board.poll(timeout_s)

    def destroy(self) -> None:
        """Closes everything; calls nothing back. May be called twice."""
        self._board.close()
