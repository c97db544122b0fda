"""A network of scripted nodes on simulated time, and a client of either flavour over it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from google.protobuf.message import Message

from namestore.client import asynchronous, blocking
from namestore.client.drivers import AsyncDriver, BlockingDriver
from namestore.client.endpoints import Endpoints
from namestore.client.methods import Method
from namestore.client.network import Done, Failure, NoAnswer, Silence
from namestore.client.session import Session
from namestore.rpc.batches import member_requests
from namestore.v1 import cluster_pb2 as cluster
from namestore.v1 import registry_pb2 as registry

Answer = Message | Failure


@dataclass
class FakeClock:
    """Monotonic seconds that pass only when told."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Sent:
    """One attempt that reached the network."""

    endpoint: str
    method: str
    request: Any
    timeout: float


class FakeNode:
    """One endpoint. Answers from its script first, then as a registry that grants everything.

    A script entry is an answer, a failure, or a function of the request. `hang` takes the whole
    timeout of every attempt; `refuse` takes no time.
    """

    def __init__(self, endpoint: str, node_id: str, leader_id: str) -> None:
        self.endpoint = endpoint
        self.script: list[Answer | Callable[[Any], Answer]] = []
        self.status = cluster.StatusResponse(
            node_id=node_id, cluster_name="test", leader_id=leader_id
        )
        self.state = "up"

    def answer(self, method: Method[Any, Any], request: Message) -> Answer:
        if self.state == "refuse":
            return NoAnswer(self.endpoint, Silence.LOST, "Connection refused")
        if self.state == "hang":
            return NoAnswer(self.endpoint, Silence.TIMED_OUT, "does not answer in time")
        if self.state == "foreign":
            return NoAnswer(
                self.endpoint, Silence.FOREIGN, "answers, but not as a namestore server"
            )
        if method.name == "Status":
            return self.status
        if self.script:
            scripted = self.script.pop(0)
            return scripted(request) if callable(scripted) else scripted
        return _granted(method, request)


@dataclass
class FakeNetwork:
    """Implements `Network` over fake nodes; keeps what was sent."""

    clock: FakeClock
    nodes: dict[str, FakeNode]
    sent: list[Sent] = field(default_factory=list)
    closed: int = 0

    def call(
        self,
        endpoint: str,
        method: Method[Any, Any],
        request: Message,
        timeout: float,
        left: float | None = None,
    ) -> Message:
        answer = self._answer(endpoint, method, request, timeout)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def submit(
        self,
        endpoint: str,
        method: Method[Any, Any],
        request: Message,
        timeout: float,
        done: Done,
        left: float | None = None,
    ) -> Callable[[], None]:
        done(self._answer(endpoint, method, request, timeout))
        return lambda: None

    def stream(
        self, endpoint: str, method: Method[Any, Any], request: Message
    ) -> tuple[Iterator[Message], Callable[[], None]]:
        def messages() -> Iterator[Message]:
            for scripted in self.nodes[endpoint].script:
                if isinstance(scripted, Exception):
                    raise scripted
                assert isinstance(scripted, Message)
                yield scripted

        self.sent.append(Sent(endpoint, method.name, request, 0.0))
        return messages(), lambda: None

    def close(self) -> None:
        self.closed += 1

    def of(self, method: str) -> list[Sent]:
        """What was sent by that method, in order."""
        return [sent for sent in self.sent if sent.method == method]

    def _answer(
        self, endpoint: str, method: Method[Any, Any], request: Message, timeout: float
    ) -> Answer:
        copy = type(request).FromString(request.SerializeToString())
        self.sent.append(Sent(endpoint, method.name, copy, timeout))
        answer = self.nodes[endpoint].answer(method, request)
        if isinstance(answer, NoAnswer) and answer.silence is Silence.TIMED_OUT:
            self.clock.sleep(timeout)
        return answer


class FirstOf(Random):
    """Chance without chance: always the first, always the least."""

    def choice(self, seq: Any) -> Any:
        return seq[0]

    def uniform(self, a: float, b: float) -> float:
        return a


class Scene:
    """A fake cluster and a client of it. `n1` leads; nodes answer at "a:1", "b:1", "c:1", …"""

    def __init__(self, flavour: str, nodes: int = 3, timeout: float = 5.0) -> None:
        self.flavour = flavour
        self.clock = FakeClock()
        self.addresses = [f"{letter}:1" for letter in "abcdefg"[:nodes]]
        self.nodes = {
            address: FakeNode(address, f"n{number}", "n1")
            for number, address in enumerate(self.addresses, 1)
        }
        self.network = FakeNetwork(self.clock, self.nodes)
        random = FirstOf()
        self.endpoints = Endpoints(self.addresses, random)
        self.session = Session(self.endpoints, timeout, self.clock, random)
        self.store: Any
        if flavour == "blocking":
            self.store = blocking.NameStore.over(self.network, self.session)
            self.store._driver = BlockingDriver(self.network, self.clock.sleep)
        else:
            self.store = asynchronous.NameStore.over(self.network, self.session)
            self.store._driver = AsyncDriver(self.network, self._sleep)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Calls that method of the client and waits for what it returns or yields."""
        method = getattr(self.store, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            returned = method(*args, **kwargs)
            if self.flavour == "blocking":
                return list(returned) if isinstance(returned, Iterator) else returned
            return asyncio.run(_finish(returned))

        return call

    async def _sleep(self, seconds: float) -> None:
        self.clock.sleep(seconds)


async def _finish(returned: Any) -> Any:
    if hasattr(returned, "__aiter__"):
        return [item async for item in returned]
    return await returned


def granted(request: registry.RegisterRequest, revision: int = 1) -> registry.RegisterResponse:
    """The answer to a register request that is granted."""
    return registry.RegisterResponse(
        registered=True,
        revision=revision,
        record=registry.NameRecord(
            name=request.name,
            display_name=request.name,
            owner=request.owner,
            payload=request.payload,
            create_revision=revision,
            mod_revision=revision,
        ),
    )


def taken(request: registry.RegisterRequest, owner: str = "somebody") -> registry.RegisterResponse:
    """The answer to a register request for a name that somebody holds."""
    record = registry.NameRecord(name=request.name, display_name=request.name, owner=owner)
    return registry.RegisterResponse(
        registered=False, refusal=registry.TAKEN, record=record, revision=7
    )


def _granted(method: Method[Any, Any], request: Any) -> Message:
    match method.name:
        case "Register":
            return granted(request)
        case "RegisterMany":
            return registry.RegisterManyResponse(
                results=[granted(r) for r in member_requests(request)]
            )
        case "LookupMany":
            return registry.LookupManyResponse(
                results=[registry.LookupResponse() for _ in request.names]
            )
        case _:
            empty: Message = method.response_type()
            return empty
