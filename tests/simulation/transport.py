"""The transport that a simulated consensus engine sees: its host and `Network` do the work."""

from __future__ import annotations

from typing import Any

from pysyncobj.node import Node
from pysyncobj.transport import Transport

from namestore.raft.transport.hello import Hello


class SimTransport(Transport):
    """The consensus engine's transport in the simulation; `Network` moves the messages."""

    def __init__(self, host: Any, peers: dict[str, Node]) -> None:
        super().__init__(None, None, [])
        self.host = host
        self.peers = peers
        # Where this process believes the others to be; whoever is not in there is nowhere.
        self.addresses: dict[str, str] = dict(host.file)
        self.inbox: list[tuple[str, Any]] = []
        self.refusals: dict[str, str] = {}
        self.destroyed = False

    @property
    def ready(self) -> bool:
        """From the start."""
        return True

    def addNode(self, node: Node) -> None:
        self.peers[node.id] = node
        self.host.network.dial(self.host.node_id, node.id)

    def dropNode(self, node: Node) -> None:
        self.peers.pop(node.id, None)
        self.host.network.hang_up(self.host.node_id, node.id)
        self.host.network.shut_out(node.id, self.host.node_id)

    def send(self, node: Node, message: dict[str, Any]) -> bool:
        host = self.host
        if self.destroyed or not host.network.link(host.node_id, node.id).connected:
            return False
        host.saying(node.id, message)
        host.network.carry(host.node_id, node.id, host.packed(message), host.clock())
        host.sent(message)
        return True

    def poll(self, timeout: float) -> None:
        """Hands over what has arrived, or a part of it."""
        host, inbox = self.host, self.inbox
        count = host.plan.inbox or len(inbox)
        self.inbox = inbox[count:]
        for sender, data in inbox[:count]:
            node = self.peers.get(sender) or Node(sender)
            if data is not None:
                self._onMessageReceived(node, host.unpacked(data))
            elif host.network.link(host.node_id, sender).connected:
                self._onNodeConnected(node)
            else:
                self._onNodeDisconnected(node)

    def flush(self) -> None:
        """Everything has left already."""

    def wake(self) -> None:
        """The node runs a turn soon."""
        self.host.schedule_turn(0.0)

    def hello_of(self, node_id: str) -> Hello | None:
        """What a connected peer said of itself, on the connection dialed or else on its own."""
        network, own = self.host.network, self.host.node_id
        dialed, incoming = network.link(own, node_id), network.link(node_id, own)
        hello: Hello | None = incoming.introduction if incoming.connected else None
        if dialed.connected:
            hello = dialed.greeting
        return hello

    def set_address(self, node_id: str, address: str) -> None:
        """Where to dial a node from now on."""
        self.addresses[node_id] = address

    def destroy(self) -> None:
        self.destroyed = True
