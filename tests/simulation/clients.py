"""Callers of the simulated cluster: they register, retry, release and look up, and keep a record.

A caller speaks to a node over a line that loses questions and answers. Whatever it does not hear,
it asks again under the same request_id, there or elsewhere.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from namestore.core.commands import Command, Register, Release, Wanted, encode_command
from namestore.core.outcomes import Verdict
from namestore.core.records import decode_record
from namestore.core.state import name_key
from namestore.errors import NamestoreError, OutcomeUnknown, Unavailable
from namestore.raft.proposals import Proposal
from namestore.raft.reads import Read
from tests.simulation.world import World
from tests.support.history import Ask, Operation, Said


class Client:
    """One caller, one operation at a time."""

    def __init__(
        self, world: World, hosts: list[Any], number: int, names: int, loss: float
    ) -> None:
        self.world, self.hosts, self.number = world, hosts, number
        self.names, self.loss = names, loss
        self.record: list[Operation] = []
        self.held: dict[str, str] = {}
        self.stopped = False

    def begin(self) -> None:
        """Starts the next operation after a while."""
        if not self.stopped:
            self.world.after(0.2 * self.world.rng.random(), self._next)

    def _next(self) -> None:
        rng = self.world.rng
        name = f"user:{rng.randrange(self.names)}"
        owner = f"c{self.number}" if rng.random() < 0.7 else "shared"
        draw = rng.random()
        ask = Ask.REGISTER if draw < 0.55 else Ask.RELEASE if draw < 0.75 else Ask.LOOKUP
        request_id = "" if ask is Ask.LOOKUP else f"{rng.getrandbits(64):016x}"
        operation = Operation(
            str(self.number),
            ask,
            name,
            "" if ask is Ask.LOOKUP else owner,
            request_id,
            self.world.now,
        )
        self.record.append(operation)
        self._attempt(len(self.record) - 1, self.world.now + 3.0 + 5 * rng.random())

    def _attempt(self, place: int, give_up_at: float) -> None:
        """Asks some node; whatever comes back first, answer or silence, goes on from there."""
        world, heard, operation = self.world, [False], self.record[place]

        def again() -> None:
            if self.world.now >= give_up_at:
                self.begin()
            else:
                self._attempt(place, give_up_at)

        def silence() -> None:
            if not heard[0]:
                heard[0] = True
                again()

        def hear(answer: Any) -> None:
            if heard[0]:
                return
            heard[0] = True
            if isinstance(answer, OutcomeUnknown | Unavailable):
                world.after(0.05 + 0.2 * world.rng.random(), again)
            elif isinstance(answer, NamestoreError):
                raise answer
            else:
                self.record[place] = replace(operation, returned=world.now, **answer)
                self.begin()

        def answered(answer: Any) -> None:
            if not world.chance(self.loss):
                world.after(0.0005 + 0.002 * world.rng.random(), lambda: hear(answer))

        host = world.rng.choice(self.hosts)
        world.after(0.5 + 1.5 * world.rng.random(), silence)
        if not world.chance(self.loss):
            world.after(
                0.0005 + 0.002 * world.rng.random(), lambda: self._ask(host, operation, answered)
            )

    def _ask(self, host: Any, operation: Operation, answered: Any) -> None:
        if not host.running:
            return
        deadline = host.clock() + 0.3 + self.world.rng.random()
        if operation.ask is Ask.LOOKUP:
            read = Read(deadline, lambda error: answered(error or _look(host, operation.name)))
            refused = host.engine.reads.put(read)
        else:
            proposal = Proposal(
                [encode_command(_command(operation))],
                deadline,
                lambda answer: answered(_answer(answer)),
            )
            refused = host.engine.proposals.queue.put(proposal)
        if refused is not None:
            answered(refused)
        host.schedule_turn(0.0)


def _command(operation: Operation) -> Command:
    if operation.ask is Ask.REGISTER:
        wanted = Wanted(operation.name, operation.name, operation.owner)
        return Register(operation.request_id.encode(), wanted)
    return Release(operation.request_id.encode(), operation.name, operation.owner)


_SAID = {
    Verdict.GRANTED: Said.GRANTED,
    Verdict.TAKEN: Said.TAKEN,
    Verdict.RELEASED: Said.RELEASED,
    Verdict.NAME_NOT_FOUND: Said.NOT_FOUND,
    Verdict.NOT_OWNER: Said.NOT_OWNER,
}


def _answer(answer: Any) -> Any:
    """What the caller makes of a decision: the fields of its record, or the error."""
    if isinstance(answer, NamestoreError):
        return answer
    ((outcome,),) = answer
    said = _SAID[outcome.verdict]
    heard = {"said": said, "revision": outcome.revision}
    if said in (Said.TAKEN, Said.NOT_OWNER):
        heard |= {
            "holder_owner": outcome.record.owner,
            "holder_revision": outcome.record.create_revision,
        }
    return heard


def _look(host: Any, name: str) -> dict[str, Any]:
    with host.state.view() as view:
        (data,) = view.get_many([name_key(name)])
        revision = view.meta.revision
    if data is None:
        return {"said": Said.NOT_FOUND, "revision": revision}
    record = decode_record(name, data)
    return {
        "said": Said.FOUND,
        "revision": revision,
        "holder_owner": record.owner,
        "holder_revision": record.create_revision,
    }
