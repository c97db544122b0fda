"""The registry as one would explain it on a page: two dicts and a counter.

It shares no code with the state machine beyond the types of commands. What it cannot know, namely
which outcomes past their time were forgotten already, it is told, and checks that it was allowed.
"""

from __future__ import annotations

from typing import NamedTuple

from namestore.core.commands import Command, Register, RegisterAll, Release, Wanted
from namestore.core.outcomes import Decision
from namestore.core.records import Record

DAY_MS = 24 * 60 * 60 * 1000


class Holding(NamedTuple):
    """Who holds a name, since which revision and time."""

    name: str
    display_name: str
    owner: str
    payload: bytes
    request_id: bytes
    revision: int
    time_ms: int


class Answer(NamedTuple):
    """How one name fared."""

    verdict: str
    revision: int
    holding: Holding | None


class Memory(NamedTuple):
    """A request that was answered."""

    command: Command
    answers: list[Answer]
    time_ms: int


class RegistryModel:
    """Names and who holds them; requests and what they were told."""

    def __init__(self) -> None:
        self.held: dict[str, Holding] = {}
        self.memory: dict[bytes, Memory] = {}
        self.revision = 0
        self.time_ms = 1

    def pass_time(self, time_ms: int) -> None:
        self.time_ms = max(self.time_ms, time_ms)

    def forget_all_but(self, remembered: set[bytes]) -> None:
        """Forgets what the registry forgot, if it was time."""
        for request_id in self.memory.keys() - remembered:
            age_ms = self.time_ms - self.memory.pop(request_id).time_ms
            assert age_ms > DAY_MS, f"{request_id!r} was forgotten after {age_ms} ms"

    def decide(self, command: Command) -> list[Answer]:
        known = self.memory.get(command.request_id)
        if known is None:
            answers = self._decide_anew(command)
            self.memory[command.request_id] = Memory(command, answers, self.time_ms)
            return answers
        if known.command == command:
            return known.answers
        return [self._answer("REQUEST_ID_REUSED")] * len(_names(command))

    def _decide_anew(self, command: Command) -> list[Answer]:
        match command:
            case Register(request_id, wanted):
                return self._register(request_id, (wanted,))
            case RegisterAll(request_id, many):
                return self._register(request_id, many)
            case Release():
                return [self._release(command)]

    def _register(self, request_id: bytes, many: tuple[Wanted, ...]) -> list[Answer]:
        if self.held.keys().isdisjoint(wanted.name for wanted in many):
            return [self._grant(request_id, wanted) for wanted in many]
        return [self._standing(request_id, wanted) for wanted in many]

    def _grant(self, request_id: bytes, wanted: Wanted) -> Answer:
        self.revision += 1
        holding = Holding(
            wanted.name,
            wanted.display_name,
            wanted.owner,
            wanted.payload,
            request_id,
            self.revision,
            self.time_ms,
        )
        self.held[wanted.name] = holding
        return self._answer("GRANTED", holding)

    def _standing(self, request_id: bytes, wanted: Wanted) -> Answer:
        holding = self.held.get(wanted.name)
        if holding is None:
            return self._answer("NOT_TRIED")
        if holding.request_id != request_id:
            return self._answer("TAKEN", holding)
        asked = (wanted.display_name, wanted.owner, wanted.payload)
        if asked != (holding.display_name, holding.owner, holding.payload):
            return self._answer("REQUEST_ID_REUSED")
        return self._answer("GRANTED", holding)

    def _release(self, command: Release) -> Answer:
        holding = self.held.get(command.name)
        if holding is None:
            return self._answer("NAME_NOT_FOUND")
        if holding.owner != command.owner:
            return self._answer("NOT_OWNER", holding)
        if command.create_revision and command.create_revision != holding.revision:
            return self._answer("STALE_FENCE", holding)
        del self.held[command.name]
        self.revision += 1
        return self._answer("RELEASED", holding)

    def _answer(self, verdict: str, holding: Holding | None = None) -> Answer:
        return Answer(verdict, self.revision, holding)


def as_answers(decision: Decision) -> list[Answer]:
    """What the state machine decided, in the words of the model."""
    return [
        Answer(outcome.verdict.name, outcome.revision, _as_holding(outcome.record))
        for outcome in decision
    ]


def _as_holding(record: Record | None) -> Holding | None:
    if record is None:
        return None
    return Holding(
        record.name,
        record.display_name,
        record.owner,
        record.payload,
        record.request_id,
        record.create_revision,
        record.create_time_ms,
    )


def _names(command: Command) -> tuple[Wanted, ...] | tuple[None]:
    return command.wanted if isinstance(command, RegisterAll) else (None,)
