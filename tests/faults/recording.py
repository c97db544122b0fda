"""The disk of a process, as its system calls made it.

Knows what the calls mean that change files and names; refuses a trace with others. Descriptors are
followed here, because what is written where depends on how and as what a descriptor was opened.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from tests.faults.disk import ROOT_NODE, Disk, Naming, Sync, Write
from tests.faults.trace import Call, escaped

CALLS = (
    *("openat", "open", "creat", "close", "lseek", "dup", "dup2", "dup3", "io_uring_setup"),
    *("write", "pwrite64", "writev", "pwritev", "pwritev2", "copy_file_range", "sendfile"),
    *("truncate", "ftruncate", "fallocate", "fdatasync", "fsync", "sync_file_range", "msync"),
    *("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat"),
    *("unlink", "unlinkat", "rmdir", "mkdir", "mkdirat"),
)
# Changes that this model does not know: better no verdict than a wrong one.
_FOREIGN = {
    *("open", "creat", "dup", "dup2", "dup3", "pwritev2", "copy_file_range", "sendfile"),
    *("truncate", "msync", "symlink", "symlinkat"),
}
_FALLOC_KEEP_SIZE = b"FALLOC_FL_KEEP_SIZE"
# Makes the file longer, if it is shorter than that.
_FALLOC_FROM_START = re.compile(rb", 0, 0, \d+$")


@dataclass
class _Handle:
    node: int
    position: int = 0
    appends: bool = False
    syncs: bool = False


def disk_of(root: Path, calls: list[Call]) -> Disk:
    """What the calls did under one directory.

    Args:
        root: The directory, absolute, as the process named it; it began empty.
        calls: From the beginning of the process on.
    """
    return _Reader(root, calls).disk


class _Reader:
    """Follows the calls."""

    def __init__(self, root: Path, calls: list[Call]) -> None:
        self.disk = Disk()
        self.root = str(root)
        self._sizes: dict[int, int] = {}
        self._handles: dict[int, _Handle] = {}
        self._next_node = ROOT_NODE + 1
        # A descriptor means what it was opened as once the opening has returned.
        for call in sorted(calls, key=lambda c: c.ended if c.name == "openat" else c.began):
            self._take(call)

    # -- what the calls did -----------------------------------------------------------------

    def _take(self, call: Call) -> None:
        named = escaped(self.root) in call.arguments
        if call.name == "io_uring_setup" or (call.name in _FOREIGN and named):
            raise NotImplementedError(f"the model does not know {call.name}: {call}")
        handler = {
            "openat": self._opened,
            "lseek": self._sought,
            "write": self._wrote,
            "writev": self._wrote,
            "pwrite64": self._wrote_at,
            "pwritev": self._wrote_at,
            "ftruncate": self._truncated,
            "fallocate": self._allocated,
            "fdatasync": self._synced,
            "fsync": self._synced,
            "mkdir": self._made_directory,
            "mkdirat": self._made_directory,
            "rename": self._renamed,
            "renameat": self._renamed,
            "renameat2": self._renamed,
            "link": self._linked,
            "linkat": self._linked,
            "unlink": self._unlinked,
            "unlinkat": self._unlinked,
            "rmdir": self._unlinked,
        }.get(call.name)
        if handler is not None:
            handler(call)

    def _opened(self, call: Call) -> None:
        number, path = call.result, call.result_path
        self._handles.pop(number, None)
        if path == self.root:
            self._handles[number] = _Handle(ROOT_NODE)
            return
        place = self._place(path)
        if place is None:
            return
        directory, name = place
        node = self.disk.directories[directory].get(name)
        if node is None:
            if b"O_CREAT" not in call.arguments:
                return  # made by somebody else: not a file of the process
            node = self._new_node()
            self._sizes[node] = 0
            self._name(node, None, place, call)
        if b"O_TRUNC" in call.arguments and self._sizes[node]:
            self._write(_Handle(node), 0, None, call)
        self._handles[number] = _Handle(
            node, 0, b"O_APPEND" in call.arguments, b"SYNC" in call.arguments
        )

    def _sought(self, call: Call) -> None:
        handle = self._handle(call)
        if handle is not None:
            handle.position = call.result

    def _wrote(self, call: Call) -> None:
        handle = self._handle(call)
        if handle is not None:
            if handle.appends:
                handle.position = self._sizes[handle.node]
            self._write(handle, handle.position, _data(call), call)
            handle.position += call.result

    def _wrote_at(self, call: Call) -> None:
        handle = self._handle(call)
        if handle is not None:
            self._write(handle, call.last_number(), _data(call), call)

    def _truncated(self, call: Call) -> None:
        handle = self._handle(call)
        if handle is not None:
            self._write(handle, call.last_number(), None, call)

    def _allocated(self, call: Call) -> None:
        handle = self._handle(call)
        if handle is None or _FALLOC_KEEP_SIZE in call.arguments:
            return
        if not _FALLOC_FROM_START.search(call.arguments):
            raise NotImplementedError(f"the model does not know this: {call}")
        if call.last_number() > self._sizes[handle.node]:
            self._write(handle, call.last_number(), None, call)

    def _write(self, handle: _Handle, offset: int, data: bytes | None, call: Call) -> None:
        node = handle.node
        end = offset + len(data or b"")
        self._sizes[node] = end if data is None else max(self._sizes[node], end)
        self.disk.writes.append(Write(node, offset, data, call.began, call.ended, handle.syncs))

    def _synced(self, call: Call) -> None:
        handle = self._handle(call)
        if handle is not None:
            self.disk.syncs.append(Sync(handle.node, call.began, call.ended))

    def _made_directory(self, call: Call) -> None:
        place = self._place(self._paths(call)[0])
        if place is not None:
            node = self._new_node()
            self.disk.directories[node] = {}
            self._name(node, None, place, call)

    def _renamed(self, call: Call) -> None:
        source, to = map(self._place, self._paths(call))
        if source is not None and to is not None:
            self._name(self.disk.directories[source[0]][source[1]], source, to, call)

    def _linked(self, call: Call) -> None:
        source, to = map(self._place, self._paths(call))
        if source is not None and to is not None:
            self._name(self.disk.directories[source[0]][source[1]], None, to, call)

    def _unlinked(self, call: Call) -> None:
        place = self._place(self._paths(call)[0])
        if place is not None:
            self._name(self.disk.directories[place[0]][place[1]], place, None, call)

    def _name(
        self,
        node: int,
        source: tuple[int, str] | None,
        to: tuple[int, str] | None,
        call: Call,
    ) -> None:
        self.disk.name(Naming(node, source, to, call.began, call.ended))

    # -- where ------------------------------------------------------------------------------

    def _new_node(self) -> int:
        self._next_node += 1
        return self._next_node - 1

    def _handle(self, call: Call) -> _Handle | None:
        number, path = call.descriptor()
        return self._handles.get(number) if path.startswith(self.root) else None

    def _paths(self, call: Call) -> list[str]:
        """Absolute: those of the *at calls are taken from the directory they name."""
        paths = [text.decode() for text in call.strings()]
        if call.name.endswith(("at", "at2")):
            return [
                os.path.join(call.descriptor(place)[1], path)  # noqa: PTH118  paths of another time
                for place, path in enumerate(paths)
            ]
        return paths

    def _place(self, path: str) -> tuple[int, str] | None:
        """Directory and name; None: not under the root."""
        if not path.startswith(self.root + "/"):
            return None
        *parents, name = path[len(self.root) + 1 :].split("/")
        directory = ROOT_NODE
        for parent in parents:
            directory = self.disk.directories[directory][parent]
        return directory, name


def _data(call: Call) -> bytes:
    data = b"".join(call.strings())
    if len(data) < call.result:
        raise ValueError(f"the trace holds {len(data)} of the {call.result} bytes written")
    return data[: call.result]
