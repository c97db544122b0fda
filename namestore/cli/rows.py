"""What the lines of an import file ask for: one name each, in one of three formats.

*names*: one name a line, kept exactly; no comments, because a name may hold a `#`. *csv*: a header
`name,owner` (either order), quoting as RFC 4180; a quoted field may span lines. *jsonl*: what
export writes, with all fields; see `json_rows`. Blank lines are skipped in all. Checking is done
here, before anything is sent, because a server refuses a whole batch for one bad item. A row that
is not whole is a `Problem` and never half of a `Row`.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from typing import Final

from namestore.cli.json_rows import NotARow, looks_like_export, read_fields
from namestore.cli.lines import LINE_BYTES_MAX, Line
from namestore.core.limits import OWNER_BYTES_MAX
from namestore.core.names import canonical_name
from namestore.errors import InvalidName

INVALID_NAME: Final = "INVALID_NAME"
INVALID_LINE: Final = "INVALID_LINE"
TORN_LINE: Final = "TORN_LINE"

_COLUMNS: Final = ("name", "owner")
_TORN: Final = (
    "the last line does not end with a newline and may be cut off; end it, or give "
    "--accept-unterminated"
)


class NoSuchFormat(ValueError):
    """The header of a CSV file does not say what namestore can import."""


@dataclass(frozen=True, slots=True)
class Row:
    """A name to be registered.

    Attributes:
        line: Of the file, where the row begins; counted from 1.
        last_line: Where it ends.
        name: As it will be sent, prefix included; known to be valid.
        canonical: What it will be registered as.
        owner: Empty: none was given in the file.
        end_offset: Bytes of the file read once this row was.
        ttl: Seconds that are left of a reservation; None: permanent.
    """

    line: int
    last_line: int
    name: str
    canonical: str
    owner: str
    end_offset: int
    payload: bytes = b""
    ttl: float | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """A row that cannot be registered as it stands.

    Attributes:
        text: The name as far as it is known; may be empty.
        reason: INVALID_NAME, INVALID_LINE or TORN_LINE.
        message: Why, for a person.
    """

    line: int
    last_line: int
    text: str
    reason: str
    message: str
    end_offset: int


@dataclass(frozen=True, slots=True)
class RowOptions:
    """How to read the file.

    Attributes:
        format: "auto" (by the first line), "names", "csv" or "jsonl".
        prefix: Put before every name.
        accept_unterminated: Take a last line without a newline for whole.
        wall_clock: Seconds since the epoch.
    """

    format: str = "auto"
    prefix: str = ""
    accept_unterminated: bool = False
    wall_clock: Callable[[], float] = time.time


@dataclass(slots=True)
class _Span:
    """The lines that the current row was read from."""

    first: Line | None = None
    last: Line | None = None
    size: int = 0


class _Broken(Exception):
    """A line of a CSV row that spoils the row."""


def read_rows(lines: Iterator[Line], options: RowOptions) -> Iterator[Row | Problem]:
    """Yields what each line asks for, in order.

    Raises:
        NoSuchFormat: A CSV header with the wrong columns, or none where one was promised.
    """
    first = next(lines, None)
    if first is None:
        return
    if _is_export(first, options):
        yield from _json_rows(chain((first,), lines), options)
        return
    columns = None if options.format == "names" else _header(first.content)
    if options.format == "csv" and columns is None:
        raise NoSuchFormat("the first line must be the CSV header: name,owner")
    if columns is None:
        yield from _plain_rows(chain((first,), lines), options)
    else:
        yield from _csv_rows(lines, columns, options)


def _is_export(first: Line, options: RowOptions) -> bool:
    if options.format == "jsonl" and options.prefix:
        raise NoSuchFormat("an export holds whole names: leave --namespace and --prefix out")
    by_itself = options.format == "auto" and not options.prefix
    return options.format == "jsonl" or (by_itself and looks_like_export(first.content))


def _json_rows(lines: Iterator[Line], options: RowOptions) -> Iterator[Row | Problem]:
    for line in lines:
        span = _Span(line, line)
        if line.problem:
            yield _problem(span, "", INVALID_LINE, line.problem)
        elif line.content.strip(" \t"):
            yield _json_row(span, line.content, options)


def _json_row(span: _Span, text: str, options: RowOptions) -> Row | Problem:
    if _is_torn(span, options):
        return _problem(span, text, TORN_LINE, _TORN)
    try:
        fields = read_fields(text, options.wall_clock())
    except NotARow as error:
        return _problem(span, "", INVALID_LINE, str(error))
    row = _row(span, fields.name, fields.owner, options)
    if isinstance(row, Problem):
        return row
    return replace(row, payload=fields.payload, ttl=fields.ttl)


def _header(text: str) -> tuple[str, ...] | None:
    """The columns, if this is a CSV header."""
    try:
        columns = tuple(next(csv.reader([text], strict=True), ()))
    except csv.Error:
        return None
    if not set(_COLUMNS) <= set(columns):
        return None
    if len(columns) != len(_COLUMNS):
        raise NoSuchFormat(f"the CSV columns must be name,owner; found: {','.join(columns)!a}")
    return columns


def _plain_rows(lines: Iterator[Line], options: RowOptions) -> Iterator[Row | Problem]:
    for line in lines:
        span = _Span(line, line)
        if line.problem:
            yield _problem(span, "", INVALID_LINE, line.problem)
        elif line.content.strip(" \t"):
            yield _row(span, line.content, "", options)


def _csv_rows(
    lines: Iterator[Line], columns: tuple[str, ...], options: RowOptions
) -> Iterator[Row | Problem]:
    span = _Span()
    # strict: otherwise a quote that is never closed would pass for a field that ends with the file.
    reader = csv.reader(_fed(lines, span), strict=True)
    while True:
        span.first = span.last = None
        span.size = 0
        try:
            fields = next(reader)
        except StopIteration:
            return
        except (_Broken, csv.Error) as error:
            yield _problem(span, "", INVALID_LINE, _csv_message(error))
            if isinstance(error, _Broken):
                reader = csv.reader(
                    _fed(lines, span), strict=True
                )  # a generator that raised is over
            continue
        if not fields or (len(fields) == 1 and not fields[0].strip(" \t")):
            continue
        if len(fields) != len(columns) and not _is_torn(span, options):
            message = f"{len(fields)} column(s) where {','.join(columns)} are expected"
            yield _problem(span, fields[0], INVALID_LINE, message)
            continue
        values = dict(zip_longest(columns, fields[: len(columns)], fillvalue=""))
        yield _row(span, values["name"], values["owner"], options)


def _fed(lines: Iterator[Line], span: _Span) -> Iterator[str]:
    """Hands lines to the CSV reader, and keeps account of which ones it took for one row."""
    for line in lines:
        span.first = span.first or line
        span.last = line
        span.size += len(line.text)
        if line.problem:
            raise _Broken(line.problem)
        if span.size > LINE_BYTES_MAX:
            raise _Broken(f"a quote is not closed within {LINE_BYTES_MAX // 1024} KiB")
        yield line.text


def _csv_message(error: Exception) -> str:
    if isinstance(error, _Broken):
        return str(error)
    if "unexpected end of data" in str(error):
        return "a quote is opened and never closed; the file may be cut off"
    return f"not CSV: {error}"


def _row(span: _Span, text: str, owner: str, options: RowOptions) -> Row | Problem:
    first, last = _ends(span)
    if _is_torn(span, options):
        return _problem(span, text, TORN_LINE, _TORN)
    name = options.prefix + text
    try:
        canonical = canonical_name(name)
    except InvalidName as error:
        return _problem(span, name, INVALID_NAME, error.message)
    if (size := len(owner.encode())) > OWNER_BYTES_MAX:
        message = f"the owner has {size} bytes of UTF-8; at most {OWNER_BYTES_MAX} are allowed"
        return _problem(span, name, INVALID_LINE, message)
    return Row(first.number, last.number, name, canonical, owner, last.end_offset)


def _is_torn(span: _Span, options: RowOptions) -> bool:
    """The file ends within this row, or may."""
    return not (_ends(span)[1].terminated or options.accept_unterminated)


def _problem(span: _Span, text: str, reason: str, message: str) -> Problem:
    first, last = _ends(span)
    return Problem(first.number, last.number, text, reason, message, last.end_offset)


def _ends(span: _Span) -> tuple[Line, Line]:
    if span.first is None or span.last is None:
        raise ValueError("a row without lines")  # the reader yields nothing before it took a line
    return span.first, span.last
