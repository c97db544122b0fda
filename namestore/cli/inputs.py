"""The file that a command reads its lines from, which may be standard input."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import click


@contextmanager
def opened(file: str) -> Iterator[BinaryIO]:
    """The file, closed at the end; `-` is standard input.

    Raises:
        click.ClickException: It cannot be opened.
    """
    if file == "-":
        if sys.stdin is None:
            raise click.UsageError("standard input is closed: there is nothing to read.")
        yield sys.stdin.buffer
        return
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(Path(file).open("rb"))
        except OSError as error:
            raise click.FileError(file, str(error.strerror)) from error
        yield stream


def size_of(stream: BinaryIO) -> int | None:
    """Bytes of a regular file; None: nobody knows how much will come."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None
