"""Log and state in a process that is killed, and on a disk that is full or read-only."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from namestore.errors import StorageError
from namestore.storage.directory import DataDirectory, reconcile
from namestore.storage.interfaces import LogEntry
from tests.support.storage_writer import command_of

_ROOT = Path(__file__).resolve().parents[2]


def _start(directory: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.storage_writer", str(directory), *more],
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def _check(directory: Path, about: int, synced: int, flushed: int) -> None:
    """Everything that was said to be durable is there, and nothing that was never written."""
    held = DataDirectory.open(directory, "home", "n1")
    log, state = held.open_log(), held.open_state()
    reconcile(log, state)
    assert synced <= log.last_index <= about
    assert flushed <= state.meta.applied_index <= log.last_index
    assert log.first_index - 1 <= state.meta.applied_index
    for entry in log.entries(log.first_index, 10**9):
        assert entry.command == command_of(entry.index)
    applied = state.meta.applied_index
    names = dict(state.scan(b"n", b"n"))
    assert names == {b"n%d" % index: b"%d" % index for index in range(1, applied + 1)}
    held.close()


def test_kill_takes_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Ten lives, each ended by kill -9 at a random moment: log and state keep their word."""
    rng = random.Random(11)
    directory = tmp_path / "n1"
    said = {"about": 0, "synced": 0, "flushed": 0}
    for _ in range(10):
        lines = rng.randrange(3, 250)
        with _start(directory) as process:
            for line in process.stdout or ():
                word, _, number = line.partition(" ")
                said[word] = int(number)
                lines -= 1
                if lines == 0:
                    process.kill()
        assert process.returncode == -9
        _check(directory, **said)
    assert said["synced"] > 500


def test_a_full_disk_ends_the_process_and_loses_nothing(tmp_path: Path) -> None:
    """Files that cannot grow are a failed disk; once they can, everything synced is there."""
    directory = tmp_path / "n1"
    for limit in (400_000, 700_000):  # room is made in steps of 256 KiB
        process = _start(directory, str(limit))
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 70
        *lines, last = output.splitlines()
        assert last.startswith("failed ")
        assert "the node must stop" in last.lower()
        said = {"about": 0, "synced": 0, "flushed": 0}
        for line in lines:
            word, _, number = line.partition(" ")
            said[word] = int(number)
        assert said["synced"] > 0
        _check(directory, **said)


@contextmanager
def _mounted(directory: Path, options: str) -> Iterator[Path]:
    """A small file system of its own, where this process may mount one."""
    directory.mkdir()
    if os.geteuid() != 0 or _run("mount", "-t", "tmpfs", "-o", options, "tmpfs", directory) != 0:
        pytest.skip("this user may not mount a file system here")
    try:
        yield directory
    finally:
        assert _run("umount", "-l", directory) == 0


def _run(command: str, *arguments: object) -> int:
    """The exit code of a command of the system; 127: there is none of that name."""
    program = shutil.which(command)
    if program is None:
        return 127
    words = [program, *map(str, arguments)]
    return subprocess.run(words, check=False, capture_output=True).returncode


def _remount(disk: Path, option: str) -> None:
    assert _run("mount", "-o", f"remount,{option}", disk) == 0


def test_a_file_system_without_room_is_survived(tmp_path: Path) -> None:
    """The same on a real full file system; once room is made, the node goes on."""
    with _mounted(tmp_path / "disk", "size=3m") as disk:
        process = _start(disk / "n1")
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 70
        assert "the disk is full" in output.splitlines()[-1]
        _remount(disk, "size=64m")
        synced = [int(line.split()[1]) for line in output.splitlines() if "synced" in line]
        held = DataDirectory.open(disk / "n1", "home", "n1")
        log, state = held.open_log(), held.open_state()
        reconcile(log, state)
        assert log.last_index >= synced[-1]
        log.append([LogEntry(b"goes on", log.last_index + 1, log.term)])
        log.sync()
        held.close()


def test_a_read_only_file_system_is_refused(tmp_path: Path) -> None:
    """With a sentence that says so, for a new directory and for a used one."""
    with _mounted(tmp_path / "disk", "size=16m") as disk:
        DataDirectory.open(disk / "n1", "home", "n1").close()
        _remount(disk, "ro")
        for name in ("n1", "n2"):
            with pytest.raises(StorageError, match="the file system is read-only"):
                DataDirectory.open(disk / name, "home", "n1")


def test_no_room_to_begin_with_is_refused(tmp_path: Path) -> None:
    """A node that cannot even be made says why, and can be made once there is room."""
    with _mounted(tmp_path / "disk", "size=16k") as disk:
        with pytest.raises(StorageError, match="the disk is full"):
            DataDirectory.open(disk / "n1", "home", "n1")
        _remount(disk, "size=16m")
        held = DataDirectory.open(disk / "n1", "home", "n1")
        assert held.fresh
        assert held.open_log().last_index == 0
        held.close()
