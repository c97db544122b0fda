"""How every command ends: its exit code, and what is said when it fails.

Responsible for the border between exceptions and the process. Invariant: the process never ends
with 0 or 1 unless the registry answered, or nothing was asked of it.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import Any, Final, NoReturn

import click

from namestore.cli.exits import (
    BAD_USAGE,
    DONE,
    INTERRUPTED,
    OUTCOME_UNKNOWN,
    UNAVAILABLE,
    exit_code,
)
from namestore.cli.output import Printer, speak_safely
from namestore.errors import NamestoreError
from namestore.streams import (
    BROKEN_PIPE,
    HelpLost,
    OutputLost,
    PipeClosed,
    hush,
    output_told,
    show_usage,
)

PROGRAM: Final = "namestore-cli"

# They change nothing, whatever becomes of their output.
_READING_COMMANDS: Final = frozenset(
    ("lookup", "list", "history", "export", "status", "completion")
)
_READS: Final = "namestore.cli.reads"


def reads_only(ctx: click.Context) -> None:
    """Says that the command changes nothing, where the name of its group does not say it."""
    ctx.meta[_READS] = True


class _ResultLost(Exception):
    """A result could not be written; the code says whether anything may have been done."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class CommandLine(click.Group):
    """The group of all commands; a command returns its exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; keeps what becomes of its output from click, which would end with 1."""
        try:
            with output_told():
                return super().invoke(ctx)
        except HelpLost as error:
            raise _ResultLost(str(error), UNAVAILABLE) from error
        except OutputLost as error:
            reads = ctx.invoked_subcommand in _READING_COMMANDS or ctx.meta.get(_READS, False)
            raise _ResultLost(str(error), UNAVAILABLE if reads else OUTCOME_UNKNOWN) from error

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Reads the command line; `--help` prints, and ends, here."""
        try:
            with output_told():
                return super().make_context(*args, **kwargs)
        except OutputLost as error:
            raise _ResultLost(str(error), UNAVAILABLE) from error

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
        hush(sys.stdout)
        return BROKEN_PIPE


def _explained(error: Exception, printer: Printer) -> int:
    match error:
        case PipeClosed():
            hush(sys.stdout)
            return BROKEN_PIPE
        case _ResultLost():
            printer.note(f"error: {error}; what it would have said is lost")
            return error.code
        case NamestoreError():
            printer.error(error)
            return exit_code(error)
        case click.Abort():
            printer.note("interrupted")
            return INTERRUPTED
        case click.ClickException():
            show_usage(error)
            printer.usage_error(error.format_message())
            return BAD_USAGE
        case _:
            printer.note("".join(traceback.format_exception(error)).rstrip())
            printer.note("this is a defect of namestore-cli; what it was doing may have been done")
            return OUTCOME_UNKNOWN
