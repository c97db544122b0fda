"""The transport of a cluster of one that nobody may join: no socket, only sleep and wake.

For `--dev` and the embedded registry. Invariant: nothing outside the process can reach it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

from pysyncobj.node import Node
from pysyncobj.transport import Transport

from namestore.raft.transport.hello import Hello


class LoneTransport(Transport):
    """Implements what the engine asks of a transport, for a node without peers."""

    def __init__(self) -> None:
        super().__init__(None, None, [])
        self._woken = threading.Event()

    @property
    def ready(self) -> bool:
        """From the start."""
        return True

    def tryGetReady(self) -> None:
        """Nothing to bind."""

    def waitReady(self) -> None:
        """Nothing to wait for."""

    def addNode(self, node: Node) -> None:
        """Never connected."""

    def dropNode(self, node: Node) -> None:
        """Never connected."""

    def send(self, node: Node, message: object) -> bool:
        """Goes nowhere."""
        return False

    def flush(self) -> None:
        """Nothing is queued."""

    def poll(self, timeout_s: float) -> None:
        """Sleeps until woken, or so long."""
        if timeout_s > 0:
            self._woken.wait(timeout_s)
        self._woken.clear()

    def wake(self) -> None:
        """Ends the present or the next sleep. Any thread."""
        self._woken.set()

    @property
    def refusals(self) -> Mapping[str, str]:
        """Nobody is refused."""
        return {}

    def set_address(self, node_id: str, address: str) -> None:
        """Nobody is dialed."""

    def hello_of(self, node_id: str) -> Hello | None:
        """Nobody is there."""
        return None

    def destroy(self) -> None:
        """Nothing is held."""
