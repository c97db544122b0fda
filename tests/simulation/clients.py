"""Raw callers of the simulated cluster, which do not use the client library: `callers_real` does.

They register, retry, release and look up, and keep a record. A caller speaks to a node over a line
that loses questions and answers. Whatever it does not hear, it asks again under one request_id,
there or elsewhere. Some callers have a node they nearly always ask: the one that was cut off from
its peers is then still asked.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from namestore.errors import NamestoreError, OutcomeUnknown, Unavailable
from tests.simulation.lines import Lines
from tests.simulation.machine import Machine
from tests.simulation.plan import Plan
from tests.simulation.wire import refused
from tests.simulation.world import World
from tests.support.history import Ask, Operation, Said


class Client:
    """One caller, one operation at a time.

    Attributes:
        record: Everything it asked and heard.
        stopped: It begins nothing new.
        idle: Nothing is under way.
        served: Operations that were answered.
        pause: Seconds between two operations, at most.
        denied: request_ids of what was called certainly not done.
    """

    def __init__(
        self, world: World, lines: Lines, hosts: list[Any], plan: Plan, number: int
    ) -> None:
        self.world, self.lines, self.hosts = world, lines, hosts
        self.plan, self.number = plan, number
        self.home: Machine = hosts[number % plan.homes]
        self.record: list[Operation] = []
        self.stopped = False
        self.idle = True
        self.served = 0
        self.pause = plan.pause
        self.denied: set[str] = set()
        self._in_doubt = False  # an earlier attempt of this operation may have been done

    def begin(self) -> None:
        """Starts the next operation after a while."""
        self.idle = True
        self.world.after(self.pause * self.world.rng.random(), self._next)

    def _next(self) -> None:
        if self.stopped:
            return
        rng, plan, world = self.world.rng, self.plan, self.world
        draw = rng.random() - plan.registers
        ask = Ask.REGISTER if draw < 0 else Ask.RELEASE if draw < plan.releases else Ask.LOOKUP
        name = f"user:{rng.randrange(plan.names)}"
        owner = f"c{self.number}" if rng.random() < 0.5 else "shared"
        request_id = f"{rng.getrandbits(64):016x}"
        if ask is Ask.LOOKUP:
            owner = request_id = ""
        self.record.append(Operation(str(self.number), ask, name, owner, request_id, world.now))
        self.idle = self._in_doubt = False
        self._attempt(world.now + 3.0 + 5 * rng.random())

    def _attempt(self, give_up_at: float) -> None:
        """Asks some node; whatever comes back first, answer or silence, goes on from there."""
        world, lines, plan, rng = self.world, self.lines, self.plan, self.world.rng
        heard = [False]
        operation = self.record[-1]

        def silence() -> None:
            if not heard[0]:
                heard[0] = self._in_doubt = True
                self._again(give_up_at)

        def hear(answer: Any) -> None:
            if not heard[0]:
                heard[0] = True
                if not self._understood(answer):
                    world.after(0.02 + 0.2 * rng.random(), lambda: self._again(give_up_at))

        def answered(answer: Any) -> None:
            if not lines.loses(host.node_id):
                world.after(lines.delay(), lambda: hear(answer))

        at_home = self.home in self.hosts and world.chance(plan.affinity)
        host = self.home if at_home else rng.choice(self.hosts)
        world.after(0.5 + 1.5 * rng.random(), silence)
        if not lines.loses(host.node_id):
            world.after(lines.delay(), lambda: self._reach(host, operation, answered))
        if operation.request_id and world.chance(lines.faults.late_chance):
            self._repeat(host, operation)

    def _repeat(self, host: Machine, operation: Operation) -> None:
        """The question will arrive once more."""
        lines, world = self.lines, self.world
        note = lines.echo([operation])

        def heard(answer: Any) -> None:
            note([answer if isinstance(answer, dict) else refused(answer)])

        late = lines.faults.late_max * world.rng.random()
        world.after(late, lambda: self._reach(host, operation, heard))

    def _again(self, give_up_at: float) -> None:
        if self.world.now >= give_up_at:
            self.begin()
        else:
            self._attempt(give_up_at)

    def _reach(self, host: Machine, operation: Operation, answered: Any) -> None:
        """The question arrives; a paused process takes it when it goes on."""
        if not host.running:
            return
        if self.world.now < host.paused_until:
            self.world.at(host.paused_until, lambda: self._reach(host, operation, answered))
            return
        host.ask(operation, 0.3 + self.world.rng.random(), answered)

    def _understood(self, answer: Any) -> bool:
        """Takes it down, unless the question is to be asked again."""
        if isinstance(answer, OutcomeUnknown):
            self._in_doubt = True
            return False
        if isinstance(answer, Unavailable):
            if self._in_doubt or not self.world.chance(self.plan.gives_up):
                return False
            answer = {"said": Said.NOT_DONE}
            if self.record[-1].request_id:
                self.denied.add(self.record[-1].request_id)
        elif isinstance(answer, NamestoreError):
            raise answer
        self.record[-1] = replace(self.record[-1], returned=self.world.now, **answer)
        self.served += self.record[-1].answered
        self.begin()
        return True
