"""Small file operations that a crash at any point leaves done or not done.

The pattern is always the same: write beside, sync the file, rename over, sync the directory.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def sync_directory(directory: Path) -> None:
    """Makes the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Makes the bytes of a file durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, data: bytes) -> None:
    """Puts `data` in place of whatever `path` holds; durable on return."""
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync_directory(path.parent)


@contextmanager
def making_whole(directory: Path) -> Iterator[Path]:
    """Makes a directory that is whole or, after a crash, not there; within, it is filled elsewhere.

    Raises `OSError`. What is filled in must be synced by whoever does it.
    """
    making = directory.with_name(directory.name + ".making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir()
    yield making
    making.rename(directory)
    sync_directory(directory.parent)
