"""What namestore logs as an error while it is simulated: nobody foresaw it, so it fails the run.

The engine survives what its callers raise, and says so in its log only; callers hear "unknown",
which every judge accepts. Everything else that anybody logs goes nowhere: that is twice as fast.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from namestore.errors import DiskDamaged, DiskFailed

_QUIET = ("asyncio",)  # speaks of what a dead process left behind


class _Alarm(logging.Handler):
    """Keeps what it hears."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        raised = record.exc_info[1] if record.exc_info else None
        if _of_the_dead(raised) or isinstance(raised, DiskDamaged | DiskFailed):
            return  # disks are damaged and filled on purpose: others judge what becomes of that
        self.heard.append(f"{record.getMessage()}" + (f": {raised!r}" if raised else ""))


def _of_the_dead(raised: BaseException | None) -> bool:
    """It comes from closing what a dead process left unfinished, whenever that is collected."""
    while raised is not None:
        if isinstance(raised, GeneratorExit) or "GeneratorExit" in str(raised):
            return True
        raised = raised.__context__
    return False


@contextmanager
def alarmed() -> Iterator[list[str]]:
    """Gives what was logged as an error so far, oldest first."""
    alarm, own, root = _Alarm(), logging.getLogger("namestore"), logging.getLogger()
    nowhere = logging.NullHandler()
    before = own.propagate, [logging.getLogger(name).disabled for name in _QUIET]
    logging.disable(logging.WARNING)
    own.addHandler(alarm)
    own.propagate = False
    root.addHandler(nowhere)
    for name in _QUIET:
        logging.getLogger(name).disabled = True
    try:
        yield alarm.heard
    finally:
        own.removeHandler(alarm)
        root.removeHandler(nowhere)
        own.propagate = before[0]
        for name, disabled in zip(_QUIET, before[1], strict=True):
            logging.getLogger(name).disabled = disabled
        logging.disable(logging.NOTSET)
