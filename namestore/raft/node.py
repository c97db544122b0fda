"""A replica as a running thing: stores opened, transport bound, and the Raft thread around them.

This is where the engine's seams get their real counterparts. The thread runs turns of the engine
until it is told to stop or something fails that must not be survived; then it tells `on_fatal` and
answers nobody any more.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from namestore.config import ClusterConfig
from namestore.errors import InvalidRequest, MemberRemoved, StorageError
from namestore.logs import get_logger
from namestore.raft.configured import bounds, initial_membership, timing
from namestore.raft.engine import Engine
from namestore.raft.front import Front
from namestore.raft.replica import MemberInfo, MembersDone
from namestore.raft.settings import Identity, Seams, Settings
from namestore.raft.transport.hello import PROTOCOL_VERSION, Hello
from namestore.raft.transport.lone import LoneTransport
from namestore.raft.transport.tcp import TcpTransport
from namestore.storage.directory import DataDirectory, reconcile
from namestore.storage.incoming import IncomingDirectory

_log = get_logger(__name__)

# A turn's longest wait; the engine shortens it to what is due.
_TURN_S = 0.05


class RaftReplica(Front):
    """One node of the cluster; implements `namestore.raft.replica.Replica`."""

    def __init__(
        self, config: ClusterConfig, node_id: str, on_fatal: Callable[[Exception], None]
    ) -> None:
        super().__init__(time.monotonic)
        self._config = config
        self._node = config.node(node_id)
        self._on_fatal = on_fatal
        self._stopping = threading.Event()
        self._posted: deque[Callable[[], None]] = deque()
        self._workers = ThreadPoolExecutor(1, thread_name_prefix=f"raft-jobs-{node_id}")
        self._thread = threading.Thread(target=self._run, name=f"raft-{node_id}", daemon=True)
        self._engine: Engine
        self._transport: TcpTransport | LoneTransport
        self._directory: DataDirectory

    # -- life -------------------------------------------------------------------------------

    def start(self) -> None:
        """Opens the stores, binds, and begins to take part.

        Raises:
            StorageError: The data directory cannot be used as it is.
            ConfigError: The address cannot be bound, or the certificates cannot be used.
        """
        config, node = self._config, self._node
        self._directory = DataDirectory.open(node.data_dir, config.name, node.id)
        try:
            log, state = self._directory.open_log(), self._directory.open_state()
            reconcile(log, state)
            self._transport = self._make_transport()
            seams = Seams(
                log=log,
                state=state,
                clock=self._clock,
                wall_clock_ms=lambda: time.time_ns() // 1_000_000,
                rng=random.Random(),
                background=self._background,
                incoming=IncomingDirectory(node.data_dir / "incoming"),
            )
            identity = Identity(node.id, self._directory.incarnation, initial_membership(config))
            settings = Settings(identity, seams, timing(config), bounds(config))
            self._state = state
            self._engine = Engine(self._transport, settings)
        except BaseException:
            with suppress(StorageError):  # the first error says more
                self._directory.close()
            raise
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Fails what waits, flushes, closes. May be called twice."""
        self._stopping.set()
        if self._thread.is_alive():
            self._transport.wake()
            self._thread.join(timeout)
            if self._thread.is_alive():
                _log.warning("replica.stop.timed_out", seconds=timeout)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._run_posted()
                self._engine.doTick(_TURN_S)
                if self._engine.removed:
                    break
            self._run_posted()
            self._engine.stop()
            self._workers.shutdown(wait=True)
            self._state.close()
            self._directory.close()
            if self._engine.removed:
                self._stopping.set()
                self._on_fatal(
                    MemberRemoved(
                        f"node {self._node.id} was removed from cluster {self._config.name}, and "
                        "stops; its data stays. To have it back, start it and add it again"
                    )
                )
        except Exception as error:  # noqa: BLE001  whatever it is, the process must stop
            # Nothing is closed or flushed: what is in memory may be wrong, what is on the disk
            # is right. Nothing is said that a sync would have to cover.
            # Where in the program a disk failed tells nobody anything.
            trace = not isinstance(error, StorageError)
            _log.critical("replica.failed", node=self._node.id, reason=str(error), exc_info=trace)
            self._stopping.set()
            self._engine.answer_everybody()
            self._on_fatal(error)

    def _run_posted(self) -> None:
        while self._posted:
            self._posted.popleft()()

    def _background(self, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        def finished(future: Future[Any]) -> None:
            error = future.exception()
            self._post(lambda: done(error if error is not None else future.result()))

        self._workers.submit(job).add_done_callback(finished)

    def _post(self, call: Callable[[], None]) -> None:
        self._posted.append(call)
        self._transport.wake()

    # -- callers ----------------------------------------------------------------------------

    def add_member(self, member: MemberInfo, timeout: float, done: MembersDone) -> None:
        """See `Replica.add_member`."""
        if isinstance(self._transport, LoneTransport):
            reason = "a node started by itself stays so; begin with a cluster.toml instead"
            done(InvalidRequest(reason, field="member"))
            return
        super().add_member(member, timeout, done)

    def _stops(self) -> bool:
        return self._stopping.is_set()

    # -- making -----------------------------------------------------------------------------

    def _make_transport(self) -> TcpTransport | LoneTransport:
        config, node = self._config, self._node
        if len(config.nodes) == 1 and node.raft.endswith(":0"):
            return LoneTransport()
        return TcpTransport(
            self_id=node.id,
            listen=node.raft,
            peers={other.id: other.raft for other in config.nodes if other.id != node.id},
            cluster_name=config.name,
            hello=self._hello,
            accept=self._accept,
            tls=config.tls,
            connect_retry_ms=config.raft.connect_retry_ms,
            allow_insecure_network=config.allow_insecure_network,
        )

    def _hello(self) -> Hello:
        return Hello(
            protocol=PROTOCOL_VERSION,
            cluster_name=self._config.name,
            cluster_id=self._engine.agreed_membership.cluster_id,
            node_id=self._node.id,
            incarnation=self._directory.incarnation,
            raft_address=self._node.raft,
            membership_index=self._engine.agreed_index if self._engine.is_voter else 0,
            fresh=self._engine.is_new,
        )

    def _accept(self, peer: Hello) -> str | None:
        return self._engine.reason_to_refuse(peer)


def open_replica(
    config: ClusterConfig, node_id: str, *, on_fatal: Callable[[Exception], None]
) -> RaftReplica:
    """The replica of one node of `config`, not started yet.

    Args:
        config: The whole cluster, as this node's file has it.
        node_id: Which of its nodes this is.
        on_fatal: Called once, on the Raft thread, when the process must stop.
    """
    return RaftReplica(config, node_id, on_fatal)
