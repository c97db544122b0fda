"""PySyncObj's own files on a simulated disk, written and read by the library's own code.

Its journal, its meta file, its dumps and their transfer are the library's; replaced is only what
lies below them: open files, renames, `fork`. Whatever a process has written survives the process
(kill -9), because the operating system has it. The library never syncs, so a power cut leaves what
was written back by then, and of what came later any mixture: of a file changed in place each page
old or new, of a file that was replaced the old one or the new one.

Kinder than real disks: renames are whole, the first files of a node are on the disk from the start.
"""

from __future__ import annotations

import io
import pickle
import random
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from pysyncobj import journal, serializer, syncobj

JOURNAL, DUMP = "journal", "dump"
_PAGE = 4096
_FIRST_RECORD, _LAST_RECORD_AT = 40, 36  # as pysyncobj/journal.py lays a journal out


class Files:
    """The files of one machine.

    Attributes:
        shown: What processes see.
        stored: What is on the disk.
        operation: Called with every change of what is shown; may raise instead of making it.
    """

    def __init__(self, operation: Callable[[Callable[[], None]], None]) -> None:
        self.shown: dict[str, bytes] = {}
        self.stored: dict[str, bytes] = {}
        self.operation = operation
        self.children: dict[int, int | None] = {}  # process id to exit status; None: it runs
        self.in_child = False

    def write(self, name: str, offset: int, data: bytes) -> None:
        """Changes a file in place."""
        old = self.shown.get(name, b"").ljust(offset, b"\0")
        self.put(name, old[:offset] + data + old[offset + len(data) :])

    def put(self, name: str, content: bytes) -> None:
        """Gives a file another content."""
        self._change(lambda: self.shown.update({name: content}))

    def rename(self, old: str, new: str) -> None:
        """Puts a file into the place of another."""
        self._change(lambda: self.shown.update({new: self.shown.pop(old)}))

    def _change(self, change: Callable[[], None]) -> None:
        if self.in_child:
            change()
        else:
            self.operation(change)

    def write_back(self) -> None:
        """The operating system gets round to it."""
        self.stored = dict(self.shown)

    def lose_power(self, rng: random.Random) -> None:
        """What was not written back is there or not."""
        for name in sorted({*self.shown, *self.stored}):
            old, new = self.stored.get(name), self.shown.get(name)
            if old is not None and new is not None and name == JOURNAL:
                self.stored[name] = _torn(old, new, rng)
            elif rng.random() < 0.5:
                self.stored.pop(name, None)
                self.stored |= {} if new is None else {name: new}
        self.shown = dict(self.stored)

    def journal_left(self) -> list[tuple[bytes, int, int]]:
        """The entries that a new process would find, as far as they can be read."""
        data, at = self.shown.get(JOURNAL, b""), _FIRST_RECORD
        found: list[tuple[bytes, int, int]] = []
        if len(data) < _FIRST_RECORD:
            return found
        (end,) = struct.unpack_from("<I", data, _LAST_RECORD_AT)
        while at < end and at + 20 <= len(data):
            size, index, term = struct.unpack_from("<IQQ", data, at)
            if size < 16:
                break
            found.append((data[at + 20 : at + 4 + size], index, term))
            at += size + 8
        return found


def _torn(old: bytes, new: bytes, rng: random.Random) -> bytes:
    """A file whose pages reached the disk or did not."""
    size = max(len(old), len(new))
    versions = (old.ljust(size, b"\0"), new.ljust(size, b"\0"))
    pages = (rng.choice(versions)[at : at + _PAGE] for at in range(0, size, _PAGE))
    return b"".join(pages)


class _Mapped:
    """In the place of the library's memory-mapped file."""

    def __init__(self, fileName: str, defaultContent: bytes = b"", **_: Any) -> None:
        self._files, self._name = files_now(), fileName
        if fileName not in self._files.shown:
            self._files.shown[fileName] = self._files.stored[fileName] = defaultContent

    def write(self, offset: int, values: bytes) -> None:
        self._files.write(self._name, offset, values)

    def read(self, offset: int, size: int) -> bytes:
        return self._files.shown[self._name][offset : offset + size].ljust(size, b"\0")

    def flush(self) -> None:
        """The library calls it at its own end only."""

    _destroy = flush


