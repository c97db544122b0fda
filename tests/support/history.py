"""Who asked what, when, and what was heard: the record that the checkers judge.

Knows the contract only: nothing of namestore is imported, so a mistake there cannot hide here.
Times are any monotonic clock shared by the recorders of one history, in any unit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from math import inf


class Ask(Enum):
    """What was asked."""

    REGISTER = "register"
    RELEASE = "release"
    LOOKUP = "lookup"  # linearizable


class Said(Enum):
    """What was answered."""

    GRANTED = "granted"
    TAKEN = "taken"
    RELEASED = "released"
    NOT_FOUND = "not found"
    NOT_OWNER = "not owner"
    FOUND = "found"
    UNKNOWN = "unknown"  # it may have happened, or may yet
    NOT_DONE = "certainly not done"


@dataclass(frozen=True, slots=True)
class Operation:
    """One call as its caller saw it.

    Attributes:
        client: Who called.
        ask: What was asked.
        name: Of which name.
        owner: In whose name; empty for a lookup.
        request_id: Calls under one request_id are one request; empty for a lookup.
        called: When it was sent.
        returned: When the answer came; infinite as long as none has.
        said: The answer.
        revision: Of the answer: where in the order of changes it stands. GRANTED and RELEASED:
            the change itself (for a grant, its record's create_revision). Otherwise the state it
            was read from. None: not given, as with answers that are errors.
        holder_owner: TAKEN, NOT_OWNER, FOUND: who holds the name.
        holder_revision: And since which revision. 0: not given.
    """

    client: str
    ask: Ask
    name: str
    owner: str
    request_id: str
    called: float
    returned: float = inf
    said: Said = Said.UNKNOWN
    revision: int | None = None
    holder_owner: str = ""
    holder_revision: int = 0

    @property
    def answered(self) -> bool:
        """An answer came that says what happened."""
        return self.said not in (Said.UNKNOWN, Said.NOT_DONE)


@dataclass
class Call:
    """A call under way. Set what was heard with `answer`; unset, it is unknown."""

    operation: Operation
    done: Operation | None = None

    def answer(
        self,
        said: Said,
        revision: int | None = None,
        holder_owner: str = "",
        holder_revision: int = 0,
    ) -> None:
        """Says what was heard."""
        self.done = replace(
            self.operation,
            said=said,
            revision=revision,
            holder_owner=holder_owner,
            holder_revision=holder_revision,
        )


@dataclass
class History:
    """Records calls from any number of threads.

    Attributes:
        clock: Called before a request leaves and after its answer came.
    """

    clock: Callable[[], float]
    operations: list[Operation] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def call(
        self, client: str, ask: Ask, name: str, owner: str = "", request_id: str = ""
    ) -> Iterator[Call]:
        """Records one call; an exception that leaves the block leaves the outcome unknown."""
        call = Call(Operation(client, ask, name, owner, request_id, self.clock()))
        try:
            yield call
        finally:
            done = call.done or call.operation
            # What is not known to have ended may still happen, at any later time.
            if done.said is not Said.UNKNOWN:
                done = replace(done, returned=self.clock())
            with self._lock:
                self.operations.append(done)


def requests(operations: list[Operation]) -> list[Operation]:
    """One operation per request: attempts under one request_id become one.

    It was called when the first attempt was, and had returned when the first answer came: a retry
    that was answered later tells nothing new about when it happened. An attempt that was certainly
    not done adds nothing; a request all of whose attempts were so did not happen.

    Raises:
        AssertionError: Two attempts of one request heard different answers.
    """
    merged: dict[str, Operation] = {}
    single: list[Operation] = []
    for operation in sorted(operations, key=lambda operation: operation.called):
        if operation.said is Said.NOT_DONE:
            continue
        if not operation.request_id:
            single.append(operation)
            continue
        earlier = merged.get(operation.request_id)
        merged[operation.request_id] = operation if earlier is None else _merge(earlier, operation)
    return [*single, *merged.values()]


def _merge(first: Operation, second: Operation) -> Operation:
    asked = [(each.ask, each.name, each.owner) for each in (first, second)]
    assert asked[0] == asked[1], f"request_id {first.request_id!r} was used twice: {asked}"
    if not second.answered:
        return first
    if not first.answered:
        return replace(second, called=first.called)
    heard = [(each.said.value, each.revision) for each in (first, second)]
    assert heard[0] == heard[1], f"the attempts of {first.request_id!r} heard {heard}"
    return replace(first, returned=min(first.returned, second.returned))
