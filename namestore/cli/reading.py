"""The commands that ask who holds what: lookup, list."""

from __future__ import annotations

import click

from namestore.cli.connection import session_of
from namestore.cli.each import each_name
from namestore.cli.exits import DONE, REFUSED
from namestore.cli.options import shared_options
from namestore.cli.output import record_json, record_line, shown
from namestore.core.names import canonical_name


@click.command("lookup")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--stale", is_flag=True, help="Ask one node for what it knows; it may lag.")
@shared_options
@click.pass_context
def lookup_command(ctx: click.Context, names: tuple[str, ...], stale: bool) -> int:
    """Say who holds each NAME.

    The answer reflects every write that was answered before, unless --stale.
    """
    session = session_of(ctx)

    def look_up(name: str) -> int:
        canonical = canonical_name(name)
        record = store.lookup(name, stale=stale, timeout=session.timeout())
        value = {
            "name": canonical,
            "found": record is not None,
            "record": record_json(record) if record else None,
        }
        line = f"held  {record_line(record)}" if record else f"free  {shown(canonical)}"
        session.printer.result(line, value)
        return DONE if record else REFUSED

    with session.store() as store:
        return each_name(session.printer, names, look_up, writes=False)


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
