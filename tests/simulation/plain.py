"""The same machines, network, faults and callers over PySyncObj as it is.

What its defects are, and what namestore replaces, is told in docs/pysyncobj.md. Here it is treated
kindly: links lose, repeat and reorder nothing while they stand; no entry is so large that it
travels in pieces; its journal survives every kill whole, as if each write were synced; it never
compacts; reads and retries go through its log; whatever it calls undecided counts as unknown. Its
clock and its randomness are module-level names, which `borrowed_clock` replaces while a run lasts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pysyncobj
from pysyncobj import syncobj
from pysyncobj.journal import MemoryJournal  # type: ignore[import-untyped]
from pysyncobj.node import Node

from namestore.errors import NoLeader, OutcomeUnknown
from tests.simulation.machine import Machine
from tests.simulation.transport import SimTransport
from tests.simulation.watch import Violation, Watch
from tests.simulation.world import World
from tests.support.history import Ask, Operation, Said

# What namestore has no use for is not in our stubs of the library.
_library: Any = pysyncobj
_WHY = _library.FAIL_REASON
_NOT_DONE = frozenset({_WHY.QUEUE_FULL, _WHY.MISSING_LEADER, _WHY.NOT_LEADER})
_TURN_EVERY_S = 0.02

KINDNESS = {"links.loss": 0.0, "links.late_chance": 0.0, "links.reorder": False}

# The machine whose process runs just now: PySyncObj asks nobody in particular for the time.
_running: list[PlainHost] = []


class NumberedNode(Node):
    """Iterates in the same order in every process, whatever the seed of string hashes."""

    def __hash__(self) -> int:
        return int(self.id[1:])


class Registry(pysyncobj.SyncObj):
    """A register of names as PySyncObj's documentation would have it written."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        self.holders: dict[str, tuple[str, int]] = {}
        self.outcomes: dict[str, dict[str, Any]] = {}
        self.revision = 0
        super().__init__(*arguments, **settings)

    @_library.replicated  # type: ignore[untyped-decorator]
    def ask(self, ask: str, name: str, owner: str, request_id: str) -> dict[str, Any]:
        if request_id in self.outcomes:
            return self.outcomes[request_id]
        heard = self._decide(Ask(ask), name, owner)
        if request_id:
            self.outcomes[request_id] = heard
        return heard

    def _decide(self, ask: Ask, name: str, owner: str) -> dict[str, Any]:
        holder = self.holders.get(name)
        if ask is Ask.REGISTER and holder is None:
            self.revision += 1
            self.holders[name] = (owner, self.revision)
            return {"said": Said.GRANTED, "revision": self.revision}
        if holder is None:
            return {"said": Said.NOT_FOUND, "revision": self.revision}
        if ask is Ask.RELEASE and holder[0] == owner:
            self.revision += 1
            del self.holders[name]
            return {"said": Said.RELEASED, "revision": self.revision}
        said = {Ask.REGISTER: Said.TAKEN, Ask.RELEASE: Said.NOT_OWNER, Ask.LOOKUP: Said.FOUND}[ask]
        return {
            "said": said,
            "revision": self.revision,
            "holder_owner": holder[0],
            "holder_revision": holder[1],
        }


