"""Standard output and error that may be closed or full.

Responsible for writing to them, and for what is left to do when that fails. Invariants: a result
that could not be written is never passed over (`OutputLost`); a remark that could not be written
changes nothing, because the exit code says how the command ended.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Final, TextIO

import click

_STANDARD_DESCRIPTORS: Final = (0, 1, 2)


class OutputLost(Exception):
    """A result could not be written to standard output; it has nobody to read it."""


def emit(line: str) -> None:
    """Writes a result to standard output.

    Raises:
        OutputLost: It is closed or full.
        BrokenPipeError: Nobody reads it any more.
    """
    if sys.stdout is None:
        raise OutputLost("standard output is closed")
    try:
        click.echo(line)
    except BrokenPipeError:
        raise
    except OSError as error:
        hush(sys.stdout)
        raise OutputLost(f"standard output cannot be written: {error.strerror}") from error


def emit_beside(line: str) -> None:
    """Writes to standard output what the exit code says too, and so may be lost."""
    try:
        emit(line)
    except OutputLost as error:
        tell(f"error: {error}")


def tell(line: str) -> None:
    """Says something to a person on standard error, if it is open and has room."""
    try:
        click.echo(line, err=True)
    except OSError:
        hush(sys.stderr)  # nowhere is left to say so


def flush_output() -> None:
    """Writes what is still buffered.

    Raises:
        OutputLost: Standard output is full.
        BrokenPipeError: Nobody reads it any more.
    """
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        hush(sys.stdout)
        raise OutputLost(f"standard output cannot be written: {error.strerror}") from error


def hush(stream: TextIO | None) -> None:
    """Sends what is still buffered nowhere, lest the interpreter complain at its end."""
    if stream is None:
        return
    try:
        descriptor = stream.fileno()
    except (io.UnsupportedOperation, ValueError):
        return  # not a real stream: nothing is flushed at the end
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def occupy_closed_descriptors() -> None:
    """Keeps files and sockets from getting the number of a standard stream that is closed.

    What a library writes to standard error would otherwise end up in them; it now goes nowhere.
    """
    for descriptor in _STANDARD_DESCRIPTORS:
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number: this one
    if sys.stderr is None:
        # Libraries take for granted that there is one. Results have to be told apart: no stdout.
        sys.stderr = os.fdopen(2, "w", closefd=False)
