"""One run of the simulated cluster: a seed decides how bad things get, then things happen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from namestore.raft.engine import Engine
from namestore.raft.membership import Member, Membership
from namestore.raft.settings import Bounds
from tests.simulation.clients import Client
from tests.simulation.host import DiskFaults, Host
from tests.simulation.network import LinkFaults, Network
from tests.simulation.watch import Violation, Watch, state_digest
from tests.simulation.world import World
from tests.support.history import Operation
from tests.support.linearizability import check

_QUIET_S = 30.0


@dataclass
class Result:
    """What a run did.

    Attributes:
        record: All operations of all clients.
        seconds: Simulated.
    """

    record: list[Operation]
    seconds: float
    events: int
    messages: int
    elections: int
    snapshots: int
    kills: int


class Run:
    """A cluster, its clients and its bad luck, all drawn from one seed."""

    def __init__(self, seed: int, engine_class: type[Engine] = Engine, trace: Any = None) -> None:
        self.seed = seed
        self.world = World(seed)
        self.world.trace = trace
        self.watch = Watch()
        rng = self.world.rng
        self.kills = 0
        size = rng.choice([3, 3, 3, 5])
        self.ids = [f"n{number}" for number in range(1, size + 1)]
        self.initial = Membership(tuple(Member(i, f"{i}:1", f"{i}:2") for i in self.ids))
        self.network = Network(self.world, self._link_faults())
        disk = DiskFaults(
            sync_max=rng.choice([0.001, 0.003, 0.02]),
            stall_chance=rng.choice([0, 0, 0.002]),
            kill_chance=rng.choice([0, 0, 0.0005, 0.002]),
        )
        bounds = Bounds(
            message_bytes=rng.choice([60, 500, 512 * 1024]),
            window_messages=rng.choice([1, 3, 64]),
            entry_commands=rng.choice([1, 3, 4096]),
            apply_bytes=rng.choice([200, 4 << 20]),
            log_entries=rng.choice([5, 30, 200, 100_000]),
            chunk_bytes=rng.choice([700, 512 * 1024]),
        )
        self.hosts = [
            Host(self.world, self.network, i, self.initial, disk, bounds, self.watch, engine_class)
            for i in self.ids
        ]
        self.clients = [
            Client(self.world, self.hosts, number, rng.choice([3, 10, 40]), rng.choice([0, 0.05]))
            for number in range(rng.choice([3, 8, 15]))
        ]
        self.span = rng.choice([10.0, 25.0])
        # Swarm: each kind of fault is drawn on or off, and how often.
        self.every = {
            kind: rng.choice([None, 8.0, 3.0, 1.0])
            for kind in ("kill", "pause", "cut", "isolate", "kill_all", "transfer", "flap")
        }
        if self.every["kill_all"] is not None:
            self.every["kill_all"] *= 4

    def _link_faults(self) -> LinkFaults:
        rng = self.world.rng
        return LinkFaults(
            delay_max=rng.choice([0.002, 0.01, 0.06]),
            slow_chance=rng.choice([0, 0, 0.01, 0.05]),
            slow_max=rng.choice([0.3, 1.0, 4.0]),
            loss=rng.choice([0, 0, 0.01, 0.1]),
            duplication=rng.choice([0, 0, 0.02, 0.1]),
            reorder=rng.random() < 0.4,
        )

    def go(self) -> Result:
        """Runs to the end.

        Raises:
            Violation: Something that must hold does not.
        """
        for host in self.hosts:
            host.start()
        for client in self.clients:
            client.begin()
        self.world.run(self.world.now + 4.0)
        for kind, every in self.every.items():
            if every is not None:
                self._again(kind, every)
        self.faults_until = self.world.now + self.span
        self.world.run(self.faults_until)
        self._calm()
        self._check_liveness()
        for client in self.clients:
            client.stopped = True
        self.world.run(self.world.now + _QUIET_S)
        self._check_equal()
        record = [operation for client in self.clients for operation in client.record]
        check(record)
        return Result(
            record,
            self.world.now - 1000,
            self.world.events,
            self.watch.messages,
            self.watch.elections,
            self.watch.snapshots,
            self.kills,
        )

    # -- bad luck ---------------------------------------------------------------------------

    def _again(self, kind: str, every: float) -> None:
        def happen() -> None:
            if self.world.now < self.faults_until:
                getattr(self, f"_{kind}")()
                self._again(kind, every)

        self.world.after(self.world.rng.expovariate(1 / every), happen)

    def _restart_later(self, host: Host, delay: float) -> None:
        def restart() -> None:
            if not host.running:
                host.start()

        self.world.after(delay, restart)

    def _kill(self) -> None:
        host = self.world.rng.choice(self.hosts)
        self.kills += host.running
        host.kill()
        self._restart_later(host, self.world.rng.choice([0.05, 1.0, 4.0]))

    def _kill_all(self) -> None:
        for host in self.hosts:
            self.kills += host.running
            host.kill()
            self._restart_later(host, 0.01 + self.world.rng.random())

    def _pause(self) -> None:
        self.world.rng.choice(self.hosts).pause(self.world.rng.choice([0.3, 1.5, 5.0]))

    def _cut(self) -> None:
        source, target = self.world.rng.sample(self.ids, 2)
        self.world.say(f"-- cut {source} -> {target}")
        self.network.cut(source, target)
        if self.world.rng.random() < 0.6:
            self.network.cut(target, source)
        self._heal_later(source, target)

    def _flap(self) -> None:
        source, target = self.world.rng.sample(self.ids, 2)
        for times in range(self.world.rng.randrange(2, 6)):
            self.world.after(0.3 * times, lambda: self.network.cut(source, target))
            self.world.after(0.3 * times + 0.1, lambda: self.network.heal(source, target))

    def _isolate(self) -> None:
        rng = self.world.rng
        alone = set(rng.sample(self.ids, rng.randrange(1, len(self.ids) // 2 + 1)))
        self.world.say(f"-- isolate {sorted(alone)}")
        for one in sorted(alone):
            for other in self.ids:
                if other not in alone:
                    self.network.cut(one, other)
                    self.network.cut(other, one)
                    self._heal_later(one, other)

    def _heal_later(self, source: str, target: str) -> None:
        def heal() -> None:
            self.network.heal(source, target)
            self.network.heal(target, source)

        self.world.after(self.world.rng.choice([0.3, 2.0, 6.0]), heal)

    def _transfer(self) -> None:
        for host in self.hosts:
            if host.running and host.engine.is_leader:
                host.engine.transfer(None, 2.0, lambda answer: None)
                host.schedule_turn(0.0)

    # -- the end ----------------------------------------------------------------------------

    def _calm(self) -> None:
        """No more faults; whoever is down comes up."""
        self.world.say("-- calm")
        self.network.faults.loss = self.network.faults.duplication = 0.0
        self.network.faults.slow_chance = 0.0
        self.network.heal_all()
        for host in self.hosts:
            host.disk.kill_chance = host.disk.stall_chance = 0.0
            host.paused_until = min(host.paused_until, self.world.now)
            if not host.running:
                host.start()
            host._turn_at = 0.0
            host.schedule_turn(0.0)

    def _check_liveness(self) -> None:
        """Within a bounded time the cluster serves again: every caller is answered."""
        before = [len(client.record) for client in self.clients]

        def served() -> bool:
            return all(
                len(client.record) >= count + 3
                for client, count in zip(self.clients, before, strict=True)
            )

        self.world.run(self.world.now + _QUIET_S * 2, served)
        if not served():
            raise Violation("the faults are over, and the cluster does not serve")

    def _check_equal(self) -> None:
        digests = {host.node_id: state_digest(host.state) for host in self.hosts}
        if len(set(digests.values())) != 1:
            raise Violation(f"the replicas differ at the end: {digests}")
