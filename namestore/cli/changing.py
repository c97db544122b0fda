"""The commands that change a name that somebody holds: confirm, update, rename."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, TypeVar

import click

from namestore.cli.connection import Session, session_of
from namestore.cli.each import each_name
from namestore.cli.exits import DONE
from namestore.cli.identity import (
    given_identity,
    literal_bytes,
    request_id_option,
    say_how_to_ask_again,
)
from namestore.cli.options import owner_option, shared_options
from namestore.cli.output import record_json, record_line, shown, shown_owner
from namestore.cli.refusals import refusal_line, result_code, why_json
from namestore.cli.store import Store
from namestore.client.values import NameRecord
from namestore.core.names import canonical_name
from namestore.errors import OutcomeUnknown

CallableT = TypeVar("CallableT", bound=Callable[..., Any])
# Does it under this request_id, prints the result, and returns the exit code.
Change = Callable[[Store, bytes], int]


def _fence_option(command: CallableT) -> CallableT:
    return click.option(
        "--create-revision",
        type=click.IntRange(min=1),
        metavar="N",
        help="Only if this is still the holding that revision N created.",
    )(command)


@click.command("confirm")
@click.argument("name")
@request_id_option
@_fence_option
@owner_option
@shared_options
@click.pass_context
def confirm_command(
    ctx: click.Context, name: str, request_id: str | None, create_revision: int | None
) -> int:
    """Make the reservation of NAME permanent.

    Only its owner may. A reservation that ended before is not found, or somebody else's.
    """
    session = session_of(ctx)

    def confirm(store: Store, identity: bytes) -> int:
        record = store.confirm(
            name,
            owner=session.choices.owner,
            create_revision=create_revision or 0,
            request_id=identity,
            timeout=session.timeout(),
        )
        return _changed(session, "confirmed", record)

    return _carried_through(session, name, request_id, confirm)


@click.command("update")
@click.argument("name")
@click.option("--payload", metavar="TEXT", help="The new payload, literally; at most 1 KiB.")
@click.option("--new-owner", metavar="OWNER", help="Hand the name over.")
@request_id_option
@_fence_option
@owner_option
@shared_options
@click.pass_context
def update_command(
    ctx: click.Context,
    name: str,
    payload: str | None,
    new_owner: str | None,
    request_id: str | None,
    create_revision: int | None,
) -> int:
    """Change the payload of NAME, hand it to another owner, or both.

    Only its owner may. What is not given stays as it is.
    """
    if payload is None and new_owner is None:
        raise click.UsageError("nothing to change: give --payload, --new-owner or both.")
    session = session_of(ctx)

    def update(store: Store, identity: bytes) -> int:
        record = store.update(
            name,
            owner=session.choices.owner,
            payload=None if payload is None else literal_bytes(payload),
            new_owner=new_owner,
            create_revision=create_revision or 0,
            request_id=identity,
            timeout=session.timeout(),
        )
        return _changed(session, "updated", record)

    return _carried_through(session, name, request_id, update)


@click.command("rename")
@click.argument("from_name", metavar="FROM")
@click.argument("to_name", metavar="TO")
@request_id_option
@_fence_option
@owner_option
@shared_options
@click.pass_context
def rename_command(
    ctx: click.Context,
    from_name: str,
    to_name: str,
    request_id: str | None,
    create_revision: int | None,
) -> int:
    """Take the name TO and give FROM back, in one step.

    Only the owner of FROM may. If TO cannot be had, FROM stays as it is.
    """
    session = session_of(ctx)

    def rename(store: Store, identity: bytes) -> int:
        result = store.rename(
            from_name,
            to_name,
            owner=session.choices.owner,
            create_revision=create_revision or 0,
            request_id=identity,
            timeout=session.timeout(),
        )
        record = result.record
        if result.renamed and record is not None:
            line = f"renamed  {shown(from_name)}  {record_line(record)}"
        else:
            line = refusal_line(to_name, result)
        value = {
            "from_name": from_name,
            "to_name": to_name,
            "renamed": result.renamed,
            "refusal": result.refusal.value if result.refusal else None,
            "record": record_json(record) if record else None,
            "revision": result.revision,
            "request_id": f"hex:{result.request_id.hex()}",
            **why_json(result),
        }
        session.printer.result(line, value)
        return result_code(result.refusal, granted=result.renamed)

    canonical_name(to_name)
    return _carried_through(session, from_name, request_id, rename)


def _changed(session: Session, word: str, record: NameRecord) -> int:
    line = (
        f"{word}  {shown(record.name)}  owner={shown_owner(record.owner)}  "
        f"revision={record.mod_revision}"
    )
    session.printer.result(line, {"name": record.name, word: True, "record": record_json(record)})
    return DONE


def _carried_through(session: Session, name: str, request_id: str | None, change: Change) -> int:
    """Runs one change under one identity, and says how to ask again if its outcome is unknown."""
    identity = given_identity(request_id) or secrets.token_bytes(16)

    def act(name: str) -> int:
        canonical_name(name)
        try:
            return change(store, identity)
        except OutcomeUnknown as error:
            say_how_to_ask_again(session, error, identity)
            raise

    with session.store() as store:
        return each_name(session.printer, (name,), act, writes=True)
