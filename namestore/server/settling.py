"""Commands of callers, carried to an answer: judged, proposed, and judged again where need be.

The first round judges by this node's own picture of the state and proposes what fits. What does not
fit, or was judged under a policy that is not in force any more, goes into a further round, which
begins with a read barrier: nothing is refused by a policy of yesterday, and a request that was
decided before any policy refused it hears that decision. So does one that the registry takes for
another request because a policy, or none, spelled its names otherwise the first time.

Invariants: each command has one answer. An error is the answer of those commands only whose round
met it: what was decided in an earlier round stays decided. A command is proposed again only after
the registry said that it did nothing, and under the same request_id.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from namestore.core.commands import (
    Command,
    RegisterEach,
    encode_command,
    names_count,
    spelled_out,
)
from namestore.core.deciding import each
from namestore.core.outcomes import Decision, Verdict
from namestore.core.reading import decided_before
from namestore.errors import NamestoreError, Overloaded
from namestore.raft.replica import Replica
from namestore.rpc.responses import Answer, Unfit
from namestore.server import judges, rulebook
from namestore.storage.interfaces import StateView

# Policies change by hand: more rounds mean that this node does not learn of the change.
_ROUNDS_MAX = 8
_IN_DOUBT = (Verdict.POLICY_CHANGED, Verdict.REQUEST_ID_REUSED)


class Proposer(Protocol):
    """What settling needs of a gateway: of `Gateway`, `decide` and `catch_up`."""

    async def decide(
        self, encoded: Sequence[bytes], names: int, timeout: float
    ) -> Sequence[Decision]:
        """Hands encoded commands to the replica; raises `NamestoreError`."""
        ...

    async def catch_up(self, timeout: float) -> None:
        """Returns once the replica's view reflects what was answered before; or raises."""
        ...


async def settle(
    commands: Sequence[Command],
    timeout: float,
    *,
    proposer: Proposer,
    replica: Replica,
    clock: Callable[[], float],
) -> Sequence[Answer]:
    """One answer for each command, in order.

    Of a batch that is written as one there is one for all of it, or one for each of its names.

    Args:
        commands: As their callers asked, in NFC and not judged.
        timeout: Seconds.
        proposer: Proposes, and waits for barriers.
        replica: Whose state is read.
        clock: Monotonic seconds.

    Raises:
        InvalidRequest: Two names of one command are one under their policy.
        NamestoreError: Nothing was decided, of any command.
    """
    deadline = clock() + timeout
    if not replica.meta.namespace_count:
        # Nothing to judge by, and mostly nothing left to do: no book is kept on places.
        decisions = await _decided(commands, proposer, timeout)
        if not any(map(_is_in_doubt, decisions)):
            return decisions
        each_decided = _each_by_itself(commands, decisions)
        settling = _Settling([command for command, _ in each_decided], proposer, replica)
        places = range(len(each_decided))
        left = settling.take_in(places, [decision for _, decision in each_decided])
    else:
        # A policy judges name by name.
        singly = [single for command in commands for single in spelled_out(command)]
        settling = _Settling(singly, proposer, replica)
        left = await judges.with_judges(lambda: settling.first_round(deadline - clock()))
    try:
        for _ in range(_ROUNDS_MAX):
            if not left:
                return settling.given()
            await proposer.catch_up(max(0.0, deadline - clock()))
            left = await judges.with_judges(
                lambda places=left: settling.further_round(places, deadline - clock())  # type: ignore[misc]
            )
        raise Overloaded("the namespace's policy keeps changing; nothing was done, ask again")
    except NamestoreError as error:
        if not settling.answers:
            raise
        for place in left:
            settling.answers.setdefault(place, error)
        return settling.given()


