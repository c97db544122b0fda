"""How far a long command is: a bar on a terminal, a line now and then elsewhere, or nothing.

Always on standard error. Invariant: never more than one line in `INTERVAL_SECONDS` where there is
no terminal, so that a log stays readable.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Final, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from namestore.streams import tell

INTERVAL_SECONDS: Final = 5.0


class ProgressView(AbstractContextManager["ProgressView"], Protocol):
    """Shows progress while it is entered."""

    def advance(self, offset: int, text: str) -> None:
        """So many bytes are done; `text` says what came of them."""
        ...

    def note(self, line: str) -> None:
        """Prints a line on standard error, without spoiling what is shown."""
        ...


def progress_view(
    *, silent: bool, bytes_total: int | None, clock: Callable[[], float]
) -> ProgressView:
    """The view that suits where standard error goes."""
    if not silent and sys.stderr is not None and sys.stderr.isatty():
        return Bar(bytes_total)
    return Lines(clock, bytes_total, silent=silent)


class Lines:
    """A plain line every few seconds; none at all when silent."""

    def __init__(
        self, clock: Callable[[], float], bytes_total: int | None, *, silent: bool
    ) -> None:
        self._clock = clock
        self._bytes_total = bytes_total
        self._silent = silent
        self._next = clock() + INTERVAL_SECONDS

    def __enter__(self) -> Lines:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    def advance(self, offset: int, text: str) -> None:
        """Prints where it stands, if the last time is long ago."""
        now = self._clock()
        if self._silent or now < self._next:
            return
        self._next = now + INTERVAL_SECONDS
        total = self._bytes_total
        share = f"{min(1.0, offset / total):.0%}  " if total else ""
        self.note(f"{share}{text}")

    def note(self, line: str) -> None:
        """Prints a line on standard error."""
        tell(line)


class Bar:
    """A moving bar."""

    def __init__(self, bytes_total: int | None) -> None:
        self._progress = Progress(
            BarColumn(bar_width=20),
            TaskProgressColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.description}", markup=False),
            console=Console(stderr=True),
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._progress.add_task("", total=bytes_total)

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def advance(self, offset: int, text: str) -> None:
        """Moves the bar."""
        self._progress.update(self._task, completed=offset, description=text)

    def note(self, line: str) -> None:
        """Prints a line above the bar."""
        self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)
