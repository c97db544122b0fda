"""How a node carries calls: admitted, handed to the replica, waited for, and counted.

What the calls mean is `calls` and `namespaces`. It decides nothing about names: that is the
replicas' business. Belongs to one event loop, the one of the first call.

Invariants: every call is answered within its timeout. A write that was handed to the replica ends
in what the replica said or in `OutcomeUnknown`, never in a guess; a call that was refused here was
never handed over.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import TypeVar

from namestore.config import ClusterConfig
from namestore.core.commands import Command
from namestore.core.outcomes import Decision
from namestore.errors import (
    ClientMisuse,
    OutcomeUnknown,
    Overloaded,
)
from namestore.raft.replica import Replica
from namestore.rpc.responses import Answer
from namestore.server import judges, settling
from namestore.server.admission import Admission
from namestore.server.barriers import ReadBarriers
from namestore.server.bridge import Mailbox, Reply
from namestore.server.calls import RegistryCalls
from namestore.server.exporting import Exports
from namestore.server.metrics import CallMetrics, Measured
from namestore.server.namespaces import Namespaces
from namestore.server.orders import Orders, for_replica, shutting_down
from namestore.server.reports import StatusReport
from namestore.server.watching import Watches
from namestore.storage.interfaces import StateView
from namestore.v1 import cluster_pb2
from namestore.v1 import registry_pb2 as pb

T = TypeVar("T")

# So many names are read without a thread of their own, which would cost more than the reading.
_NAMES_READ_AT_ONCE = 64


class Gateway(RegistryCalls):
    """The calls of `NameRegistry` and `Namespaces`, and `Cluster.Status`, on one node.

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
        namespaces = Namespaces(self, clock)
        self.put_namespace = namespaces.put
        self.get_namespace = namespaces.get
        self.list_namespaces = namespaces.list
        self._exports = Exports(self, replica.view)
        self.export = self._exports.export
        self._watches = Watches(self, replica, config.limits.watchers_max, clock)
        self.watch = self._watches.watch
        self._loop: asyncio.AbstractEventLoop | None = None
        self._mailbox: Mailbox
        self._barriers: ReadBarriers
        self._draining = False
        self._under_way = 0
        self._idle = asyncio.Event()

    # -- calls ------------------------------------------------------------------------------

    async def status(
        self, request: cluster_pb2.StatusRequest, timeout: float
    ) -> cluster_pb2.StatusResponse:
        """This node's view. Waits for nobody, and answers while the node drains."""
        del request, timeout  # nothing is asked, nothing is waited for
        response = self._report.response(self._replica.status(), self._metrics.figures())
        response.watchers = self._watches.count
        return response

    # -- the life of a node -----------------------------------------------------------------

    @property
    def serving(self) -> bool:
        """A call that arrives now could be answered."""
        return not self._draining and self._replica.status().serving

    def health(self) -> tuple[bool, tuple[str, ...]]:
        """Whether it is `serving`, and what somebody should look at, as the status says it."""
        status = self._replica.status()
        return not self._draining and status.serving, self._report.warnings(status)

    def begin_drain(self) -> None:
        """Refuses every call from now on; those under way go on."""
        self._draining = True
        self.orders.begin_drain()
        self._exports.end_all()
        self._watches.end_all(shutting_down())
        if not self._under_way:
            self._idle.set()

    async def drained(self) -> None:
        """Returns once a drain was begun and no call is under way."""
        await self._idle.wait()

    # -- what calls are made of ---------------------------------------------------------------

    def calls(self, count: int = 1) -> AbstractContextManager[None]:
        """Around calls of the registry: refused while draining, counted, and measured."""
        if self._draining:
            raise shutting_down()
        self._bind()
        self._under_way += count
        return Measured(self._metrics, self._clock, count, self._ended)

    @contextmanager
    def chores(self) -> Iterator[None]:
        """Around what says nothing of the node's speed: refused while draining, not measured."""
        if self._draining:
            raise shutting_down()
        self._bind()
        self._under_way += 1
        try:
            yield
        finally:
            self._ended(1)

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

    async def settle(self, commands: Sequence[Command], timeout: float) -> Sequence[Answer]:
        """See `RegistryCalls.settle`."""
        replica, clock = self._replica, self._clock
        return await settling.settle(commands, timeout, proposer=self, replica=replica, clock=clock)

    async def read(
        self,
        read: Callable[[StateView], T],
        count: int,
        consistency: pb.Consistency.ValueType,
        timeout: float,
    ) -> T:
        """See `RegistryCalls.read`."""
        deadline = self._clock() + timeout
        with self._reading(count):
            if consistency == pb.LINEARIZABLE:
                await self.catch_up(timeout)
            if count > _NAMES_READ_AT_ONCE:
                return await judges.with_judges(lambda: self.read_aside(read, deadline))
            return await judges.with_judges(lambda: self._read_here(read))

    async def catch_up(self, timeout: float) -> None:
        """Returns once the replica's view reflects every write answered before. Within `calls`.

        Raises:
            Unavailable: It cannot be told in time.
        """
        await self._barriers.wait(timeout)

    def post(self, deliver: Callable[[], None]) -> None:
        """Has `deliver` called on the gateway's loop, after its first call. Any thread."""
        self._mailbox.post(deliver)

    # -- within -----------------------------------------------------------------------------

    async def _read_here(self, read: Callable[[StateView], T]) -> T:
        with self._replica.view() as view:
            return read(view)

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

    async def read_aside(self, read: Callable[[StateView], T], deadline: float) -> T:
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
