"""How every command ends: its exit code, and what is said when it fails.

Responsible for the border between exceptions and the process. Invariant: the process never ends
with 0 or 1 unless the registry answered, or nothing was asked of it.
"""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any, Final, NoReturn

import click

from namestore.cli.exits import (
    BAD_USAGE,
    BROKEN_PIPE,
    DONE,
    INTERRUPTED,
    OUTCOME_UNKNOWN,
    exit_code,
)
from namestore.cli.output import Printer, speak_safely
from namestore.errors import NamestoreError

PROGRAM: Final = "namestore-cli"


class _PipeClosed(Exception):
    """Nobody reads the output any more."""


class CommandLine(click.Group):
    """The group of all commands; a command returns its exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; a broken pipe is kept from click, which would end with 1."""
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError as error:
            raise _PipeClosed from error
        return code

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Runs the command line and ends the process, whatever happens."""
        speak_safely()
        given = list(sys.argv[1:] if args is None else args)
        printer = Printer(as_json="--json" in given)
        try:
            code = super().main(
                given,
                prog_name=PROGRAM,
                complete_var=complete_var,
                standalone_mode=False,
                windows_expand_args=windows_expand_args,
                **extra,
            )
            sys.exit(code if isinstance(code, int) else DONE)
        except Exception as error:  # noqa: BLE001 - the last line of defence turns it into a code
            sys.exit(_ended(error, printer))


def _ended(error: Exception, printer: Printer) -> int:
    """Says what ended the command, and returns the exit code."""
    try:
        return _explained(error, printer)
    except BrokenPipeError:
        _hush()
        return BROKEN_PIPE


def _explained(error: Exception, printer: Printer) -> int:
    match error:
        case _PipeClosed():
            _hush()
            return BROKEN_PIPE
        case NamestoreError():
            printer.error(error)
            return exit_code(error)
        case click.Abort():
            printer.note("interrupted")
            return INTERRUPTED
        case click.ClickException():
            error.show()
            printer.usage_error(error.format_message())
            return BAD_USAGE
        case _:
            printer.note("".join(traceback.format_exception(error)).rstrip())
            printer.note("this is a defect of namestore-cli; what it was doing may have been done")
            return OUTCOME_UNKNOWN


def _hush() -> None:
    """Sends what is still buffered nowhere, lest the interpreter complain at its end."""
    try:
        descriptor = sys.stdout.fileno()
    except (io.UnsupportedOperation, ValueError):
        return  # not a real stream: nothing is flushed at the end
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