class _Settling:
    """One call of `settle`.

    Attributes:
        answers: By the place of the command.
    """

    def __init__(self, commands: Sequence[Command], proposer: Proposer, replica: Replica) -> None:
        self._commands = commands
        self._proposer = proposer
        self._replica = replica
        self._taken_for_others: set[int] = set()
        self.answers: dict[int, Answer] = {}

    def given(self) -> list[Answer]:
        """The answers in order."""
        return [self.answers[place] for place in range(len(self._commands))]

    async def first_round(self, timeout: float) -> list[int]:
        """Proposes what fits; returns the places of what is left."""
        places = range(len(self._commands))
        with self._replica.view() as view:
            book = rulebook.rulebook(view, rulebook.names_in(self._commands))
            revision = view.meta.revision
        if not book:
            return await self._propose(places, self._commands, timeout)
        judged = [rulebook.judged(book, command, revision) for command in self._commands]
        fit = [place for place in places if not isinstance(judged[place], Unfit)]
        unfit = [place for place in places if isinstance(judged[place], Unfit)]
        proposed = [item for item in judged if not isinstance(item, Unfit)]
        return sorted((*unfit, *await self._propose(fit, proposed, timeout)))

    async def further_round(self, places: Sequence[int], timeout: float) -> list[int]:
        """As the first one, at a linearizable picture: what does not fit now is answered so."""
        fit: list[int] = []
        proposed: list[Command] = []
        with self._replica.view() as view:
            commands = [self._commands[place] for place in places]
            book = rulebook.rulebook(view, rulebook.names_in(commands))
            for place, command in zip(places, commands, strict=True):
                judged = rulebook.judged(book, command, view.meta.revision)
                before = _decided_before(view, command, judged)
                if before is not None:
                    self.answers[place] = before
                elif isinstance(judged, Unfit):
                    self.answers[place] = judged
                else:
                    fit.append(place)
                    proposed.append(judged)
        return await self._propose(fit, proposed, timeout)

    async def _propose(
        self, places: Sequence[int], commands: Sequence[Command], timeout: float
    ) -> list[int]:
        """Has the commands decided; returns the places of those that must be judged again."""
        if not commands:
            return []
        return self.take_in(places, await _decided(commands, self._proposer, timeout))

    def take_in(self, places: Sequence[int], decisions: Sequence[Decision]) -> list[int]:
        """Takes what became of commands; returns the places of those that must be judged again."""
        again: list[int] = []
        for place, decision in zip(places, decisions, strict=True):
            if _is_in_doubt(decision) and self._may_ask_again(place, decision):
                again.append(place)
            else:
                self.answers[place] = decision
        return again

    def _may_ask_again(self, place: int, decision: Decision) -> bool:
        """Once for what is taken for another request: then every form of it was looked for."""
        if decision[0].verdict is Verdict.POLICY_CHANGED:
            return True
        first = place not in self._taken_for_others
        self._taken_for_others.add(place)
        return first


async def _decided(
    commands: Sequence[Command], proposer: Proposer, timeout: float
) -> Sequence[Decision]:
    encoded = [encode_command(command) for command in commands]
    return await proposer.decide(encoded, sum(map(names_count, commands)), timeout)


def _decided_before(view: StateView, command: Command, judged: Command | Unfit) -> Decision | None:
    """What the request was told, be it remembered as its caller asked or as it is judged now."""
    told = decided_before(view, command)
    if told is None or told[0].verdict is not Verdict.REQUEST_ID_REUSED:
        return told
    return told if isinstance(judged, Unfit) else decided_before(view, judged)


def _is_in_doubt(decision: Decision) -> bool:
    """Something was not done: judged under a policy not in force, or taken for another request."""
    return any(outcome.verdict in _IN_DOUBT for outcome in decision)


def _each_by_itself(
    commands: Sequence[Command], decisions: Sequence[Decision]
) -> list[tuple[Command, Decision]]:
    """The commands, spelled out, and what was decided of each."""
    found: list[tuple[Command, Decision]] = []
    for command, decision in zip(commands, decisions, strict=True):
        told: Sequence[Decision] = (decision,)
        if isinstance(command, RegisterEach):
            told = [(outcome,) for outcome in each.spelled_out(command, decision)]
        found.extend(zip(spelled_out(command), told, strict=True))
    return found