class _Written(io.BytesIO):
    """A file open for writing."""

    def __init__(self, files: Files, path: str) -> None:
        super().__init__()
        self._files, self._path = files, path
        files.put(path, b"")

    def write(self, data: Any) -> int:
        count = super().write(data)
        self._files.put(self._path, self.getvalue())
        return count


def _open(path: str, mode: str) -> io.BytesIO:
    files = files_now()
    if "w" in mode:
        return _Written(files, path)
    if path not in files.shown:
        raise FileNotFoundError(path)
    return io.BytesIO(files.shown[path])


class _ChildEnds(BaseException):
    """A forked process ends, with this status."""


def _fork() -> int:
    files = files_now()
    if files.in_child:
        return 0
    pid = len(files.children) + 1
    files.children[pid] = None
    return pid


def _exit(status: int) -> None:
    raise _ChildEnds(status)


def _waitpid(pid: int, options: int) -> tuple[int, int]:
    status = files_now().children[pid]
    return (0, 0) if status is None else (pid, status)


class _Serializer(serializer.Serializer):  # type: ignore[misc]
    """The library's, whose forked process writes what it saw when it was forked, some time later.

    That process has a life of its own: who kills its parent does not kill it.
    """

    def serialize(self, data: Any, id: int) -> None:  # noqa: A002  # the library's name for it
        files = files_now()
        before = len(files.children)
        super().serialize(data, id)
        if not files.in_child and len(files.children) > before:
            memory = pickle.dumps((data, id))
            _now[-1].later(lambda: self._child(files, before + 1, memory))

    def _child(self, files: Files, pid: int, memory: bytes) -> None:
        data, index = pickle.loads(memory)  # noqa: S301  # our own bytes
        files.in_child = True
        try:
            _Serializer(DUMP, 1, True, None, None, None).serialize(data, index)
        except _ChildEnds as end:
            files.children[pid] = end.args[0]
        finally:
            files.in_child = False


# The machine whose process runs just now: the library asks nobody in particular.
_now: list[Any] = []


def files_now() -> Files:
    """Those of the machine whose process runs just now."""
    files: Files = _now[-1].files
    return files


@contextmanager
def running(machine: Any) -> Iterator[None]:
    """While it lasts, that machine's process runs."""
    _now.append(machine)
    try:
        yield
    finally:
        _now.pop()


@contextmanager
def borrowed_library(rng: random.Random) -> Iterator[None]:
    """While it lasts, time, randomness, files and processes of PySyncObj are the simulation's."""
    shims: dict[Any, dict[str, Any]] = {
        syncobj: {
            "monotonicTime": lambda: _now[-1].clock_read(),
            "random": SimpleNamespace(random=rng.random),
            "Serializer": _Serializer,
            "os": SimpleNamespace(
                path=SimpleNamespace(isfile=lambda path: path in files_now().shown)
            ),
        },
        journal: {
            "ResizableFile": _Mapped,
            "open": _open,
            "shutil": SimpleNamespace(move=lambda old, new: files_now().rename(old, new)),
        },
        serializer: {
            "open": _open,
            "atomicReplace": lambda old, new: files_now().rename(old, new),
            "os": SimpleNamespace(fork=_fork, waitpid=_waitpid, _exit=_exit, WNOHANG=1),
        },
    }
    real = {
        module: {name: vars(module).get(name) for name in names} for module, names in shims.items()
    }
    for module, names in shims.items():
        vars(module).update(names)
    try:
        yield
    finally:
        for module, names in real.items():
            for name, value in names.items():
                if value is None:
                    del vars(module)[name]
                else:
                    vars(module)[name] = value
