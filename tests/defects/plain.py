"""PySyncObj as it is released, under `Cluster`'s hands.

Nothing of the library is changed but its clock. Its private fields are looked at, and the election
deadline is set, by their mangled names.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pysyncobj
from pysyncobj import syncobj
from pysyncobj.node import Node
from pysyncobj.transport import Transport

from tests.defects.cluster import Answer, Cluster

replicated: Any = vars(pysyncobj)["replicated"]


class PlainRegistry(pysyncobj.SyncObj):
    """Register-if-absent, as an application of the library would write it."""

    def __init__(self, node: str, peers: list[str], conf: pysyncobj.SyncObjConf, wire: Any) -> None:
        super().__init__(
            Node(node), [Node(peer) for peer in peers], conf=conf, nodeClass=Node, transport=wire
        )
        self.names: dict[str, str] = {}
        self.applied = 0

    @replicated  # type: ignore[untyped-decorator]
    def register(self, name: str, owner: str) -> bool:
        self.applied += 1
        return self.names.setdefault(name, owner) == owner


class PlainWire(Transport):
    """The library's transport seam, over the cluster's links."""

    def __init__(self, cluster: PlainCluster, node: str, peers: list[str]) -> None:
        super().__init__(None, None, [])
        self._cluster, self._node = cluster, node
        self.peers = {peer: Node(peer) for peer in peers}

    @property
    def ready(self) -> bool:
        return True

    def addNode(self, node: Node) -> None:  # noqa: N802  the library names it so
        self.peers[node.id] = node
        if self._cluster.connected(self._node, node.id):
            self.told(node.id, True)

    def dropNode(self, node: Node) -> None:  # noqa: N802  the library names it so
        self.peers.pop(node.id, None)

    def send(self, node: Node, message: Any) -> bool:
        return self._cluster.send(self._node, node.id, copy.deepcopy(message))

    def destroy(self) -> None:
        """Nothing to let go of."""

    def hear(self, source: str, message: Any) -> None:
        if source in self.peers:
            self._onMessageReceived(self.peers[source], message)

    def told(self, peer: str, connected: bool) -> None:
        if peer in self.peers:
            report = self._onNodeConnected if connected else self._onNodeDisconnected
            report(self.peers[peer])


class PlainCluster(Cluster):
    """Nodes of PySyncObj 0.3.17.

    Args:
        directory: Where journals and dumps are.
        durable: With a journal and a dump file, which the library does not have by default.
        settings: For SyncObjConf.
        registry: The replicated object.
    """

    plain = True

    def __init__(
        self,
        nodes: str,
        directory: Path,
        *,
        durable: bool = True,
        registry: type[PlainRegistry] = PlainRegistry,
        **settings: Any,
    ) -> None:
        super().__init__(nodes)
        self.directory, self.durable, self.registry = directory, durable, registry
        self.settings = settings
        self.objects: dict[str, PlainRegistry] = {}
        self.wires: dict[str, PlainWire] = {}
        self.clock_step = 0.0  # for loops of the library that only time ends

    def clock(self) -> float:
        """Takes the place of the library's `monotonicTime`."""
        self.now += self.clock_step
        return self.now

    def private(self, node: str, name: str) -> Any:
        """A private field or method of a node's SyncObj."""
        return getattr(self.objects[node], f"_SyncObj__{name}")

    def set_private(self, node: str, name: str, value: Any) -> None:
        """Sets one."""
        setattr(self.objects[node], f"_SyncObj__{name}", value)

    def journal(self, node: str) -> Path:
        """Its journal file; the meta file has `.meta` behind it."""
        return self.directory / f"{node}.journal"

    def dump(self, node: str) -> Path:
        """Its snapshot."""
        return self.directory / f"{node}.dump"

    # -- Cluster ----------------------------------------------------------------------------

    def boot(self, node: str) -> None:
        settings: dict[str, Any] = {
            "autoTick": False,
            "useFork": False,
            "logCompactionMinTime": 10**9,
            "logCompactionMinEntries": 10**9,
        }
        if self.durable:
            settings["journalFile"] = str(self.journal(node))
            settings["fullDumpFile"] = str(self.dump(node))
        conf = pysyncobj.SyncObjConf(**(settings | self.settings))
        peers = [peer for peer in self.nodes if peer != node]
        self.wires[node] = PlainWire(self, node, peers)
        self.objects[node] = self.registry(node, peers, conf, self.wires[node])
        self._freeze(node)

    def halt(self, node: str) -> None:
        # Lets go of the file handles only: the dead process wrote what it wrote.
        self.private(node, "raftLog")._destroy()
        del self.objects[node], self.wires[node]

    def hear(self, node: str, source: str, message: Any) -> None:
        self._as_its_thread_does(lambda: self.wires[node].hear(source, message))
        self._freeze(node)

    def met(self, node: str, peer: str) -> None:
        """The library's transport knows names only."""

    def told(self, node: str, peer: str, connected: bool) -> None:
        self.wires[node].told(peer, connected)

    def turn(self, node: str, campaign: bool = False) -> None:
        if campaign:
            self.set_private(node, "raftElectionDeadline", -math.inf)
        self._as_its_thread_does(lambda: self.objects[node].doTick(0.0))
        self._freeze(node)

    def _as_its_thread_does(self, work: Callable[[], None]) -> None:
        """The library's own thread logs whatever a tick raises, and goes on."""
        try:
            work()
        except Exception as error:  # noqa: BLE001  so does the library
            self.errors.append(error)

    def _freeze(self, node: str) -> None:
        self.set_private(node, "raftElectionDeadline", math.inf)

    def write(self, node: str, name: str, owner: str, fails: bool = False) -> Answer:
        answer = Answer()

        def callback(result: Any, error: int) -> None:
            if fails:
                raise RuntimeError("the caller's event loop is closed")
            answer.heard.append(result if error == 0 else error)

        self.objects[node].register(name, owner, callback=callback)
        return answer

    def owner(self, node: str, name: str) -> str | None:
        return self.objects[node].names.get(name)

    def leads(self, node: str) -> bool:
        return self.objects[node]._isLeader()

    def compact(self, node: str) -> None:
        self.set_private(node, "forceLogCompaction", True)
        self.turn(node)
        self.turn(node)

    def terms(self, node: str) -> list[int]:
        log = self.private(node, "raftLog")
        return [log[place][2] for place in range(len(log))]

    def close(self) -> None:
        """Lets go of all files."""
        for node in sorted(self.running):
            self.private(node, "raftLog")._destroy()


def use_clock_of(cluster: PlainCluster, monkeypatch: Any) -> None:
    """The library imports its clock by name; this puts another there."""
    monkeypatch.setattr(syncobj, "monotonicTime", cluster.clock)
