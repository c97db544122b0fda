"""Callers that use the client library: its real operations, sessions and retries.

The library does no I/O of its own: its operations yield effects, which are carried out here on
simulated time and over `Lines`. Several callers may share one session, as the threads of an
application share one client. What goes into the record is what the library returned or raised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from google.protobuf.message import Message

from namestore.client import operations
from namestore.client.batches import member_request_ids
from namestore.client.endpoints import Endpoints
from namestore.client.network import Ask as AskAside
from namestore.client.network import Effect, Failure, NoAnswer, Send, SendAll, Sleep
from namestore.client.network import Operation as Effects
from namestore.client.session import Session
from namestore.client.values import NameRecord, RegisterResult
from namestore.errors import NamestoreError, Unavailable
from tests.simulation.lines import Lines
from tests.simulation.plan import Plan
from tests.simulation.streams import network_of
from tests.simulation.wire import Fields, refused
from tests.simulation.world import World
from tests.support.history import Ask, Operation, Said

_MANY_MAX = 4
_ASKS_AGAIN = 0.5  # of those whose outcome is unknown, under the same request_id


class Driver:
    """Carries out the effects of operations on simulated time.

    Attributes:
        last: The answer that came last.
    """

    def __init__(self, world: World, network: Any) -> None:
        self.world, self.network = world, network
        self.last: Message | None = None

    def run(self, operation: Effects[Any], done: Callable[[Any], None]) -> None:
        """Runs an operation; `done` gets what it returned, or the error it raised."""
        self._go_on(operation, None, done)

    def _go_on(self, operation: Effects[Any], outcome: Any, done: Callable[[Any], None]) -> None:
        if isinstance(outcome, Message):
            self.last = outcome
        try:
            if isinstance(outcome, NamestoreError | NoAnswer):
                effect = operation.throw(outcome)
            else:
                effect = operation.send(outcome)
        except StopIteration as finished:
            done(finished.value)
        except NamestoreError as error:
            done(error)
        else:
            self._perform(effect, lambda result: self._go_on(operation, result, done))

    def _perform(self, effect: Effect, then: Callable[[Any], None]) -> None:
        match effect:
            case Send():
                self._send(effect, then)
            case Sleep(seconds):
                self.world.after(seconds, lambda: then(None))
            case AskAside(send, heard):
                self._send(send, heard)
                then(None)
            case SendAll(sends):
                self._send_all(sends, then)

    def _send(self, send: Send, then: Callable[[Message | Failure], None]) -> None:
        method, request, timeout = send.method, send.request, send.timeout
        try:
            self.network.submit(send.endpoint, method, request, timeout, then, send.left)
        except NamestoreError as refused_here:
            failure = refused_here
            self.world.after(0.0, lambda: then(failure))

    def _send_all(self, sends: Sequence[Send], then: Callable[[Any], None]) -> None:
        answers: dict[int, Any] = {}

        def heard(place: int, answer: Any) -> None:
            answers[place] = answer
            if len(answers) == len(sends):
                then([answers[place] for place in range(len(sends))])

        for place, send in enumerate(sends):
            self._send(send, lambda answer, place=place: heard(place, answer))  # type: ignore[misc]


@dataclass(frozen=True)
class Client:
    """A client of the cluster: what its calls share, and the network they go over."""

    session: Session
    network: Any


def client_of(world: World, lines: Lines, hosts: Sequence[Any], plan: Plan, name: str) -> Client:
    """A client as an application makes it.

    It may know some of the nodes only, unless nodes come and go.
    """
    rng = Random(world.rng.getrandbits(64))
    known = [host.node_id for host in hosts]
    if plan == plan.unchanging() and rng.random() < 0.3:
        known = rng.sample(known, rng.randrange(1, len(known) + 1))
    endpoints = Endpoints([f"{node_id}:2" for node_id in known], rng)
    session = Session(endpoints, plan.lines.call_timeout, lambda: world.now, rng)
    return Client(session, network_of(lines, name, plan.shares))


class OfficialCaller:
    """One caller, one call at a time.

    Attributes:
        record: Everything it asked and heard.
        stopped: It begins nothing new.
        idle: Nothing is under way.
        served: Calls that were answered.
        pause: Seconds between two calls, at most.
        denied: request_ids of what was called certainly not done.
    """

    def __init__(self, world: World, client: Client, plan: Plan, number: int) -> None:
        self.world, self.session = world, client.session
        self.plan, self.number = plan, number
        self.record: list[Operation] = []
        self.denied: set[str] = set()
        self.stopped = False
        self.idle = True
        self.served = 0
        self.pause = plan.pause
        self._driver = Driver(world, client.network)
        self._rng = Random(world.rng.getrandbits(64))

    def begin(self) -> None:
        """Starts the next call after a while."""
        self.idle = True
        self.world.after(self.pause * self._rng.random(), self._next)

    def _next(self) -> None:
        if self.stopped:
            return
        self.idle = False
        rng, plan = self._rng, self.plan
        draw = rng.random() - plan.registers
        many = rng.random() < plan.many
        if draw < 0:
            self._register_many() if many else self._change(Ask.REGISTER)
        elif draw < plan.releases:
            self._change(Ask.RELEASE)
        elif many:
            self._list() if rng.random() < 0.3 else self._look_up_many()
        else:
            self._look_up()

    # -- the calls --------------------------------------------------------------------------

    def _change(self, ask: Ask) -> None:
        self._ask_change(ask, self._name(), self._owner(), self._identity())

    def _ask_change(self, ask: Ask, name: str, owner: str, identity: bytes) -> None:
        (place,) = self._note([(ask, name, owner, identity.hex())])

        def heard(result: Any) -> None:
            self._take_down([place], [result])
            unknown = self.record[place].said is Said.UNKNOWN
            if unknown and not self.stopped and self._rng.random() < _ASKS_AGAIN:
                self._ask_change(ask, name, owner, identity)
            else:
                self.begin()

        session = self.session
        if ask is Ask.REGISTER:
            call: Any = operations.register(session, name, owner, b"", None, identity, None)
        else:
            call = operations.release(session, name, owner, 0, identity, None)
        self._driver.run(call, heard)

    def _register_many(self) -> None:
        names, owner, identity = self._names(), self._owner(), self._identity()
        places = self._note(
            [
                (Ask.REGISTER, name, owner, member_id.hex())
                for name, member_id in zip(names, member_request_ids(identity), strict=False)
            ]
        )
        together = self._rng.random() < 0.5
        call = operations.register_many(
            self.session, names, owner, b"", None, together, identity, None
        )
        self._driver.run(call, lambda results: self._heard_many(places, results))

    def _look_up(self) -> None:
        name = self._name()
        places = self._note([(Ask.LOOKUP, name, "", "")])
        call = operations.lookup(self.session, name, False, None)
        self._driver.run(call, lambda result: self._heard_many(places, [result]))

    def _look_up_many(self) -> None:
        names = self._names()
        places = self._note([(Ask.LOOKUP, name, "", "") for name in names])
        call = operations.lookup_many(self.session, names, False, None)
        self._driver.run(call, lambda results: self._heard_many(places, results))

    def _list(self) -> None:
        names = [f"user:{number}" for number in range(self.plan.names)]
        places = self._note([(Ask.LOOKUP, name, "", "") for name in names])

        def heard(result: Any) -> None:
            if not isinstance(result, NamestoreError):
                held = {record.name: record for record in result[0]}
                result = [held.get(name) for name in names]
            self._heard_many(places, result)

        self._driver.run(operations.list_page(self.session, "user:", "", False, None), heard)

    # -- the record -------------------------------------------------------------------------

    def _note(self, asked: list[tuple[Ask, str, str, str]]) -> list[int]:
        """Takes down what is asked; returns where."""
        first = len(self.record)
        self.record += [Operation(str(self.number), *what, self.world.now) for what in asked]
        return list(range(first, len(self.record)))

    def _heard_many(self, places: list[int], results: Any) -> None:
        many = [results] * len(places) if isinstance(results, NamestoreError) else results
        self._take_down(places, many)
        self.begin()

    def _take_down(self, places: list[int], results: Sequence[Any]) -> None:
        now = self.world.now
        for place, result in zip(places, results, strict=True):
            fields = _returned(result) | self._seen_at(result)
            if isinstance(result, Unavailable) and self.record[place].request_id:
                self.denied.add(self.record[place].request_id)
            if fields["said"] is not Said.UNKNOWN:  # which may still happen, at any later time
                self.record[place] = replace(self.record[place], returned=now, **fields)
        self.served += any(self.record[place].answered for place in places)

    def _seen_at(self, result: Any) -> Fields:
        """The revision of a look-up's answer, which the library does not hand on."""
        if result is not None and not isinstance(result, NameRecord):
            return {}
        answer: Any = self._driver.last
        if hasattr(answer, "results"):
            answer = answer.results[0]
        return {"revision": answer.revision}

    # -- chance -----------------------------------------------------------------------------

    def _name(self) -> str:
        return f"user:{self._rng.randrange(self.plan.names)}"

    def _names(self) -> list[str]:
        count = min(self.plan.names, self._rng.randrange(1, _MANY_MAX + 1))
        return [f"user:{number}" for number in self._rng.sample(range(self.plan.names), count)]

    def _owner(self) -> str:
        return f"c{self.number}" if self._rng.random() < 0.5 else "shared"

    def _identity(self) -> bytes:
        return self._rng.getrandbits(64).to_bytes(8, "big")


def _returned(result: Any) -> Fields:
    """What the library's answer about one name says."""
    match result:
        case NamestoreError():
            return refused(result)
        case int():
            return {"said": Said.RELEASED, "revision": result}
        case None:
            return {"said": Said.NOT_FOUND}
        case NameRecord():
            return {"said": Said.FOUND} | _holder(result)
        case RegisterResult(registered=True, record=NameRecord() as record):
            return {"said": Said.GRANTED, "revision": record.create_revision}
        case RegisterResult(record=NameRecord() as record):
            return {"said": Said.TAKEN, "revision": result.revision} | _holder(record)
        case RegisterResult(record=None):
            return {"said": Said.NOT_DONE}  # not tried: only all together would have been
    raise TypeError(f"no answer of the client library: {result!r}")


def _holder(record: NameRecord) -> Fields:
    return {"holder_owner": record.owner, "holder_revision": record.create_revision}
