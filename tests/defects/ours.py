"""The engine of namestore under `Cluster`'s hands, over stores in memory and the real codec."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pysyncobj.node import Node
from pysyncobj.transport import Transport

from namestore.core.commands import Register, Wanted, encode_command
from namestore.core.outcomes import Decision, Verdict
from namestore.core.records import decode_record
from namestore.core.state import name_key
from namestore.errors import NamestoreError
from namestore.raft.engine import Engine
from namestore.raft.membership import Member, Membership
from namestore.raft.proposals import Proposal
from namestore.raft.reads import Read
from namestore.raft.settings import Bounds, Identity, Seams, Settings, Timing
from namestore.raft.transport.hello import PROTOCOL_VERSION, Hello
from namestore.raft.transport.messages import decode, encode
from namestore.storage.reconcile import reconcile
from tests.defects.cluster import Answer, Cluster
from tests.support.memory_stores import MemoryDisk, MemoryIncoming, MemoryLog, MemoryState

FOREVER_S = 10**6


class OurWire(Transport):
    """The engine's transport seam, over the cluster's links."""

    def __init__(self, cluster: OurCluster, node: str) -> None:
        super().__init__(None, None, [])
        self._cluster, self._node = cluster, node
        self._inbox: list[tuple[str, bytes | bool]] = []

    @property
    def ready(self) -> bool:
        return True

    def addNode(self, node: Node) -> None:  # noqa: N802  the library names it so
        """Everybody is connected by the cluster."""

    def dropNode(self, node: Node) -> None:  # noqa: N802  the library names it so
        """And stays so, unless that one is not let in any more."""
        self._cluster.let_go(self._node, node.id)

    def set_address(self, node_id: str, address: str) -> None:
        """The cluster knows everybody."""

    def send(self, node: Node, message: Any) -> bool:
        return self._cluster.send(self._node, node.id, encode(message))

    def flush(self) -> None:
        """Everything has left."""

    def wake(self) -> None:
        """The test decides when turns are."""

    def hello_of(self, node_id: str) -> Hello | None:
        connected = self._cluster.connected(self._node, node_id)
        return self._cluster.greetings[(node_id, self._node)] if connected else None

    def destroy(self) -> None:
        """Nothing to let go of."""

    def hear(self, source: str, news: bytes | bool) -> None:
        self._inbox.append((source, news))

    def poll(self, timeout: float) -> None:
        inbox, self._inbox = self._inbox, []
        for source, news in inbox:
            if isinstance(news, bytes):
                self._onMessageReceived(Node(source), decode(news))
            else:
                report = self._onNodeConnected if news else self._onNodeDisconnected
                report(Node(source))


@dataclass
class Disk:
    """What of a node outlives its process."""

    incarnation: str
    log: MemoryLog = field(default_factory=MemoryLog)
    files: MemoryDisk = field(default_factory=MemoryDisk)

    def __post_init__(self) -> None:
        self.state = MemoryState(self.files)
        self.incoming = MemoryIncoming(self.files)


class OurCluster(Cluster):
    """Nodes of namestore's engine."""

    plain = False

    def __init__(self, nodes: str, bounds: Bounds | None = None) -> None:
        super().__init__(nodes)
        self.bounds = bounds or Bounds()
        self.membership = Membership(tuple(Member(n, f"{n}:1", f"{n}:2") for n in self.nodes))
        self.disks = {node: Disk(f"disk-{node}") for node in self.nodes}
        self.engines: dict[str, Engine] = {}
        self.wires: dict[str, OurWire] = {}
        self.jobs: dict[str, list[Callable[[], None]]] = {}
        self.greetings: dict[tuple[str, str], Hello] = {}
        self.hold_jobs = False
        self.skew_ms: dict[str, int] = {}
        self._lives = self._requests = self._wipes = 0

    def wipe(self, node: str) -> None:
        """The disk of a node that is down is replaced by an empty one."""
        self._wipes += 1
        self.disks[node] = Disk(f"another-disk-{node}-{self._wipes}")

    def hello(self, node: str) -> Hello:
        """As a connecting node says it of itself."""
        engine = self.engines[node]
        return Hello(
            protocol=PROTOCOL_VERSION,
            cluster_name="defects",
            cluster_id=engine.agreed_membership.cluster_id,
            node_id=node,
            incarnation=self.disks[node].incarnation,
            fresh=engine.is_new,
            membership_index=engine.agreed_index if engine.is_voter else 0,
        )

    def rewrite(self, message: bytes, **fields: Any) -> bytes:
        """The same message with other contents."""
        return encode(decode(message) | fields)

    def read(self, node: str, timeout: float = FOREVER_S) -> Answer:
        """A caller wants to read at that node; it hears True once it may."""
        answer = Answer()

        def done(error: NamestoreError | None) -> None:
            answer.heard.append(error or True)

        refused = self.engines[node].reads.put(Read(self.now + timeout, done))
        if refused is not None:
            answer.heard.append(refused)
        return answer

    def propose(self, node: str, commands: list[bytes], timeout: float = FOREVER_S) -> Answer:
        """A caller has commands decided; it hears the decisions or what went wrong."""
        answer = Answer()
        proposal = Proposal(commands, self.now + timeout, answer.heard.append)
        refused = self.engines[node].proposals.queue.put(proposal)
        if refused is not None:
            answer.heard.append(refused)
        return answer

    # -- Cluster ----------------------------------------------------------------------------

    def _refusal(self, node: str, peer: str) -> str | None:
        return self.engines[node].reason_to_refuse(self.hello(peer))

    def let_go(self, node: str, peer: str) -> None:
        """A node closes its connections to another that it refuses by now."""
        if self.connected(node, peer) and not self.admits(node, peer):
            self._break(node, peer)

    def admits(self, node: str, peer: str) -> bool:
        return self._refusal(node, peer) is None

    def met(self, node: str, peer: str) -> None:
        self.greetings[(node, peer)] = self.hello(node)

    def boot(self, node: str) -> None:
        disk = self.disks[node]
        self._lives += 1
        self.jobs[node] = []
        self.wires[node] = OurWire(self, node)
        reconcile(disk.log, disk.state)
        seams = Seams(
            log=disk.log,
            state=disk.state,
            clock=lambda: self.now,
            wall_clock_ms=lambda: int(self.now * 1000) + self.skew_ms.get(node, 0),
            rng=random.Random(self._lives),
            background=lambda job, done: self.jobs[node].append(lambda: done(job())),
            incoming=disk.incoming,
        )
        identity = Identity(node, disk.incarnation, self.membership)
        settings = Settings(identity, seams, Timing(), self.bounds)
        self.engines[node] = Engine(self.wires[node], settings)

    def halt(self, node: str) -> None:
        self.disks[node].log.crash()
        self.disks[node].state.crash()
        del self.engines[node], self.wires[node]

    def hear(self, node: str, source: str, message: Any) -> None:
        self.wires[node].hear(source, message)
        self.turn(node)

    def told(self, node: str, peer: str, connected: bool) -> None:
        self.wires[node].hear(peer, connected)

    def turn(self, node: str, campaign: bool = False) -> None:
        if not self.hold_jobs:
            jobs, self.jobs[node] = self.jobs[node], []
            for job in jobs:
                job()
        engine = self.engines[node]
        # Nobody campaigns by itself; `_election_due` reads this field of PySyncObj's frame.
        deadline = -math.inf if campaign else math.inf
        vars(engine)["_SyncObj__raftElectionDeadline"] = deadline
        engine.doTick(0.0)

    def write(self, node: str, name: str, owner: str, fails: bool = False) -> Answer:
        self._requests += 1
        answer = Answer()

        def done(result: list[Decision] | NamestoreError) -> None:
            if fails:
                raise RuntimeError("the caller's event loop is closed")
            if isinstance(result, NamestoreError):
                answer.heard.append(result)
            else:
                answer.heard.append(result[0][0].verdict is Verdict.GRANTED)

        command = Register(f"r{self._requests}".encode(), Wanted(name, name, owner))
        proposal = Proposal([encode_command(command)], self.now + FOREVER_S, done)
        refused = self.engines[node].proposals.queue.put(proposal)
        assert refused is None
        return answer

    def owner(self, node: str, name: str) -> str | None:
        (data,) = self.disks[node].state.get_many([name_key(name)])
        return None if data is None else decode_record(name, data).owner

    def leads(self, node: str) -> bool:
        return self.engines[node].is_leader

    def compact(self, node: str) -> None:
        disk = self.disks[node]
        disk.state.flush()
        disk.log.drop_through(self.engines[node].applied_index)
        disk.log.sync()

    def terms(self, node: str) -> list[int]:
        log = self.disks[node].log
        indexes = range(log.first_index, log.last_index + 1)
        return [term for index in indexes if (term := log.term_at(index)) is not None]
