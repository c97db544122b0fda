"""How bytes become lines."""

from __future__ import annotations

import io

import pytest

from namestore.cli.lines import LINE_BYTES_MAX, Line, NotText, read_lines


def lines_of(data: bytes) -> list[Line]:
    return list(read_lines(io.BytesIO(data)))


def test_lines_lose_lf_and_crlf_alike() -> None:
    """The content of a line is the same with either line ending."""
    assert [line.content for line in lines_of(b"a\nb\r\n\n")] == ["a", "b", ""]


def test_lines_are_numbered_and_placed() -> None:
    """Every byte of the file belongs to one line."""
    found = lines_of(b"ab\ncd\r\nef")
    assert [(line.number, line.end_offset, line.terminated) for line in found] == [
        (1, 3, True),
        (2, 7, True),
        (3, 9, False),
    ]


def test_byte_order_mark_is_dropped_from_the_first_line_only() -> None:
    """Editors put one there; elsewhere it is a character like any other."""
    mark = "\ufeff"
    assert [line.content for line in lines_of(f"{mark}a\n{mark}b\n".encode())] == ["a", f"{mark}b"]


@pytest.mark.parametrize("mark", (b"\xff\xfe", b"\xfe\xff"))
def test_utf16_is_refused_as_a_whole(mark: bytes) -> None:
    """No line of such a file could be read, so one sentence says it once."""
    with pytest.raises(NotText, match="iconv"):
        lines_of(mark + b"a\x00\n\x00")


def test_bad_utf8_spoils_one_line() -> None:
    """The line says which byte is wrong, and the next one is read as usual."""
    bad, good = lines_of(b"al\xffice\nbob\n")
    assert bad.problem == "not UTF-8: byte 0xff at position 3"
    assert good.content == "bob"


@pytest.mark.parametrize("ending", (b"\n", b"\r\n"))
def test_line_of_the_limit_passes_and_one_more_byte_does_not(ending: bytes) -> None:
    """The limit is 64 KiB without the line ending."""
    longest = b"a" * LINE_BYTES_MAX
    fits, too_long, after = lines_of(longest + ending + longest + b"a" + ending + b"b\n")
    assert len(fits.content) == LINE_BYTES_MAX
    assert "longer than 64 KiB" in too_long.problem
    assert (after.number, after.content) == (3, "b")


class _Endless(io.RawIOBase):
    """So many bytes without a line feed, none of which exists before it is read."""

    def __init__(self, size: int) -> None:
        self.left = size
        self.asked_max = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self.asked_max = max(self.asked_max, len(buffer))
        size = min(len(buffer), self.left)
        buffer[:size] = b"a" * size
        self.left -= size
        return size


def test_endless_line_is_read_in_bounded_pieces() -> None:
    """A line of any length costs no more memory than one of 64 KiB."""
    source = _Endless(50 * LINE_BYTES_MAX)
    (line,) = read_lines(io.BufferedReader(source, 4096))
    assert (line.text, line.end_offset) == ("", 50 * LINE_BYTES_MAX)
    assert source.asked_max <= LINE_BYTES_MAX + 2
