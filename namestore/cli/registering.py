"""The commands that take names and give them back: register, slug, release."""

from __future__ import annotations

import secrets
import shlex

import click

from namestore.cli.connection import Session, session_of
from namestore.cli.durations import Duration
from namestore.cli.each import each_name
from namestore.cli.exits import DONE, REFUSED
from namestore.cli.group import PROGRAM
from namestore.cli.identity import (
    given_identity,
    literal_bytes,
    request_id_option,
    say_how_to_ask_again,
)
from namestore.cli.options import owner_option, shared_options
from namestore.cli.output import holder_text, record_json, shown, shown_owner, time_text
from namestore.cli.refusals import REFUSAL_WORDS, refusal_line, result_code, why_json
from namestore.cli.store import Store
from namestore.client.slugs import looks_like_sha
from namestore.client.values import Refusal, RegisterResult
from namestore.core.names import canonical_name
from namestore.errors import NameTaken, OutcomeUnknown


@click.command("register")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option(
    "--payload",
    default="",
    metavar="TEXT",
    help="Kept with the name; at most 1 KiB. Taken literally: @FILE and \\n mean nothing special.",
)
@click.option(
    "--request-id",
    metavar="ID",
    help="Makes running the command again the same request: text, or hex:DIGITS. One NAME only.  "
    "[default: random]",
)
@click.option(
    "--ttl",
    type=Duration(),
    metavar="TIME",
    help="A reservation that ends by itself unless confirmed: 90, 90s, 15m, 2h, 7d; 0: as long as "
    "the namespace's policy says.  [default: for ever]",
)
@owner_option
@shared_options
@click.pass_context
def register_command(
    ctx: click.Context,
    names: tuple[str, ...],
    payload: str,
    request_id: str | None,
    ttl: float | None,
) -> int:
    """Take each NAME if nobody holds it.

    A name looks like user:alice. Every name is decided for itself; the exit code is that of the
    worst. With --ttl it is a reservation: confirm makes it permanent.
    """
    if request_id is not None and len(names) > 1:
        raise click.UsageError("--request-id identifies one request: give one NAME with it.")
    given_id = given_identity(request_id)
    session = session_of(ctx)
    with session.store() as store:
        return each_name(
            session.printer,
            names,
            lambda name: _register(session, store, name, literal_bytes(payload), ttl, given_id),
            writes=True,
        )


def _register(
    session: Session,
    store: Store,
    name: str,
    payload: bytes,
    ttl: float | None,
    given_id: bytes | None,
) -> int:
    canonical_name(name)
    request_id = given_id or secrets.token_bytes(16)
    try:
        result = store.register(
            name,
            owner=session.choices.owner,
            payload=payload,
            ttl=ttl,
            request_id=request_id,
            timeout=session.timeout(),
        )
    except OutcomeUnknown as error:
        say_how_to_ask_again(session, error, request_id)
        raise
    session.printer.result(_register_line(result), _register_json(result))
    return result_code(result.refusal, granted=result.registered)


def _register_line(result: RegisterResult) -> str:
    record = result.record
    if not result.registered or record is None:
        return refusal_line(result.name, result)
    line = (
        f"granted  {shown(record.name)}  owner={shown_owner(record.owner)}  "
        f"revision={result.revision}"
    )
    return f"{line}  until {time_text(record.expire_time)}" if record.expire_time else line


def _register_json(result: RegisterResult) -> dict[str, object]:
    return {
        "name": result.name,
        "registered": result.registered,
        "refusal": result.refusal.value if result.refusal else None,
        "record": record_json(result.record) if result.record else None,
        "revision": result.revision,
        "request_id": f"hex:{result.request_id.hex()}",
        **why_json(result),
    }


@click.command("slug")
@click.argument("prefix")
@click.argument("slug", required=False)
@click.option("--short", is_flag=True, help="The shortest free abbreviation, from 7 digits up.")
@click.option(
    "--attempts",
    type=click.IntRange(min=1),
    default=16,
    show_default=True,
    help="How many generated slugs to try.",
)
@owner_option
@shared_options
@click.pass_context
def slug_command(
    ctx: click.Context, prefix: str, slug: str | None, short: bool, attempts: int
) -> int:
    """Take PREFIX followed by SLUG, or by a generated SHA.

    Without SLUG a SHA is generated, anew until one is free. A SLUG of your own is tried once,
    unless it looks like a SHA itself. PREFIX is such as post: and the printed name is the
    permalink.
    """
    if short and slug is not None and not looks_like_sha(slug):
        raise click.UsageError(
            f"SLUG {shown(slug)} and --short exclude each other: a slug you choose is kept."
        )
    session = session_of(ctx)
    try:
        with session.store() as store:
            record = store.register_slug(
                prefix,
                slug,
                owner=session.choices.owner,
                short=short,
                attempts=attempts,
                timeout=session.timeout(),
            )
    except NameTaken as error:
        return _slug_refused(session, error)
    except OutcomeUnknown as error:
        _say_how_to_ask_for_slug(session, error)
        raise
    owner = shown_owner(record.owner)
    session.printer.result(
        f"granted  {shown(record.name)}  owner={owner}  revision={record.create_revision}",
        {"name": record.name, "registered": True, "record": record_json(record)},
    )
    return DONE


def _slug_refused(session: Session, error: NameTaken) -> int:
    name = error.metadata["name"]
    try:
        refusal = Refusal(error.metadata["refusal"])
    except ValueError:
        refusal = Refusal.OTHER
    session.printer.result(
        f"{REFUSAL_WORDS[refusal]}  {shown(name)}  {holder_text(error.record)}".rstrip(),
        {
            "name": name,
            "registered": False,
            "refusal": refusal.value,
            "record": record_json(error.record) if error.record else None,
        },
    )
    return REFUSED


@click.command("release")
@click.argument("name")
@request_id_option
@click.option(
    "--create-revision",
    type=click.IntRange(min=1),
    metavar="N",
    help="Only if this is still the holding that revision N created.",
)
@owner_option
@shared_options
@click.pass_context
def release_command(
    ctx: click.Context, name: str, request_id: str | None, create_revision: int | None
) -> int:
    """Give NAME back, so that anybody may take it.

    Only its owner may: give the --owner it was registered with.
    """
    session = session_of(ctx)
    identity = given_identity(request_id) or secrets.token_bytes(16)

    def release(name: str) -> int:
        canonical = canonical_name(name)
        try:
            revision = store.release(
                name,
                owner=session.choices.owner,
                create_revision=create_revision or 0,
                request_id=identity,
                timeout=session.timeout(),
            )
        except OutcomeUnknown as error:
            say_how_to_ask_again(session, error, identity)
            raise
        value = {"name": canonical, "released": True, "revision": revision}
        session.printer.result(f"released  {shown(canonical)}", value)
        return DONE

    with session.store() as store:
        return each_name(session.printer, (name,), release, writes=True)


def _say_how_to_ask_for_slug(session: Session, error: OutcomeUnknown) -> None:
    name, identity = error.metadata.get("name"), error.metadata.get("request_id")
    if name and identity:
        command = shlex.join((PROGRAM, "register", name, "--request-id", f"hex:{identity}"))
        session.printer.note(f"to ask again for the slug that was tried: {command} --owner OWNER")
