"""The node processes of one directory: which run, what they say, start, stop, kill, pause.

Responsible for the verbs that act at once. Waiting for what the nodes make of it is `cluster`'s.
Invariant: all of it works on nodes that another process started, and on a cluster that is half
dead; only `exit_code` needs the process that started the node.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from namestore.config import ClusterConfig, load
from namestore.localcluster.certificates import require_own_config, tls_files
from namestore.localcluster.configuration import Settings, write_node_config
from namestore.localcluster.directory import ClusterDirectory, data_held
from namestore.localcluster.errors import NodeFailed, UnknownNode
from namestore.localcluster.interrupts import interrupts_held
from namestore.localcluster.node_process import SERVER_COMMAND, NodeProcess
from namestore.localcluster.observe import Health, NodeView, observe

Observe = Callable[[Mapping[str, str]], dict[str, NodeView]]
_KILL_SECONDS = 10.0
_PAUSE_SECONDS = 5.0
_PAUSE_POLL_SECONDS = 0.005


class ClusterProcesses:
    """The nodes of one directory.

    Args:
        directory: Marked already; see `create` and `open`.
        command: What runs as a node; `--config FILE --node ID` is added.
        settings: The tables that `create` added to cluster.toml.
        ask: What asks the nodes for their view.
    """

    def __init__(
        self,
        directory: ClusterDirectory,
        *,
        command: Sequence[str] = SERVER_COMMAND,
        settings: Settings | None = None,
        ask: Observe = observe,
    ) -> None:
        self.directory = directory
        self._command = command
        self._settings = settings or {}
        self._ask = ask
        self._config: ClusterConfig | None = None
        self._processes: dict[str, NodeProcess] = {}

    # -- what it is made of ---------------------------------------------------------------------

    @property
    def config(self) -> ClusterConfig:
        """The cluster's file, as it was when first asked for. Raises `ConfigError`."""
        if self._config is None:
            self._config = load(self.directory.config_path)
        return self._config

    @property
    def node_ids(self) -> tuple[str, ...]:
        """In the order of the file."""
        return self.directory.node_ids

    @property
    def endpoints(self) -> str:
        """Where callers reach the nodes, as `NameStore` takes it."""
        return ",".join(node.grpc for node in self.config.nodes)

    def endpoint(self, node_id: str) -> str:
        """Where callers reach one node."""
        return self.config.node(self.node_id(node_id)).grpc

    def node_id(self, name: str) -> str:
        """The id of the node called `n2`, or `2` for short. Raises `UnknownNode`."""
        for candidate in (name, f"n{name}"):
            if candidate in self.node_ids:
                return candidate
        raise UnknownNode(f"no node {name} here: there are {', '.join(self.node_ids) or 'none'}")

    def process(self, node_id: str) -> NodeProcess:
        """The node's process, running or not."""
        known = self.node_id(node_id)
        if known not in self._processes:
            self._processes[known] = NodeProcess(known, self.directory.path, self._command)
        return self._processes[known]

    def running(self) -> list[str]:
        """The nodes whose process runs, paused ones included."""
        return [node_id for node_id in self.node_ids if self.process(node_id).pid is not None]

    def views(self, node_ids: Iterable[str] | None = None) -> dict[str, NodeView]:
        """What the running ones of these nodes (None: of all) say about themselves."""
        wanted = self.node_ids if node_ids is None else node_ids
        running = {node_id: self.endpoint(node_id) for node_id in wanted if self._runs(node_id)}
        views = self._ask(running)
        return {node_id: self._checked(node_id, view) for node_id, view in views.items()}

    # -- one node -------------------------------------------------------------------------------

    def start(self, *node_ids: str) -> None:
        """Starts these nodes (none named: all) where they do not run; does not wait for them."""
        for node_id in node_ids or self.node_ids:
            require_own_config(self.directory, self.node_id(node_id))
            self.process(node_id).start()

    def terminate(self, node_id: str) -> bool:
        """Asks a node to drain and end, without waiting for it; False: it does not run."""
        process = self.process(node_id)
        asked = process.signal(signal.SIGTERM)
        process.signal(signal.SIGCONT)  # a paused process would hear of it only once it goes on
        return asked

    def stop(self, node_id: str, timeout: float | None = None) -> bool:
        """Has a node drain and end, and waits for it; False: it did not run.

        Args:
            node_id: Of the node.
            timeout: Seconds. Default: what the configuration lets a node drain, and 5 more.

        Raises:
            NodeFailed: It still runs after that; it is left running.
            DataHeld: It cannot be told to run, and something else has its data.
        """
        bound = self.drain_timeout() if timeout is None else timeout
        if not self.terminate(node_id):
            self.process(node_id).wait_gone(0)
            self.refuse_strangers(node_id)
            return False
        if not self.process(node_id).wait_gone(bound):
            raise NodeFailed(f"{node_id} was asked to end and still runs after {bound:g} s")
        return True

    def kill(self, node_id: str) -> bool:
        """Ends a node with SIGKILL and waits until it is gone; False: it did not run.

        Raises:
            NodeFailed: It does not end.
            DataHeld: It cannot be told to run, and something else has its data.
        """
        killed = self._kill(node_id)
        if not killed:
            self.refuse_strangers(node_id)
        return killed

    def _kill(self, node_id: str) -> bool:
        process = self.process(node_id)
        killed = process.signal(signal.SIGKILL)
        if not process.wait_gone(_KILL_SECONDS):
            raise NodeFailed(f"{node_id} (pid {process.pid}) does not even end by SIGKILL")
        return killed

    def pause(self, node_id: str) -> None:
        """Holds a node's process (SIGSTOP): it keeps its connections and answers nothing.

        Raises:
            NodeFailed: It is not held after all; it may have ended meanwhile.
        """
        process = self.process(node_id)
        process.signal(signal.SIGSTOP)
        deadline = time.monotonic() + _PAUSE_SECONDS
        while not process.paused:
            if time.monotonic() >= deadline or process.pid is None:
                raise NodeFailed(f"{node_id} cannot be paused: does it run?")
            time.sleep(_PAUSE_POLL_SECONDS)

    def resume(self, node_id: str) -> None:
        """Lets a paused node go on (SIGCONT)."""
        self.process(node_id).signal(signal.SIGCONT)

    def set_addresses(self, node_id: str, addresses: Mapping[str, tuple[str, str]]) -> None:
        """Gives one node a file of its own in which other nodes have other addresses.

        Args:
            node_id: Whose file it is.
            addresses: By node id, the (gRPC, Raft) address that this node is to see.
        """
        path = self.directory.path / f"{self.node_id(node_id)}.toml"
        tls = tls_files(self.directory, self.node_id(node_id)) if self.directory.tls else None
        write_node_config(path, self.config, addresses, self._settings, tls)

    def drain_timeout(self) -> float:
        """How long `stop` waits unless told otherwise, in seconds."""
        return self.config.limits.drain_timeout_ms / 1000 + 5

    # -- all of them ----------------------------------------------------------------------------

    def end(self, timeout: float = 8.0) -> list[str]:
        """Ends every node, by SIGKILL those that still run after `timeout` seconds.

        Returns:
            The nodes that had to be killed.

        Raises:
            DataHeld: Something that is not known to be a node has a node's data. It is left
                running; the nodes that are known were ended.
        """
        killed = self.end_nodes(self.node_ids, timeout)
        self.refuse_strangers(*self.node_ids)
        return killed

    def adopt(self) -> dict[str, int]:
        """Writes the pid files of nodes that run without; gives their pids.

        The caller holds the directory's lock.
        """
        adopted = {node_id: self.process(node_id).adopt() for node_id in self.node_ids}
        return {node_id: pid for node_id, pid in adopted.items() if pid is not None}

    def refuse_strangers(self, *node_ids: str) -> None:
        """Raises `DataHeld` if something not known to be the node has the data of one of these."""
        strangers = {node_id: self.process(node_id).data_stranger for node_id in node_ids}
        held = {node_id: holder for node_id, holder in strangers.items() if holder is not None}
        if held:
            raise data_held(self.directory.path, held)

    def end_nodes(self, node_ids: Iterable[str], timeout: float) -> list[str]:
        """As `end`, these nodes only. An interrupt meanwhile kills the rest and goes on its way."""
        ending = list(node_ids)
        for node_id in ending:
            self.terminate(node_id)
        deadline = time.monotonic() + timeout
        try:
            for node_id in ending:
                self.process(node_id).wait_gone(max(0.0, deadline - time.monotonic()))
        finally:
            with interrupts_held():
                killed = [node_id for node_id in ending if self._kill(node_id)]
        return killed

    # -- inside ---------------------------------------------------------------------------------

    def _runs(self, node_id: str) -> bool:
        return self.process(node_id).pid is not None

    def _checked(self, node_id: str, view: NodeView) -> NodeView:
        """An answer counts only if it comes from that node of this cluster."""
        status = view.status
        if status is None or (status.node_id, status.cluster_name) == (node_id, self.config.name):
            return view
        return NodeView(Health.FOREIGN)
