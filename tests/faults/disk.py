"""What a disk may hold after a power loss, from the system calls of the process that wrote to it.

The model is the strictest that POSIX allows: only a sync makes anything durable. The bytes of a
file are durable once a sync of the file began after they were written, and returned. A name in a
directory is durable once the directory was synced likewise. Of everything else any part may be
there or not, in any combination, and a write may have reached the disk in some of its sectors only.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.faults.trace import Call

SECTOR_BYTES = 512
CALLS = (
    *("openat", "open", "creat", "close", "lseek", "dup", "dup2", "dup3", "io_uring_setup"),
    *("write", "pwrite64", "writev", "pwritev", "pwritev2", "copy_file_range", "sendfile"),
    *("truncate", "ftruncate", "fallocate", "fdatasync", "fsync", "sync_file_range", "msync"),
    *("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat"),
    *("unlink", "unlinkat", "rmdir", "mkdir", "mkdirat"),
)
# Changes that this model does not know: better no verdict than a wrong one.
_FOREIGN = {"copy_file_range", "sendfile", "io_uring_setup", "msync", "truncate", "symlink"}
_FALLOC_KEEP_SIZE = b"FALLOC_FL_KEEP_SIZE"


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes at an offset; `data` None: the file is cut or extended to `offset`."""

    file: int
    offset: int
    data: bytes | None
    began: int
    ended: int
    syncs: bool = False  # durable on return (O_DSYNC)


@dataclass(frozen=True, slots=True)
class Naming:
    """A change of names: `node` appears at `to`, disappears at `source`, or both in one step."""

    node: int
    source: tuple[int, str] | None
    to: tuple[int, str] | None
    began: int
    ended: int


@dataclass(frozen=True, slots=True)
class Sync:
    """A file or a directory made durable."""

    node: int
    began: int
    ended: int


@dataclass
class _Handle:
    node: int
    position: int = 0
    appends: bool = False
    syncs: bool = False


Keep = Callable[[Write | Naming], bytes | bool | None]


class Recording:
    """The writes, namings and syncs under one directory, in their order.

    Args:
        root: The directory, absolute, as the process named it; it began empty.
        calls: From the beginning of the process on.
    """

    def __init__(self, root: Path, calls: list[Call]) -> None:
        self.root = str(root)
        self.writes: list[Write] = []
        self.namings: list[Naming] = []
        self.syncs: list[Sync] = []
        self._directories: dict[int, dict[str, int]] = {0: {}}
        self._sizes: dict[int, int] = {}
        self._handles: dict[int, _Handle] = {}
        self._next_node = 1
        # A descriptor means what it was opened as once the opening has returned.
        for call in sorted(calls, key=lambda c: c.ended if c.name == "openat" else c.began):
            self._take(call)

    # -- what the calls did -----------------------------------------------------------------

    def _take(self, call: Call) -> None:
        if call.name in _FOREIGN and self.root.encode() in call.arguments:
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
            self._handles[number] = _Handle(0)
            return
        place = self._place(path)
        if place is None:
            return
        directory, name = place
        node = self._directories[directory].get(name)
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
        if handle is not None and _FALLOC_KEEP_SIZE not in call.arguments:
            raise NotImplementedError(f"the model does not know this: {call}")

    def _write(self, handle: _Handle, offset: int, data: bytes | None, call: Call) -> None:
        node = handle.node
        end = offset + len(data or b"")
        self._sizes[node] = end if data is None else max(self._sizes[node], end)
        self.writes.append(Write(node, offset, data, call.began, call.ended, handle.syncs))

    def _synced(self, call: Call) -> None:
        handle = self._handle(call)
        if handle is not None:
            self.syncs.append(Sync(handle.node, call.began, call.ended))

    def _made_directory(self, call: Call) -> None:
        place = self._place(self._paths(call)[0])
        if place is not None:
            node = self._new_node()
            self._directories[node] = {}
            self._name(node, None, place, call)

    def _renamed(self, call: Call) -> None:
        source, to = map(self._place, self._paths(call))
        if source is not None and to is not None:
            self._name(self._directories[source[0]][source[1]], source, to, call)

    def _linked(self, call: Call) -> None:
        source, to = map(self._place, self._paths(call))
        if source is not None and to is not None:
            self._name(self._directories[source[0]][source[1]], None, to, call)

    def _unlinked(self, call: Call) -> None:
        place = self._place(self._paths(call)[0])
        if place is not None:
            self._name(self._directories[place[0]][place[1]], place, None, call)

    def _name(
        self,
        node: int,
        source: tuple[int, str] | None,
        to: tuple[int, str] | None,
        call: Call,
    ) -> None:
        naming = Naming(node, source, to, call.began, call.ended)
        self.namings.append(naming)
        _apply(naming, self._directories)

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
        directory = 0
        for parent in parents:
            directory = self._directories[directory][parent]
        return directory, name

    # -- what a power loss leaves -----------------------------------------------------------

    def points(self) -> list[int]:
        """Where something happened: just before and after each change and sync."""
        happened: list[Write | Naming | Sync] = [*self.writes, *self.namings, *self.syncs]
        return sorted({place for each in happened for place in (each.began, each.ended + 1)})

    def image(self, point: int, target: Path, keep: Keep) -> None:
        """Writes what the disk may hold when the power goes at a place of the trace.

        Args:
            point: Of the trace: what had begun before may be there, what was synced before is.
            target: A directory, which must not exist.
            keep: Asked about each change that was not durable: True keeps it, False does not,
                and bytes are what of a write's data is kept, zeros where the old bytes stay.
        """
        durable_since = self._durable_since(point)
        directories: dict[int, dict[str, int]] = {}
        for naming in self.namings:
            if naming.began < point:
                parents = [place[0] for place in (naming.source, naming.to) if place]
                synced = any(naming.ended < durable_since.get(node, -1) for node in parents)
                if synced or keep(naming):
                    _apply(naming, directories)
        files: dict[int, bytearray] = {}
        for write in self.writes:
            if write.began < point:
                synced = write.ended < durable_since.get(write.file, -1)
                synced = synced or (write.syncs and write.ended < point)
                kept = True if synced else keep(write)
                if kept:
                    _overwrite(files.setdefault(write.file, bytearray()), write, kept)
        _materialise(0, target, directories, files, set(self._directories))

    def _durable_since(self, point: int) -> dict[int, int]:
        """For each file and directory, when its last sync began that had returned."""
        began: dict[int, int] = {}
        for sync in self.syncs:
            if sync.ended < point:
                began[sync.node] = max(began.get(sync.node, -1), sync.began)
        return began


