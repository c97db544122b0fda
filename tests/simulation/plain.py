"""The same machines, network, faults and callers over PySyncObj as it is.

What its defects are, and what namestore replaces, is told in docs/pysyncobj.md. It is used as its
documentation says: with a journal and a dump file, compacting as soon as namestore's log would, by
a forked process; everything that callers ask goes through its log, reads as well; they repeat what
was left undecided under one request id, and the state remembers. It gets what TCP gives: while a
connection stands its messages arrive once, in order. Its disk never fills up.

A process dies by kill -9, which takes nothing of what it wrote; `PowerHost` loses its power as
often. namestore's own machines always lose theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pysyncobj
from pysyncobj.node import Node

from namestore.errors import ConfigError, NoLeader, OutcomeUnknown
from tests.simulation.machine import Killed, Machine
from tests.simulation.plain_disk import DUMP, JOURNAL, Files, running
from tests.simulation.plan import LineFaults, Lives, Plan
from tests.simulation.transport import SimTransport
from tests.support.history import Ask, Operation, Said

# What namestore has no use for is not in our stubs of the library.
_library: Any = pysyncobj
_WHY = _library.FAIL_REASON
_NOT_DONE = frozenset({_WHY.QUEUE_FULL, _WHY.MISSING_LEADER, _WHY.NOT_LEADER})
_TURN_EVERY_S = 0.02
_AFTER_ERROR_S = 0.05  # as its own thread waits when a tick raised
_CLOCK_READ_S = 0.0005  # it waits in loops that look at the clock
_WRITE_BACK_EVERY_S = 5.0

# What TCP keeps from it.
_KINDNESS = {"links.loss": 0.0, "links.late_chance": 0.0, "links.reorder": False}
# Its callers live in the processes of its nodes, and want the same few names.
_CALLERS = {"client_loss": 0.0, "affinity": 1.0, "names": 2, "registers": 0.5, "releases": 0.4}


def treated(plan: Plan) -> Plan:
    """The plan, as PySyncObj gets it: the same faults, but for what it is not made for."""
    kind = plan.unchanging().changed(_KINDNESS | _CALLERS | {"every.drain": None})
    return replace(kind, lines=LineFaults(), lives=Lives())


class NumberedNode(Node):
    """Iterates in the same order in every process, whatever the seed of string hashes."""

    def __hash__(self) -> int:
        return int(self.id[1:])


class Registry(pysyncobj.SyncObj):
    """A register of names as PySyncObj's documentation would have it written."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        # Made after the library's own fields: these are what goes into its dumps.
        self.holders: dict[str, tuple[str, int]] = {}
        self.outcomes: dict[str, dict[str, Any]] = {}
        self.revision = 0

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


class PlainTransport(SimTransport):
    """As the library's own: a handler that raises leaves the later messages for the next time."""

    def poll(self, timeout: float) -> None:
        while self.inbox:
            sender, data = self.inbox.pop(0)
            node = self.peers[sender]
            if data is not None:
                self._onMessageReceived(node, dict(data))
            elif self.host.network.link(self.host.node_id, sender).connected:
                self._onNodeConnected(node)
            else:
                self._onNodeDisconnected(node)