class PlainHost(Machine):
    """A node of a PySyncObj cluster."""

    engine: Any

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.journal = MemoryJournal()
        self.unanswered = 0

    def _boot(self) -> None:
        ids = [f"n{number}" for number in range(1, self.plan.size + 1)]
        others = [NumberedNode(i) for i in ids if i != self.node_id]
        self.transport = SimTransport(self, {node.id: node for node in others})
        conf = pysyncobj.SyncObjConf(
            autoTick=False,
            useFork=False,
            appendEntriesUseBatch=True,
            appendEntriesBatchSizeBytes=max(500, self.plan.bounds.message_bytes),
            logCompactionMinEntries=1 << 40,
            logCompactionMinTime=1 << 40,
            leaderFallbackTimeout=1.2,
            raftMinTimeout=0.6,
            raftMaxTimeout=1.2,
        )
        _running.append(self)
        try:
            self.engine = Registry(
                NumberedNode(self.node_id),
                others,
                conf=conf,
                nodeClass=NumberedNode,
                transport=self.transport,
            )
        finally:
            _running.pop()

    def _step(self) -> float:
        _running.append(self)
        try:
            self.transport.poll(0.0)
            self.engine.doTick(0.0)
        finally:
            _running.pop()
        return _TURN_EVERY_S

    def _lose(self) -> None:
        """Kindness: its journal is taken to be synced."""

    @property
    def leads(self) -> bool:
        return self.running and bool(self.engine._isLeader())

    @property
    def term(self) -> int:
        """In which it believes to be."""
        return int(self.engine.raftCurrentTerm)

    @property
    def position(self) -> tuple[int, int]:
        """Where its log and its state end."""
        return self.journal[-1][1], self.engine.raftLastApplied

    def hand_over(self, node_id: str = "") -> None:
        """Asks it to give up leadership."""
        if self.leads and node_id != self.node_id:
            _running.append(self)
            self.engine.transferLeadership(NumberedNode(node_id) if node_id else None)
            _running.pop()

    def fill_disk(self) -> None:
        """Kindness: its disk does not fill up."""

    def saying(self, target: str, message: dict[str, Any]) -> None:
        super().saying(target, message)
        self.watch.messages += 1
        self.watch.elections += message["type"] == "request_vote"

    def unpacked(self, data: Any) -> dict[str, Any]:
        """A message of its own for whoever receives it."""
        copied: dict[str, Any] = dict(data)
        return copied

    def ask(self, operation: Operation, patience: float, answered: Callable[[Any], None]) -> None:
        def done(heard: Any, error: int) -> None:
            if error == _WHY.SUCCESS:
                answered(dict(heard))
            elif error in _NOT_DONE:
                answered(NoLeader("not leading"))
            else:
                answered(OutcomeUnknown("undecided"))

        self.engine.ask(
            operation.ask.value,
            operation.name,
            operation.owner,
            operation.request_id,
            callback=done,
        )
        self.schedule_turn(0.0)


class PlainWatch(Watch):
    """Leaders, commits and states; its callers may be left without an answer."""

    def started(self, host: Any) -> None:
        """It replays its whole journal."""

    def died(self, host: Any) -> None:
        """Nothing is lost."""

    def turned(self, host: Any) -> None:
        engine = host.engine
        if engine._isLeader():
            other = self._leaders.setdefault(engine.raftCurrentTerm, host.node_id)
            if other != host.node_id:
                raise Violation("one leader a term", f"{other} and {host.node_id}")
        if engine.raftCommitIndex > self._seen_commit.get(host.node_id, 1):
            self._commits(host, engine.raftCommitIndex)
        applied = engine.raftLastApplied
        holders = hash(tuple(sorted(engine.holders.items())))
        if self._states.setdefault(applied, holders) != holders:
            raise Violation("equal states", f"{host.node_id} differs from others at {applied}")

    def _commits(self, host: Any, commit: int) -> None:
        self._seen_commit[host.node_id] = commit
        entry = host.journal[commit - 1]
        if self._committed.setdefault(commit, entry) != entry:
            raise Violation("committed for good", f"{host.node_id} commits another entry {commit}")
        if commit > self.committed_index:
            self.committed_index = commit
            journals = [other.journal for other in self.hosts]
            count = sum(len(each) >= commit and each[commit - 1] == entry for each in journals)
            if count <= len(journals) // 2:
                raise Violation("commit on a majority", f"entry {commit} stands on {count} nodes")

    def end(self, hosts: list[Any]) -> None:
        if any(host.engine.holders != hosts[0].engine.holders for host in hosts):
            raise Violation("equal states", "the replicas differ at the end")


@contextmanager
def borrowed_clock(world: World) -> Iterator[None]:
    """While it lasts, PySyncObj's time and randomness are those of the simulation."""
    names = ("monotonicTime", "random", "createJournal")
    real = {name: getattr(syncobj, name) for name in names}
    replaced: dict[str, Any] = {
        "monotonicTime": lambda: _running[-1].clock() if _running else world.now,
        "random": SimpleNamespace(random=world.rng.random),
        "createJournal": lambda file: _running[-1].journal,
    }
    for name in names:
        setattr(syncobj, name, replaced[name])
    try:
        yield
    finally:
        for name in names:
            setattr(syncobj, name, real[name])
