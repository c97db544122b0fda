"""Standard output and error that may be closed or full.

Responsible for writing to them, and for what is left to do when that fails. Invariants: a result
that could not be written is never passed over (`OutputLost`); a remark that could not be written
changes nothing, because the exit code says how the command ended. A program that is a `SafeCommand`
or a `SafeGroup` ends by a code, without a traceback, whatever becomes of its output.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, NoReturn, TextIO

import click

BROKEN_PIPE: Final = 141  # 128 + SIGPIPE, as shells have it
_STANDARD_DESCRIPTORS: Final = (0, 1, 2)


class OutputLost(Exception):
    """A result could not be written to standard output; it has nobody to read it."""


class HelpLost(OutputLost):
    """What click prints by itself could not be written: nothing else was done."""


class PipeClosed(Exception):
    """Nobody reads standard output any more. No OSError, which click would end with 1."""


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


def show_usage(error: click.ClickException) -> None:
    """Says what is wrong with the command line, if standard error is open and has room."""
    try:
        error.show()
    except OSError:
        hush(sys.stderr)


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


def end_process(code: int) -> NoReturn:
    """Ends the process at once, what it has printed flushed as far as that can be.

    No thread is waited for: what an interrupt broke off may have left some that never end.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # lost, closed, or never there
            stream.flush()
    os._exit(code)


@contextmanager
def output_told() -> Iterator[None]:
    """Around what may print: says what became of standard output in exceptions that click lets by.

    Raises:
        PipeClosed: Nobody reads it any more.
        OutputLost: It is full, or closed.
    """
    try:
        yield
        flush_output()
    except BrokenPipeError as error:
        raise PipeClosed from error
    except OSError as error:
        if not _printed_by_click(error):
            raise
        hush(sys.stdout)
        raise HelpLost(f"standard output cannot be written: {error.strerror}") from error


def _printed_by_click(error: OSError) -> bool:
    """It was raised by click writing to standard output, not by whatever else may fail."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    frame = trace.tb_frame if trace is not None else None
    return frame is not None and frame.f_code is click.echo.__code__ and not frame.f_locals["err"]


class _Safe:
    """What both kinds of command share; stands before `click.Command` among a class's bases.

    Attributes:
        LOST_CODE: With which the program ends when its output is lost.
    """

    LOST_CODE = 1

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Reads the command line; `--help` prints, and ends, here."""
        with output_told():
            context: click.Context = super().make_context(*args, **kwargs)  # type: ignore[misc]
            return context

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command."""
        with output_told():
            return super().invoke(ctx)  # type: ignore[misc]

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the program; ends it by a code when its output is lost."""
        occupy_closed_descriptors()
        try:
            return super().main(*args, **kwargs)  # type: ignore[misc]
        except PipeClosed:
            hush(sys.stdout)
            sys.exit(BROKEN_PIPE)
        except OutputLost as error:
            self._say_lost(error)

    def _say_lost(self, error: OutputLost) -> NoReturn:
        tell(f"error: {error}; what it would have said is lost")
        sys.exit(self.LOST_CODE)


class SafeCommand(_Safe, click.Command):
    """A program of one command."""


class SafeGroup(_Safe, click.Group):
    """A program of several."""
