"""Callers that know the wire contract only: generated stubs, and retries of their own.

A request is sent to any node, again to another under the same request_id when its answer is
lost, to two nodes at once at times, and once more long after it was answered. Every attempt is
recorded as a call. Invariant: "certainly not" is taken from a server's own details only.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from random import Random
from typing import Any

import grpc
from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status

from namestore.v1 import registry_pb2, registry_pb2_grpc
from tests.support.history import Ask, Call, Said
from tests.torture.recording import RecordedHistory, StaleRead

_NOT_DONE = {"NO_QUORUM", "NO_LEADER", "OVERLOADED", "SHUTTING_DOWN"}
_HEARD = {**dict.fromkeys(_NOT_DONE, Said.NOT_DONE), "OUTCOME_UNKNOWN": Said.UNKNOWN}
_REFUSED = {"NAME_NOT_FOUND": Said.NOT_FOUND, "NOT_OWNER": Said.NOT_OWNER}  # of a release
_ATTEMPTS_MAX = 8
_TIMEOUTS_SECONDS = (0.4, 1.0, 3.5)
_PAUSE_SECONDS_MAX = 0.2
_HEDGED, _REPEATED = 0.1, 0.06
_TRUSTING = 0.5  # the share of "certainly not" after which nobody asks again: was it true?
_REMEMBERED = 200
_OPTIONS = (
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)

Hear = Callable[[Sequence[Call], Any], None]


@dataclass(frozen=True)
class _Asked:
    """A request as it goes over the wire, and the calls that it stands for in the history."""

    method: str
    request: Any
    calls: tuple[tuple[Ask, str, str, str], ...]  # what, name, owner, request_id
    hear: Hear


def open_stubs(endpoints: Sequence[str], stack: ExitStack) -> list[Any]:
    """A stub for each node; the stack closes their channels."""
    channels = [grpc.insecure_channel(endpoint, options=_OPTIONS) for endpoint in endpoints]
    return [
        registry_pb2_grpc.NameRegistryStub(stack.enter_context(channel)) for channel in channels
    ]


def hear_register(calls: Sequence[Call], answer: registry_pb2.RegisterResponse) -> None:
    """What a Register answer says."""
    record = answer.record
    if answer.registered:
        calls[0].answer(Said.GRANTED, record.create_revision)
    elif answer.HasField("record"):
        calls[0].answer(Said.TAKEN, answer.revision, record.owner, record.create_revision)
    else:  # not granted because of others of its batch
        calls[0].answer(Said.NOT_DONE)


def _hear_many(calls: Sequence[Call], answer: registry_pb2.RegisterManyResponse) -> None:
    for call, result in zip(calls, answer.results, strict=True):
        hear_register((call,), result)


def _hear_release(calls: Sequence[Call], answer: registry_pb2.ReleaseResponse) -> None:
    calls[0].answer(Said.RELEASED, answer.revision)


def _hear_lookup(calls: Sequence[Call], answer: registry_pb2.LookupResponse) -> None:
    if answer.found:
        record = answer.record
        calls[0].answer(Said.FOUND, answer.revision, record.owner, record.create_revision)
    else:
        calls[0].answer(Said.NOT_FOUND, answer.revision)


class RawCaller:
    """One caller with stubs for all nodes; it owns under its own name. Blocks."""

    def __init__(
        self, name: str, stubs: Sequence[Any], history: RecordedHistory, random: Random
    ) -> None:
        self.name = name
        self._stubs = stubs
        self._history = history
        self._random = random
        self._past: deque[_Asked] = deque(maxlen=_REMEMBERED)

    async def register(self, name: str) -> bool:
        asked = self._register(name)
        calls = self._until_answered(asked)
        self._repeat_something()
        return calls[0].done is not None and calls[0].done.said is Said.GRANTED

    async def release(self, name: str) -> None:
        identity = os.urandom(16)
        request = registry_pb2.ReleaseRequest(name=name, owner=self.name, request_id=identity)
        call = (Ask.RELEASE, name, self.name, identity.hex())
        self._until_answered(_Asked("Release", request, (call,), _hear_release))

    async def lookup(self, name: str) -> None:
        request = registry_pb2.LookupRequest(name=name)
        call = (Ask.LOOKUP, name, "", "")
        self._until_answered(_Asked("Lookup", request, (call,), _hear_lookup))

    async def lookup_stale(self, name: str) -> None:
        called = time.monotonic()
        request = registry_pb2.LookupRequest(name=name, consistency=registry_pb2.STALE)
        try:
            answer = self._random.choice(self._stubs).Lookup(request, timeout=1.0)
        except grpc.RpcError as error:
            hear_error((), error)  # an unexpected one ends the process
            return
        now, record = time.monotonic(), answer.record
        read = StaleRead(self.name, name, called, now, answer.revision)
        if answer.found:
            read = StaleRead(
                self.name, name, called, now, answer.revision, record.owner, record.create_revision
            )
        self._history.stale(read)

    async def register_each(self, names: Sequence[str]) -> list[str]:
        calls = self._until_answered(self._many(names, self.name, "INDEPENDENT"))
        done = [call.done for call in calls if call.done is not None]
        return [operation.name for operation in done if operation.said is Said.GRANTED]

    async def register_all(self, names: Sequence[str], owner: str) -> None:
        self._until_answered(self._many(names, owner, "ALL_OR_NOTHING"))

    def _register(self, name: str) -> _Asked:
        identity = os.urandom(16)
        request = registry_pb2.RegisterRequest(name=name, owner=self.name, request_id=identity)
        call = (Ask.REGISTER, name, self.name, identity.hex())
        return _Asked("Register", request, (call,), hear_register)

    def _many(self, names: Sequence[str], owner: str, mode: str) -> _Asked:
        identities = [os.urandom(16) for _ in names]
        requests = [
            registry_pb2.RegisterRequest(name=name, owner=owner, request_id=identity)
            for name, identity in zip(names, identities, strict=True)
        ]
        request = registry_pb2.RegisterManyRequest(
            requests=requests, mode=registry_pb2.RegisterManyRequest.Mode.Value(mode)
        )
        calls = tuple(
            (Ask.REGISTER, name, owner, identity.hex())
            for name, identity in zip(names, identities, strict=True)
        )
        return _Asked("RegisterMany", request, calls, _hear_many)

    def _until_answered(self, asked: _Asked) -> list[Call]:
        """Sends it until it is answered, or gives up; the calls of the last attempt."""
        calls: list[Call] = []
        for _ in range(_ATTEMPTS_MAX):
            hedged = self._random.random() < _HEDGED
            stubs = self._random.sample(self._stubs, 2 if hedged else 1)
            for calls in self._attempt(asked, stubs):
                if any(call.done is not None and call.done.answered for call in calls):
                    self._past.append(asked)
                    return calls
            if all(_refused(call) for call in calls) and self._random.random() < _TRUSTING:
                return calls
            time.sleep(self._random.uniform(0, _PAUSE_SECONDS_MAX))
        return calls

    def _attempt(self, asked: _Asked, stubs: Sequence[Any]) -> list[list[Call]]:
        """Sends it to all of these nodes at once, and waits for each."""
        timeout = self._random.choice(_TIMEOUTS_SECONDS)
        with ExitStack() as stack:
            sent = []
            for stub in stubs:
                calls = [
                    stack.enter_context(self._history.call(self.name, *call))
                    for call in asked.calls
                ]
                future = getattr(stub, asked.method).future(asked.request, timeout=timeout)
                sent.append((calls, future))
            for calls, future in sent:
                try:
                    asked.hear(calls, future.result())
                except grpc.RpcError as error:
                    hear_error(calls, error)
            return [calls for calls, _ in sent]

    def _repeat_something(self) -> None:
        """A late duplicate: it must hear what was heard before, and change nothing."""
        if self._past and self._random.random() < _REPEATED:
            self._attempt(self._random.choice(self._past), self._random.sample(self._stubs, 1))


def _refused(call: Call) -> bool:
    return call.done is not None and call.done.said is Said.NOT_DONE


def hear_error(calls: Sequence[Call], error: Any) -> None:
    """What an error says about calls that were made together.

    Raises:
        grpc.RpcError: It is one that nothing in this workload should lead to.
    """
    status = rpc_status.from_call(error)
    for detail in status.details if status is not None else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info) and info.domain == "namestore":
            heard = _HEARD | (_REFUSED if _release_alone(calls) else {})
            if info.reason not in heard:
                raise error
            for call in calls:
                # A refusal does not say whose the name is, but since when.
                since = int(info.metadata.get("create_revision", "0"))
                call.answer(heard[info.reason], holder_revision=since)
            return
    # Made by a channel: unknown, as long as nothing else is heard.


def _release_alone(calls: Sequence[Call]) -> bool:
    return [call.operation.ask for call in calls] == [Ask.RELEASE]
