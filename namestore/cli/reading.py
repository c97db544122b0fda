"""The commands that ask who holds, or held, what: lookup, history, list."""

from __future__ import annotations

from typing import Any

import click

from namestore.cli.connection import session_of
from namestore.cli.each import each_name
from namestore.cli.exits import DONE, REFUSED
from namestore.cli.options import shared_options
from namestore.cli.output import record_json, record_line, shown, shown_owner, time_text
from namestore.client.histories import Holding
from namestore.client.values import LookupResult
from namestore.core.names import canonical_name


@click.command("lookup")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--stale", is_flag=True, help="Ask one node for what it knows; it may lag.")
@shared_options
@click.pass_context
def lookup_command(ctx: click.Context, names: tuple[str, ...], stale: bool) -> int:
    """Say who holds each NAME.

    The answer reflects every write that was answered before, unless --stale. A reservation is held
    "until" its end. Of a name that was renamed and is free the present name is told, where the
    namespace's policy says so.
    """
    session = session_of(ctx)

    def look_up(name: str) -> int:
        canonical = canonical_name(name)
        found = store.resolve(name, stale=stale, timeout=session.timeout())
        record, redirect = found.record, found.redirect
        value = {
            "name": canonical,
            "found": record is not None,
            "record": record_json(record) if record else None,
            "redirect": record_json(redirect) if redirect else None,
            "revision": found.revision,
        }
        session.printer.result(_lookup_line(canonical, found), value)
        return DONE if record else REFUSED

    with session.store() as store:
        return each_name(session.printer, names, look_up, writes=False)


def _lookup_line(canonical: str, found: LookupResult) -> str:
    if found.record is not None:
        return f"held  {record_line(found.record)}"
    if found.redirect is not None:
        return f"renamed  {shown(canonical)}  now {record_line(found.redirect)}"
    return f"free  {shown(canonical)}"


@click.command("history")
@click.argument("name")
@click.option("--stale", is_flag=True, help="Ask one node for what it knows; it may lag.")
@shared_options
@click.pass_context
def history_command(ctx: click.Context, name: str, stale: bool) -> int:
    """Say who held NAME, from when to when, oldest first.

    As far back as the registry keeps it. The exit code is 1 if nothing is known.
    """
    session = session_of(ctx)

    def tell(name: str) -> int:
        canonical = canonical_name(name)
        history = store.history(name, stale=stale, timeout=session.timeout())
        for holding in history.holdings:
            session.printer.result(_holding_line(holding), _holding_json(canonical, holding))
        if not history.holdings:
            session.printer.note(f"{shown(canonical)}: nobody is known to have held it")
        if history.oldest_revision > 1:  # nothing ended before the first change
            session.printer.note(
                f"holdings that ended before revision {history.oldest_revision} are not known"
            )
        return DONE if history.holdings else REFUSED

    with session.store() as store:
        return each_name(session.printer, (name,), tell, writes=False)


def _holding_line(holding: Holding) -> str:
    owner, since = shown_owner(holding.owner), time_text(holding.from_time)
    if holding.to_time is None or holding.ended_by is None:
        return f"{since}  to now  owner={owner}  revision={holding.create_revision}"
    ended = holding.ended_by.value.lower().replace("_", " ")
    until = time_text(holding.to_time)
    return f"{since}  to {until}  owner={owner}  revision={holding.create_revision}  {ended}"


def _holding_json(name: str, holding: Holding) -> dict[str, Any]:
    return {
        "name": name,
        "owner": holding.owner,
        "from_time": time_text(holding.from_time),
        "to_time": time_text(holding.to_time) if holding.to_time else None,
        "create_revision": holding.create_revision,
        "ended_by": holding.ended_by.value if holding.ended_by else None,
        "end_revision": holding.end_revision,
    }


@click.command("list")
@click.argument("prefix", default="")
@shared_options
@click.pass_context
def list_command(ctx: click.Context, prefix: str) -> int:
    """List the names that begin with PREFIX, in byte order.

    PREFIX includes the namespace: user: or user:al. Without it, all names. See also: export.
    """
    session = session_of(ctx)
    with session.store() as store:
        for record in store.list(prefix, timeout=session.timeout()):
            session.printer.result(record_line(record), record_json(record))
    return DONE
