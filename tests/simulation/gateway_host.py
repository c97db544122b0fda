"""The server-side of a simulated node: the real services and gateway, over the simulated engine.

Stands where gRPC's server stands: bytes come in, a handler of `namestore.server.services` runs as a
task of the node's own loop with the time that is left to it, bytes or a status go out. One
`NodeServer` is one life of the process; what it had not said when the process died is never said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from namestore.client.methods import PUT_NAMESPACE
from namestore.config import ClusterConfig, HistoryConfig, LimitsConfig, NodeConfig
from namestore.core.limits import PAGE_SIZE_MAX
from namestore.errors import DiskDamaged, DiskFailed, NamestoreError
from namestore.raft.front import Front
from namestore.raft.replica import BarrierDone, ProposalDone
from namestore.rpc.status import STATUS_OF_ERROR
from namestore.server import services
from namestore.server.gateway import Gateway
from tests.simulation.flows import Outpour
from tests.simulation.house import House, drain
from tests.simulation.plan import Plan
from tests.simulation.served import Aborted, Call, Context, Conversation, Reply
from tests.simulation.simulated_loop import SimulatedLoop
from tests.simulation.watch import Violation
from tests.simulation.wire import StatedError

_ROUNDING_S = 0.001
_DAYS_KEPT = 3650
# Their callers' own deadline counts, not the node's limit.
_PATIENT = frozenset({PUT_NAMESPACE.path})


def cluster_config(file: Mapping[str, str], plan: Plan) -> ClusterConfig:
    """A node's configuration file: who is in it, at which address of the nodes' own network."""
    pending = plan.bounds.pending_commands
    limits = LimitsConfig(
        request_timeout_ms=int(plan.lines.request_timeout * 1000),
        # A page counts as many names, so no file may say less than that.
        pending_commands_max=max(pending, PAGE_SIZE_MAX) if plan.lives.any else pending,
    )
    nodes = tuple(NodeConfig(i, f"{i}:2", at, Path("nowhere")) for i, at in sorted(file.items()))
    history = HistoryConfig(plan.lives.events, _DAYS_KEPT) if plan.lives.events else None
    return ClusterConfig("sim", nodes, limits=limits, history=history)


class SimReplica(Front):
    """The replica of one life of a simulated node.

    Attributes:
        host: On which it runs.
        waiting: Proposals and barriers that the engine owes an answer.
    """

    def __init__(self, host: Any) -> None:
        super().__init__(host.monotonic)
        self.host = host
        self._engine, self._transport, self._state = host.engine, host.transport, host.state
        self.waiting = 0

    def _post(self, call: Callable[[], None]) -> None:
        self.host.post(call)

    def propose(self, commands: Sequence[bytes], timeout: float, done: ProposalDone) -> None:
        self.waiting += 1

        def answered(answer: Any) -> None:
            self.waiting -= 1
            done(answer)

        super().propose(commands, timeout, answered)

    def read_barrier(self, timeout: float, done: BarrierDone) -> None:
        self.waiting += 1
        watch = self.host.watch
        committed = watch.committed_index

        def passed(error: NamestoreError | None) -> None:
            self.waiting -= 1
            if error is None:
                watch.read(self.host, committed)
            done(error)

        super().read_barrier(timeout, passed)


class NodeServer:
    """One life of a node's server.

    Attributes:
        failures: Exceptions that nobody foresaw: callers got an answer, the run fails.
    """

    def __init__(self, host: Any, config: ClusterConfig, gateway_class: type[Gateway]) -> None:
        self._host = host
        self.loop = SimulatedLoop(
            host.world, host.clock, lambda: host.paused_until, host.plan.lines.lag_max
        )
        self.replica = SimReplica(host)
        self.gateway = gateway_class(
            self.replica,  # type: ignore[arg-type]  # its life is the host's business
            config,
            host.node_id,
            clock=self.loop.time,
            wall_clock=lambda: host.clock() + host.skew_ms / 1000,
        )
        self.failures = self.loop.failures
        self._limit = config.limits.request_timeout_ms / 1000
        self._generic = services.handlers(self._alarmed(), self._limit)
        self._handlers: dict[str, Any] = {}
        self._under_way: set[Call] = set()
        self._dead = False
        self._house: asyncio.Task[None] | None = None
        if host.plan.lives.any:
            house = House(self, config)
            self.loop.call_soon_threadsafe(lambda: self._keep(house))

    @property
    def unanswered(self) -> int:
        """Calls under way, here or in the engine."""
        return self.replica.waiting + len(self._under_way) + self.gateway._under_way

    def converse(self, path: str, out: Reply) -> Conversation:
        """A stream was opened."""
        out = self._while_alive(out)
        return Conversation(self.loop, self._handler(path), out, self._unforeseen_answer)

    def pour(self, path: str, data: bytes, out: Reply) -> Outpour:
        """The request of a stream of answers arrived."""
        return Outpour(self.loop, self._handler(path), data, self._while_alive(out))

    def begin(self, call: Call) -> None:
        """The bytes of a call have arrived at the process."""
        self._under_way.add(call)
        call.reply = self._while_alive(call.reply)
        self.loop.call_soon_threadsafe(self._start, call)

    def give_up(self, call: Call) -> None:
        """Word arrived that nobody waits any more."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._cancel, call)

    def die(self) -> None:
        """The process is gone; what had been decided just before may still have been said."""
        host = self._host
        if host.world.now >= host.paused_until and host.world.rng.random() < 0.5:
            self.loop.run_ready()
        self.check_failures()
        self.shut()

    def drain(self, ended: Callable[[], None]) -> None:
        """SIGTERM: what is under way is finished first."""

        def begin() -> None:
            if self._house is not None:
                self._house.cancel()
            self.loop.create_task(drain(self, ended))

        self.loop.call_soon_threadsafe(begin)

    def shut(self) -> None:
        """Ends what it has begun; nobody hears of it any more."""
        self._dead = True
        self.loop.close()

    def check_at_rest(self) -> None:
        """Nobody asks any more: nothing may still be counted as waiting."""
        for name, admission in (
            ("writes", self.gateway._writes),
            ("reads", self.gateway._reads),
        ):
            left = (admission._names, admission._bytes)
            if left != (0, 0):
                raise Violation("admission", f"{self._host.node_id} counts {name} for ever: {left}")

    def check_failures(self) -> None:
        """Whatever nobody foresaw is a failure of the run."""
        if self.failures:
            error = self.failures[0]
            raise Violation("unforeseen in the server", repr(error)) from error

    def _keep(self, house: House) -> None:
        self._house = self.loop.create_task(house.run())

    # -- one call ---------------------------------------------------------------------------

    def _start(self, call: Call) -> None:
        if call.given_up:  # before the process had read it
            self._under_way.discard(call)
            return
        call.task = self.loop.create_task(self._serve(call))
        self.loop.call_later(call.timeout, call.task.cancel)
        call.task.add_done_callback(lambda task: self._ended(call))

    def _cancel(self, call: Call) -> None:
        call.given_up = True
        if call.task is not None:
            call.task.cancel()

    async def _serve(self, call: Call) -> None:
        handler = self._handler(call.path)
        loop, began, held = self.loop, self.loop.time(), self.loop.held
        request = handler.request_deserializer(call.data)
        try:
            response = await handler.unary_unary(request, Context(loop, began + call.timeout))
            call.reply(handler.response_serializer(response))
        except Aborted as aborted:
            call.reply(aborted.error)
        finally:
            limit = call.timeout if call.path in _PATIENT else min(call.timeout, self._limit)
            late = loop.time() - began - limit
            if late > loop.held - held + _ROUNDING_S + self._host.plan.lines.lag_max:
                error = AssertionError(f"{call.path} took {late:.3f} s more than it had")
                self.failures.append(error)

    def _ended(self, call: Call) -> None:
        self._under_way.discard(call)
        task = call.task
        if task is not None and not task.cancelled() and task.exception() is not None:
            self.failures.append(task.exception() or AssertionError())

    def _handler(self, path: str) -> Any:
        found = self._handlers.get(path)
        if found is None:
            details: Any = SimpleNamespace(method=path, invocation_metadata=())
            services_of_it = (generic.service(details) for generic in self._generic)
            found = next(handler for handler in services_of_it if handler is not None)
            self._handlers[path] = found
        return found

    def _foreseen(self, error: Exception) -> bool:
        """Callers are told so; or the disk was damaged, or filled, on purpose.

        Between the write that failed and its end a node answers as well: "unknown".
        """
        damaged = isinstance(error, DiskDamaged) and self._host.drive.damaged
        full = isinstance(error, DiskFailed) and self._host.disk_fails
        return bool(damaged or full) or type(error) in STATUS_OF_ERROR

    def _unforeseen_answer(self) -> None:
        if not self._host.drive.damaged:
            self.failures.append(AssertionError("an item of a stream met an error of the node"))

    def _while_alive(self, reply: Reply) -> Reply:
        """What a dead process still does on its way out is heard by nobody."""

        def heard(answer: bytes | StatedError) -> None:
            if not self._dead:
                reply(answer)

        return heard

    def _alarmed(self) -> Any:
        """The gateway, whose unforeseen exceptions are noticed before they become an answer."""

        def alarmed(answer: Any) -> Any:
            async def watched(*arguments: Any) -> Any:
                try:
                    return await answer(*arguments)
                except Exception as error:
                    if not self._foreseen(error):
                        self.failures.append(error)
                    raise

            return watched

        class Alarmed:
            def __getattr__(_, name: str) -> Any:  # noqa: N805  # `self` is the server
                found = getattr(self.gateway, name)
                return alarmed(found) if asyncio.iscoroutinefunction(found) else found

        return Alarmed()
