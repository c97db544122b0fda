"""What a disk may hold after a power loss, given what was written to it and what was synced.

Only a sync makes anything durable. The bytes of a file are durable once a sync of the file began
after they were written, and returned. A name in a directory is durable once the directory was
synced likewise. Of everything else any part may be there or not, in any combination, and a write
may have reached the disk in some of its sectors only. One thing is taken for granted beyond POSIX,
because every file system with a journal keeps it, and RocksDB relies on it when it renames its
CURRENT beside the manifest that it names: what happened to the names in one directory becomes
durable in its order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

SECTOR_BYTES = 512
ROOT_NODE = 0


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


Keep = Callable[[Write | Naming], bytes | bool | None]


@dataclass
class Disk:
    """What happened under one directory, which began empty, in the order in which it began.

    Attributes:
        directories: Every directory there ever was, with its names after all of it.
    """

    writes: list[Write] = field(default_factory=list)
    namings: list[Naming] = field(default_factory=list)
    syncs: list[Sync] = field(default_factory=list)
    directories: dict[int, dict[str, int]] = field(default_factory=lambda: {ROOT_NODE: {}})

    def name(self, naming: Naming) -> None:
        """Adds a change of names."""
        self.namings.append(naming)
        _apply(naming, self.directories)

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
        for naming in self._kept_namings(point, durable_since, keep):
            _apply(naming, directories)
        files: dict[int, bytearray] = {}
        for write in self.writes:
            if write.began < point:
                synced = write.ended < durable_since.get(write.file, -1)
                synced = synced or (write.syncs and write.ended < point)
                kept = True if synced else keep(write)
                if kept:
                    _overwrite(files.setdefault(write.file, bytearray()), write, kept)
        _materialise(ROOT_NODE, target, directories, files, set(self.directories))

    def _kept_namings(
        self, point: int, durable_since: dict[int, int], keep: Keep
    ) -> Iterator[Naming]:
        """In their order; in each directory nothing comes after the first that was lost."""
        cut: set[int] = set()
        for naming in self.namings:
            if naming.began >= point:
                continue
            parents = {place[0] for place in (naming.source, naming.to) if place}
            synced = any(naming.ended < durable_since.get(node, -1) for node in parents)
            if synced or (not parents & cut and keep(naming)):
                yield naming
            else:
                cut |= parents

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
