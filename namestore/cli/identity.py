"""The identity of a request: drawn for each run, or given so that a second run is the same one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from namestore.cli.connection import Session
from namestore.core.limits import REQUEST_ID_BYTES_MAX
from namestore.errors import OutcomeUnknown

CallableT = TypeVar("CallableT", bound=Callable[..., Any])


def request_id_option(command: CallableT) -> CallableT:
    """Adds `--request-id`."""
    return click.option(
        "--request-id",
        metavar="ID",
        help="Makes running the command again the same request: text, or hex:DIGITS.  "
        "[default: random]",
    )(command)


def given_identity(text: str | None) -> bytes | None:
    """What `--request-id` says; None: nothing.

    Raises:
        click.UsageError: It cannot be one.
    """
    if text is None:
        return None
    try:
        identity = bytes.fromhex(text[4:]) if text.startswith("hex:") else literal_bytes(text)
    except ValueError as error:
        raise click.UsageError(f"--request-id {text}: what follows hex: is not hex.") from error
    if not 1 <= len(identity) <= REQUEST_ID_BYTES_MAX:
        raise click.UsageError(f"--request-id must have 1 to {REQUEST_ID_BYTES_MAX} bytes.")
    return identity


def say_how_to_ask_again(session: Session, error: OutcomeUnknown, request_id: bytes) -> None:
    """Names the request, so that running the command again is the same one."""
    identity = f"hex:{request_id.hex()}"
    error.metadata["request_id"] = identity
    session.printer.note(f"to ask again as the same request, add: --request-id {identity}")


def literal_bytes(text: str) -> bytes:
    """As it was typed, even where that is not UTF-8."""
    return text.encode(errors="surrogateescape")
