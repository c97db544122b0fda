"""Looks at the nodes from outside all the time: who leads, and who ended though nobody ended it.

Not responsible for what is done to the nodes (`stage`). Invariant: a run in which this stopped
looking, for whatever reason, does not end as one that found nothing: `Watch.check` says so.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from namestore.localcluster.observe import NodeView, observe
from namestore.v1 import cluster_pb2
from tests.support.linearizability import Violation
from tests.torture.nodes import TortureCluster

LOOK_AGE_MAX_SECONDS = 30.0
_LOOK_SECONDS = 0.25


class WatchFailed(Exception):
    """The nodes were not looked at any more: what they did is not known."""


class Down:
    """Nodes that may have ended, by what the faults do to them. Changed by the main thread only.

    Attributes:
        changes: How often a node was added. A node is added before it is brought down, so one that
            is found ended while this stayed the same, and that is not in here, ended by itself.
    """

    def __init__(self) -> None:
        self.changes = 0
        self._nodes: set[str] = set()

    def __contains__(self, node_id: str) -> bool:
        return node_id in self._nodes

    def add(self, node_id: str) -> None:
        """From now on it may end."""
        self._nodes.add(node_id)
        self.changes += 1

    def discard(self, node_id: str) -> None:
        """It was started again."""
        self._nodes.discard(node_id)


class Watch:
    """Asks every node for its view, in a thread, while it is entered.

    Attributes:
        leaders: By term, who led.
        found: What must not be, in words; empty: nothing so far.
        looks: How often all nodes were asked.
        answers: How many views nodes gave of themselves.
    """

    def __init__(self, cluster: TortureCluster, down: Down) -> None:
        self.leaders: dict[int, str] = {}
        self.found: list[str] = []
        self.looks = 0
        self.answers = 0
        self._cluster = cluster
        self._down = down
        self._reported: set[str] = set()
        self._views: Mapping[str, NodeView] = {}
        self._looked = time.monotonic()
        self._left: float | None = None
        self._failure: BaseException | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> Self:
        self._looked = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._left = time.monotonic()
        self._ended.set()
        self._thread.join()

    @property
    def leader(self) -> str | None:
        """Who seemed to lead when last looked: of several, the one of the newest term."""
        leading = [
            (view.status.term, node_id)
            for node_id, view in self._views.items()
            if view.status is not None and view.leads
        ]
        return max(leading)[1] if leading else None

    @property
    def term(self) -> int:
        """The newest term in which a leader was seen."""
        return max(self.leaders, default=0)

    @property
    def age(self) -> float:
        """Seconds since the last whole look; once it was left, as of that moment."""
        now = time.monotonic() if self._left is None else self._left
        return max(0.0, now - self._looked)

    def check(self) -> None:
        """For one that was entered, and may have been left.

        Raises:
            Violation: It found something.
            WatchFailed: It does not look any more, or has not for too long.
        """
        if self.found:
            raise Violation("\n".join(self.found))
        told = f"after {self.looks} looks, the last {self.age:.1f} s old"
        if self._failure is not None:
            raise WatchFailed(f"looking at the nodes failed {told}: {self._failure!r}")
        if self._left is None and not self._thread.is_alive():
            raise WatchFailed(f"nobody looks at the nodes any more {told}")
        if self.age > LOOK_AGE_MAX_SECONDS:
            raise WatchFailed(f"looking at the nodes hangs {told}")

    def _run(self) -> None:
        endpoints = {node.id: node.grpc for node in self._cluster.config.nodes}
        try:
            while not self._ended.wait(_LOOK_SECONDS):
                self._look(endpoints)
        except BaseException as error:  # noqa: BLE001  # whatever it is, `check` tells it
            self._failure = error

    def _look(self, endpoints: Mapping[str, str]) -> None:
        self._views = observe(endpoints, timeout=0.5)
        for node_id, view in self._views.items():
            self.answers += view.status is not None
            if view.leads and view.status is not None:
                self._note_leader(view.status, node_id)
        for node_id in endpoints:
            self._note_end(node_id)
        self.looks += 1
        self._looked = time.monotonic()

    def _note_leader(self, status: cluster_pb2.StatusResponse, node_id: str) -> None:
        before = self.leaders.setdefault(status.term, node_id)
        if before != node_id:
            self.found.append(f"{before} and {node_id} both led in term {status.term}")

    def _note_end(self, node_id: str) -> None:
        changes = self._down.changes
        if node_id in self._down or node_id in self._reported:
            return
        process = self._cluster.process(node_id)
        if process.pid is not None or self._down.changes != changes:
            return  # it runs, or something was brought down just now: the next look will tell
        self.found.append(
            f"{node_id} ended by itself, exit {process.exit_code}\n{process.log_tail(30)}"
        )
        self._reported.add(node_id)
