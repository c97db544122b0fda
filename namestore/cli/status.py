"""The command that shows every node as it sees itself: status."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from namestore.cli.connection import session_of
from namestore.cli.exits import DONE, UNAVAILABLE, advice, reason
from namestore.cli.options import shared_options
from namestore.cli.output import print_warnings, shown, time_text
from namestore.client.values import EndpointStatus, NodeStatus
from namestore.errors import NamestoreError, Unreachable

_COLUMNS = (
    ("endpoint", "left"),
    ("node", "left"),
    ("role", "left"),
    ("term", "right"),
    ("applied", "right"),
    ("revision", "right"),
    ("names", "right"),
    ("lag", "right"),
    ("mean ms", "right"),
    ("errors", "right"),
    ("health", "left"),
)


@click.command("status")
@shared_options
@click.pass_context
def status_command(ctx: click.Context) -> int:
    """Show every endpoint: role, term, applied entries, names, lag, response time, health.

    Ends with 0 if at least one node reaches a majority, else with 3.
    """
    session = session_of(ctx)
    with session.store() as store:
        answers = store.status(timeout=session.timeout(3.0))
    if session.printer.as_json:
        for answer in answers:
            session.printer.result("", _as_json(answer, answers))
    else:
        _print_table(answers)
        print_warnings(session.printer, answers)
    if any(answer.node is not None and answer.node.has_quorum for answer in answers):
        return DONE
    session.printer.note("no endpoint reaches a majority of the cluster")
    session.printer.note(f"  {_what_to_do(answers)}")
    return UNAVAILABLE


def _what_to_do(answers: Sequence[EndpointStatus]) -> str:
    if any(answer.node is not None for answer in answers):
        return "start the nodes that do not run, or mend what keeps them apart"
    return advice(next((answer.error for answer in answers if answer.error), Unreachable("")))


def _lag(node: NodeStatus, answers: Sequence[EndpointStatus]) -> int:
    """Entries that this node has yet to apply, by the furthest commit anybody knows of."""
    known = [answer.node.commit_index for answer in answers if answer.node is not None]
    return max(0, max(known, default=0) - node.applied_index)


def _health(node: NodeStatus) -> str:
    if not node.has_quorum:
        return "no quorum"
    return "serving" if node.leader_id else "no leader"


def _as_json(answer: EndpointStatus, answers: Sequence[EndpointStatus]) -> dict[str, Any]:
    node = answer.node
    if node is None:
        error = answer.error or Unreachable("no answer")
        return {
            "endpoint": answer.endpoint,
            "health": _unhealthy(error),
            "error": reason(error),
            "message": error.message,
        }
    heartbeat = node.last_heartbeat
    return {
        "endpoint": answer.endpoint,
        "health": _health(node),
        "node_id": node.node_id,
        "cluster_name": node.cluster_name,
        "role": node.role.value,
        "leader_id": node.leader_id,
        "leader_grpc_address": node.leader_grpc_address,
        "term": node.term,
        "commit_index": node.commit_index,
        "applied_index": node.applied_index,
        "revision": node.revision,
        "name_count": node.name_count,
        "lag_entries": _lag(node, answers),
        "response_time_ms_mean": node.response_time_ms_mean,
        "error_rate": node.error_rate,
        "region": node.region,
        "uptime_seconds": node.uptime.total_seconds(),
        "has_quorum": node.has_quorum,
        "last_heartbeat": time_text(heartbeat) if heartbeat else None,
        "version": node.version,
        "warnings": list(node.warnings),
        "watchers": node.watchers,
    }


def _unhealthy(error: NamestoreError) -> str:
    return "unreachable" if isinstance(error, Unreachable) else "error"


def _print_table(answers: Sequence[EndpointStatus]) -> None:
    table = Table(box=None, pad_edge=False)
    for title, justify in _COLUMNS:
        table.add_column(title, justify="right" if justify == "right" else "left", no_wrap=True)
    for answer in answers:
        table.add_row(*(Text(cell) for cell in _cells(answer, answers)))
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)  # a pipe has no width to fit into: cells stay whole
    console.print(table)


def _cells(answer: EndpointStatus, answers: Sequence[EndpointStatus]) -> tuple[str, ...]:
    node = answer.node
    if node is None:
        error = answer.error or Unreachable("no answer")
        dashes = ("-",) * (len(_COLUMNS) - 2)
        if isinstance(error, Unreachable):
            return (shown(answer.endpoint), *dashes, "unreachable")
        return (shown(answer.endpoint), *dashes, f"error: {shown(error.message)}")
    return (
        shown(answer.endpoint),
        shown(node.node_id),
        node.role.value,
        str(node.term),
        str(node.applied_index),
        str(node.revision),
        str(node.name_count),
        str(_lag(node, answers)),
        f"{node.response_time_ms_mean:.1f}",
        f"{node.error_rate:.1%}",
        _health(node),
    )
