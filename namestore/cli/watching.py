"""The command that follows the changes of names: watch.

Responsible for one line or object for each change, written as it comes, and for saying where to go
on from when it ends. Going on after a lost node is the client's business. Invariant: the revision
named at the end leaves nothing out; the change that was being printed may come once more.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

import click

from namestore.cli.connection import Session, session_of
from namestore.cli.exits import DONE, INTERRUPTED
from namestore.cli.group import reads_only
from namestore.cli.options import shared_options
from namestore.cli.output import record_json, shown, shown_owner, time_text
from namestore.cli.store import Changes
from namestore.client.values import NameEvent


@click.command("watch")
@click.argument("prefix", default="")
@click.option(
    "--from-revision",
    type=click.IntRange(min=1),
    metavar="N",
    help="Begin with the changes missed since revision N.  [default: from now on]",
)
@click.option("--squash", is_flag=True, help="Of what was missed, only the latest of each name.")
@click.option(
    "--count",
    type=click.IntRange(min=1),
    metavar="N",
    help="End after N changes.  [default: go on until interrupted]",
)
@shared_options
@click.pass_context
def watch_command(
    ctx: click.Context, prefix: str, from_revision: int | None, squash: bool, count: int | None
) -> int:
    """Follow what becomes of the names that begin with PREFIX, change by change.

    PREFIX includes the namespace: user: or user:al. Without it, all names. When its node is lost it
    goes on at another one; nothing is left out or told twice. --timeout is for finding the first.
    """
    reads_only(ctx)
    if squash and from_revision is None:
        raise click.UsageError("--squash is about what was missed: give --from-revision as well.")
    session = session_of(ctx)
    with session.store() as store:
        feed = store.watch(
            prefix,
            from_revision=from_revision or 0,
            squash=squash,
            timeout=session.choices.timeout,
        )
        with feed:
            return _tell(session, feed, count)


def _tell(session: Session, feed: Changes, count: int | None) -> int:
    """Prints changes until there were enough, or until somebody has seen enough."""
    printing = 0
    try:
        for event in islice(feed, count):
            printing = event.revision
            session.printer.result(_event_line(event), _event_json(event))
            printing = 0
    except KeyboardInterrupt:
        next_revision = printing or feed.revision + 1
        session.printer.note(f"interrupted; to go on from here: --from-revision {next_revision}")
        return INTERRUPTED
    return DONE


def _event_line(event: NameEvent) -> str:
    parts = [str(event.revision), time_text(event.time), event.kind.lower().replace("_", " ")]
    if event.record is None:
        return "  ".join((*parts, f"namespace {shown(event.namespace or '')}"))
    parts += [shown(event.record.name), f"owner={shown_owner(event.record.owner)}"]
    if event.other_name is not None:
        parts.append(f"{'from' if event.kind == 'RENAMED' else 'to'} {shown(event.other_name)}")
    if event.record.expire_time is not None and event.kind == "REGISTERED":
        parts.append(f"until {time_text(event.record.expire_time)}")
    return "  ".join(parts)


def _event_json(event: NameEvent) -> dict[str, Any]:
    return {
        "revision": event.revision,
        "kind": event.kind,
        "time": time_text(event.time),
        "record": record_json(event.record) if event.record else None,
        "other_name": event.other_name,
        "namespace": event.namespace,
    }
