"""Applications that sign users up, and die in the middle: `reserve`, work, `confirm`.

Each is a process with a client of its own. It takes the steps of the library's `reserve` block
(`namestore.client.reserving`), and may be killed at any moment: before it heard that it has the
name, while it works, or while it confirms. What it had sent by then is on its way all the same. The
next process begins anew and knows nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from google.protobuf.message import Message

from namestore.client import reserving
from namestore.client.network import Failure, Send
from namestore.client.network import Operation as Effects
from namestore.client.reserving import Reservation, Wish
from namestore.errors import (
    NamestoreError,
    NameTaken,
    OutcomeUnknown,
    ReservationExpired,
    Unavailable,
)
from tests.properties.registry_model import RegistryModel
from tests.simulation.callers_real import Client, Driver
from tests.simulation.names_asked import Asked
from tests.simulation.watch import Violation
from tests.simulation.world import World
from tests.support.history import Operation

_DIES = 0.5  # of all sign-ups
_TTL_S = (0.5, 1.0, 2.0)
_RAISES = 0.15  # of the blocks that are not killed


@dataclass
class Site:
    """What the applications of one run share: names that were asked for, and what became of them.

    Attributes:
        confirmed: Name and create_revision of those whose confirmation was answered.
        perhaps: The same, of those that were killed, or heard nothing, while they confirmed.
        over: The same, of those that were told that it had ended.
        counts: What happened how often.
    """

    names: int = 0
    confirmed: set[tuple[str, int]] = field(default_factory=set)
    perhaps: set[tuple[str, int]] = field(default_factory=set)
    over: set[tuple[str, int]] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    _killed: set[str] = field(default_factory=set)

    def name(self, rng: Random) -> str:
        """A new one, or one that somebody asked for before."""
        if not self.names or rng.random() < 0.5:
            self.names += 1
            return f"sign:{self.names}"
        return f"sign:{self.names - min(self.names - 1, rng.randrange(10))}"

    def killed(self, name: str, when: str) -> None:
        """An application died with that name in its hands."""
        self.counts[f"died {when}"] += 1
        self._killed.add(name)

    def granted(self, name: str) -> None:
        """An application has the name for now."""
        if name in self._killed:
            self.counts["granted after a death"] += 1
            self._killed.discard(name)

    def judge(self, model: RegistryModel) -> None:
        """Nothing is burnt, and nothing that was confirmed is lost. Raises `Violation`."""
        held = {
            (name, holding.revision): holding
            for name, holding in model.held.items()
            if name.startswith("sign:") and model.holds(name)
        }
        for what, found in (
            ("confirmed, and not held", self.confirmed - held.keys()),
            ("ended, and held", self.over & held.keys()),
            ("held, and never confirmed", held.keys() - self.confirmed - self.perhaps),
            ("burnt", {key for key, holding in held.items() if holding.expire_ms}),
            ("held back", {name for name in model.left if name.startswith("sign:")}),
        ):
            if found:
                raise Violation("sign-ups", f"{what}: {sorted(found)}")  # type: ignore[type-var]


class _Process(Driver):
    """One life of an application, as far as the network sees it."""

    def __init__(self, world: World, network: Any, caller: str, record: list[Asked]) -> None:
        super().__init__(world, network)
        self._caller, self._record = caller, record
        self.dead = False

    def _go_on(self, operation: Effects[Any], outcome: Any, done: Callable[[Any], None]) -> None:
        if not self.dead:
            super()._go_on(operation, outcome, done)

    def _send(self, send: Send, then: Callable[[Message | Failure], None]) -> None:
        if not send.method.writes:
            super()._send(send, then)
            return
        asked = Asked(self._caller, send.method, send.request, self.world.now)
        self._record.append(asked)

        def heard(answer: Message | Failure) -> None:
            if not self.dead:
                asked.hear(answer, self.world.now)
                then(answer)

        super()._send(send, heard)


class SignUp:
    """One application, one sign-up at a time.

    Attributes:
        asked: Every attempt of every process, and what was heard.
        record: Empty: what is judged by others.
        stopped: It begins nothing new.
        idle: Nothing is under way.
        served: How often it had a name.
        pause: Seconds between two sign-ups, at most.
    """

    def __init__(
        self, world: World, make_client: Callable[[], Client], site: Site, pause: float, number: int
    ) -> None:
        self.world, self.site, self.number = world, site, number
        self.asked: list[Asked] = []
        self.record: list[Operation] = []
        self.stopped, self.idle, self.served = False, True, 0
        self._make_client, self.pause = make_client, pause
        self._rng = Random(world.rng.getrandbits(64))
        self._start()

    def _start(self) -> None:
        """A process starts."""
        client = self._make_client()
        self._session = client.session
        self._process = _Process(self.world, client.network, f"sign-up {self.number}", self.asked)

    def begin(self) -> None:
        """Starts the next sign-up after a while."""
        self.idle = True
        self.world.after(self.pause * self._rng.random(), self._next)

    def _next(self) -> None:
        if self.stopped:
            return
        self.idle = False
        rng, name = self._rng, self.site.name(self._rng)
        wish = Wish(name, f"owner {self.number}", b"", rng.choice(_TTL_S), None)
        dies = rng.choice(["unheard", "between", "between", "confirming"])
        if self.stopped or rng.random() >= _DIES:
            dies = ""
        if dies == "unheard":
            self._die_after(0.02 * rng.random(), name, dies)
        self._process.run(
            reserving.begin(self._session, wish), lambda result: self._begun(wish, result, dies)
        )

    def _begun(self, wish: Wish, result: Any, dies: str) -> None:
        if isinstance(result, NamestoreError):
            if not isinstance(result, NameTaken | Unavailable | OutcomeUnknown):
                raise result
            self.served += isinstance(result, NameTaken)
            self.begin()
            return
        self.served += 1
        self.site.granted(wish.name)
        work_s = 0.3 * self._rng.random()
        if dies == "between":
            self._die_after(work_s, wish.name, dies)
        else:
            self._later(work_s, lambda: self._end(wish, result, dies))

    def _end(self, wish: Wish, reservation: Reservation, dies: str) -> None:
        place = (reservation.name, reservation.create_revision)
        if self._rng.random() < _RAISES and not dies:
            cause = RuntimeError("the user row could not be written")
            operation = reserving.let_go(self._session, wish, reservation, cause)
            self._process.run(operation, lambda result: self.begin())
            return
        self.site.perhaps.add(place)
        if dies == "confirming":
            self._die_after(0.02 * self._rng.random(), wish.name, dies)
        operation = reserving.keep(self._session, wish, reservation)
        self._process.run(operation, lambda result: self._kept(place, result))

    def _kept(self, place: tuple[str, int], result: Any) -> None:
        if result is None:
            self.site.confirmed.add(place)
        elif isinstance(result, ReservationExpired):
            self.site.over.add(place)
        elif not isinstance(result, Unavailable | OutcomeUnknown):
            raise result
        self.begin()

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        process = self._process
        self.world.after(seconds, lambda: None if process.dead else what())

    def _die_after(self, seconds: float, name: str, when: str) -> None:
        """Kill -9, unless it has ended by then what it was to die in the middle of."""
        process = self._process

        def die() -> None:
            if process.dead or self.idle:
                return
            process.dead = True
            self.world.say(f"-- sign-up {self.number} dies {when}, with {name}")
            self.site.killed(name, when)
            self._start()
            self.begin()

        self.world.after(seconds, die)
