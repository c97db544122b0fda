"""A whole node of one on a real disk, served over real gRPC from a thread of this process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

from namestore.config import ClusterConfig, dev_config
from namestore.raft.node import open_replica
from namestore.raft.replica import Replica
from namestore.server.node import EXIT_DONE, Node

PATIENCE_SECONDS = 60.0


class ServedNode:
    """Where it serves, and how to stop it."""

    def __init__(self, directory: Path) -> None:
        self._served: Future[str] = Future()
        self._loop: Future[asyncio.AbstractEventLoop] = Future()
        self._code: int | None = None
        config = dev_config(directory, "127.0.0.1:0")
        self._node = Node(config, "dev", self._open, lambda code: None)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.endpoint = self._served.result(PATIENCE_SECONDS)

    def begin_stop(self) -> None:
        """As the first SIGTERM does."""
        self._loop.result().call_soon_threadsafe(self._node.stop)

    def stop(self) -> None:
        """Drains and ends it; more than once does no harm."""
        if self._thread.is_alive():
            self.begin_stop()
        self._thread.join(PATIENCE_SECONDS)
        assert self._code == EXIT_DONE, "the node did not drain in time"

    def _run(self) -> None:
        async def run() -> int:
            self._loop.set_result(asyncio.get_running_loop())
            return await self._node.run()

        self._code = asyncio.run(run())

    def _open(
        self, config: ClusterConfig, node_id: str, *, on_fatal: Callable[[Exception], None]
    ) -> Replica:
        self._served.set_result(config.node(node_id).grpc)
        return open_replica(config, node_id, on_fatal=on_fatal)


@contextmanager
def served_node(directory: Path) -> Iterator[ServedNode]:
    """A node that serves, stopped at the end."""
    node = ServedNode(directory)
    try:
        yield node
    finally:
        node.stop()
