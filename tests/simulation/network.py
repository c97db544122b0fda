"""The simulated network: links that delay, lose, duplicate, reorder; that are cut and healed.

Messages travel as the bytes the real codec makes. A link is one direction between two nodes. While
it is cut everything sent into it is lost, and after a while the sender is told that the connection
is gone, as a real transport would find out by its pings.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pysyncobj.node import Node
from pysyncobj.transport import Transport

from namestore.raft.hello import Hello
from namestore.raft.messages import decode, encode
from tests.simulation.world import World


@dataclass
class LinkFaults:
    """How bad the links are, for one run. Probabilities per message; seconds."""

    delay_min: float = 0.0005
    delay_max: float = 0.005
    slow_chance: float = 0.0
    slow_max: float = 0.5
    loss: float = 0.0
    duplication: float = 0.0
    reorder: bool = False
    notice_max: float = 1.0


@dataclass
class Link:
    """One direction between two nodes."""

    cut: bool = False
    connected: bool = False
    generation: int = 0
    last_arrival: float = 0.0


class SimTransport(Transport):
    """The engine's transport in the simulation; `network` moves the messages."""

    def __init__(self, network: Network, node_id: str, peers: list[str], host: Any) -> None:
        super().__init__(None, None, [])
        self.network = network
        self.node_id = node_id
        self.host = host
        self.peers = {peer: Node(peer) for peer in peers}
        self.inbox: list[tuple[str, bytes | None]] = []
        self.destroyed = False

    @property
    def ready(self) -> bool:
        """From the start."""
        return True

    def addNode(self, node: Node) -> None:
        self.peers[node.id] = node
        self.network.dial(self.node_id, node.id)

    def dropNode(self, node: Node) -> None:
        self.peers.pop(node.id, None)
        self.network.hang_up(self.node_id, node.id)

    def send(self, node: Node, message: dict[str, Any]) -> bool:
        link = self.network.link(self.node_id, node.id)
        if not link.connected or self.destroyed:
            return False
        self.host.saying(node.id, message)
        self.network.carry(self.node_id, node.id, encode(message), self.host.clock())
        return True

    def poll(self, timeout: float) -> None:
        inbox, self.inbox = self.inbox, []
        for sender, data in inbox:
            node = self.peers.get(sender) or Node(sender)
            if data is None:
                if self.network.link(self.node_id, sender).connected:
                    self._onNodeConnected(node)
                else:
                    self._onNodeDisconnected(node)
            else:
                self._onMessageReceived(node, decode(data))

    def flush(self) -> None:
        """Everything has left already."""

    def wake(self) -> None:
        """The node runs a turn soon."""
        self.host.schedule_turn(0.0)

    def hello_of(self, node_id: str) -> Hello | None:
        if not self.network.link(self.node_id, node_id).connected:
            return None
        return self.network.hello_of(node_id)

    def destroy(self) -> None:
        self.destroyed = True


@dataclass
class Network:
    """All links. Hosts are given by `hosts`: node id -> the host that runs there, or None."""

    world: World
    faults: LinkFaults
    hosts: dict[str, Any] = field(default_factory=dict)
    links: dict[tuple[str, str], Link] = field(default_factory=dict)

    def link(self, source: str, target: str) -> Link:
        """The link of that direction."""
        found = self.links.get((source, target))
        if found is None:
            found = self.links[(source, target)] = Link()
        return found

    def hello_of(self, node_id: str) -> Hello | None:
        host = self.hosts.get(node_id)
        return host.hello() if host is not None and host.running else None

    # -- connections ------------------------------------------------------------------------

    def dial(self, source: str, target: str) -> None:
        """Tries to connect until it works or nobody wants it any more."""
        link = self.link(source, target)
        link.generation += 1
        generation = link.generation

        def attempt() -> None:
            host = self.hosts.get(source)
            if link.generation != generation or link.connected or not self._runs(source):
                return
            if target not in host.transport.peers:
                return
            peer = self.hosts.get(target)
            back = self.link(target, source)
            if self._runs(target) and not link.cut and not back.cut:
                refused = peer.accept(host.hello()) or host.accept(peer.hello())
                if refused is None:
                    link.connected = True
                    self._tell(source, target)
                    return
            self.world.after(0.1 + 0.1 * self.world.rng.random(), attempt)

        self.world.after(0.001 + 0.02 * self.world.rng.random(), attempt)

    def hang_up(self, source: str, target: str) -> None:
        """Closes the connection from one node to another."""
        link = self.link(source, target)
        link.generation += 1
        if link.connected:
            link.connected = False
            self._tell(source, target)

    def node_started(self, node_id: str) -> None:
        """A process came up: it dials its peers; theirs find it by dialing again."""
        for target in list(self.hosts[node_id].transport.peers):
            self.dial(node_id, target)

    def node_died(self, node_id: str) -> None:
        """A process is gone: its connections break, what was in them is lost."""
        for (source, target), link in sorted(self.links.items()):
            if node_id not in (source, target):
                continue
            was = link.connected
            link.generation += 1
            link.connected = False
            if source != node_id and self._runs(source):
                if was:
                    self._tell(source, target)
                self.dial(source, target)

    def cut(self, source: str, target: str) -> None:
        """From now on nothing gets through in that direction; the sender notices after a while."""
        link = self.link(source, target)
        if link.cut:
            return
        link.cut = True
        link.generation += 1
        generation = link.generation

        def notice() -> None:
            if link.generation == generation and link.connected:
                self.hang_up(source, target)
                self.dial(source, target)

        self.world.after(self.faults.notice_max * self.world.rng.random(), notice)

    def heal(self, source: str, target: str) -> None:
        """Lets messages through again; a connection that nobody had noticed broken goes on, minus
        what was lost, as after a TCP reset and a quick reconnect."""
        link = self.link(source, target)
        if not link.cut:
            return
        link.cut = False
        if link.connected:
            self.hang_up(source, target)
        if self._runs(source):
            self.dial(source, target)

    def heal_all(self) -> None:
        """No link is cut any more."""
        for source, target in sorted(self.links):
            self.heal(source, target)

    # -- messages ---------------------------------------------------------------------------

    def carry(self, source: str, target: str, data: bytes, sent_at: float) -> None:
        """One message on its way."""
        faults, rng, link = self.faults, self.world.rng, self.link(source, target)
        if link.cut or self.world.chance(faults.loss):
            return
        copies = 2 if self.world.chance(faults.duplication) else 1
        for _ in range(copies):
            delay = faults.delay_min + (faults.delay_max - faults.delay_min) * rng.random()
            if self.world.chance(faults.slow_chance):
                delay += faults.slow_max * rng.random()
            arrival = sent_at + delay
            if not faults.reorder:
                arrival = link.last_arrival = max(arrival, link.last_arrival)
            generation = link.generation
            self.world.at(arrival, lambda: self._arrive(source, target, data, generation))

    def _arrive(self, source: str, target: str, data: bytes, generation: int) -> None:
        link = self.link(source, target)
        if link.generation != generation or not link.connected or link.cut:
            return
        if self._runs(target):
            self.hosts[target].receive(source, data)

    def _tell(self, node_id: str, peer: str) -> None:
        if self._runs(node_id):
            self.hosts[node_id].receive(peer, None)

    def _runs(self, node_id: str) -> bool:
        host = self.hosts.get(node_id)
        return host is not None and host.running
