"""Callers whose calls are recorded, one or many of them, in threads beside the test.

What a `NameStore` says is put into the words of `history` here, and nowhere else.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from types import TracebackType
from typing import Self

from namestore import NameStore
from namestore.client.values import RegisterResult
from namestore.errors import NameNotFound, NotOwner, OutcomeUnknown, Unavailable
from tests.support.eventually import eventually
from tests.support.history import Ask, Call, History, Said


@dataclass(frozen=True)
class Caller:
    """A client that records each call under its own name, which is also the owner it states."""

    store: NameStore
    history: History
    client: str

    def register(self, name: str, request_id: bytes | None = None) -> RegisterResult | None:
        """None: not done, or not known."""
        identity = request_id or os.urandom(16)
        with self._call(Ask.REGISTER, name, identity) as call:
            try:
                result = self.store.register(name, self.client, request_id=identity)
            except OutcomeUnknown:
                return None
            except Unavailable:
                call.answer(Said.NOT_DONE)
                return None
            note(call, result)
        return result

    def release(self, name: str) -> None:
        """Gives a name back, or learns that it cannot."""
        identity = os.urandom(16)
        with self._call(Ask.RELEASE, name, identity) as call:
            try:
                call.answer(
                    Said.RELEASED, self.store.release(name, self.client, request_id=identity)
                )
            except OutcomeUnknown:
                return
            except Unavailable:
                call.answer(Said.NOT_DONE)
            except NameNotFound:
                call.answer(Said.NOT_FOUND)
            except NotOwner:
                # The answer does not say whose the name is: nothing to judge.
                call.answer(Said.NOT_DONE)

    def lookup(self, name: str) -> None:
        """A linearizable look-up."""
        with self.history.call(self.client, Ask.LOOKUP, name) as call:
            try:
                record = self.store.lookup(name)
            except Unavailable:
                call.answer(Said.NOT_DONE)
                return
            if record is None:
                call.answer(Said.NOT_FOUND)
            else:
                call.answer(Said.FOUND, None, record.owner, record.create_revision)

    def _call(self, ask: Ask, name: str, identity: bytes):  # type: ignore[no-untyped-def]
        return self.history.call(self.client, ask, name, self.client, identity.hex())


def note(call: Call, result: RegisterResult) -> None:
    """What the answer to a register request says, in the words of a history."""
    record = result.record
    assert record is not None, "an answer always carries the record, granted or in the way"
    if result:
        call.answer(Said.GRANTED, record.create_revision)
    else:
        call.answer(Said.TAKEN, result.revision, record.owner, record.create_revision)


@dataclass
class Load:
    """Callers in threads that ask without pause for names from a small pool, while it is entered.

    Each registers, looks up, and releases what it was granted, so that names change hands.

    Attributes:
        endpoints: Of the nodes, as `NameStore` takes them.
        names: How many names they share.
        timeout: Seconds of each call.
    """

    endpoints: str
    history: History
    callers: int = 4
    names: int = 60
    prefix: str = "user:load-"
    seed: int = 1
    timeout: float = 4.0
    client_prefix: str = "caller"
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _failures: list[BaseException] = field(default_factory=list)

    def __enter__(self) -> Self:
        for number in range(self.callers):
            thread = threading.Thread(target=self._guarded, args=(number,), daemon=True)
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        if error is None and self._failures:
            raise self._failures[0]
        if error is None:
            assert not any(thread.is_alive() for thread in self._threads), "a call hangs"

    @property
    def answered(self) -> int:
        """Calls of this load that were answered so far."""
        mine = [each for each in list(self.history.operations) if self._is_mine(each.client)]
        return sum(each.answered for each in mine)

    def wait_for_answers(self, more: int, timeout: float = 60.0) -> None:
        """Waits until so many more calls were answered."""
        goal = self.answered + more
        eventually(lambda: self._failures or self.answered >= goal, f"{more} answers", timeout)

    def _is_mine(self, client: str) -> bool:
        return client.startswith(self.client_prefix)

    def _guarded(self, number: int) -> None:
        try:
            with NameStore(self.endpoints, timeout=self.timeout) as store:
                self._ask_on(Caller(store, self.history, f"{self.client_prefix}-{number}"), number)
        except BaseException as error:  # noqa: BLE001  # raised again where the test can see it
            self._failures.append(error)

    def _ask_on(self, caller: Caller, number: int) -> None:
        random = Random(f"{self.seed}/{number}")
        mine: list[str] = []
        while not self._stop.is_set():
            name = f"{self.prefix}{random.randrange(self.names)}"
            choice = random.random()
            if choice < 0.6:
                if caller.register(name):
                    mine.append(name)
            elif choice < 0.8 or not mine:
                caller.lookup(name)
            else:
                caller.release(mine.pop(random.randrange(len(mine))))


def in_thread(function: Callable[[], object]) -> Callable[[], object]:
    """Runs a function beside the test. Returns what waits for its result, or raises its error."""
    outcome: list[object] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(function())
        except BaseException as error:  # noqa: BLE001  # raised again where the test can see it
            failure.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def result() -> object:
        thread.join(60)
        assert not thread.is_alive(), "it hangs"
        if failure:
            raise failure[0]
        return outcome[0]

    return result
