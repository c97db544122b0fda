"""A cluster's state in rows: gathered from processes and nodes, shown as a table or as JSON.

Responsible for what is shown, also when some or all nodes are down. Changes nothing. The keys of
the JSON are kept: scripts read them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from namestore.localcluster.cluster import LocalCluster
from namestore.localcluster.observe import Health, NodeView
from namestore.v1 import cluster_pb2


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One node. What is not known is None.

    Attributes:
        process: `running`, `paused`, `down`, `gone` (down, and its pid file speaks of a process
            that is no more: it was killed or it crashed), `lost` (running, but its pid file is
            lost), or `held` (something that is not known to be the node has its data; its pid).
        role: `leader`, `follower`, `candidate`, `learner`.
        lag: Entries of the log that it has not got or not applied, as far as anybody knows.
        health: `serving`, `not serving`, `no answer`, `not a namestore node`, `down`.
    """

    node: str
    endpoint: str
    process: str
    pid: int | None
    role: str | None
    term: int | None
    applied: int | None
    lag: int | None
    names: int | None
    health: str


def gather(cluster: LocalCluster) -> list[NodeRow]:
    """One row for each node of the cluster."""
    views = cluster.views()
    return [_row(cluster, node_id, views) for node_id in cluster.node_ids]


def all_serve(rows: list[NodeRow]) -> bool:
    """Every node is in service."""
    return all(row.health == Health.SERVING.value for row in rows)


def as_json(cluster: LocalCluster, rows: list[NodeRow]) -> dict[str, Any]:
    """The rows and what they belong to, ready for `json.dumps`."""
    return {
        "cluster": cluster.config.name,
        "directory": str(cluster.directory.path),
        "endpoints": cluster.endpoints,
        "serving": all_serve(rows),
        "nodes": [asdict(row) for row in rows],
    }


def as_table(rows: list[NodeRow]) -> Table:
    """The rows for people."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("node")
    table.add_column("endpoint", no_wrap=True)
    table.add_column("pid", justify="right")
    table.add_column("role")
    for number in ("term", "applied", "lag", "names"):
        table.add_column(number, justify="right")
    table.add_column("health")
    for row in rows:
        numbers = (row.term, row.applied, row.lag, row.names)
        table.add_row(
            row.node,
            row.endpoint,
            _text(row.pid),
            _text(row.role),
            *(_text(number) for number in numbers),
            _health_text(row),
            style="bold" if row.role == "leader" else "",
        )
    return table


def _row(cluster: LocalCluster, node_id: str, views: dict[str, NodeView]) -> NodeRow:
    view = views.get(node_id)
    status = None if view is None else view.status
    return NodeRow(
        node=node_id,
        endpoint=cluster.endpoint(node_id),
        process=_process_state(cluster, node_id),
        pid=_pid(cluster, node_id),
        role=None if status is None else cluster_pb2.Role.Name(status.role).lower(),
        term=None if status is None else status.term,
        applied=None if status is None else status.applied_index,
        lag=_lag(node_id, views),
        names=None if status is None else status.name_count,
        health="down" if view is None else view.health.value,
    )


def _pid(cluster: LocalCluster, node_id: str) -> int | None:
    process = cluster.process(node_id)
    stranger = process.data_stranger
    return process.pid if stranger is None else stranger.pid


def _process_state(cluster: LocalCluster, node_id: str) -> str:
    process = cluster.process(node_id)
    if process.pid is None:
        if process.data_stranger is not None:
            return "held"
        return "gone" if process.pid_file_is_stale else "down"
    if process.paused:
        return "paused"
    return "lost" if process.pid_file_is_lost else "running"


def _lag(node_id: str, views: dict[str, NodeView]) -> int | None:
    """Against the newest entry known to be committed; else what the leader says of it."""
    statuses = {n: view.status for n, view in views.items() if view.status is not None}
    if node_id in statuses:
        committed = max(status.commit_index for status in statuses.values())
        return max(0, committed - statuses[node_id].applied_index)
    for status in statuses.values():
        for peer in status.peers:
            if (
                status.role == cluster_pb2.LEADER
                and peer.node_id == node_id
                and peer.HasField("lag_entries")
            ):
                return peer.lag_entries
    return None


def _text(value: object) -> str:
    return "-" if value is None else str(value)


def _health_text(row: NodeRow) -> str:
    notes = {
        "paused": "[yellow]paused[/] (held by SIGSTOP)",
        "gone": "[red]gone[/] (killed or crashed)",
        "held": "[red]data in use[/] (by what is not known to be the node)",
        "down": "[red]down[/]",
    }
    if row.process in notes:
        return notes[row.process]
    colour = "green" if row.health == Health.SERVING.value else "red"
    lost = " (its pid file is lost)" if row.process == "lost" else ""
    return f"[{colour}]{row.health}[/]{lost}"