class PlainHost(Machine):
    """PySyncObj as it is; processes die by kill -9, which takes nothing of what they wrote.

    Attributes:
        loses_power: How often its end is that of its machine, rather than kill -9.
    """

    loses_power = 0.0
    engine: Any

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.files = Files(self._operate)
        self.unanswered = 0
        self._on_disk = self.on_disk("write", lambda change: change())
        self._dying = self._booting = False
        self._power_cuts = 0
        self._left: list[Any] = []  # of its journal, while no process is there
        self._waiting: dict[Any, Callable[[Any], None]] = {}
        self._write_back()

    def _boot(self) -> None:
        ids = [f"n{number}" for number in range(1, self.plan.size + 1)]
        others = [NumberedNode(i) for i in ids if i != self.node_id]
        self.transport = PlainTransport(self, {node.id: node for node in others})
        bounds = self.plan.bounds
        conf = pysyncobj.SyncObjConf(
            autoTick=False,
            journalFile=JOURNAL,
            fullDumpFile=DUMP,
            appendEntriesBatchSizeBytes=max(500, bounds.message_bytes),
            logCompactionMinEntries=max(2, bounds.log_entries),
            logCompactionBatchSize=bounds.chunk_bytes,
            leaderFallbackTimeout=1.2,
            raftMinTimeout=0.6,
            raftMaxTimeout=1.2,
        )
        self._waiting = {}
        own, self._booting = NumberedNode(self.node_id), True
        try:
            with running(self):
                self.engine = Registry(
                    own, others, conf=conf, nodeClass=NumberedNode, transport=self.transport
                )
        except Exception as error:
            # What the library raises when it cannot read its journal.
            raise ConfigError(f"does not start: {error!r}") from error
        finally:
            self._booting = False

    def _step(self) -> float:
        try:
            with running(self):
                self.transport.poll(0.0)
                self.engine.doTick(0.0)
        except Exception as error:  # noqa: BLE001  # its own thread catches whatever a tick raises
            self.watch.note("ticks raise nothing", f"{self.node_id}: {error!r}")
            return _AFTER_ERROR_S
        finally:
            if self._dying:
                raise Killed  # the library catches everything at places
        return _TURN_EVERY_S

    def clock_read(self) -> float:
        """What the clock shows; to look at it takes time."""
        self._spent += _CLOCK_READ_S
        return self.clock()

    # -- disk -------------------------------------------------------------------------------

    def _operate(self, change: Callable[[], None]) -> None:
        if self._booting:
            change()
            return
        if self._dying:
            raise Killed
        try:
            self._on_disk(change)
        except Killed:
            self._dying = self.transport.destroyed = True
            raise

    def _write_back(self) -> None:
        self.files.write_back()
        wait = self.world.rng.expovariate(1 / _WRITE_BACK_EVERY_S)
        self.world.after(wait, self._write_back)

    def put_away(self) -> None:
        """Nothing is under way but in the simulation itself."""

    def _fall_silent(self) -> None:
        """What it owes its callers shows that it died: they live in its process."""

    def _lose(self) -> None:
        self._dying = False
        if self.world.chance(self.loses_power):
            self.world.say(f"{self.node_id} loses power")
            self.files.lose_power(self.world.rng)
            self._power_cuts += 1
        self._left = self.files.journal_left()

    def later(self, job: Callable[[], None]) -> None:
        """A forked process does it, unless the machine loses its power before."""
        cuts = self._power_cuts

        def run() -> None:
            if cuts == self._power_cuts:
                with running(self):
                    job()

        self.world.after(0.005 + 0.1 * self.world.rng.random(), run)

    def fill_disk(self, seconds: float) -> None:
        """Kindness: its disk does not fill up."""

    def mend_disk(self) -> None:
        """It never was full."""

    # -- what the watch looks at ------------------------------------------------------------

    @property
    def journal(self) -> Any:
        """The entries of its log."""
        return self.engine._SyncObj__raftLog if self.running else self._left

    def entry(self, index: int) -> Any:
        """The entry of its log there, if it is there."""
        journal = self.journal
        at = index - journal[0][1] if len(journal) else -1
        return journal[at] if 0 <= at < len(journal) else None

    def holds(self, index: int, entry: Any) -> bool:
        """It has that entry, or a dump in its place."""
        journal = self.journal
        return self.entry(index) == entry or bool(len(journal) and journal[0][1] > index)

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
        journal = self.journal
        return journal[-1][1] if len(journal) else 0, self.engine.raftLastApplied

    def saying(self, target: str, message: dict[str, Any]) -> None:
        super().saying(target, message)
        self.watch.said(self, target, message)

    # -- callers ----------------------------------------------------------------------------

    def hand_over(self, node_id: str = "") -> None:
        """Asks it to give up leadership."""
        if self.leads and node_id != self.node_id:
            with running(self):
                self.engine.transferLeadership(NumberedNode(node_id) if node_id else None)

    def ask(self, operation: Operation, patience: float, answered: Callable[[Any], None]) -> None:
        request: Any = operation.request_id or object()
        # Whoever repeats a request takes what comes first, an answer to an earlier attempt too.
        self._waiting[request] = answered

        def done(heard: Any, error: int) -> None:
            answer = self._waiting.pop(request, lambda heard: None)
            if error == _WHY.SUCCESS and heard is not None:
                answer(dict(heard))
            elif error in _NOT_DONE:
                answer(NoLeader("not leading"))
            else:
                answer(OutcomeUnknown("undecided"))

        self.engine.ask(
            operation.ask.value,
            operation.name,
            operation.owner,
            operation.request_id,
            callback=done,
        )
        self.schedule_turn(0.0)


class PowerHost(PlainHost):
    """PySyncObj as it is; every second end of a process is a power cut of its machine."""

    loses_power = 0.5
