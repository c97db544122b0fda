"""The commands of operators: members list, add, remove, transfer.

They show what the leader says, or, while there is none, the node that knows most. Progress and what
to do next go to standard error; standard output holds the members.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, wait
from typing import Any, Final

import click

from namestore.cli.connection import Session, session_of
from namestore.cli.exits import DONE, REFUSED, UNAVAILABLE
from namestore.cli.group import reads_only
from namestore.cli.options import shared_options
from namestore.cli.output import Printer, print_warnings, shown
from namestore.cli.store import Store
from namestore.client.values import EndpointStatus, MemberState, NodeRole, NodeStatus
from namestore.errors import Unreachable

ADD_SECONDS: Final = 600.0
REMOVE_SECONDS: Final = 60.0
TRANSFER_SECONDS: Final = 15.0
STATUS_SECONDS: Final = 3.0
_LOOK_EVERY_SECONDS: Final = 2.0


@click.group("members")
def members_command() -> None:
    """Show and change which nodes belong to the cluster, and which one leads."""


@members_command.command("list")
@shared_options
@click.pass_context
def list_members(ctx: click.Context) -> int:
    """Show the members: addresses, role, connection to the leader, entries they lack."""
    reads_only(ctx)
    session = session_of(ctx)
    with session.store() as store:
        answers = store.status(timeout=session.timeout(STATUS_SECONDS))
    node = _best_view(answers)
    if node is None:
        session.printer.error(Unreachable("no endpoint says who the members are"))
        return UNAVAILABLE
    _print_members(session.printer, node.members, node)
    print_warnings(session.printer, answers)
    return DONE


@members_command.command("add")
@click.argument("node_id", metavar="ID")
@click.option("--raft", required=True, metavar="HOST:PORT", help="Where the nodes reach it.")
@click.option("--grpc", required=True, metavar="HOST:PORT", help="Where callers reach it.")
@shared_options
@click.pass_context
def add_member(ctx: click.Context, node_id: str, raft: str, grpc: str) -> int:
    """Have node ID join. Start it first, with a cluster.toml that names it and the others.

    It receives all names, and counts once it has caught up; this waits for that, 600 seconds
    unless --timeout says otherwise. Running it again goes on with what was begun.
    """
    session = session_of(ctx)
    timeout = session.timeout(ADD_SECONDS)
    with session.store() as store, session.environment.executor(1) as beside:
        adding = beside.submit(store.add_member, node_id, raft, grpc, timeout=timeout)
        _tell_progress(session, store, node_id, adding)
        members = adding.result()
    _print_members(session.printer, members)
    session.printer.note(f"{shown(node_id)} is a member and counts from now on.")
    session.printer.note(
        f"  next: name {shown(node_id)} in [[nodes]] of every node's file, and give its address "
        f"{shown(grpc)} to the callers"
    )
    if len(members) % 2 == 0:
        session.printer.note(
            f"  {len(members)} members survive no more losses than {len(members) - 1}; add or "
            "remove one more"
        )
    return DONE


@members_command.command("remove")
@click.argument("node_id", metavar="ID")
@shared_options
@click.pass_context
def remove_member(ctx: click.Context, node_id: str) -> int:
    """Have node ID leave. It may be down for good; one that runs stops by itself.

    The exit code is 1 if it was no member, and nothing was changed.
    """
    session = session_of(ctx)
    with session.store() as store:
        leader = _leader_view(store.status(timeout=STATUS_SECONDS))
        members = store.remove_member(node_id, timeout=session.timeout(REMOVE_SECONDS))
    _print_members(session.printer, members)
    known = {member.node_id for member in leader.members} if leader is not None else set()
    if known and node_id not in known:
        session.printer.note(f"{shown(node_id)} was no member before: nothing was changed.")
        return REFUSED
    session.printer.note(f"{shown(node_id)} is no member any more; if it runs, it stops by itself.")
    session.printer.note(
        f"  next: take {shown(node_id)} out of [[nodes]] of every node's file, and out of the "
        "callers' endpoints; its data directory stays until you remove it"
    )
    return DONE


@members_command.command("transfer")
@click.argument("node_id", metavar="[ID]", default="")
@shared_options
@click.pass_context
def transfer_leadership(ctx: click.Context, node_id: str) -> int:
    """Have node ID lead; without ID, the member that is furthest."""
    session = session_of(ctx)
    with session.store() as store:
        leader_id = store.transfer_leadership(node_id, timeout=session.timeout(TRANSFER_SECONDS))
    session.printer.result(f"{shown(leader_id)} leads", {"leader_id": leader_id})
    return DONE


# -- what is shown ------------------------------------------------------------------------------


def _best_view(answers: Sequence[EndpointStatus]) -> NodeStatus | None:
    """The leader's, else that of the node that is furthest."""
    nodes = [answer.node for answer in answers if answer.node is not None]
    return _leader_view(answers) or max(nodes, key=_how_far, default=None)


