"""What a node does for a caller: the service logic, free of gRPC.

Takes and returns protobuf messages, and raises `NamestoreError`; the gRPC services translate, and
an embedded registry calls it directly. It decides nothing about names: that is the replicas'
business. Belongs to one event loop, the one of the first call.

Invariants: every call is answered within its timeout. A write that was handed to the replica ends
in what the replica said or in `OutcomeUnknown`, never in a guess; a call that was refused here was
never handed over.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from namestore.config import ClusterConfig
from namestore.core.commands import encode_command
from namestore.core.outcomes import Decision
from namestore.errors import (
    ClientMisuse,
    NamestoreError,
    OutcomeUnknown,
    Overloaded,
    Unavailable,
)
from namestore.raft.replica import Replica
from namestore.rpc import requests, responses
from namestore.server import reading
from namestore.server.admission import Admission
from namestore.server.barriers import ReadBarriers
from namestore.server.bridge import Mailbox, Reply
from namestore.server.metrics import CallMetrics
from namestore.server.orders import Orders, for_replica, shutting_down
from namestore.server.reports import StatusReport
from namestore.storage.interfaces import StateView
from namestore.v1 import cluster_pb2
from namestore.v1 import registry_pb2 as pb

T = TypeVar("T")

# So many names are read without a thread of their own, which would cost more than the reading.
_NAMES_READ_AT_ONCE = 64


class Gateway:
    """The calls of `NameRegistry`, and `Cluster.Status`, on one node.

    Every method takes its request and a timeout in seconds, may be called concurrently and
    cancelled at any time; a write that is cancelled may still be applied.

    Args:
        replica: Started. Not owned: stopping it is its starter's business.
        config: Of the whole cluster.
        node_id: Which of its nodes this is.
        clock: Monotonic seconds.
        wall_clock: Seconds since the epoch.

    Attributes:
        orders: The other calls of `Cluster`.
    """

    def __init__(
        self,
        replica: Replica,
        config: ClusterConfig,
        node_id: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._replica = replica
        self._clock = clock
        self._metrics = CallMetrics(clock)
        self._writes = Admission(config.limits, clock)
        self._reads = Admission(config.limits, clock)
        self._report = StatusReport(config, node_id, clock, wall_clock)
        self.orders = Orders(replica)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._mailbox: Mailbox
        self._barriers: ReadBarriers
        self._draining = False
        self._under_way = 0
        self._idle = asyncio.Event()

    # -- calls ------------------------------------------------------------------------------

    async def register(self, request: pb.RegisterRequest, timeout: float) -> pb.RegisterResponse:
        """Takes a name if nobody holds it."""
        with self.calls():
            command = requests.register_command(request)
            decisions = await self.decide([encode_command(command)], 1, timeout)
            return responses.register_response(decisions[0][0])

    async def register_many(
        self, request: pb.RegisterManyRequest, timeout: float
    ) -> pb.RegisterManyResponse:
        """Takes up to 1000 names: each for itself, or all of them or none."""
        with self.calls():
            commands = requests.register_many_commands(request)
            encoded = [encode_command(command) for command in commands]
            decisions = await self.decide(encoded, len(request.requests), timeout)
            return responses.register_many_response(decisions)

    async def release(self, request: pb.ReleaseRequest, timeout: float) -> pb.ReleaseResponse:
        """Gives a name back."""
        with self.calls():
            command = requests.release_command(request)
            decisions = await self.decide([encode_command(command)], 1, timeout)
            return responses.release_response(decisions[0][0])

    async def lookup(self, request: pb.LookupRequest, timeout: float) -> pb.LookupResponse:
        """Says who holds a name."""
        with self.calls():
            name = requests.lookup_name(request)
            found = await self.find([name], request.consistency, timeout)
            return found.results[0]

    async def lookup_many(
        self, request: pb.LookupManyRequest, timeout: float
    ) -> pb.LookupManyResponse:
        """Says who holds each of up to 1000 names, all at one revision."""
        with self.calls():
            return await self.find(requests.lookup_names(request), request.consistency, timeout)

    async def list(self, request: pb.ListRequest, timeout: float) -> pb.ListResponse:
        """One page of the names that begin with a prefix."""
        with self.calls():
            page = requests.list_page(request)
            deadline = self._clock() + timeout
            with self._reading(page.size):
                await self._catch_up(request.consistency, timeout)
                return await self._read_aside(partial(reading.list_page, page=page), deadline)

    async def status(
        self, request: cluster_pb2.StatusRequest, timeout: float
    ) -> cluster_pb2.StatusResponse:
        """This node's view. Waits for nobody, and answers while the node drains."""
        del request, timeout  # nothing is asked, nothing is waited for
        return self._report.response(self._replica.status(), self._metrics.figures())

    # -- the life of a node -----------------------------------------------------------------

    @property
    def serving(self) -> bool:
        """A call that arrives now could be answered."""
        return not self._draining and self._replica.status().serving

    def warnings(self) -> tuple[str, ...]:
        """What somebody should look at, as the status says it."""
        return self._report.warnings(self._replica.status())

    def begin_drain(self) -> None:
        """Refuses every call from now on; those under way go on."""
        self._draining = True
        self.orders.begin_drain()
        if not self._under_way:
            self._idle.set()

    async def drained(self) -> None:
        """Returns once a drain was begun and no call is under way."""
        await self._idle.wait()

    # -- what calls are made of ---------------------------------------------------------------

    @contextmanager
    def calls(self, count: int = 1) -> Iterator[None]:
        """Around calls of the registry: refused while draining, counted, and measured."""
        if self._draining:
            raise shutting_down()
        self._bind()
        self._under_way += count
        started = self._clock()
        failed = True
        try:
            yield
            failed = False
        except NamestoreError as error:
            failed = isinstance(error, (Unavailable, OutcomeUnknown))
            raise
        except asyncio.CancelledError:
            failed = False  # the caller's doing
            raise
        finally:
            self._metrics.record(self._clock() - started, failed=failed, calls=count)
            self._ended(count)

    async def decide(
        self, encoded: Sequence[bytes], names: int, timeout: float
    ) -> Sequence[Decision]:
        """Hands commands to the replica and waits for what becomes of them. Within `calls`.

        Args:
            encoded: 1 to 1000 commands.
            names: How many they ask for.
            timeout: Seconds.
        """
        if timeout <= 0:
            raise Overloaded("the deadline had passed before the request was handed on")
        ticket = self._writes.admit(names, sum(map(len, encoded)))
        # Released when nothing is under way any more, which may be after this call was cancelled:
        # callers who give up must not make room for more than the replica can hold.
        reply: Reply[Sequence[Decision]] = Reply(
            self._mailbox, timeout, _not_heard, partial(self._writes.release, ticket)
        )
        try:
            self._replica.propose(encoded, for_replica(timeout), reply.post)
        except BaseException:
            reply.settle(_not_heard())
            reply.future.exception()  # raised below as what it was
            raise
        return await reply.future

    async def find(
        self, names: Sequence[str], consistency: pb.Consistency.ValueType, timeout: float
    ) -> pb.LookupManyResponse:
        """Reads who holds canonical names, all at one revision. Within `calls`."""
        deadline = self._clock() + timeout
        with self._reading(len(names)):
            await self._catch_up(consistency, timeout)
            if len(names) > _NAMES_READ_AT_ONCE:
                return await self._read_aside(partial(reading.lookup, names=names), deadline)
            with self._replica.view() as view:
                return reading.lookup(view, names=names)

    # -- within -----------------------------------------------------------------------------

    def _ended(self, count: int) -> None:
        self._under_way -= count
        if self._draining and not self._under_way:
            self._idle.set()

    @contextmanager
    def _reading(self, names: int) -> Iterator[None]:
        """Around a read. Reads are counted apart: they never keep a write out."""
        ticket = self._reads.admit(names, 0)
        try:
            yield
        finally:
            self._reads.release(ticket)

    async def _catch_up(self, consistency: pb.Consistency.ValueType, timeout: float) -> None:
        if consistency == pb.LINEARIZABLE:
            await self._barriers.wait(timeout)

    async def _read_aside(self, read: Callable[[StateView], T], deadline: float) -> T:
        """Reads much from the disk in a thread of its own, so that other calls go on."""

        def in_thread() -> T:
            with self._replica.view() as view:
                return read(view)

        try:
            async with asyncio.timeout(max(0.0, deadline - self._clock())):
                return await asyncio.to_thread(in_thread)
        except TimeoutError:
            raise Overloaded("the disk did not answer in time; ask for less, or again") from None

    def _bind(self) -> None:
        """Ties the gateway to the loop of its first call: replies are delivered there."""
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
            self._mailbox = Mailbox(loop)
            self._barriers = ReadBarriers(self._replica, self._mailbox)
        elif self._loop is not loop:
            raise ClientMisuse(
                "this registry is used from a second event loop; open another one there"
            )


def _not_heard() -> OutcomeUnknown:
    return OutcomeUnknown(
        "the request was handed on and not answered in time; it may have been applied, or may "
        "still be: ask again with the same request_id"
    )
