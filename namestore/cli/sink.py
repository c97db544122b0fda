"""Where an export's bytes go: standard output, a file, or a device or pipe that is there already.

Invariant: a regular file is the whole export or is not touched at all; what is not a regular file
is written into and never replaced; a symbolic link stays, and its target is what is written.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from namestore.streams import OutputLost


def is_replaceable(output: Path) -> bool:
    """True if there is nothing yet, or a regular file.

    Raises:
        OSError: Nobody can tell, as when links go round in a circle.
    """
    try:
        return stat.S_ISREG(output.stat().st_mode)
    except FileNotFoundError:
        return True


@contextmanager
def export_sink(output: Path | None) -> Iterator[BinaryIO]:
    """Opens what the export is written to; None is standard output.

    Raises:
        OSError: It cannot be opened or written.
        OutputLost: Standard output is closed.
    """
    if output is None:
        if sys.stdout is None:
            raise OutputLost("standard output is closed")
        yield sys.stdout.buffer
    elif is_replaceable(output):
        # The file itself is replaced: a link to it goes on leading to it.
        with _whole_file(Path(os.path.realpath(output))) as sink:
            yield sink
    else:
        # Opened as it was given: the target of /dev/stdout may be a pipe without a name.
        with os.fdopen(os.open(output, os.O_WRONLY), "wb") as sink:
            yield sink


@contextmanager
def _whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file that appears under its name only once it is whole and on the disk."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("xb") as sink:
            yield sink
            sink.flush()
            os.fsync(sink.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
