"""Bad luck: every kind of fault, each happening as often as the plan says."""

from __future__ import annotations

from typing import Any

from tests.simulation.network import Network
from tests.simulation.operators import Operators
from tests.simulation.plan import Plan
from tests.simulation.world import World


class Faults:
    """What goes wrong in one run. Each kind is a method of its name; see `plan.KINDS`."""

    def __init__(
        self, world: World, network: Network, hosts: list[Any], plan: Plan, operators: Operators
    ) -> None:
        self.world, self.network, self.hosts, self.plan = world, network, hosts, plan
        self.operators = operators
        self.ids = [host.node_id for host in hosts]
        self.until = world.now
        self._coming_back = False
        if plan.links.lame:
            source, target = world.rng.sample(self.ids, 2)
            network.link(source, target).extra = plan.links.lame

    def begin(self) -> None:
        """From now on, for the plan's span."""
        self.until = self.world.now + self.plan.span
        for kind, mean in self.plan.every.items():
            self._again(kind, mean)

    def _again(self, kind: str, mean: float) -> None:
        def happen() -> None:
            if self.world.now < self.until:
                self.operators.look_around()
                getattr(self, kind)()
                self._again(kind, mean)

        self.world.after(self.world.rng.expovariate(1 / mean), happen)

    def _any(self) -> Any:
        return self.world.rng.choice(self.hosts)

    def _leader(self) -> Any:
        """One that believes to lead; the newest of them, if there are several."""
        leading = [host for host in self.hosts if host.leads]
        return max(leading, key=lambda host: host.term) if leading else self._any()

    # -- processes --------------------------------------------------------------------------

    def kill(self) -> None:
        """Power off, anywhere."""
        self._any().kill()

    def kill_leader(self) -> None:
        """Power off at the leader."""
        self._leader().kill()

    def kill_all(self) -> None:
        """Power off everywhere."""
        self.world.say("-- all lose power")
        for host in self.hosts:
            host.kill()

    def doom(self) -> None:
        """A node will die at its n-th disk operation from now."""
        self._any().doom = self.world.rng.randrange(1, 30)

    def pause(self) -> None:
        """SIGSTOP, anywhere."""
        self._any().pause(self.world.rng.choice([0.3, 1.5, 5.0]))

    def pause_leader(self) -> None:
        """SIGSTOP at the leader: about as long as an election takes."""
        self._leader().pause(self.world.rng.choice([0.7, 1.5, 3.0]))

    def transfer(self) -> None:
        """The leader is asked to hand over."""
        for host in self.hosts:
            if host.leads:
                host.hand_over()

    def clock_jump(self) -> None:
        """A wall clock is set; by less than the time for which outcomes are remembered."""
        host = self._any()
        self.operators.watch.clock_set(host)
        host.skew_ms = self.world.rng.choice([-3_600_000, -2000, 0, 2000, 75_600_000])

    def disk_full(self) -> None:
        """A disk takes no more for a while, and until the process was started again."""
        host, seconds = self._any(), self.world.rng.choice([0.0, 1.0, 5.0])
        self.world.say(f"-- the disk of {host.node_id} is full for {seconds} s")
        host.fill_disk(seconds)

    def kill_voter(self) -> None:
        """A node will die with its next vote on its way."""
        self._any().dies_voting = True

    def drain(self) -> None:
        """SIGTERM, anywhere."""
        self._any().drain()
        self.operators.counts["drain"] += 1

    # -- members and disks ------------------------------------------------------------------

    def grow(self) -> None:
        """A new machine is made a member."""
        self.operators.grow()

    def shrink(self) -> None:
        """A member is removed."""
        self.operators.shrink()

    def replace(self) -> None:
        """A member is wiped and joins anew."""
        self.operators.replace()

    def move(self) -> None:
        """A member gets another address."""
        self.operators.move()

    def meddle(self) -> None:
        """Something happens just where something is being changed, or to whoever leads it."""
        busy = [host for host in self.hosts if host.node_id in self.operators.busy]
        if not busy:
            return
        host = self.world.rng.choice([*busy, self._leader()])
        what = self.world.rng.choice(["kill", "doom", "pause", "isolate", "cut", "stall"])
        others = [node_id for node_id in self.ids if node_id != host.node_id]
        other = self.world.rng.choice(others)
        if what == "kill":
            host.kill()
        elif what == "doom":
            host.doom = self.world.rng.randrange(1, 10)
        elif what == "pause":
            host.pause(self.world.rng.choice([0.7, 1.5, 3.0]))
        elif what == "isolate":
            self._split([host.node_id], [0.3, 2.0, 6.0])
        elif what == "cut":
            self._cut(host.node_id, other, [0.3, 2.0, 6.0])
        else:
            self._stall(other, host.node_id)

    def rot(self) -> None:
        """What a disk holds changes by itself, on a minority of the disks at most."""
        host = self._any()
        if host.running and not host.drive.damaged and self.operators.may_hurt(host):
            self.operators.hurt(host)
            self.world.say(f"-- the disk of {host.node_id} rots: {host.drive.rot(self.world.rng)}")
            self.operators.counts["rot"] += 1
            if self.world.rng.random() < 0.5:
                host.kill()
            seconds = self.world.rng.choice([1.0, 4.0, 30.0])  # until the disk is seen to be bad
            self.world.after(seconds, lambda: self.operators.notice(host))

    def rot_arrival(self) -> None:
        """A bit of an arriving snapshot flips on its disk."""
        host = self._any()
        if host.incoming.rot(self.world.rng):
            self.operators.counts["rot_arrival"] += 1
            self.world.say(f"-- what arrives at {host.node_id} rots")

    def empty(self) -> None:
        """A disk is lost, and the node comes back with an empty one as if nothing had been."""
        host = self._any()
        if not host.on or not self.operators.may_hurt(host):
            return
        self.operators.hurt(host)
        self.operators.counts["empty"] += 1
        self.world.say(f"-- {host.node_id} loses its disk")
        host.kill()
        host.wipe()
        self.world.after(
            self.world.rng.choice([1.0, 5.0, 20.0]), lambda: self.operators.notice(host)
        )

    # -- links ------------------------------------------------------------------------------

    def cut(self) -> None:
        """Nothing passes between two nodes, in one direction or both."""
        source, target = self.world.rng.sample(self.ids, 2)
        self.world.say(f"-- cut {source} -> {target}")
        both = self.world.rng.random() < 0.6
        self._cut(source, target, [0.3, 2.0, 6.0], both)

    def flap(self) -> None:
        """A link comes and goes."""
        source, target = self.world.rng.sample(self.ids, 2)
        for times in range(self.world.rng.randrange(2, 6)):
            self.world.after(0.3 * times, lambda: self.network.cut(source, target))
            self.world.after(0.3 * times + 0.1, lambda: self.network.heal(source, target))

    def isolate(self) -> None:
        """A minority is cut off."""
        count = self.world.rng.randrange(1, len(self.ids) // 2 + 1)
        self._split(self.world.rng.sample(self.ids, count), [0.3, 2.0, 6.0])

    def depose(self) -> None:
        """The leader, alone or not, is cut off from the majority, and not from its callers."""
        leader = self._leader().node_id
        others = [node_id for node_id in self.ids if node_id != leader]
        count = self.world.rng.randrange(len(self.ids) // 2)
        self._split([leader, *self.world.rng.sample(others, count)], [1.0, 1.6, 3.0])

    def _split(self, alone: list[str], seconds: list[float]) -> None:
        self.world.say(f"-- isolate {alone}")
        for one in alone:
            for other in self.ids:
                if other not in alone:
                    self._cut(one, other, seconds, both=True)

    def _cut(self, source: str, target: str, seconds: list[float], both: bool = False) -> None:
        """For one of so many seconds; another cut meanwhile ends when it would have."""
        ways = [(source, target), (target, source)] if both else [(source, target)]
        for way in ways:
            self.network.cut(*way)

        def heal() -> None:
            for way in ways:
                self.network.heal(*way)

        self.world.after(self.world.rng.choice(seconds), heal)

    def stall(self) -> None:
        """One direction of a link holds everything back for a while."""
        source, target = self.world.rng.sample(self.ids, 2)
        self._stall(source, target)

    def stall_answers(self) -> None:
        """What some followers send to the leader arrives much later, over the same connection."""
        leader = self._leader().node_id
        others = [node_id for node_id in self.ids if node_id != leader]
        for follower in self.world.rng.sample(others, self.world.rng.randrange(1, len(others) + 1)):
            self._stall(follower, leader)

    def _stall(self, source: str, target: str) -> None:
        seconds = self.world.rng.choice([0.5, 1.5, 3.0, 6.0])
        self.world.say(f"-- stall {source} -> {target} for {seconds} s")
        self.network.stall(source, target, seconds)

    def comeback(self) -> None:
        """A leader and one follower are cut off; later it leads again, and only then hears what
        that follower had acknowledged before, while the follower itself has stopped.
        """
        leader, rng = self._leader(), self.world.rng
        if leader is not self.hosts[0]:
            leader.hand_over(self.ids[0])
            return
        if not leader.leads or self._coming_back:
            return
        self._coming_back = True
        follower = rng.choice(self.hosts[1:])
        self._split([leader.node_id, follower.node_id], [2.0 + rng.random()])
        self.network.stall(follower.node_id, leader.node_id, 6.0)
        self.world.after(1.0 + rng.random(), lambda: follower.pause(4.0))
        self._bring_back(leader, follower, leader.term, self.world.now + 5.0)

    def _bring_back(self, leader: Any, follower: Any, term: int, until: float) -> None:
        if leader.leads and leader.term > term:
            self.network.release(follower.node_id, leader.node_id)
        elif self.world.now < until:
            self._leader().hand_over(leader.node_id)
            self.world.after(
                0.005 if leader.leads else 0.05,
                lambda: self._bring_back(leader, follower, term, until),
            )
            return
        self._coming_back = False
