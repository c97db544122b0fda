"""One node from start to end: the composition root, and the order in which things happen.

Start: take the port (the commonest mistake, found before a store is opened), open the replica, then
serve. End: refuse new calls, finish those under way, hand leadership over, stop the gRPC server,
stop the replica. Every step of the end has its share of `drain_timeout_ms`, and a timer on a thread
of its own stands behind all of them: what is on the disk is right at any moment, so ending the
process early loses nothing that was promised.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol

import grpc
from grpc_health.v1 import health

from namestore import logs
from namestore.config import ClusterConfig
from namestore.errors import MemberRemoved, NamestoreError
from namestore.raft.replica import Replica, Role
from namestore.server.gateway import Gateway
from namestore.server.housekeeping import Housekeeping
from namestore.server.listening import add_services, bind, make_server, watch_health

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_REMOVED = 4
EXIT_FATAL = 70

_log = logs.get_logger(__name__)

_HEALTH_INTERVAL_S = 0.1
_HAND_OVER_S_MAX = 2.0
_GRACE_S_MAX = 0.5
_STANDS_S = 1.0

EndProcess = Callable[[int], object]
Beside = Callable[[], Coroutine[Any, Any, None]]


class OpenReplica(Protocol):
    """Makes a replica, not yet started. `on_fatal` is called when its process must stop."""

    def __call__(
        self, config: ClusterConfig, node_id: str, *, on_fatal: Callable[[Exception], None]
    ) -> Replica:
        """Makes it."""
        ...


class Node:
    """One node's process.

    Args:
        config: Checked for this node.
        node_id: Which of its nodes to be.
        open_replica: Makes the replica.
        end_process: Ends the process at once, without cleaning up.
        beside: Runs beside the calls, from when the node can be reached; ends when it likes.
    """

    def __init__(
        self,
        config: ClusterConfig,
        node_id: str,
        open_replica: OpenReplica,
        end_process: EndProcess = os._exit,
        beside: Beside | None = None,
    ) -> None:
        self._config = config
        self._node = config.node(node_id)
        self._open_replica = open_replica
        self._end_process = end_process
        self._beside = beside
        self._stopping = asyncio.Event()
        self._health = health.aio.HealthServicer()

    async def run(self) -> int:
        """Serves until a signal (or `stop`) says otherwise; returns the exit code.

        Raises:
            ConfigError: The node cannot serve where it is told to.
            StorageError: Its data directory cannot be used as it is.
        """
        server = make_server(self._config.limits)
        address = bind(server, self._node.grpc)
        config = _served_at(self._config, self._node.id, address)
        replica = self._open_replica(config, self._node.id, on_fatal=self._fatal)
        gateway = Gateway(replica, config, self._node.id)
        add_services(server, gateway, self._health, config.limits)
        self._listen_to_signals()
        # In a thread: replaying a long log must not keep signals waiting.
        await asyncio.to_thread(replica.start)
        await watch_health(gateway, self._health)
        await server.start()
        self._greet(address)
        housekeeping = Housekeeping(replica, gateway, config.history)
        tasks = [
            asyncio.create_task(self._watch(gateway)),
            asyncio.create_task(housekeeping.run()),
        ]
        if self._beside is not None:
            tasks.append(asyncio.create_task(self._beside()))
        await self._stopping.wait()
        for task in tasks:
            task.cancel()
        await self._drain(gateway, server, replica)
        return EXIT_DONE

    def stop(self) -> None:
        """Begins the end, as the first signal does. On the loop only."""
        self._stopping.set()

    # -- while it serves --------------------------------------------------------------------

    async def _watch(self, gateway: Gateway) -> None:
        """Keeps the health service truthful, and the log informed."""
        serving: bool | None = None
        attention = Attention(self._node.id)
        while True:
            serves, warnings = gateway.health()
            attention.look(warnings, asyncio.get_running_loop().time())
            if serves is not serving:
                serving = serves
                _log.info("server.serving" if serving else "server.not_serving", node=self._node.id)
                await watch_health(gateway, self._health)
            await asyncio.sleep(_HEALTH_INTERVAL_S)

    def _greet(self, address: str) -> None:
        _log.info(
            "server.started",
            node=self._node.id,
            cluster=self._config.name,
            grpc=address,
            data_dir=str(self._node.data_dir),
            try_this=f"namestore-cli --endpoints {address} register user:alice --owner me",
        )

    def _fatal(self, error: Exception) -> None:
        """The replica can no longer be trusted: end at once, and answer nobody. Any thread."""
        if isinstance(error, MemberRemoved):
            _log.warning("server.removed", node=self._node.id, reason=error.message)
        else:
            _log.critical("server.fatal", node=self._node.id, error=str(error))
        logs.flush()
        self._end_process(EXIT_REMOVED if isinstance(error, MemberRemoved) else EXIT_FATAL)

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            # Only the main thread's loop hears signals; elsewhere `stop` is what there is.
            with suppress(ValueError, RuntimeError):
                loop.add_signal_handler(number, self._signalled, number)

    def _signalled(self, number: int) -> None:
        if self._stopping.is_set():
            _log.warning("server.ended_at_once", signal=signal.Signals(number).name)
            logs.flush()
            self._end_process(128 + number)
            return
        _log.info("server.signalled", signal=signal.Signals(number).name)
        self._stopping.set()

    # -- the end ----------------------------------------------------------------------------

    async def _drain(self, gateway: Gateway, server: grpc.aio.Server, replica: Replica) -> None:
        total = self._config.limits.drain_timeout_ms / 1000
        last_resort = LastResort(total, self._end_process)
        last_resort.start()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + total
        _log.info("server.drain.started", node=self._node.id, timeout_s=total)
        gateway.begin_drain()
        await watch_health(gateway, self._health)
        if not await _within(total * 0.6, gateway.drained()):
            _log.warning("server.drain.calls_left", node=self._node.id)
        await self._hand_over(gateway, replica, min(_HAND_OVER_S_MAX, total * 0.15))
        grace = min(_GRACE_S_MAX, total * 0.05)
        # Known to hang at times; the port closes at once all the same.
        if not await _within(grace + total * 0.05, server.stop(grace)):
            _log.warning("server.drain.grpc_hangs", node=self._node.id)
        left = max(0.05, (deadline - loop.time()) * 0.8)
        await asyncio.to_thread(replica.stop, left)
        _log.info("server.drain.complete", node=self._node.id)
        last_resort.code = EXIT_DONE

    async def _hand_over(self, gateway: Gateway, replica: Replica, timeout: float) -> None:
        status = replica.status()
        if status.role is not Role.LEADER or not status.peers:
            return
        try:
            leader_id = await gateway.orders.hand_over(None, timeout)
            _log.info("server.drain.handed_over", node=self._node.id, leader=leader_id)
        except NamestoreError as error:
            # The others elect a leader by themselves a moment later.
            _log.warning("server.drain.not_handed_over", node=self._node.id, reason=error.message)


class Attention:
    """Logs what somebody should look at: once, and when it has stood for a while.

    Much of it passes by itself while a cluster starts or changes.
    """

    def __init__(self, node_id: str) -> None:
        self._node_id = node_id
        self._since: dict[str, float] = {}
        self._said: set[str] = set()

    def look(self, findings: Sequence[str], now: float) -> None:
        """Takes what there is to be said at this moment, in seconds."""
        self._since = {finding: self._since.get(finding, now) for finding in findings}
        due = {finding for finding in findings if now - self._since[finding] >= _STANDS_S}
        for finding in sorted(due - self._said):
            _log.warning("membership.attention", node=self._node_id, finding=finding)
        if self._said and not findings:
            _log.info("membership.in_order", node=self._node_id)
        self._said = (self._said & set(findings)) | due


class LastResort:
    """Ends the process when draining, or what Python does after it, takes longer than allowed.

    Attributes:
        code: The exit code it will use: a failure until the drain is complete.
    """

    def __init__(self, timeout: float, end_process: EndProcess) -> None:
        self.code = EXIT_FAILED
        self._end_process = end_process
        self._timer = threading.Timer(timeout, self._end)
        self._timer.daemon = True

    def start(self) -> None:
        """Begins to count."""
        self._timer.start()

    def _end(self) -> None:
        if self.code != EXIT_DONE:
            _log.error("server.drain.timed_out")
        logs.flush()
        self._end_process(self.code)


def _served_at(config: ClusterConfig, node_id: str, address: str) -> ClusterConfig:
    """The configuration with the address that the node really serves at."""
    nodes = [replace(node, grpc=address) if node.id == node_id else node for node in config.nodes]
    return replace(config, nodes=tuple(nodes))


async def _within(timeout: float, work: Coroutine[Any, Any, None]) -> bool:
    """Whether the work ended within so many seconds; if not, it goes on. Raises what it raised."""
    task = asyncio.ensure_future(work)
    done, _ = await asyncio.wait({task}, timeout=timeout)
    for ended in done:
        ended.result()
    return bool(done)
