"""One simulated machine: its disks survive, the process on it comes and goes.

The process is the real engine. Turns happen when something arrives and when a timer is due; a sync
takes simulated time, during which the node hears nothing. At any disk operation the process may be
killed, which loses what was not durable.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from namestore.errors import NamestoreError
from namestore.raft import bootstrap
from namestore.raft.engine import Engine
from namestore.raft.hello import PROTOCOL_VERSION, Hello
from namestore.raft.membership import Membership
from namestore.raft.settings import Bounds, Identity, Seams, Settings, Timing
from tests.simulation.network import Network, SimTransport
from tests.simulation.world import World
from tests.simulation.quick_stores import MemoryIncoming, MemoryLog, MemoryState


class Killed(BaseException):
    """The process died here. Not an Exception: nothing may catch it."""


class DiskFaults:
    """How bad the disk is, for one run. Seconds, and probabilities per operation."""

    def __init__(
        self, sync_max: float = 0.003, stall_chance: float = 0.0, kill_chance: float = 0.0
    ) -> None:
        self.sync_max = sync_max
        self.stall_chance = stall_chance
        self.kill_chance = kill_chance


class Host:
    """A machine of the simulated cluster."""

    def __init__(
        self,
        world: World,
        network: Network,
        node_id: str,
        initial: Membership,
        disk: DiskFaults,
        bounds: Bounds,
        watch: Any,
        engine_class: type[Engine] = Engine,
    ) -> None:
        self.world, self.network, self.node_id = world, network, node_id
        self.initial, self.disk, self.bounds, self.watch = initial, disk, bounds, watch
        self.engine_class = engine_class
        self.log, self.state = MemoryLog(), MemoryState()
        self.incoming = MemoryIncoming(self.state)
        self.incarnation = f"{world.rng.getrandbits(64):016x}"
        self.running = False
        self.paused_until = 0.0
        self.skew_ms = world.rng.randrange(-500, 500)
        self.engine: Engine
        self.transport: SimTransport
        self.lives = 0
        self._spent = 0.0  # by disk operations of this turn
        self._turn_at = 0.0
        self._jobs: list[Callable[[], None]] = []
        network.hosts[node_id] = self
        self._hook_disk()

    # -- the process ------------------------------------------------------------------------

    def start(self) -> None:
        """Starts the process on whatever the disks hold."""
        self.lives += 1
        self._spent = 0.0
        self._jobs = []
        peers = [m.node_id for m in self.initial.members if m.node_id != self.node_id]
        self.transport = SimTransport(self.network, self.node_id, peers, self)
        seams = Seams(
            log=self.log,
            state=self.state,
            clock=self.clock,
            wall_clock_ms=lambda: int(self.clock() * 1000) + self.skew_ms,
            rng=random.Random(self.world.rng.getrandbits(64)),
            background=self._background,
            incoming=self.incoming,
        )
        identity = Identity(self.node_id, self.incarnation, self.initial)
        settings = Settings(identity, seams, Timing(), self.bounds)
        self.engine = self.engine_class(self.transport, settings)
        self.running = True
        self.world.say(
            f"{self.node_id} starts, life {self.lives}, log ends at {self.log.last_index}"
        )
        self.network.node_started(self.node_id)
        self._turn_at = 0.0
        self.schedule_turn(0.0)

    def kill(self) -> None:
        """Power off: what was not durable is gone."""
        if not self.running:
            return
        self.running = False
        self.world.say(f"{self.node_id} dies")
        self.transport.destroyed = True
        self.log.crash()
        self.state.crash()
        self.network.node_died(self.node_id)
        self.watch.died(self)

    def pause(self, seconds: float) -> None:
        """SIGSTOP for a while: nothing runs, messages pile up."""
        self.paused_until = self.world.now + seconds

    def clock(self) -> float:
        """What the process's clock shows: disk operations of this turn have taken time."""
        return self.world.now + self._spent

    def receive(self, sender: str, data: bytes | None) -> None:
        """A message, or (None) news of a connection."""
        self.transport.inbox.append((sender, data))
        self.schedule_turn(0.0)

    def schedule_turn(self, delay: float) -> None:
        """A turn no later than that."""
        when = max(self.world.now + delay, self.paused_until)
        if self._turn_at > self.world.now and self._turn_at <= when:
            return
        self._turn_at = when
        life = self.lives
        self.world.at(when, lambda: self._turn(life, when))

    def _turn(self, life: int, planned: float) -> None:
        if not self.running or life != self.lives or planned != self._turn_at:
            return
        if self.world.now < self.paused_until:
            self._turn_at = 0.0
            self.schedule_turn(0.0)
            return
        self._spent = 0.0
        self._turn_at = 0.0
        try:
            jobs, self._jobs = self._jobs, []
            for job in jobs:
                job()
            self.engine.doTick(0.0)
        except Killed:
            self.kill()
            return
        except NamestoreError as error:
            self.watch.fatal(self, error)
            self.kill()
            return
        self.watch.turned(self)
        busy, self._spent = self._spent, 0.0
        if self.running:
            nap = 0.0 if self._jobs else self.engine._nap()
            self.schedule_turn(busy + max(nap, 0.0005))

    def _background(self, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        life = self.lives

        def finish() -> None:
            if self.running and life == self.lives:
                self._jobs.append(lambda: done(job()))
                self.schedule_turn(0.0)

        self.world.after(0.01 + 0.1 * self.world.rng.random(), finish)

    # -- who it says it is ------------------------------------------------------------------

    def hello(self) -> Hello:
        return Hello(
            PROTOCOL_VERSION,
            "sim",
            self.engine.membership.cluster_id,
            self.node_id,
            self.incarnation,
            self.engine.is_new,
        )

    def accept(self, peer: Hello) -> str | None:
        return bootstrap.reason_to_refuse(self.engine.membership, peer)

    def saying(self, target: str, message: dict[str, Any]) -> None:
        """Every message passes by here on its way out."""
        if self.world.trace is not None:
            shown = {
                k: v if k not in ("entries", "commands", "decisions", "data") else f"<{len(v)}>"
                for k, v in message.items()
            }
            self.world.say(f"{self.node_id} -> {target}  {shown}")
        self.watch.said(self, target, message)

    # -- disk -------------------------------------------------------------------------------

    def _hook_disk(self) -> None:
        for store, names in (
            (self.log, ("sync",)),
            (self.state, ("write", "flush", "install", "checkpoint")),
        ):
            for name in names:
                setattr(store, name, self._operation(name, getattr(store, name)))

    def _operation(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        rng = self.world.rng

        def operation(*arguments: Any) -> Any:
            kill = self.world.chance(self.disk.kill_chance)
            if kill and rng.random() < 0.5:
                raise Killed
            if name == "sync":
                self._spent += self.disk.sync_max * rng.random()
                if self.world.chance(self.disk.stall_chance):
                    self._spent += 2.0 * rng.random()
            result = real(*arguments)
            if kill:
                raise Killed
            return result

        return operation
