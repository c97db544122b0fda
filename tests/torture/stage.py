"""What the faults act on, and what is noted of it.

`Stage` knows which nodes are down on purpose; `Diary` writes down what was done and when. Not
responsible for looking at the nodes (`watch`). Invariant: a node is noted as down before it is
brought down, so one that ends while it is not has ended by itself, and that is a finding.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

from namestore import NameStore
from namestore.localcluster.errors import NodeFailed
from tests.support.linearizability import Violation
from tests.torture.grounds import Ground
from tests.torture.nodes import TortureCluster
from tests.torture.watch import Down, Watch
from tests.torture.wires import Link

RECOVERY_SECONDS = 60.0
_STOP_SECONDS = 8.0


class Diary:
    """What was done, as lines of JSON with the time on the monotonic clock."""

    def __init__(self, path: Path) -> None:
        self.kinds: Counter[str] = Counter()
        self.leader_kills: list[float] = []
        self.now = "starting"
        self._began = time.monotonic()
        self._file = path.open("w", encoding="utf-8")

    def close(self) -> None:
        """Nothing is noted after this."""
        self._file.close()

    def fault(self, kind: str) -> None:
        """A fault of that kind begins."""
        self.kinds[kind] += 1
        self.note("fault", kind=kind)

    def note(self, event: str, **details: Any) -> float:
        """Notes it; gives the time."""
        at = time.monotonic()
        self.now = " ".join([event, *map(str, details.values())])
        line = {"at": at, "second": round(at - self._began, 3), "event": event, **details}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        return at


class Stage:
    """The cluster as the faults see it. Used by the main thread only.

    Attributes:
        down: Nodes that may have ended, by what the faults do to them.
    """

    def __init__(self, cluster: TortureCluster, ground: Ground, diary: Diary) -> None:
        self.cluster = cluster
        self.ground = ground
        self.diary = diary
        self.down = Down()
        self.watch = Watch(cluster, self.down)
        self._held: Counter[str] = Counter()
        self._linked: list[tuple[Sequence[tuple[str, str]], Link]] = []

    @property
    def node_ids(self) -> tuple[str, ...]:
        """All of them."""
        return self.cluster.node_ids

    def any_node(self, random: Random) -> str:
        """One of those that are not down, if there are such."""
        draw = random.random()
        up = [node_id for node_id in self.node_ids if node_id not in self.down]
        candidates = up or list(self.node_ids)
        return candidates[int(draw * len(candidates))]

    def leader(self, random: Random) -> str:
        """Who leads, as far as it is known; else any node."""
        fallback = self.any_node(random)
        return self.watch.leader or fallback

    def kill(self, node_id: str) -> None:
        """SIGKILL. A node is one process, alone in its group: there is nobody else to kill."""
        self.down.add(node_id)
        self.diary.note("kill -9", node=node_id)
        self.cluster.kill(node_id)

    def stop(self, node_id: str) -> None:
        """SIGTERM, and SIGKILL for what does not end of it in its time."""
        self.down.add(node_id)
        self.diary.note("stop", node=node_id)
        try:
            self.cluster.stop(node_id, timeout=_STOP_SECONDS)
        except NodeFailed:
            self.diary.note("does not end of SIGTERM", node=node_id)
            self.cluster.kill(node_id)

    def bring_back(self, *node_ids: str) -> None:
        """Starts these nodes where they do not run; a node that runs is left alone."""
        for node_id in node_ids:
            self.diary.note("start", node=node_id)
            self.cluster.start_plainly(node_id)
            self.down.discard(node_id)

    @contextmanager
    def paused(self, nodes: Iterable[str]) -> Iterator[None]:
        """SIGSTOP for those that run, while it lasts; who is held by others stays held."""
        held = [node for node in nodes if self.cluster.process(node).pid is not None]
        self.diary.note("SIGSTOP", nodes=held)
        self._held.update(held)
        try:
            for node in held:
                self.cluster.pause(node)
            yield
        finally:
            self._held.subtract(held)
            free = [node for node in held if not self._held[node]]
            self.diary.note("SIGCONT", nodes=free)
            for node in free:
                self.cluster.resume(node)

    @contextmanager
    def linked(self, pairs: Sequence[tuple[str, str]], link: Link) -> Iterator[None]:
        """These ways are like that while it lasts; what others have set on theirs stays set."""
        self.diary.note(
            "cut" if link.cut else str(link), ways=" ".join(f"{a}>{b}" for a, b in pairs)
        )
        mine = (pairs, link)
        self._linked.append(mine)
        self.ground.set_links(pairs, link)
        try:
            yield
        finally:
            self._linked = [each for each in self._linked if each is not mine]
            self.ground.heal()
            for each in self._linked:
                self.ground.set_links(*each)
            self.diary.note("network broken as before" if self._linked else "network healed")

    def wait_until_serving(self) -> None:
        """Raises `Violation` when not all nodes serve in good time, though nothing is broken."""
        began = self.diary.note("recovery")
        try:
            self.cluster.wait_until_serving(*self.node_ids, timeout=RECOVERY_SECONDS)
        except NodeFailed as error:
            raise Violation(f"nothing is broken any more, and yet: {error}") from error
        self.diary.note("serving", after=round(time.monotonic() - began, 3))

    def give_time(self, node_id: str, seconds: float) -> None:
        """Waits until a node serves, at most that long: other faults may keep it from it."""
        with suppress(NodeFailed):
            self.cluster.wait_until_serving(node_id, timeout=seconds)

    def operator(self) -> NameStore:
        """A client for changes of the cluster, on ways that no fault touches."""
        return NameStore(self.cluster.endpoints, timeout=10.0)

    def check(self) -> None:
        """Raises what the watch found, or why it does not look any more: see `Watch.check`."""
        self.watch.check()
