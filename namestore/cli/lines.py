"""The lines of a file that may be huge, torn, or not text at all.

Responsible for cutting bytes into lines in bounded memory and turning them into text. What a line
means is decided in `rows`. Every byte of the file belongs to exactly one line, so that "decided up
to line N" has one meaning.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

LINE_BYTES_MAX: Final = 64 * 1024

_UTF16_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class NotText(ValueError):
    """The file as a whole is in an encoding that is not read here."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file.

    Attributes:
        number: Counted from 1.
        text: With its line ending. Empty when there is a `problem`.
        end_offset: Bytes of the file read once this line was.
        terminated: Ends with a line feed. False for a last line that may have been cut off.
        problem: Why the line has no text; empty: it has.
    """

    number: int
    text: str
    end_offset: int
    terminated: bool = True
    problem: str = ""

    @property
    def content(self) -> str:
        """The text without its line ending, LF or CRLF."""
        return self.text.removesuffix("\n").removesuffix("\r")


def read_lines(stream: BinaryIO) -> Iterator[Line]:
    """Yields every line, never holding more than one, nor more than 64 KiB of one.

    A byte order mark of UTF-8 at the beginning is dropped.

    Raises:
        NotText: The file begins with a byte order mark of UTF-16.
    """
    offset = 0
    number = 0
    # Two bytes above the limit hold a line ending, so a line of exactly the limit passes.
    while chunk := stream.readline(LINE_BYTES_MAX + 2):
        number += 1
        offset += len(chunk)
        terminated = chunk.endswith(b"\n")
        if number == 1:
            if chunk.startswith(_UTF16_MARKS):
                raise NotText("the file is UTF-16; convert it first: iconv -f UTF-16 -t UTF-8")
            chunk = chunk.removeprefix(codecs.BOM_UTF8)
        if len(chunk.removesuffix(b"\n").removesuffix(b"\r")) > LINE_BYTES_MAX:
            while not terminated and (rest := stream.readline(LINE_BYTES_MAX)):
                offset += len(rest)
                terminated = rest.endswith(b"\n")
            problem = f"the line is longer than {LINE_BYTES_MAX // 1024} KiB"
            yield Line(number, "", offset, terminated, problem)
            continue
        try:
            yield Line(number, chunk.decode(), offset, terminated)
        except UnicodeDecodeError as error:
            problem = f"not UTF-8: byte 0x{chunk[error.start]:02x} at position {error.start + 1}"
            yield Line(number, "", offset, terminated, problem)
