"""The note that a node's process is running, and which process it is.

Responsible for the file's bytes only; whether the process still lives is `node_process`' question.
Invariant: a file is whole or absent (it is written aside and moved into place).
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from namestore.localcluster.errors import DirectoryUnusable


@dataclass(frozen=True, slots=True)
class PidRecord:
    """A process that was started.

    Attributes:
        identity: As `identity_of` gave it then: the pid alone would be taken for ours for ever.
    """

    pid: int
    identity: str


def read_pid_file(path: Path) -> PidRecord | None:
    """What the file says. None: there is none, or what is in it is no such note.

    Raises:
        DirectoryUnusable: It is there and cannot be read.
    """
    try:
        content = json.loads(path.read_text())
        return PidRecord(pid=int(content["pid"]), identity=str(content["identity"]))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DirectoryUnusable(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, OverflowError):
        # Damaged: nothing can be told of the process. A node that still runs has its data locked.
        return None


def write_pid_file(path: Path, record: PidRecord) -> None:
    """Writes or replaces the file.

    Raises:
        DirectoryUnusable: It cannot be written.
    """
    write_whole(path, json.dumps(asdict(record)) + "\n")


def write_whole(path: Path, text: str) -> None:
    """Gives the file this text, or leaves it as it was; never something in between.

    Raises:
        DirectoryUnusable: It cannot be written.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_text(text)
        aside.replace(path)
    except OSError as error:
        with suppress(OSError):  # what stood in the way of writing it may be in its way, too
            aside.unlink(missing_ok=True)
        raise DirectoryUnusable(f"cannot write {path}: {error.strerror}") from error
