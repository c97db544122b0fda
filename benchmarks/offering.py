"""Callers that do not wait for answers before they ask again: what a node hears from a crowd.

Raw gRPC calls of `RegisterMany`, which cost the caller little: the machine is to be short of
servers, not of callers. Used by `overload`, in a process of its own.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import grpc
import grpc.aio

from benchmarks.peers.interface import OWNER, BenchmarkError
from namestore.v1 import registry_pb2 as pb

_METHOD = "/namestore.v1.NameRegistry/RegisterMany"
_CALL_SECONDS = 5.0
_STEP_SECONDS = 0.01
# Of the calls that nobody answers: more of them would only measure this process's memory.
_UNDER_WAY_MAX = 20_000
_SAID = {
    grpc.StatusCode.RESOURCE_EXHAUSTED: "overloaded",
    grpc.StatusCode.ABORTED: "unknown",
    grpc.StatusCode.DEADLINE_EXCEEDED: "unknown",
    grpc.StatusCode.UNAVAILABLE: "unavailable",
}


@dataclass(frozen=True, slots=True)
class Offer:
    """What is asked for.

    Attributes:
        endpoints: Of all nodes; they are asked in turn.
        names: In one call; they are new, in no order.
        seconds: How long.
        waiting: So many callers, each of which waits for its answer; 0: nobody waits.
        calls_a_second: That begin, where nobody waits.
    """

    endpoints: tuple[str, ...]
    names: int
    seconds: float
    waiting: int = 0
    calls_a_second: float = 0.0


@dataclass(slots=True)
class Answers:
    """What was said.

    Attributes:
        seconds: From the first question to the last.
        latencies: Seconds until each answer, by what it was: granted, overloaded, unknown,
            unavailable.
        unasked: Calls that were due when too many were under way.
        late: Seconds by which this process itself was late at most, in starting a call: so much
            of a latency may be its own.
    """

    seconds: float = 0.0
    latencies: dict[str, list[float]] = field(default_factory=dict)
    unasked: int = 0
    late: float = 0.0

    def count(self, what: str) -> int:
        """How many calls were answered so."""
        return len(self.latencies.get(what, ()))


def carry_out(offer: Offer) -> Answers:
    """Asks, and hears every answer. The entry of a process of its own."""
    return asyncio.run(_carry_out(offer))


async def _carry_out(offer: Offer) -> Answers:
    channels = [grpc.aio.insecure_channel(endpoint) for endpoint in offer.endpoints]
    try:
        asking = _Asking(offer, [channel.unary_unary(_METHOD) for channel in channels])
        began = time.monotonic()
        if offer.waiting:
            await asyncio.gather(*(asking.wait_each_time() for _ in range(offer.waiting)))
        else:
            await asking.wait_for_nobody()
        asking.answers.seconds = time.monotonic() - began
        await asking.rest()
        return asking.answers
    finally:
        for channel in channels:
            await channel.close()


class _Asking:
    def __init__(self, offer: Offer, calls: Sequence[grpc.aio.UnaryUnaryMultiCallable]) -> None:
        self._offer, self._calls = offer, calls
        self._random = random.Random(os.urandom(8))
        self._ends = time.monotonic() + offer.seconds
        self._under_way: set[asyncio.Task[None]] = set()
        self._asked = 0
        self.answers = Answers()

    async def wait_each_time(self) -> None:
        while time.monotonic() < self._ends:
            await self._ask()

    async def wait_for_nobody(self) -> None:
        began, due = time.monotonic(), 0
        while (now := time.monotonic()) < self._ends:
            until = int((now - began) * self._offer.calls_a_second)
            for _ in range(until - due):
                if len(self._under_way) >= _UNDER_WAY_MAX:
                    self.answers.unasked += 1
                    continue
                task = asyncio.ensure_future(self._ask())
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
            due = until
            await asyncio.sleep(_STEP_SECONDS)
            self.answers.late = max(self.answers.late, time.monotonic() - now - _STEP_SECONDS)

    async def rest(self) -> None:
        """Returns when all is answered; an error of this program is raised."""
        await asyncio.gather(*self._under_way)

    async def _ask(self) -> None:
        call = self._calls[self._asked % len(self._calls)]
        self._asked += 1
        request = self._request()
        began = time.monotonic()
        try:
            answer = await call(request, timeout=_CALL_SECONDS)
        except grpc.aio.AioRpcError as error:
            said = _SAID.get(error.code())
            if said is None:
                raise BenchmarkError(f"{error.code()}: {error.details()}") from error
        else:
            if not pb.RegisterManyResponse.FromString(answer).HasField("granted"):
                raise BenchmarkError("new names were not granted")
            said = "granted"
        self.answers.latencies.setdefault(said, []).append(time.monotonic() - began)

    def _request(self) -> bytes:
        bits = self._random.getrandbits
        names = [f"user:{bits(64):016x}" for _ in range(self._offer.names)]
        request = pb.RegisterManyRequest(names=names, owner=OWNER, request_id=os.urandom(16))
        return bytes(request.SerializeToString())
