"""One simulated machine: its disks survive, the process on it comes and goes.

What kind of process that is, its subclasses say. Turns happen when something arrives and when a
timer is due; what the process does to its disks takes simulated time, during which it hears
nothing. At any disk operation the process may be killed, which loses what was not durable.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from namestore.errors import DiskFailed, NamestoreError
from namestore.raft.transport.hello import Hello
from tests.simulation.network import Network
from tests.simulation.plan import Plan
from tests.simulation.transport import SimTransport
from tests.simulation.world import World
from tests.support.history import Operation

_TURN_EVERY_MIN_S = 0.0005
# A hundred times further apart than those of real machines.
_PACES = (0.98, 1.02)


class Killed(BaseException):
    """The process died here. Not an Exception: nothing may catch it."""


class Machine(ABC):
    """A machine of the simulated cluster.

    Attributes:
        lives: How often its process was started.
        skew_ms: By which its wall clock is wrong.
        pace: Seconds that its monotonic clock goes on in a second.
        dies_voting: It will be killed just after the next vote it gives.
        doom: Disk operations until it is killed; None: it is not.
        on: Its process is started again whenever it died.
        address: Where it listens.
        file: Node id to address, as its configuration file has it.
        ended: Why its process ended for good; empty: it did not.
    """

    transport: SimTransport

    def __init__(self, world: World, network: Network, node_id: str, plan: Plan, watch: Any):
        self.world, self.network, self.node_id = world, network, node_id
        self.plan, self.disk, self.watch = plan, plan.disk, watch
        self.running = self.on = False
        self.ended = ""
        self.address = f"{node_id}:1"
        self.file: dict[str, str] = {}
        self.lives = 0
        self.kills = 0
        self.skew_ms = world.rng.randrange(-500, 500)
        self.pace = world.rng.uniform(*_PACES)
        self.doom: int | None = None
        self.dies_voting = self._back_soon = False
        self.paused_until = 0.0
        self._busy_until = 0.0
        self._spent = 0.0  # by disk operations of this turn
        # When the next turn is due, and when that is looked at: mostly turns are put off.
        self._turn_at = self._alarm_at = self._worker_free_at = 0.0
        self._jobs: list[Callable[[], None]] = []
        network.hosts[node_id] = self

    # -- what kind of process it is ---------------------------------------------------------

    @abstractmethod
    def _boot(self) -> None:
        """Makes the process and its transport."""

    @abstractmethod
    def _step(self) -> float:
        """One turn; returns after how many seconds the next is due at the latest."""

    @abstractmethod
    def put_away(self) -> None:
        """The run is over: nothing may be left half done in memory."""

    @abstractmethod
    def mend_disk(self) -> None:
        """Its disk is not full any more, once its process was started again."""

    @abstractmethod
    def _fall_silent(self) -> None:
        """The process hears and says nothing more."""

    @abstractmethod
    def _lose(self) -> None:
        """Power off: takes from the disks what was not durable."""

    @abstractmethod
    def ask(self, operation: Operation, patience: float, answered: Callable[[Any], None]) -> None:
        """A client's question; `answered` gets the fields of its record, or an error."""

    @property
    @abstractmethod
    def leads(self) -> bool:
        """The process believes that it leads."""

    def packed(self, message: dict[str, Any]) -> Any:
        """A message on its way."""
        return message

    def unpacked(self, data: Any) -> dict[str, Any]:
        """The reverse of `packed`."""
        message: dict[str, Any] = data
        return message

    def saying(self, target: str, message: dict[str, Any]) -> None:
        """Every message passes by here on its way out."""
        if self.world.trace is not None:
            self.world.say(f"{self.node_id} -> {target}: {message}")

    def sent(self, message: dict[str, Any]) -> None:
        """A message is on its way; some processes die just then."""
        if self.dies_voting and message.get("granted") and not message["pre_vote"]:
            self.dies_voting = False
            self._back_soon = True
            self.world.say(f"{self.node_id} is killed having voted")
            raise Killed

    def hello(self) -> Hello | None:
        """What the process says of itself when it connects."""
        return None

    def accepts(self, peer: Machine) -> bool:
        """Whether it talks to that one."""
        return True

    def finds(self, peer: Machine) -> bool:
        """Whether it dials where that one listens."""
        return True

    def wants(self, node_id: str) -> bool:
        """Whether it wants to be connected to that one."""
        return node_id in self.transport.peers

    # -- the process ------------------------------------------------------------------------

    def start(self) -> None:
        """Starts the process on whatever the disks hold."""
        self.lives += 1
        self.on, self.ended = True, ""
        self._spent = self._turn_at = self._busy_until = self._worker_free_at = 0.0
        self._alarm_at = 0.0
        self._jobs = []
        self.doom = None
        try:
            self._boot()
        except Killed:
            self._dies_starting()
            return
        except NamestoreError as error:
            if isinstance(error, DiskFailed) and self.disk_fails:
                self._dies_starting()
                return
            self.on = False
            self.ends(error)
            return
        self.running = True
        self.world.say(f"{self.node_id} starts, life {self.lives}")
        self.network.node_started(self.node_id, sorted(self.transport.peers))
        self.watch.started(self)
        self.schedule_turn(0.0)

    def kill(self) -> None:
        """Power off."""
        if not self.running:
            return
        self.running = False
        self.kills += 1
        self.world.say(f"{self.node_id} dies")
        self.transport.destroyed = True
        self._fall_silent()
        self._lose()
        self.network.node_died(self.node_id)
        self._come_back()

    def _dies_starting(self) -> None:
        """Before anybody could hear of it."""
        self.kills += 1
        self.world.say(f"{self.node_id} dies as it starts")
        self._lose()
        self._come_back()

    def _come_back(self) -> None:
        delay = 0.005 if self._back_soon else self.world.rng.choice([0.05, 0.5, 1.0, 4.0])
        self._back_soon = False
        life = self.lives
        self.world.after(delay, lambda: self.start() if self.on and life == self.lives else None)

    def switch_off(self) -> None:
        """Its process ends at once and is not started again."""
        self.on = False
        self.kill()

    def ends(self, error: NamestoreError) -> None:
        """Its process cannot go on, for another reason than a disk that is full."""
        self.watch.fatal(self, error)

    def pause(self, seconds: float) -> None:
        """SIGSTOP for a while: nothing runs, messages pile up."""
        self.world.say(f"{self.node_id} is paused for {seconds} s")
        self.paused_until = max(self.paused_until, self.world.now + seconds)

    def clock(self) -> float:
        """What the process's clock shows: disk operations of this turn have taken time."""
        return self.world.now + self._spent

    def monotonic(self) -> float:
        """What its monotonic clock shows: it is a little fast, or slow."""
        return self.world.began + (self.clock() - self.world.began) * self.pace

    def receive(self, sender: str, data: Any) -> None:
        """A message, or (None) news of a connection."""
        self.transport.inbox.append((sender, data))
        self.schedule_turn(0.0)

    def schedule_turn(self, delay: float) -> None:
        """A turn no later than that, or as soon as the process can."""
        now = self.world.now
        when = max(now + delay, self.paused_until, self._busy_until)
        if now < self._turn_at <= when:
            return
        self._turn_at = when
        if now < self._alarm_at <= when:
            return
        if not self._alarm_at or delay:
            self._alarm_at = when
        life = self.lives
        self.world.at(when, lambda: self._turn(life, when))

    def _turn(self, life: int, planned: float) -> None:
        if not self.running or life != self.lives:
            return
        if planned == self._alarm_at:
            self._alarm_at = 0.0
            if planned < self._turn_at:
                self._alarm_at = when = self._turn_at
                self.world.at(when, lambda: self._turn(life, when))
        if planned != self._turn_at:
            return
        if self.world.now < self.paused_until:
            self._turn_at = 0.0
            self.schedule_turn(0.0)
            return
        self._spent = self._turn_at = 0.0
        nap = self._guarded(self._work)
        busy, self._spent = self._spent, 0.0
        if nap is not None:
            self.watch.turned(self)
            self._busy_until = self.world.now + busy
            if self.transport.inbox or self._jobs:
                nap = 0.0
            self.schedule_turn(busy + max(nap, _TURN_EVERY_MIN_S))

    def _work(self) -> float:
        jobs, self._jobs = self._jobs, []
        for job in jobs:
            job()
        return self._step()

    def _guarded(self, work: Callable[[], float]) -> float | None:
        """None: the process did not survive it."""
        try:
            return work()
        except Killed:
            self.watch.dies(self)
        except NamestoreError as error:
            self.world.say(f"{self.node_id} stops: {error}")
            if not (isinstance(error, DiskFailed) and self.disk_fails):
                self.ends(error)
        self.kill()
        return None

    @property
    def disk_fails(self) -> bool:
        """Its disk is full."""
        return False

    def background(self, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """The process's one worker thread: does a job at some moment, reports at a later one."""
        world, life, rng = self.world, self.lives, self.world.rng
        at = max(world.now, self._worker_free_at) + 0.005 + 0.1 * rng.random()
        self._worker_free_at = at

        def finish() -> None:
            if not self.running or life != self.lives:
                return
            if world.now < self.paused_until:
                world.at(self.paused_until, finish)
                return
            try:
                result = job()
            except Killed:
                self.kill()
                return
            except Exception as error:  # noqa: BLE001  # as an executor does
                result = error
            self._jobs.append(lambda: done(result))
            self.schedule_turn(0.02 * rng.random())

        world.at(at, finish)

    # -- disk -------------------------------------------------------------------------------

    def on_disk(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        """A disk operation: it takes time, and the process may die before, or after, it."""
        world, rng = self.world, self.world.rng

        def operation(*arguments: Any) -> Any:
            kill = world.chance(self.disk.kill_chance)
            if self.doom is not None:
                self.doom -= 1
                kill = kill or self.doom <= 0
            if kill:
                world.say(f"{self.node_id} is killed at {name}")
                if rng.random() < 0.5:
                    raise Killed
            if name == "sync":
                self._spent += self.disk.sync_max * rng.random()
                if world.chance(self.disk.stall_chance):
                    self._spent += 2.0 * rng.random()
            result = real(*arguments)
            if kill:
                raise Killed
            return result

        return operation
