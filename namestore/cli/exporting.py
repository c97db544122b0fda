"""The command that writes all names out: export.

Names are written as they arrive, page by page, so memory does not grow with their number. They come
in the byte order of their canonical form, which is checked on the way: a registry that lists a name
twice or out of order has not been exported. Invariant: a regular file given by `--output` is the
whole export or is not touched at all (see `sink`).
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable, Iterable, Iterator
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
from namestore.cli.store import Store
from namestore.cli.streams import emit, hush
from namestore.client.values import NameRecord
from namestore.errors import InvariantViolation, NamestoreError

_RECORDS_PER_ADVANCE: Final = 1000

Encode = Callable[[NameRecord], str]


@dataclass(slots=True)
class _Exported:
    """What was written so far."""

    names: int = 0
    size: int = 0
    newest_revision: int = 0


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

    A name registered or released meanwhile may or may not be among them; one held throughout is.
    """
    session = session_of(ctx)
    as_json = session.choices.as_json
    if as_json and output is None and file_format not in (None, "jsonl"):
        raise click.UsageError(f"--json prints JSON, not {file_format}: add --output FILE.")
    chosen = file_format or ("jsonl" if as_json else "names")
    exported = _Exported()
    try:
        with session.store() as store:
            since = _revision(store, session)
            with export_sink(output) as sink:
                _write_all(session, store, prefix, chosen, sink, exported)
    except BrokenPipeError:
        raise
    except OSError as error:
        if output is None:
            hush(sys.stdout)
        session.printer.note(f"error: the export could not be written: {error}")
        return UNAVAILABLE
    except (NamestoreError, KeyboardInterrupt):
        _say_incomplete(session, output, exported)
        raise
    _say_done(session, output, exported, since)
    return DONE


def _revision(store: Store, session: Session) -> int:
    """The furthest revision that any node knows. Linearizable reads from now on reflect it."""
    answers = store.status(timeout=session.timeout())
    return max((answer.node.revision for answer in answers if answer.node), default=0)


def _write_all(
    session: Session,
    store: Store,
    prefix: str,
    file_format: str,
    sink: BinaryIO,
    exported: _Exported,
) -> None:
    encode = _ENCODERS[file_format]
    clock = session.environment.clock
    view = progress_view(silent=session.choices.as_json, bytes_total=None, clock=clock)
    if file_format == "csv":
        sink.write(b"name,owner\n")
    records = _in_order(store.list(prefix, timeout=session.timeout()))
    with view:
        for record in records:
            data = encode(record).encode()
            sink.write(data)
            exported.names += 1
            exported.size += len(data)
            exported.newest_revision = max(exported.newest_revision, record.mod_revision)
            _advance(view, exported)
        sink.flush()


def _advance(view: ProgressView, exported: _Exported) -> None:
    if exported.names % _RECORDS_PER_ADVANCE == 0:
        view.advance(exported.size, f"exported {exported.names:,} names")


def _in_order(records: Iterable[NameRecord]) -> Iterator[NameRecord]:
    previous = ""
    for record in records:
        # Code point order is the byte order of UTF-8.
        if record.name <= previous:
            raise InvariantViolation(
                f"the registry lists {record.name!a} after {previous!a}; the export is not usable"
            )
        previous = record.name
        yield record


def _say_done(session: Session, output: Path | None, exported: _Exported, since: int) -> None:
    where = f" to {shown(str(output))}" if output else ""
    session.printer.note(
        f"exported {exported.names:,} names{where}: every change up to revision {since} is "
        f"covered; the newest record is of revision {exported.newest_revision}"
    )
    if session.choices.as_json and output is not None:
        value = {
            "exported": exported.names,
            "output": str(output),
            "covers_revision": since,
            "newest_revision": exported.newest_revision,
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
