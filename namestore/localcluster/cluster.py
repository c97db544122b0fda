"""A cluster of node processes on this machine, as the tool, the demo and the tests use it.

Responsible for making one, and for waiting until its nodes have done what was asked. Not for the
words and colours of the command line (`main`, `table`). Invariant: every wait ends, in what was
waited for or in an error that says what did not come true.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc

from namestore.localcluster.certificates import decide_tls, secure
from namestore.localcluster.configuration import Settings, check_shape, write_config
from namestore.localcluster.directory import ClusterDirectory
from namestore.localcluster.errors import NodeFailed
from namestore.localcluster.node_process import SERVER_COMMAND
from namestore.localcluster.observe import Health, NodeView, names_digest
from namestore.localcluster.processes import ClusterProcesses

_POLL_SECONDS = 0.1


class LocalCluster(ClusterProcesses):
    """The nodes of one directory, with verbs that wait.

    Leaving it as a context manager ends every node: SIGTERM, and SIGKILL for what lingers.
    """

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        nodes: int | None = None,
        base_port: int | None = None,
        settings: Settings | None = None,
        tls: bool | None = None,
        command: Sequence[str] = SERVER_COMMAND,
    ) -> Self:
        """The cluster of a directory, which is made with its `cluster.toml` if it is not there.

        Args:
            path: The directory.
            nodes: How many; None: as many as there are, 3 in a new one.
            base_port: Of n1; 0: free ports; None: as they are, 7101 in a new one.
            settings: Further tables for a new `cluster.toml`.
            tls: The nodes speak TLS to each other, with certificates made here; None: as they do,
                in a new one they do not.
            command: What runs as a node.

        Raises:
            DirectoryUnusable: The directory holds something else.
            ClusterMismatch: It holds a cluster of another shape.
            ConfigError: Its `cluster.toml` was changed into something that cannot work, or nothing
                is installed to make certificates with.
        """
        directory = ClusterDirectory.create(path)
        with directory.locked():
            return cls.prepare(
                directory,
                nodes=nodes,
                base_port=base_port,
                settings=settings,
                tls=tls,
                command=command,
            )

    @classmethod
    def prepare(
        cls,
        directory: ClusterDirectory,
        *,
        nodes: int | None = None,
        base_port: int | None = None,
        settings: Settings | None = None,
        tls: bool | None = None,
        command: Sequence[str] = SERVER_COMMAND,
    ) -> Self:
        """As `create`, in a directory that is marked and whose lock the caller holds."""
        secured = decide_tls(directory, tls)
        if not directory.config_path.exists():
            write_config(directory.config_path, nodes, base_port, settings)
        cluster = cls(directory, command=command, settings=settings)
        check_shape(directory.config_path, cluster.config, nodes, base_port)
        directory.remember_nodes([node.id for node in cluster.config.nodes])
        if secured:
            secure(directory, cluster.config)
        return cluster

    @classmethod
    def open(cls, path: Path, *, command: Sequence[str] = SERVER_COMMAND) -> Self:
        """The cluster of a directory that has one. Raises `DirectoryUnusable`."""
        return cls(ClusterDirectory.open(path), command=command)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()

    # -- waiting --------------------------------------------------------------------------------

    def wait_until(self, condition: Callable[[], bool], what: str, timeout: float = 30.0) -> None:
        """Waits until `condition()` holds. Raises `NodeFailed`, saying `what` did not come true."""
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() >= deadline:
                raise NodeFailed(f"after {timeout:g} s: not {what}", self._tails())
            time.sleep(_POLL_SECONDS)

    def wait_until_serving(
        self,
        *node_ids: str,
        timeout: float = 30.0,
        on_progress: Callable[[dict[str, NodeView]], None] | None = None,
        instead: Callable[[dict[str, NodeView]], bool] | None = None,
    ) -> None:
        """Waits until these nodes (none named: all) serve the registry, or `instead` holds.

        Raises:
            NodeFailed: One ended meanwhile, or not all served in time.
        """
        wanted = node_ids or self.node_ids

        def serving() -> bool:
            for node_id in wanted:
                self._raise_if_ended(node_id)
            views = self.views(wanted)
            if on_progress is not None:
                on_progress(views)
            if instead is not None and instead(views):
                return True
            return all(views[n].health is Health.SERVING if n in views else False for n in wanted)

        self.wait_until(serving, f"serving: {', '.join(wanted)}", timeout)

    def wait_until_answering(self, node_id: str, timeout: float = 30.0) -> NodeView:
        """Waits until a node answers at all, serving or not; gives its answer.

        Raises:
            NodeFailed: It ended meanwhile, or did not answer in time.
        """
        found: list[NodeView] = []

        def answering() -> bool:
            self._raise_if_ended(node_id)
            found[:] = [view for view in self.views([node_id]).values() if view.status is not None]
            return bool(found)

        self.wait_until(answering, f"answering: {node_id}", timeout)
        return found[0]

    def wait_for_leader(self, other_than: str | None = None, timeout: float = 30.0) -> str:
        """Waits until a node that is not `other_than` leads and serves; gives its id."""
        found: list[str] = []

        def elected() -> bool:
            found[:] = [
                node_id
                for node_id, view in self.views().items()
                if view.leads and view.health is Health.SERVING and node_id != other_than
            ]
            return len(found) == 1

        self.wait_until(elected, "one leader", timeout)
        return found[0]

    def wait_until_equal(self, timeout: float = 30.0) -> str:
        """Waits until all running nodes applied as much and hold the same names.

        Returns:
            The checksum they agree on; see `names_digest`.
        """
        found: set[str] = set()

        def equal() -> bool:
            running = self.running()
            statuses = [view.status for view in self.views(running).values()]
            applied = {status.applied_index for status in statuses if status is not None}
            if len(applied) != 1 or None in statuses:
                return False
            found.clear()
            try:
                found.update(names_digest(self.endpoint(node_id)) for node_id in running)
            except grpc.RpcError:
                return False
            return len(found) == 1

        self.wait_until(equal, "equal on every node", timeout)
        return found.pop()

    # -- inside ----------------------------------------------------------------------------------

    def _raise_if_ended(self, node_id: str) -> None:
        process = self.process(node_id)
        if process.pid is None:
            code = process.exit_code
            how = "" if code is None else f" with exit code {code}"
            raise NodeFailed(f"{node_id} ended{how}", process.log_tail())

    def _tails(self) -> str:
        tails = {node_id: self.process(node_id).log_tail(5) for node_id in self.node_ids}
        return "\n".join(f"[{node_id}]\n{tail}" for node_id, tail in tails.items() if tail)
