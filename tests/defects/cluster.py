"""One driver for two engines: a cluster whose every message, tick and second a test decides.

Links are first in, first out, as TCP connections are. A message travels when the test delivers it;
a cut link loses what is in it and both ends are told; a crashed node loses what was not durable.
Nobody campaigns unless told. `tests.defects.plain` drives PySyncObj as it is released,
`tests.defects.ours` the engine of namestore; a schedule written once runs on both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from itertools import permutations
from typing import Any, ClassVar

# Longer than any election timeout of either engine's default settings.
ELECTION_S = 1.5
# A little longer than a heartbeat of either.
BEAT_S = 0.11


class Answer:
    """What one caller was told, in order: granted or not, or what went wrong."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    @property
    def granted(self) -> bool:
        """The caller believes that the name is its own."""
        return True in self.heard

    def __repr__(self) -> str:
        return f"Answer({self.heard})"


class Cluster(ABC):
    """Nodes named by single letters. After `start` all are connected, and none leads.

    Attributes:
        now: Seconds on everybody's clock.
        errors: What turns of nodes raised and their threads would have logged.
    """

    plain: ClassVar[bool]

    def __init__(self, nodes: str) -> None:
        self.nodes = list(nodes)
        self.now = 1000.0
        self.errors: list[Exception] = []
        self.running: set[str] = set()
        self.links: dict[tuple[str, str], deque[Any]] = {}
        self._cut: set[frozenset[str]] = set()
        self._live: set[frozenset[str]] = set()

    # -- what an engine's driver does -------------------------------------------------------

    @abstractmethod
    def boot(self, node: str) -> None:
        """Makes the process of a node from what its disk holds."""

    @abstractmethod
    def halt(self, node: str) -> None:
        """Ends the process of a node as a power failure would."""

    @abstractmethod
    def hear(self, node: str, source: str, message: Any) -> None:
        """The node receives a message, and says at once what it says to that."""

    @abstractmethod
    def told(self, node: str, peer: str, connected: bool) -> None:
        """The node is told of a connection that came or went."""

    @abstractmethod
    def turn(self, node: str, campaign: bool = False) -> None:
        """One tick; with `campaign` its election timeout ends in it."""

    @abstractmethod
    def write(self, node: str, name: str, owner: str, fails: bool = False) -> Answer:
        """A caller at that node asks for a name; `fails`: its callback raises."""

    @abstractmethod
    def owner(self, node: str, name: str) -> str | None:
        """Who holds the name, according to that node's state alone."""

    @abstractmethod
    def leads(self, node: str) -> bool:
        """The node believes that it leads."""

    @abstractmethod
    def compact(self, node: str) -> None:
        """Makes a snapshot of what is applied and forgets the entries before it."""

    @abstractmethod
    def terms(self, node: str) -> list[int]:
        """The terms of the entries in its log, oldest first."""

    def admits(self, node: str, peer: str) -> bool:
        """Whether a node lets the other connect."""
        return True

    @abstractmethod
    def met(self, node: str, peer: str) -> None:
        """The node greets the other on a new connection."""

    # -- processes and links ----------------------------------------------------------------

    def start(self) -> None:
        """Boots and connects everybody."""
        for node in self.nodes:
            self.boot(node)
            self.running.add(node)
        self._connect_all()

    def crash(self, *nodes: str) -> None:
        """Power off: connections break, what is under way to and from the node is lost."""
        for node in nodes:
            self.running.discard(node)
            for peer in self.nodes:
                self._break(node, peer)
            self.halt(node)

    def restart(self, *nodes: str) -> None:
        """The process comes back on what its disk holds."""
        for node in nodes:
            self.boot(node)
            self.running.add(node)
            self.turn(node)
        self._connect_all()

    def cut(self, node: str, *peers: str) -> None:
        """Nothing passes between these any more."""
        for peer in peers:
            self._cut.add(frozenset((node, peer)))
            self._break(node, peer)

    def heal(self, node: str, *peers: str) -> None:
        """They connect again."""
        for peer in peers:
            self._cut.discard(frozenset((node, peer)))
        self._connect_all()

    def isolate(self, node: str) -> None:
        """Cuts the node off from everybody."""
        self.cut(node, *[peer for peer in self.nodes if peer != node])

    def rejoin(self, node: str) -> None:
        """Connects it with everybody."""
        self.heal(node, *[peer for peer in self.nodes if peer != node])

    def connected(self, node: str, peer: str) -> bool:
        """There is a connection."""
        return frozenset((node, peer)) in self._live

    def send(self, source: str, target: str, message: Any) -> bool:
        """What a transport's `send` does."""
        if not self.connected(source, target):
            return False
        self.links.setdefault((source, target), deque()).append(message)
        return True

    def _connect_all(self) -> None:
        for node, peer in permutations(self.nodes, 2):
            pair = frozenset((node, peer))
            if pair in self._live or pair in self._cut or not pair <= self.running:
                continue
            if self.admits(node, peer) and self.admits(peer, node):
                self._live.add(pair)
                self.met(node, peer)
                self.met(peer, node)
                self.told(node, peer, True)
                self.told(peer, node, True)

    def _break(self, node: str, peer: str) -> None:
        pair = frozenset((node, peer))
        if pair not in self._live:
            return
        self._live.discard(pair)
        for one, other in ((node, peer), (peer, node)):
            self.links.pop((one, other), None)
            if one in self.running:
                self.told(one, other, False)

    # -- messages ---------------------------------------------------------------------------

    def in_flight(self, source: str, target: str) -> list[Any]:
        """What has been sent and not delivered."""
        return list(self.links.get((source, target), ()))

    def take(self, source: str, target: str) -> list[Any]:
        """Holds back what is under way: a stalled connection."""
        return list(self.links.pop((source, target), ()))

    def put(self, source: str, target: str, messages: Iterable[Any]) -> None:
        """Lets it go on, in its order, before what was sent since."""
        queue = self.links.setdefault((source, target), deque())
        queue.extendleft(reversed(list(messages)))

    def deliver(self, source: str, target: str, count: int = 1_000_000) -> int:
        """Delivers so many messages, the oldest first; says how many there were."""
        delivered = 0
        queue = self.links.get((source, target))
        while queue and delivered < count and target in self.running:
            self.hear(target, source, queue.popleft())
            delivered += 1
            queue = self.links.get((source, target))
        return delivered

    def flush(self, among: str = "") -> None:
        """Delivers and ticks until nobody has anything to say, in no time."""
        for _ in range(200):
            if not self._step(among):
                return
        raise AssertionError("the nodes do not come to rest")

    def settle(self, among: str = "", seconds: float = 2.2) -> None:
        """Lets that much time pass while everything is delivered."""
        end = self.now + seconds
        while self.now < end:
            self.now += BEAT_S
            self._step(among)

    def _step(self, among: str) -> bool:
        members, moved = set(among or self.nodes), False
        for source, target in sorted(self.links):
            if {source, target} <= members:
                moved |= self.deliver(source, target) > 0
        for node in sorted(members & self.running):
            self.turn(node)
        return moved

    # -- what tests say in a word -----------------------------------------------------------

    def pass_time(self, seconds: float = BEAT_S) -> None:
        """The clock moves, nothing happens."""
        self.now += seconds

    def elect(self, node: str, among: str = "") -> None:
        """Makes the node lead by the votes of those, without touching the others."""
        for peer in among or self.nodes:  # what is under way would look like a leader's word
            self.deliver(peer, node)
            self.deliver(node, peer)
        self.pass_time(ELECTION_S)
        self.turn(node, campaign=True)
        followers = [peer for peer in (among or self.nodes) if peer != node]
        followers = [peer for peer in followers if peer in self.running and not self.leads(peer)]
        for _ in range(3):  # before a leader that is still there can speak
            for peer in followers:
                if not self.leads(node):
                    self.deliver(node, peer)
                    self.deliver(peer, node)
        self.flush(among)
        assert self.leads(node), f"{node} was not elected"

    def elect_any(self, among: str) -> str:
        """Makes one of them lead that can; says who."""
        for _ in range(3):
            for node in among:
                self.pass_time(ELECTION_S)
                self.turn(node, campaign=True)
                self.flush(among)
                if self.leads(node):
                    return node
        raise AssertionError(f"none of {among} was elected")

    def first_leader(self, node: str) -> None:
        """As `elect`, and everybody has heard of it."""
        self.elect(node)
        self.settle()
