"""The simulated network: links that delay, lose, repeat, reorder, stall; that are cut and healed.

A link is one direction between two nodes. While it is cut everything sent into it is lost, and
after a while the sender is told that the connection is gone, as a real transport would find out by
its pings. While it is stalled nothing is lost: it arrives late, over the same connection.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.plan import LinkFaults
from tests.simulation.world import World

_DELAY_MIN_S = 0.0005


@dataclass
class Link:
    """One direction between two nodes.

    Attributes:
        cuts: How many faults cut it; it is whole when none does any more.
        generation: Of the connection; what was sent over an older one is lost with it.
        draining: The sender died: what it had sent before may still arrive.
        held: While the link is stalled: what arrives when it goes on.
        extra: Seconds that every message takes longer.
        greeting: What the target said of itself when the connection was made.
        introduction: What the source said of itself then.
    """

    cuts: int = 0
    connected: bool = False
    generation: int = 0
    draining: int = -1
    last_arrival: float = 0.0
    held: list[Callable[[], None]] | None = None
    extra: float = 0.0
    greeting: Any = None
    introduction: Any = None

    @property
    def cut(self) -> bool:
        """Nothing gets through."""
        return self.cuts > 0


@dataclass
class Network:
    """All links. `hosts`: node id to the machine of that name."""

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

    # -- connections ------------------------------------------------------------------------

    def dial(self, source: str, target: str) -> None:
        """Tries to connect until it works or nobody wants it any more."""
        link = self.link(source, target)
        link.generation += 1
        generation = link.generation

        def attempt() -> None:
            host = self.hosts[source]
            if link.generation != generation or link.connected or not host.running:
                return
            if not host.wants(target):
                return
            peer = self.hosts.get(target)
            if peer is None:
                return
            reachable = peer.running and not link.cut and not self.link(target, source).cut
            if reachable and host.finds(peer) and peer.accepts(host) and host.accepts(peer):
                link.connected = True
                link.draining = -1
                link.greeting, link.introduction = peer.hello(), host.hello()
                host.receive(target, None)
                return
            pause = 0.18 if peer.on else 1.0  # pauses grow while nobody is there
            self.world.after(0.02 + pause * self.world.rng.random(), attempt)

        self.world.after(0.001 + 0.02 * self.world.rng.random(), attempt)

    def hang_up(self, source: str, target: str) -> None:
        """Closes the connection from one node to another."""
        link = self.link(source, target)
        link.generation += 1
        if link.connected:
            link.connected = False
            self._tell(source, target)

    def shut_out(self, source: str, target: str) -> None:
        """The target closes the connection that the source made, which will try again."""
        link = self.link(source, target)
        link.draining = -1
        if link.connected:
            self.hang_up(source, target)
            self.dial(source, target)

    def node_started(self, node_id: str, peers: list[str]) -> None:
        """A process came up: it dials its peers; theirs find it by dialing again."""
        for target in peers:
            self.dial(node_id, target)

    def node_died(self, node_id: str) -> None:
        """A process is gone and its connections break; what it had sent may still arrive."""
        for (source, target), link in sorted(self.links.items()):
            if source == node_id:
                link.draining = link.generation
                link.generation += 1
                link.connected = False
            elif target == node_id:
                was = link.connected
                link.connected = False
                if self.hosts[source].running:
                    if was:
                        self._tell(source, target)
                    self.dial(source, target)

    def cut(self, source: str, target: str) -> None:
        """From now on nothing gets through in that direction; the sender notices after a while."""
        link = self.link(source, target)
        link.cuts += 1
        if link.cuts > 1:
            return
        link.draining = -1
        link.generation += 1
        generation = link.generation

        def notice() -> None:
            if link.generation == generation and link.connected:
                self.hang_up(source, target)
                self.dial(source, target)

        self.world.after(self.faults.notice_max * self.world.rng.random(), notice)

    def heal(self, source: str, target: str) -> None:
        """Ends one cut. After the last of them messages get through, over a new connection."""
        link = self.link(source, target)
        if not link.cuts:
            return  # healed by `calm` meanwhile
        link.cuts -= 1
        if link.cuts:
            return
        if link.connected:
            self.hang_up(source, target)
        if self.hosts[source].running:
            self.dial(source, target)

    def stall(self, source: str, target: str, seconds: float) -> None:
        """Holds back whatever is under way, or sent, in that direction; then all of it arrives."""
        link = self.link(source, target)
        if link.held is None:
            link.held = []
            self.world.after(seconds, lambda: self.release(source, target))

    def release(self, source: str, target: str) -> None:
        """Ends a stall."""
        link = self.link(source, target)
        held, link.held = link.held or [], None
        for arrive in held:
            arrive()

    def calm(self) -> None:
        """Every link is as good as new."""
        self.faults = LinkFaults(delay_max=0.005)
        for (source, target), link in sorted(self.links.items()):
            link.extra = 0.0
            self.release(source, target)
            link.cuts = min(link.cuts, 1)
            self.heal(source, target)

    # -- messages ---------------------------------------------------------------------------

    def carry(self, source: str, target: str, data: Any, sent_at: float) -> None:
        """One message on its way."""
        faults, world, link = self.faults, self.world, self.link(source, target)
        rng = world.rng
        if link.cut or world.chance(faults.loss):
            return
        delay = _DELAY_MIN_S + faults.delay_max * rng.random() + link.extra
        if world.chance(faults.slow_chance):
            delay += faults.slow_max * rng.random()
        arrival = sent_at + delay
        if not faults.reorder:
            arrival = link.last_arrival = max(arrival, link.last_arrival)
        arrive = self._arrival(link, source, target, data)
        world.at(arrival, arrive)
        if world.chance(faults.late_chance):
            world.at(arrival + faults.late_max * rng.random(), arrive)

    def _arrival(self, link: Link, source: str, target: str, data: Any) -> Callable[[], None]:
        generation = link.generation

        def arrive() -> None:
            if link.cut or generation != (link.generation if link.connected else link.draining):
                return
            if link.held is not None:
                link.held.append(arrive)
            elif self.hosts[target].running:
                self.hosts[target].receive(source, data)

        return arrive

    def _tell(self, node_id: str, peer: str) -> None:
        if self.hosts[node_id].running:
            self.hosts[node_id].receive(peer, None)
