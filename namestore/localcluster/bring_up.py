"""Bringing a cluster up: all of what is missing, or nothing of it.

Responsible for leaving no node behind when one of them cannot be started, and for saying what
stands in the way. A node that runs and is no member yet is not in the way: only an order of its
operator has it serve. Invariant: when `bring_up` raises, whatever runs was running before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from namestore.localcluster.cluster import LocalCluster
from namestore.localcluster.configuration import choose_addresses
from namestore.localcluster.directory import MARKER, ClusterDirectory
from namestore.localcluster.errors import PortTaken
from namestore.localcluster.observe import Health, NodeView
from namestore.localcluster.ports import holder_of, is_taken

_CLEAN_UP_SECONDS = 5.0
_TAKEN_REMEDY = "choose other ports with --base-port (0: free ones), and a directory with --dir"


@dataclass(frozen=True, slots=True)
class BroughtUp:
    """What `bring_up` found and did.

    Attributes:
        running: Nodes that ran before.
        stale: Nodes whose pid file spoke of a process that is gone.
        started: Nodes it started.
        outside: Nodes that run, and that the cluster does not count as members.
    """

    running: tuple[str, ...]
    stale: tuple[str, ...]
    started: tuple[str, ...]
    outside: tuple[str, ...] = ()


def bring_up(
    cluster: LocalCluster,
    timeout: float,
    on_progress: Callable[[dict[str, NodeView]], None] | None = None,
) -> BroughtUp:
    """Starts the nodes that do not run, and waits until all serve that are members.

    Args:
        cluster: Its directory's lock is held by the caller. Nodes whose pid file is lost are
            given a new one.
        timeout: Seconds for them to serve.
        on_progress: Hears what the nodes say, each time they are asked.

    Raises:
        PortTaken: Something listens where a missing node should. Nothing was started.
        NodeFailed: A node ended or did not serve in time. What this call started is ended again,
            as it is on an interrupt.
    """
    cluster.adopt()
    running = tuple(cluster.running())
    missing = [node_id for node_id in cluster.node_ids if node_id not in running]
    stale = tuple(n for n in missing if cluster.process(n).pid_file_is_stale)
    for node_id in missing:
        refuse_taken_ports(cluster, node_id)
    try:
        for node_id in missing:
            cluster.start(node_id)
        outside = _wait_for_members(cluster, timeout, on_progress)
    except BaseException:
        cluster.end_nodes(missing, _CLEAN_UP_SECONDS)
        raise
    return BroughtUp(running, stale, tuple(missing), outside)


def _wait_for_members(
    cluster: LocalCluster,
    timeout: float,
    on_progress: Callable[[dict[str, NodeView]], None] | None,
) -> tuple[str, ...]:
    """Waits until every node serves or is outside; gives those that are."""
    found: list[str] = []

    def all_are_well(views: dict[str, NodeView]) -> bool:
        found[:] = outsiders(views)
        serving = [node_id for node_id in views if views[node_id].health is Health.SERVING]
        return {*serving, *found} == set(cluster.node_ids)

    cluster.wait_until_serving(timeout=timeout, on_progress=on_progress, instead=all_are_well)
    return tuple(found)


def outsiders(views: Mapping[str, NodeView]) -> list[str]:
    """The nodes that answer, and that a node which serves does not count as members."""
    serving = [
        view.status
        for view in views.values()
        if view.health is Health.SERVING and view.status is not None and view.status.members
    ]
    if not serving:
        return []
    newest = max(serving, key=lambda status: (status.term, status.commit_index))
    voters = {member.node_id for member in newest.members if member.voter}
    return [
        node_id
        for node_id, view in views.items()
        if view.health is Health.NOT_SERVING and view.status is not None and node_id not in voters
    ]


def refuse_taken_ports(cluster: LocalCluster, node_id: str) -> None:
    """Raises `PortTaken` if a port of a node that does not run is in use, saying by whom."""
    node = cluster.config.node(node_id)
    _refuse_taken(cluster.directory, node_id, (node.grpc, node.raft))


def refuse_taken_base(
    directory: ClusterDirectory, nodes: int | None, base_port: int | None
) -> None:
    """The same for a cluster that is not there yet, so that it is not made where it cannot run.

    A directory in which nothing was made so far but its marker is then given back.

    Args:
        directory: Its lock is held by the caller.
        nodes: As `LocalCluster.create` has it.
        base_port: As `LocalCluster.create` has it.

    Raises:
        PortTaken: Something listens where one of its nodes should.
    """
    if directory.config_path.exists() or base_port == 0:
        return
    try:
        for node_id, addresses in choose_addresses(nodes, base_port).items():
            _refuse_taken(directory, node_id, addresses)
    except PortTaken:
        if not directory.node_ids and not directory.tls:
            directory.wipe()
        raise


def _refuse_taken(directory: ClusterDirectory, node_id: str, addresses: tuple[str, str]) -> None:
    for kind, address in zip(("gRPC", "Raft"), addresses, strict=True):
        host, _, port = address.rpartition(":")
        if is_taken(int(port), host):
            raise PortTaken(
                f"port {port} ({kind} of {node_id}) is in use{_by_whom(directory, int(port))}"
            )


def _by_whom(own: ClusterDirectory, port: int) -> str:
    holder = holder_of(port)
    if holder is None:
        return f": {_TAKEN_REMEDY}"
    pid, arguments = holder
    config = _config_argument(arguments)
    if config is None:
        program = " ".join(arguments)[:80] or "unknown"
        return f" by pid {pid} ({program}): end that, or {_TAKEN_REMEDY}"
    directory = Path(config).parent
    if directory == own.path:
        return f" by a node of this very cluster whose pid file is lost: `kill {pid}` ends it"
    if (directory / MARKER).exists():
        remedy = f"end that one with `namestore-local-cluster down --dir {directory}`"
    else:
        remedy = "end that one"
    return f" by a node (pid {pid}) of another cluster, {config}: {remedy}, or {_TAKEN_REMEDY}"


def _config_argument(arguments: list[str]) -> str | None:
    """What follows --config, if these are the arguments of a node."""
    if "--node" not in arguments or "--config" not in arguments[:-1]:
        return None
    return arguments[arguments.index("--config") + 1]
