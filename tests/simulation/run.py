"""One run of the simulated cluster: a plan, carried out to its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from namestore.raft.engine import Engine
from namestore.server import judges
from tests.simulation.callers_real import OfficialCaller, client_of
from tests.simulation.clients import Client
from tests.simulation.denied import check_denied
from tests.simulation.faults import Faults
from tests.simulation.followers import Follower
from tests.simulation.host import EngineHost
from tests.simulation.identities import seeded_identities
from tests.simulation.lines import Lines
from tests.simulation.machine import Machine
from tests.simulation.names_watch import NamesWatch
from tests.simulation.network import Network
from tests.simulation.operators import Operators
from tests.simulation.plan import DiskFaults, Plan
from tests.simulation.small_steps import small_steps
from tests.simulation.watch import Violation, Watch
from tests.simulation.whole import Whole
from tests.simulation.wire import with_owners
from tests.simulation.world import World
from tests.support.history import Operation
from tests.support.linearizability import Violation as HistoryViolation
from tests.support.linearizability import check_names, check_revisions

_BEGIN_S = 3.0
_SERVES_WITHIN_S = 40.0
_QUIET_WITHIN_S = 30.0
_CALLERS_STAY_S = 1.0
_CHANGES_WITHIN_S = 120.0

MachineClass = Callable[[World, Network, str, Plan, Any], Machine]


@dataclass
class Result:
    """What a run did.

    Attributes:
        seconds: Simulated.
        trail: Of the watch: equal for equal runs.
        recovery_s: From the last fault until every caller was served three times.
    """

    seconds: float
    events: int
    messages: int
    operations: int
    elections: int
    snapshots: int
    kills: int
    trail: str
    counts: dict[str, int]
    recovery_s: float = 0.0


class Run:
    """A cluster, its clients and its bad luck."""

    def __init__(
        self,
        plan: Plan,
        machine_class: MachineClass = EngineHost,
        trace: Callable[[str], None] | None = None,
        watch: Any = None,
    ) -> None:
        self.plan = plan
        self.world = World(plan.seed)
        self.world.trace = trace
        self.watch = watch or (NamesWatch() if plan.lives.any else Watch())
        self.network = Network(self.world, plan.links)
        ids = [f"n{number}" for number in range(1, plan.size + 1)]
        spares = [f"n{plan.size + number}" for number in range(1, plan.spares + 1)]
        self.hosts: list[Any] = [
            machine_class(self.world, self.network, node_id, plan, self.watch)
            for node_id in (*ids, *spares)
        ]
        self.founders = self.hosts[: plan.size]
        for host in self.founders:
            host.file = {other.node_id: other.address for other in self.founders}
        self.watch.begin(self.hosts, ids)
        self.operators = Operators(self.world, self.hosts, self.founders, self.watch)
        self.lines = Lines(self.world, self.hosts, plan)
        self.whole = Whole(self)
        self.clients: list[Any] = [*self._callers(), *self.whole.callers]
        self._recovery_s = 0.0
        self.faults = Faults(self.world, self.network, self.hosts, plan, self.operators)

    def _callers(self) -> list[Any]:
        """Those that use the client library, on nodes that serve it, and those that do not."""
        world, lines, plan = self.world, self.lines, self.plan
        serve = isinstance(self.hosts[0], EngineHost)
        count = round(plan.clients * plan.official) if serve else 0
        clients = [
            client_of(world, lines, self.hosts, plan, f"client {number}")
            for number in range(min(plan.sessions, count))
        ]
        official = [
            OfficialCaller(world, clients[number % len(clients)], plan, number)
            for number in range(count)
        ]
        raw = [
            Client(world, lines, self.operators.members, plan, number)
            for number in range(count, plan.clients)
        ]
        return [*official, *raw]

    @property
    def record(self) -> list[Operation]:
        """All operations of all clients, and what was heard of requests that came once more."""
        asked = [operation for client in self.clients for operation in client.record]
        return with_owners(asked + self.lines.echoes)

    def go(self) -> Result:
        """Runs to the end.

        Raises:
            Violation: Something that must hold does not.
        """
        judges._kept.clear()  # as in processes that have just begun
        with seeded_identities(self.plan.seed), small_steps():
            return self._go()

    def _go(self) -> Result:
        for host in self.founders:
            host.start()
        for client in self.clients:
            client.begin()
        self.world.run(self.world.now + _BEGIN_S)
        self.faults.begin()
        self.lines.begin(self.plan.span)
        self.world.run(self.faults.until)
        self._calm()
        try:
            self._check_liveness()
            self._check_changes()
            self._check_quiet()
            self.watch.end(self._members())
        finally:
            for host in self.hosts:
                host.put_away()
            check_history(self.record)  # a lie to a caller weighs more than anything else
            if isinstance(self.hosts[0], EngineHost):
                committed = self.watch._committed.values()
                check_denied(self.clients, self.lines.echoes, committed)
            others = [bytes.fromhex(o.request_id) for o in self.record if o.request_id]
            ledger = self.whole.judge(others)
        self.whole.judge_end(ledger, self._members())
        return Result(
            self.world.now - self.world.began,
            self.world.events,
            self.watch.messages,
            len(self.record) + len(self.whole.asked),
            self.watch.elections,
            self.watch.snapshots,
            sum(host.kills for host in self.hosts),
            self.watch.trail.hexdigest(),
            dict(self.operators.counts + self.watch.counts + self.whole.counts),
            self._recovery_s,
        )

    # -- the end ----------------------------------------------------------------------------

    def _calm(self) -> None:
        """No more faults; whoever is down comes up, and who is behind may catch up: callers take
        their time, as one that is sent entry by entry would not outrun those who ask on and on.
        """
        self.world.say("-- calm")
        self.network.calm()
        self.lines.calm()
        for client in self.clients:
            if not isinstance(client, Follower):  # they ask for nothing by the clock
                client.pause = max(client.pause, self.plan.calm_pause)
        for host in self.hosts:
            host.disk = DiskFaults()
            host.mend_disk()
            host.doom = None
            host.paused_until = min(host.paused_until, self.world.now)
            if host.disk_fails:
                host.kill()
            if host.on and not host.running:
                host.start()
            host.schedule_turn(0.0)
        self._mend()

    def _mend(self) -> None:
        self.operators.look_around()
        self.world.after(0.5, self._mend)

    def _members(self) -> list[Any]:
        """The machines whose disks count."""
        voters = self.watch.book.newest.voters
        return [host for host in self.hosts if host.node_id in voters]

    def _check_liveness(self) -> None:
        """Within a bounded time the cluster serves again: every caller is answered."""
        before, began = [client.served for client in self.clients], self.world.now

        def served() -> bool:
            return all(
                client.served >= count + 3
                for client, count in zip(self.clients, before, strict=True)
            )

        self.world.run(self.world.now + _SERVES_WITHIN_S, served)
        if not served():
            raise Violation("liveness", "the faults are over, and the cluster does not serve")
        self._recovery_s = self.world.now - began

    def _check_changes(self) -> None:
        """Whatever was begun is carried out, and whoever was removed knows it.

        That takes a simulated minute at times, so callers stop before it is over: they would make
        it most of what a run costs.
        """

        def done() -> bool:
            return not self.operators.busy and not self.watch.book.left_behind(self.hosts)

        self.world.run(self.world.now + _CALLERS_STAY_S, done)
        for client in self.clients:
            client.stopped = True
        self.world.run(self.world.now + _CHANGES_WITHIN_S, done)
        if not done():
            raise Violation(
                "liveness",
                f"not carried out: {self.operators.busy}; "
                f"removed and not told: {self.watch.book.left_behind(self.hosts)}",
            )

    def _check_quiet(self) -> None:
        """Nobody asks any more: soon all nodes have applied the same."""

        def quiet() -> bool:
            return (
                all(client.idle for client in self.clients)
                and len({host.position for host in self._members()}) == 1
                and all(host.unanswered == 0 for host in self._members())
                and not self.whole.left_undone(self._members())
            )

        self.world.run(self.world.now + _QUIET_WITHIN_S, quiet)
        if not quiet():
            waiting = {h.node_id: (h.position, h.unanswered) for h in self._members()}
            undone = self.whole.left_undone(self._members())
            raise Violation(
                "liveness",
                f"the replicas do not come to rest: {waiting}, undone: {undone}",
            )
        for host in self._members():
            if isinstance(host, EngineHost):
                host.check_at_rest()


def check_history(record: list[Operation]) -> None:
    """Both judges of what the callers heard.

    Raises:
        Violation: No registry could have answered like that.
    """
    for name, judge in (("history by revision", check_revisions), ("history", check_names)):
        try:
            judge([replace(operation) for operation in record])
        except HistoryViolation as error:
            raise Violation(name, str(error)) from error


def engine_host(engine_class: type[Engine]) -> type[EngineHost]:
    """A machine that runs another engine."""
    return type(engine_class.__name__, (EngineHost,), {"engine_class": engine_class})
