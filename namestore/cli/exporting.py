"""The command that writes all names out: export.

Names are written as they arrive, page by page, so memory does not grow with their number, and they
are all as they were at one revision. An export that breaks off is begun again, at another node,
with an empty file: what was written of it was of a revision that may be gone. What went to standard
output, or into a pipe, cannot be taken back: there the command fails.

Invariant: a regular file given by `--output` is the whole export, of one revision, or is not
touched at all (see `sink`).
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import click

from namestore.cli.connection import Session, session_of
from namestore.cli.exits import DONE, UNAVAILABLE
from namestore.cli.options import shared_options
from namestore.cli.output import json_line, record_json, shown
from namestore.cli.progress import ProgressView, progress_view
from namestore.cli.sink import export_sink, is_replaceable
from namestore.cli.store import Picture, Store
from namestore.client.values import NameRecord
from namestore.errors import NamestoreError, Overloaded, Unavailable
from namestore.streams import emit, hush

_RECORDS_PER_ADVANCE: Final = 1000
# So often an export that broke off is begun again.
_BEGUN_AGAIN_MAX: Final = 5

Encode = Callable[[NameRecord], str]


@dataclass(slots=True)
class _Exported:
    """What was written so far.

    Attributes:
        revision: Of which it all is; 0: it has not begun.
    """

    revision: int = 0
    names: int = 0
    size: int = 0


@click.command("export")
@click.argument("prefix", default="")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Written whole or not at all; a device or pipe is written into.  "
    "[default: standard output]",
)
@click.option(
    "--format",
    "file_format",
    type=click.Choice(("names", "csv", "jsonl")),
    help="names: one a line. csv: name,owner, as import reads it. jsonl: all fields.  "
    "[default: names; jsonl with --json]",
)
@shared_options
@click.pass_context
def export_command(
    ctx: click.Context, prefix: str, output: Path | None, file_format: str | None
) -> int:
    """Write the names that begin with PREFIX (all, without it), in byte order.

    All of them as they were at one revision, which is said at the end.
    """
    session = session_of(ctx)
    as_json = session.choices.as_json
    if as_json and output is None and file_format not in (None, "jsonl"):
        raise click.UsageError(f"--json prints JSON, not {file_format}: add --output FILE.")
    _check_folder(output)
    chosen = file_format or ("jsonl" if as_json else "names")
    exported = _Exported()
    try:
        with session.store() as store:
            _export(session, store, prefix, chosen, output, exported)
    except BrokenPipeError:
        raise
    except OSError as error:
        if output is None:
            hush(sys.stdout)
        session.printer.note(f"error: {_where(output)} could not be written: {error.strerror}")
        return UNAVAILABLE
    except (NamestoreError, KeyboardInterrupt):
        _say_incomplete(session, output, exported)
        raise
    _say_done(session, output, exported)
    return DONE


def _check_folder(output: Path | None) -> None:
    """Refuses an output that cannot be, before anything is asked of the registry."""
    if output is not None and not output.is_symlink() and not output.parent.is_dir():
        folder = shown(str(output.parent))
        raise click.UsageError(f"--output {shown(str(output))}: there is no directory {folder}.")


def _where(output: Path | None) -> str:
    return shown(str(output)) if output else "standard output"


def _export(
    session: Session,
    store: Store,
    prefix: str,
    file_format: str,
    output: Path | None,
    exported: _Exported,
) -> None:
    """Exports, beginning again as often as may be; `exported` says what came of the last time."""
    for left in reversed(range(_BEGUN_AGAIN_MAX + 1)):
        exported.revision = exported.names = exported.size = 0
        try:
            with store.export(prefix, timeout=session.timeout()) as picture:
                exported.revision = picture.revision
                with export_sink(output) as sink:
                    _write_all(session, picture, file_format, sink, exported)
            return
        except Unavailable as error:
            again = exported.revision and left and _can_begin_again(output, exported)
            # One that takes too long for a node does so again.
            if not again or isinstance(error, Overloaded):
                raise
            session.printer.note(f"{error.message}; beginning again")


def _can_begin_again(output: Path | None, exported: _Exported) -> bool:
    return not exported.size or (output is not None and is_replaceable(output))


def _write_all(
    session: Session, picture: Picture, file_format: str, sink: BinaryIO, exported: _Exported
) -> None:
    encode = _ENCODERS[file_format]
    clock = session.environment.clock
    view = progress_view(silent=session.choices.as_json, bytes_total=None, clock=clock)
    if file_format == "csv":
        exported.size += sink.write(b"name,owner\n")
    with view:
        for record in picture:
            data = encode(record).encode()
            sink.write(data)
            exported.names += 1
            exported.size += len(data)
            _advance(view, exported)
        sink.flush()


def _advance(view: ProgressView, exported: _Exported) -> None:
    if exported.names % _RECORDS_PER_ADVANCE == 0:
        view.advance(exported.size, f"exported {exported.names:,} names")


def _say_done(session: Session, output: Path | None, exported: _Exported) -> None:
    where = f" to {shown(str(output))}" if output else ""
    session.printer.note(
        f"exported {exported.names:,} names{where}, all as they were at revision "
        f"{exported.revision}"
    )
    if session.choices.as_json and output is not None:
        value = {
            "exported": exported.names,
            "output": str(output),
            "revision": exported.revision,
        }
        emit(json_line(value))


def _say_incomplete(session: Session, output: Path | None, exported: _Exported) -> None:
    if output is not None and (exported.names == 0 or is_replaceable(output)):
        session.printer.note(f"{shown(str(output))} was not written")
    else:
        session.printer.note(
            f"what was printed ends after {exported.names:,} names and is not complete"
        )


def _csv_line(record: NameRecord) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow((record.name, record.owner))
    return line.getvalue()


_ENCODERS: Final[dict[str, Encode]] = {
    "names": lambda record: f"{record.name}\n",
    "csv": _csv_line,
    "jsonl": lambda record: f"{json_line(record_json(record))}\n",
}
