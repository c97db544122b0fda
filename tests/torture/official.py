"""Callers that use namestore's own client, blocking or asyncio: the same calls, the same words.

What the client says is put into the words of `tests.support.history` here. Invariant: an error
that the client should not have made ends the process; it is never taken for an answer.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from inspect import isawaitable
from typing import Any

from namestore.client.values import NameRecord, RegisterResult
from namestore.errors import NameNotFound, NotOwner, OutcomeUnknown, Unavailable
from tests.support.history import Ask, Call, Said
from tests.torture.recording import RecordedHistory, StaleRead


@contextmanager
def _errors_heard(*calls: Call) -> Iterator[None]:
    """What errors say about calls that were made together."""
    try:
        yield
    except OutcomeUnknown:
        return
    except Unavailable:
        for call in calls:
            call.answer(Said.NOT_DONE)


@contextmanager
def _refusals_heard(call: Call) -> Iterator[None]:
    """What errors say about a release."""
    try:
        yield
    except NameNotFound:
        call.answer(Said.NOT_FOUND)
    except NotOwner as error:
        # It does not say whose the name is, but since when; the judges ask whether it can be so.
        call.answer(Said.NOT_OWNER, holder_revision=int(error.metadata.get("create_revision", "0")))


def _granted(call: Call) -> bool:
    return call.done is not None and call.done.said is Said.GRANTED


def _note(call: Call, result: RegisterResult) -> None:
    record = result.record
    if result and record is not None:
        call.answer(Said.GRANTED, record.create_revision)
    elif record is not None:
        call.answer(Said.TAKEN, result.revision, record.owner, record.create_revision)
    else:  # not granted because of others of its batch
        call.answer(Said.NOT_DONE)


class OfficialCaller:
    """A caller with a `NameStore`, of either flavour; it owns under its own name."""

    def __init__(self, name: str, store: Any, history: RecordedHistory) -> None:
        self.name = name
        self._store = store
        self._history = history

    async def register(self, name: str) -> bool:
        identity = os.urandom(16)
        with self._call(Ask.REGISTER, name, self.name, identity.hex()) as call, _errors_heard(call):
            asked = self._store.register(name, self.name, request_id=identity)
            _note(call, await _result(asked))
        return _granted(call)

    async def release(self, name: str) -> None:
        identity = os.urandom(16)
        with self._call(Ask.RELEASE, name, self.name, identity.hex()) as call:
            with _errors_heard(call), _refusals_heard(call):
                asked = self._store.release(name, self.name, request_id=identity)
                call.answer(Said.RELEASED, await _result(asked))

    async def lookup(self, name: str) -> None:
        with self._call(Ask.LOOKUP, name) as call, _errors_heard(call):
            record: NameRecord | None = await _result(self._store.lookup(name))
            if record is None:
                call.answer(Said.NOT_FOUND)
            else:
                call.answer(Said.FOUND, None, record.owner, record.create_revision)

    async def lookup_stale(self, name: str) -> None:
        called = time.monotonic()
        with _errors_heard():
            record: NameRecord | None = await _result(self._store.lookup(name, stale=True))
            if record is not None:  # without a record the client does not tell the revision
                read = StaleRead(
                    self.name,
                    name,
                    called,
                    time.monotonic(),
                    record.create_revision,
                    record.owner,
                    record.create_revision,
                )
                self._history.stale(read)

    async def register_each(self, names: Sequence[str]) -> list[str]:
        return await self._many(names, self.name, all_or_nothing=False)

    async def register_all(self, names: Sequence[str], owner: str) -> None:
        await self._many(names, owner, all_or_nothing=True)

    async def _many(self, names: Sequence[str], owner: str, *, all_or_nothing: bool) -> list[str]:
        identity = os.urandom(16)
        with ExitStack() as stack:
            # The client draws the ids of the single requests; nobody else sends these again.
            calls: list[Call] = [
                stack.enter_context(
                    self._call(Ask.REGISTER, name, owner, f"{identity.hex()}/{number}")
                )
                for number, name in enumerate(names)
            ]
            stack.enter_context(_errors_heard(*calls))
            asked = self._store.register_many(
                names, owner, all_or_nothing=all_or_nothing, request_id=identity
            )
            results: Sequence[RegisterResult] = await _result(asked)
            for call, result in zip(calls, results, strict=True):
                _note(call, result)
        return [call.operation.name for call in calls if _granted(call)]

    def _call(self, ask: Ask, name: str, owner: str = "", request_id: str = "") -> Any:
        return self._history.call(self.name, ask, name, owner, request_id)


async def _result(asked: Any) -> Any:
    return await asked if isawaitable(asked) else asked