def _leader_view(answers: Sequence[EndpointStatus]) -> NodeStatus | None:
    """The leader's: what it does not name is no member."""
    nodes = [answer.node for answer in answers if answer.node is not None]
    leading = [node for node in nodes if node.role is NodeRole.LEADER and node.has_quorum]
    return max(leading, key=_how_far, default=None)


def _how_far(node: NodeStatus) -> tuple[int, int]:
    return node.term, node.commit_index


def _print_members(
    printer: Printer, members: Sequence[MemberState], node: NodeStatus | None = None
) -> None:
    """One member a line; with what `node` knows of it, if that is given."""
    for member in members:
        value: dict[str, Any] = {
            "node_id": member.node_id,
            "raft_address": member.raft_address,
            "grpc_address": member.grpc_address,
            "voter": member.voter,
        }
        words = [
            shown(member.node_id),
            "counts" if member.voter else "catching up",
            f"raft={shown(member.raft_address)}",
            f"grpc={shown(member.grpc_address)}",
        ]
        if node is not None:
            value |= _known_of(member.node_id, node)
            words += _words_of(value)
        printer.result("  ".join(words), value)


def _known_of(node_id: str, node: NodeStatus) -> dict[str, Any]:
    peer = next((peer for peer in node.peers if peer.node_id == node_id), None)
    itself = node.node_id == node_id
    lag = 0 if itself else (peer.lag_entries if peer else None)
    return {
        "leads": node.leader_id == node_id,
        "connected": itself or (peer is not None and peer.connected),
        "lag_entries": lag,
    }


def _words_of(value: dict[str, Any]) -> list[str]:
    if value["leads"]:
        return ["leads"]
    if not value["connected"]:
        return ["not connected"]
    lag = value["lag_entries"]
    return [] if lag is None else [f"lacks {lag:,} entries"]


def _tell_progress(
    session: Session, store: Store, node_id: str, adding: Future[Sequence[MemberState]]
) -> None:
    """Says how far the newcomer is until the change has ended, in success or not."""
    said = ""
    while not wait([adding], _LOOK_EVERY_SECONDS).done:
        line = _progress_line(_best_view(store.status(timeout=STATUS_SECONDS)), node_id)
        if line != said and not adding.done():
            said = line
            session.printer.note(line)


def _progress_line(node: NodeStatus | None, node_id: str) -> str:
    peer = next((peer for peer in node.peers if peer.node_id == node_id), None) if node else None
    name = shown(node_id)
    if node is None or peer is None:
        return f"waiting for the leader to take {name} in"
    if not peer.connected:
        return f"{name} is not connected: does it run, at the --raft address given?"
    if peer.match_index is None or peer.lag_entries is None:
        return f"{name} is catching up"
    return f"{name} has {peer.match_index:,} of {peer.match_index + peer.lag_entries:,} entries"