def keep_some(random: Random) -> Keep:
    """Keeps about half of what was not synced, and of some writes only some sectors."""

    def keep(change: Write | Naming) -> bytes | bool:
        choice = random.random()
        if choice < 0.4 or not isinstance(change, Write) or not change.data:
            return choice < 0.4 or choice > 0.8
        if choice < 0.6:
            return False
        return b"".join(
            random.choice((b"\x00", b"\x01")) for _ in range(_sectors(change.offset, change.data))
        )

    return keep


def _sectors(offset: int, data: bytes) -> int:
    return (offset + len(data) - 1) // SECTOR_BYTES - offset // SECTOR_BYTES + 1


def _data(call: Call) -> bytes:
    data = b"".join(call.strings())
    if len(data) < call.result:
        raise ValueError(f"the trace holds {len(data)} of the {call.result} bytes written")
    return data[: call.result]


def _apply(naming: Naming, directories: dict[int, dict[str, int]]) -> None:
    if naming.source is not None:
        directory, name = naming.source
        if directories.setdefault(directory, {}).get(name) == naming.node:
            del directories[directory][name]
    if naming.to is not None:
        directory, name = naming.to
        directories.setdefault(directory, {})[name] = naming.node


def _overwrite(content: bytearray, write: Write, kept: bytes | bool) -> None:
    """`kept`: all of it, or the sectors whose byte in it is not zero."""
    if write.data is None:
        del content[write.offset :]
        content.extend(bytes(write.offset - len(content)))
        return
    end = write.offset + len(write.data)
    first = write.offset // SECTOR_BYTES
    for number in range(_sectors(write.offset, write.data)):
        if kept is True or (isinstance(kept, bytes) and kept[number]):
            start = max(write.offset, (first + number) * SECTOR_BYTES)
            stop = min(end, (first + number + 1) * SECTOR_BYTES)
            content.extend(bytes(max(0, stop - len(content))))
            content[start:stop] = write.data[start - write.offset : stop - write.offset]


def _materialise(
    node: int,
    target: Path,
    directories: dict[int, dict[str, int]],
    files: dict[int, bytearray],
    known: set[int],
) -> None:
    target.mkdir()
    for name, child in directories.get(node, {}).items():
        if child in known:
            _materialise(child, target / name, directories, files, known)
        else:
            (target / name).write_bytes(files.get(child, b""))
