"""What the lines of an import file ask for."""

from __future__ import annotations

import io

import pytest

from namestore.cli.lines import read_lines
from namestore.cli.rows import NoSuchFormat, Problem, Row, RowOptions, read_rows


def rows_of(data: str | bytes, **options: object) -> list[Row | Problem]:
    raw = data.encode() if isinstance(data, str) else data
    return list(read_rows(read_lines(io.BytesIO(raw)), RowOptions(**options)))  # type: ignore[arg-type]


def names_of(data: str | bytes, **options: object) -> list[str]:
    return [row.name for row in rows_of(data, **options) if isinstance(row, Row)]


def problems_of(data: str | bytes, **options: object) -> list[tuple[int, str]]:
    found = rows_of(data, **options)
    return [(item.line, item.message) for item in found if isinstance(item, Problem)]


def test_names_are_kept_exactly() -> None:
    """Spaces and '#' belong to the name: there is no comment syntax."""
    assert names_of("user:a b\nuser:#c\n# no comment\n") == ["user:a b", "user:#c"]
    assert len(problems_of("# no comment\n")) == 1


def test_blank_lines_are_skipped_and_still_counted() -> None:
    """A blank line asks for nothing, and the next line keeps its number."""
    (row,) = rows_of("\n \t\r\nuser:a\n")
    assert row.line == 3


def test_prefix_stands_before_every_name() -> None:
    """A word list becomes names of one namespace."""
    assert names_of("alice\nbob\n", prefix="user:") == ["user:alice", "user:bob"]


def test_equal_names_have_one_canonical_form() -> None:
    """What is sent is what was written; what is compared is canonical."""
    (row,) = rows_of("user:e\u0301\n")
    assert isinstance(row, Row)
    assert (row.name, row.canonical) == ("user:e\u0301", "user:\u00e9")


@pytest.mark.parametrize(
    ("line", "why"),
    (
        ("alice", "has no namespace"),
        ("User:alice", "is not a namespace"),
        ("user:", "has 0 bytes"),
        ("user:" + "a" * 513, "has 513 bytes"),
        ("user:a\x00b", "U+0000"),
        ("user:a\rb", "U+000D"),
    ),
)
def test_invalid_name_says_why_and_does_not_stop_the_rest(line: str, why: str) -> None:
    """Every other line is imported all the same."""
    (first, second) = rows_of(f"{line}\nuser:ok\n")
    assert isinstance(first, Problem)
    assert first.reason == "INVALID_NAME"
    assert why in first.message
    assert isinstance(second, Row)


def test_last_line_without_newline_is_torn() -> None:
    """Half a name is not the name that was meant: it is reported and not registered."""
    (whole, torn) = rows_of("user:alice\nuser:ali")
    assert isinstance(whole, Row)
    assert isinstance(torn, Problem)
    assert (torn.line, torn.reason) == (2, "TORN_LINE")
    assert "--accept-unterminated" in torn.message


def test_last_line_without_newline_is_taken_when_told_so() -> None:
    """Files that simply end there are imported whole with one option."""
    assert names_of("user:a\nuser:b", accept_unterminated=True) == ["user:a", "user:b"]


@pytest.mark.parametrize(
    "header", ("name,owner\n", '"name","owner"\r\n', "\ufeffname,owner\n", "owner,name\n")
)
def test_csv_is_known_by_its_header(header: str) -> None:
    """Either order, quoted or not, with or without a byte order mark."""
    values = ("o1", "user:a") if header.startswith("owner") else ("user:a", "o1")
    (row,) = rows_of(f"{header}{','.join(values)}\n")
    assert isinstance(row, Row)
    assert (row.line, row.name, row.owner) == (2, "user:a", "o1")


def test_header_of_other_columns_is_refused() -> None:
    """Columns that would be dropped silently are refused instead."""
    with pytest.raises(NoSuchFormat, match="name,owner"):
        rows_of("name,owner,payload\n")


def test_csv_without_header_is_refused_when_csv_was_promised() -> None:
    """Otherwise the first name would be lost as a header."""
    with pytest.raises(NoSuchFormat, match="header"):
        rows_of("user:a,o1\n", format="csv")


def test_header_is_a_name_when_names_were_promised() -> None:
    """`--format names` switches the detection off."""
    assert names_of("name,owner\n", format="names", prefix="word:") == ["word:name,owner"]


def test_csv_quoting_round_trips() -> None:
    """Commas, quotes and line feeds may stand in a quoted field."""
    (row, after) = rows_of('name,owner\n"user:a,""b""","two\nlines"\nuser:c,o\n')
    assert isinstance(row, Row)
    assert (row.name, row.owner) == ('user:a,"b"', "two\nlines")
    assert (row.line, row.last_line) == (2, 3)
    assert after.line == 4


@pytest.mark.parametrize(("row", "count"), (("user:a", 1), ("user:a,o,x", 3)))
def test_csv_row_with_other_columns_is_reported(row: str, count: int) -> None:
    """A row that lacks a column, or has one too many, is not guessed at."""
    data = f"name,owner\n{row}\nuser:ok,o\n"
    assert problems_of(data) == [(2, f"{count} column(s) where name,owner are expected")]
    assert names_of(data) == ["user:ok"]


def test_unterminated_quote_takes_its_lines_with_it() -> None:
    """What may be the inside of a quoted field is never registered as a name."""
    data = 'name,owner\nuser:a,o\nuser:b,"torn\nuser:c,o\n'
    assert names_of(data) == ["user:a"]
    (problem,) = [item for item in rows_of(data) if isinstance(item, Problem)]
    assert (problem.line, problem.last_line) == (3, 4)
    assert "never closed" in problem.message


def test_unterminated_quote_is_given_up_after_64_kib() -> None:
    """A stray quote at the start of a huge file spoils a part of it, in bounded memory."""
    filler = "user:x,o\n" * 8000
    data = f'name,owner\nuser:b,"stray\n{filler}user:last,o\n'
    assert names_of(data)[-1] == "user:last"
    ((line, message),) = problems_of(data)
    assert line == 2
    assert "not closed within 64 KiB" in message


def test_text_after_a_closing_quote_is_reported() -> None:
    """Strict CSV: what cannot be a quoted field is not read as one."""
    data = 'name,owner\n"user:a"b,o\nuser:c,o\n'
    assert [line for line, _ in problems_of(data)] == [2]
    assert names_of(data) == ["user:c"]


def test_csv_bad_utf8_spoils_one_row() -> None:
    """The rows after it are read as usual."""
    data = b"name,owner\nuser:\xff,o\nuser:b,o\n\nuser:c,o\n"
    assert [line for line, _ in problems_of(data)] == [2]
    assert names_of(data) == ["user:b", "user:c"]


def test_csv_last_row_without_newline_is_torn() -> None:
    """The owner may be cut off."""
    assert [line for line, _ in problems_of("name,owner\nuser:a,own")] == [2]


def test_owner_that_is_too_long_is_reported() -> None:
    """Found here, because the server would refuse the whole batch for it."""
    ((line, message),) = problems_of(f"name,owner\nuser:a,{'o' * 257}\n")
    assert line == 2
    assert "257 bytes" in message


def test_empty_file_asks_for_nothing() -> None:
    """Nor does one that holds nothing but a header."""
    assert rows_of("") == []
    assert rows_of("name,owner\n") == []
