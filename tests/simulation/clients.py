"""Callers of the simulated cluster: they register, retry, release and look up, and keep a record.

A caller speaks to a node over a line that loses questions and answers. Whatever it does not hear,
it asks again under the same request_id, there or elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from namestore.core.commands import Command, Register, Release, Wanted, encode_command
from namestore.core.outcomes import Verdict
from namestore.core.records import decode_record
from namestore.core.state import name_key
from namestore.errors import NamestoreError, OutcomeUnknown, Unavailable
from namestore.raft.proposals import Proposal
from namestore.raft.reads import Read
from tests.simulation.world import World


@dataclass
class Operation:
    """One line of the record.

    Attributes:
        answer: (verdict, revision, holder's request_id) of a write; (revision, holder's
            request_id or None) of a read; None: unknown.
    """

    client: int
    kind: str
    name: str
    owner: str
    request_id: bytes
    began: float
    ended: float = float("inf")
    answer: tuple[Any, ...] | None = None
    refused: bool = False


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
        kind = "register" if draw < 0.55 else "release" if draw < 0.75 else "lookup"
        request_id = rng.getrandbits(64).to_bytes(8, "big")
        operation = Operation(self.number, kind, name, owner, request_id, self.world.now)
        self.record.append(operation)
        self._attempt(operation, self.world.now + 3.0 + 5 * rng.random())

    def _attempt(self, operation: Operation, give_up_at: float) -> None:
        """Asks some node; whatever comes back first, answer or silence, goes on from there."""
        world, heard = self.world, [False]

        def again() -> None:
            if self.world.now >= give_up_at:
                self._over(operation)
            else:
                self._attempt(operation, give_up_at)

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
                operation.answer = answer
                operation.ended = world.now
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

    def _over(self, operation: Operation) -> None:
        operation.ended = float("inf")
        self.begin()

    def _ask(self, host: Any, operation: Operation, answered: Any) -> None:
        if not host.running:
            return
        deadline = host.clock() + 0.3 + self.world.rng.random()
        if operation.kind == "lookup":
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
    if operation.kind == "register":
        wanted = Wanted(operation.name, operation.name, operation.owner)
        return Register(operation.request_id, wanted)
    return Release(operation.request_id, operation.name, operation.owner)


def _answer(answer: Any) -> Any:
    if isinstance(answer, NamestoreError):
        return answer
    ((outcome,),) = answer
    holder = outcome.record.request_id if outcome.record else None
    return (Verdict(outcome.verdict).name, outcome.revision, holder)


def _look(host: Any, name: str) -> tuple[int, bytes | None]:
    with host.state.view() as view:
        (data,) = view.get_many([name_key(name)])
        holder = None if data is None else decode_record(name, data).request_id
        return (view.meta.revision, holder)
