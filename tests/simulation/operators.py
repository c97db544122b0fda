"""The people who run the simulated cluster: they change its members, and mend what is broken.

They do what docs/operations.md says: one step after another, each asked of some node, and asked
again when nobody answered. They never take away so much that a majority of healthy disks would be
lacking; what else goes wrong meanwhile is not their doing. Until the cluster has formed they wait:
that takes all of its first nodes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator
from itertools import chain, combinations
from typing import Any

from namestore.errors import InvalidRequest
from namestore.raft.membership import Membership
from namestore.raft.orders import Add, Order, Remove
from tests.simulation.watch import Watch
from tests.simulation.world import World

# Something that ends later, and then calls what it was given, with what came of it.
Wait = Callable[[Callable[[Any], None]], None]
Work = Generator[Wait, Any, None]

_PATIENCE_S = 6.0
_TASKS_MAX = 3
_MEMBERS_MIN = 2


class Operators:
    """What is being done to the cluster on purpose.

    Attributes:
        members: Machines that callers are told of.
        busy: Machines that something is being done to, by node id.
        counts: What was done, and what came of it.
    """

    def __init__(self, world: World, hosts: list[Any], founders: list[Any], watch: Watch) -> None:
        self.world, self.hosts, self.watch = world, hosts, watch
        self.members = list(founders)
        self.busy: dict[str, str] = {}
        self.counts: Counter[str] = Counter()
        self._hurt: set[str] = set()

    # -- what may be begun ------------------------------------------------------------------

    def look_around(self) -> None:
        """Begins to mend what is plainly broken. Called every now and then."""
        for host in self.hosts:
            if host.ended == "damaged" and host.node_id not in self.busy:
                self.replace(host)

    def grow(self) -> None:
        """An empty machine joins."""
        free = [host for host in self.hosts if self._is_free(host) and not host.on]
        if free and self._formed and len(self.busy) < _TASKS_MAX:
            self._begin(self.world.rng.choice(free), "grow", self._grow)

    def shrink(self) -> None:
        """A member leaves, the leader as likely as another."""
        host = self._any_member()
        if host is None or len(self._voters()) <= _MEMBERS_MIN:
            return
        if self._bearable(leaving={host.node_id}):
            self._begin(host, "shrink", self._shrink)

    def replace(self, host: Any = None) -> None:
        """A member's disk is wiped, and the node joins anew."""
        host = host or self._any_member()
        if host is not None and self._bearable(hurt={host.node_id}):
            self._hurt.add(host.node_id)
            self._begin(host, "replace", self._replace)

    def move(self) -> None:
        """A member's address changes."""
        host = self._any_member()
        if host is not None and self._bearable(hurt={host.node_id}):
            self._begin(host, "move", self._move)

    def may_hurt(self, host: Any) -> bool:
        """Whether the disk of a machine may be damaged, so that a majority stays sound."""
        free = self._formed and host.node_id not in self.busy
        return free and self._bearable(hurt={host.node_id})

    def hurt(self, host: Any) -> None:
        """It was: from now on nobody counts on it, until it was replaced."""
        self._hurt.add(host.node_id)

    def notice(self, host: Any) -> None:
        """Somebody sees that a machine lost its disk, unless it was replaced by then."""
        if host.node_id in self._hurt and host.node_id not in self.busy:
            self._begin(host, "replace", self._replace)

    def _is_free(self, host: Any) -> bool:
        return host.node_id not in self.busy and host.node_id not in self._hurt

    def _any_member(self) -> Any:
        voters = self._voters()
        members = self.hosts if self._formed else []
        found = [h for h in members if self._is_free(h) and h.node_id in voters]
        return self.world.rng.choice(found) if found and len(self.busy) < _TASKS_MAX else None

    @property
    def _formed(self) -> bool:
        return self.watch.committed_index > 0

    def _voters(self) -> set[str]:
        return set(self.watch.book.newest.voters)

    def _bearable(self, hurt: set[str] = frozenset(), leaving: set[str] = frozenset()) -> bool:  # type: ignore[assignment]
        """Whatever becomes of the changes under way, most voters' disks are sound."""
        hurt = hurt | self._hurt
        moving = set(self.busy) | leaving
        book = self.watch.book
        for config in (book.newest, *book.in_flight):
            fixed = set(config.voters) - moving
            for some in chain.from_iterable(
                combinations(moving, n) for n in range(len(moving) + 1)
            ):
                voters = fixed | set(some)
                if 2 * len(voters - hurt) <= len(voters):
                    return False
        return True

    # -- how a task goes on -----------------------------------------------------------------

    def _begin(self, host: Any, what: str, work: Callable[[Any], Work]) -> None:
        self.world.say(f"-- begin to {what} {host.node_id}")
        self.counts[what] += 1
        self.busy[host.node_id] = what
        steps = work(host)

        def go_on(answer: Any) -> None:
            try:
                wait = steps.send(answer)
            except StopIteration:
                self.world.say(f"-- done with {what} of {host.node_id}")
                del self.busy[host.node_id]
                return
            wait(go_on)

        go_on(None)

    def _sleep(self, seconds_max: float) -> Wait:
        seconds = seconds_max * self.world.rng.random()
        return lambda go_on: self.world.after(seconds, lambda: go_on(None))

    def _ask(self, order: Order) -> Wait:
        """Any node that runs; the answer is what it says, or None."""
        running = [host for host in self.hosts if host.running and host.node_id != order.node_id]
        host = self.world.rng.choice(running) if running else None
        patience = _PATIENCE_S * self.world.rng.random()

        def wait(go_on: Callable[[Any], None]) -> None:
            heard: list[Any] = []

            def hear(answer: Any) -> None:
                if not heard:
                    heard.append(answer)
                    self.world.say(f"-- {order} of {host and host.node_id}: {_short(answer)}")
                    if answer is not None and not isinstance(answer, Membership):
                        self.counts[answer.REASON] += 1
                    self.world.after(0.001, lambda: go_on(answer))

            self.world.after(patience + 0.5, lambda: hear(None))
            if host is not None:
                host.order(order, patience, hear)

        return wait

    # -- tasks ------------------------------------------------------------------------------

    def _grow(self, host: Any) -> Work:
        self._write_files(host)
        if not host.on:
            if (host.node_id, host.drive.incarnation) in self.watch.book.once_voters:
                host.wipe()
            host.start()
        yield from self._join(host)

    def _join(self, host: Any) -> Work:
        """`members add`, until it counts, or until somebody thinks better of it."""
        self.members.append(host)
        while True:
            answer = yield self._ask(Add(host.node_id, host.address, f"{host.node_id}:2"))
            if isinstance(answer, Membership) and host.node_id in answer.voters:
                self.counts["joined"] += 1
                return
            if isinstance(answer, InvalidRequest):
                # An earlier disk or address under that id counts still.
                yield from self._leave(host)
            if self.world.rng.random() < 0.05:
                yield from self._leave(host)
                host.switch_off()
                return
            yield self._sleep(2.0)

    def _shrink(self, host: Any) -> Work:
        yield from self._leave(host)
        yield self._sleep(8.0)
        if self.world.rng.random() < 0.7:
            host.switch_off()

    def _leave(self, host: Any) -> Work:
        """`members remove`, until the others go on without it."""
        while True:
            answer = yield self._ask(Remove(host.node_id))
            if isinstance(answer, Membership) and answer.get(host.node_id) is None:
                break
            yield self._sleep(1.0)
        self.counts["left"] += 1
        self.members[:] = [other for other in self.members if other is not host] or self.members

    def _replace(self, host: Any) -> Work:
        """`--wipe-and-rejoin`: leave, wipe, start, join."""
        yield self._sleep(3.0)
        host.switch_off()
        yield from self._leave(host)
        host.wipe()
        host.start()
        self._hurt.discard(host.node_id)
        yield from self._join(host)

    def _move(self, host: Any) -> Work:
        """Another address: into everybody's file, which everybody reads at the next start."""
        host.switch_off()
        host.address = f"{host.node_id}:{self.counts['move'] + 10}"
        yield self._sleep(1.0)
        self._write_files(host)
        host.start()
        for other in self.world.rng.sample(self.hosts, len(self.hosts)):
            if other is not host and other.running:
                yield self._sleep(1.0)
                other.kill()
                while other.on and not other.running:
                    yield self._sleep(0.5)

    def _write_files(self, host: Any) -> None:
        """Into everybody's file, as documented: read at the next start only."""
        host.file = {other.node_id: other.address for other in self.members} | {
            host.node_id: host.address
        }
        for other in self.hosts:
            other.file[host.node_id] = host.address


def _short(answer: Any) -> str:
    if isinstance(answer, Membership):
        return f"members {[(m.node_id, m.voter) for m in answer.members]}"
    return repr(answer)
