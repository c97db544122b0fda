"""Whether a process has a node's data directory, as the node's own lock on it tells.

Responsible for asking; the lock is `namestore.storage.directory`'s. Invariant: asking makes and
changes nothing, and a lock that cannot be asked about is never taken for a free one.
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from namestore.localcluster.errors import DirectoryUnusable

_LOCK = "LOCK"


@dataclass(frozen=True, slots=True)
class DataHolder:
    """A process has the data directory. `pid`: as it noted there; None: not to be read."""

    pid: int | None

    def __str__(self) -> str:
        return "an unknown process" if self.pid is None else f"pid {self.pid}"


def data_holder(path: Path) -> DataHolder | None:
    """Who has that data directory; None: nobody, or there is none.

    For the moment of asking a node that is just starting would find its directory in use: ask only
    about nodes of which no process is known.

    Raises:
        DirectoryUnusable: It cannot be told.
    """
    lock_path = path / _LOCK
    try:
        # Not waiting for a writer, should it be a pipe.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(lock_path, flags)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _untold(lock_path, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return DataHolder(_noted_pid(descriptor))
    except OSError as error:
        raise _untold(lock_path, error) from error
    finally:
        os.close(descriptor)
    return None


def _noted_pid(descriptor: int) -> int | None:
    try:
        text = os.pread(descriptor, 32, 0).decode("ascii", "replace")
    except OSError:
        return None  # that it is held is known nevertheless
    first = next(iter(text.split()), "")
    return int(first) if first.isascii() and first.isdigit() and int(first) > 0 else None


def _untold(lock_path: Path, error: OSError) -> DirectoryUnusable:
    return DirectoryUnusable(
        f"cannot tell whether a process has {lock_path.parent}: {lock_path}: {error.strerror}"
    )
