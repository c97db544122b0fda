"""The command that registers every name of a file: import."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Final, TextIO

import click

from namestore.cli.connection import Session, session_of
from namestore.cli.exclusions import Exclusions
from namestore.cli.import_report import RowReport, finish
from namestore.cli.importing import Importer, Limits, Outcome
from namestore.cli.inputs import opened, size_of
from namestore.cli.interruption import Interruption
from namestore.cli.lines import Line, NotText, read_lines
from namestore.cli.options import owner_option, shared_options
from namestore.cli.output import Printer
from namestore.cli.progress import ProgressView, progress_view
from namestore.cli.rows import NoSuchFormat, RowOptions, read_rows
from namestore.core.limits import BATCH_REQUESTS_MAX
from namestore.core.names import canonical_name
from namestore.errors import InvalidName

# Long enough to sit out an election, or two.
_BATCH_TIMEOUT: Final = 60.0


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--namespace", metavar="NS", help="Put NS: before every name, as for a word list.")
@click.option("--prefix", metavar="TEXT", help="Put TEXT before every name, as it is.")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(("auto", "names", "csv", "jsonl")),
    default="auto",
    show_default=True,
    help="auto: CSV if the first line is the header name,owner; jsonl, as export writes it, if it "
    "is an object; else names.",
)
@click.option(
    "--accept-unterminated", is_flag=True, help="Take a last line without a newline for whole."
)
@click.option("--quiet", is_flag=True, help="Do not report the names that others hold.")
@click.option(
    "--report",
    "report_path",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the lines that need attention to FILE instead of standard error.",
)
@click.option(
    "--batch",
    type=click.IntRange(1, BATCH_REQUESTS_MAX),
    default=500,
    show_default=True,
    help="Names sent at once.",
)
@click.option(
    "--in-flight",
    type=click.IntRange(1, 64),
    default=4,
    show_default=True,
    help="Batches under way at once.",
)
@owner_option
@shared_options
@click.pass_context
def import_command(
    ctx: click.Context,
    file: str,
    namespace: str | None,
    prefix: str | None,
    file_format: str,
    accept_unterminated: bool,
    quiet: bool,
    report_path: Path | None,
    batch: int,
    in_flight: int,
) -> int:
    """Register every name in FILE ('-': standard input).

    One name a line, CSV with the header name,owner, or what export writes with --format jsonl, with
    all fields. Blank lines are skipped; there are no
    comments, because a name may hold a '#'. Lines that are not whole or not valid are reported with
    their number and do not stop the others. Running it again is safe: what is yours stays yours.
    """
    options = RowOptions(file_format, _checked_prefix(namespace, prefix), accept_unterminated)
    session = session_of(ctx)
    run = _Run(session, options, Limits(batch, in_flight), quiet=quiet)
    with ExitStack() as stack:
        stream = stack.enter_context(opened(file))
        if report_path is not None and _is_open_as(report_path, stream):
            raise click.UsageError(
                f"--report {report_path} is the file to import: it would be overwritten."
            )
        report = stack.enter_context(_report_file(report_path)) if report_path else None
        return run(stream, report)


class _Run:
    """One import: the file, the store, the progress and the report, put together."""

    def __init__(
        self, session: Session, options: RowOptions, limits: Limits, *, quiet: bool
    ) -> None:
        self._session = session
        self._options = options
        self._limits = limits
        self._quiet = quiet
        self._lines = 0

    def __call__(self, stream: BinaryIO, report: TextIO | None) -> int:
        session = self._session
        clock = session.environment.clock
        start = clock()
        view = progress_view(
            silent=session.choices.as_json, bytes_total=size_of(stream), clock=clock
        )
        with view:
            rows = RowReport(
                session.printer,
                _noter(session.printer, view, report),
                view.advance,
                quiet=self._quiet,
            )
            outcome = self._import(stream, rows)
        return finish(
            session.printer, rows.tally, outcome, lines=self._lines, seconds=clock() - start
        )

    def _import(self, stream: BinaryIO, rows: RowReport) -> Outcome:
        session = self._session
        timeout = session.timeout(_BATCH_TIMEOUT)
        with Interruption() as interruption, session.store(timeout=_BATCH_TIMEOUT) as store:
            importer = Importer(
                lambda wanted: store.register_many(wanted, timeout=timeout),
                rows,
                owner=session.choices.owner,
                limits=self._limits,
                interruption=interruption,
                executor=session.environment.executor(self._limits.batches_in_flight),
                marks=Exclusions(
                    lambda namespace: store.get_namespace(namespace, timeout=timeout)
                ).marks,
            )
            try:
                return importer.run(read_rows(self._counted(read_lines(stream)), self._options))
            except (NotText, NoSuchFormat) as error:
                raise click.UsageError(str(error)) from error

    def _counted(self, lines: Iterator[Line]) -> Iterator[Line]:
        for line in lines:
            self._lines = line.number
            yield line


def _checked_prefix(namespace: str | None, prefix: str | None) -> str:
    if namespace is not None and prefix is not None:
        raise click.UsageError("--namespace and --prefix exclude each other: give one of them.")
    text = prefix or ""
    if namespace is not None:
        text = namespace.removesuffix(":") + ":"
    if text:
        try:
            canonical_name(f"{text}a" if ":" in text else f"{text}:a")
        except InvalidName as error:
            raise click.UsageError(f"no name can begin with {text!a}: {error.message}") from error
    return text


def _is_open_as(path: Path, stream: BinaryIO) -> bool:
    """True if `path` leads to the file that is read. A terminal may well be both."""
    try:
        read, written = os.fstat(stream.fileno()), path.stat()
    except (OSError, ValueError):
        return False
    return os.path.samestat(read, written) and not stat.S_ISCHR(read.st_mode)


@contextmanager
def _report_file(path: Path) -> Iterator[TextIO]:
    with ExitStack() as stack:
        try:
            opened = path.open("w", encoding="utf-8", errors="backslashreplace")
            report = stack.enter_context(opened)
        except OSError as error:
            raise click.FileError(str(path), str(error.strerror)) from error
        yield report


def _noter(printer: Printer, view: ProgressView, report: TextIO | None) -> Callable[[str], None]:
    """Where the lines about single rows go. With --json they are objects already."""
    if report is not None:
        return lambda line: print(line, file=report)
    return (lambda line: None) if printer.as_json else view.note
