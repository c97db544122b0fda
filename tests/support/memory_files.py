"""The files of a log in memory: what a disk has of them, and what a crash leaves.

Implements `LogFiles`. What it wrote is durable when it returns, as there; a write that a crash cuts
short leaves some of its sectors, in any order, and what was removed last may be back.
"""

from __future__ import annotations

import errno
import random

_SECTOR_BYTES = 512
_ROOM_BYTES = 700


class CutShort(Exception):
    """The power went while something was written."""


class MemoryFiles:
    """A directory of files.

    Attributes:
        contents: As they are read.
        fails: The disk takes no more.
        tears: The next change is cut short, by what is drawn from it.
    """

    def __init__(self) -> None:
        self.contents: dict[str, bytearray] = {}
        self.fails = False
        self.tears: random.Random | None = None
        # Gone from the directory, and still open.
        self._orphans: dict[str, bytearray] = {}
        # Not durably removed, the last one last.
        self._removed: list[tuple[str, bytearray]] = []

    def power_off(self, rng: random.Random) -> None:
        """Names become durable in their order: what was removed last is back first."""
        back = self._removed[len(self._removed) - rng.randrange(len(self._removed) + 1) :]
        self.contents.update(back)
        self._removed.clear()

    def lose(self, name: str) -> None:
        """The file is gone; who has it open does not see that."""
        self._orphans[name] = self.contents.pop(name)

    # -- LogFiles ----------------------------------------------------------------------------

    def names(self) -> list[str]:
        return sorted(self.contents)

    def read(self, name: str) -> bytes:
        if name not in self.contents:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")
        return bytes(self.contents[name])

    def read_at(self, name: str, offset: int, size: int) -> bytes:
        return bytes(self._content(name)[offset : offset + size])

    def create(self, name: str, data: bytes) -> None:
        self._may_change()
        assert name not in self.contents
        if self.tears is not None and self.tears.random() < 0.3:
            raise CutShort
        self.contents[name] = bytearray()
        self.write(name, 0, data)
        self._removed.clear()

    def write(self, name: str, offset: int, data: bytes) -> None:
        self._may_change()
        content = self._content(name)
        if len(content) < offset + len(data):
            content.extend(bytes(offset + len(data) + _ROOM_BYTES - len(content)))
        if self.tears is None:
            content[offset : offset + len(data)] = data
            return
        self._tear(content, offset, data, self.tears)
        raise CutShort

    def cut(self, name: str, size: int) -> None:
        self._may_change()
        del self.contents[name][size:]

    def sync(self, name: str) -> None:
        self._may_change()
        self._removed.clear()

    def remove(self, name: str) -> None:
        self._may_change()
        if name in self.contents:
            self._removed.append((name, self.contents.pop(name)))

    def close(self) -> None:
        self._orphans.clear()

    def _content(self, name: str) -> bytearray:
        return self.contents[name] if name in self.contents else self._orphans[name]

    def _may_change(self) -> None:
        if self.fails:
            raise OSError(errno.ENOSPC, "No space left on device")

    def _tear(self, content: bytearray, offset: int, data: bytes, rng: random.Random) -> None:
        """Some sectors are as they were, some as they should be; nothing, or room, may follow."""
        kept = rng.random()
        place, end = offset, offset + len(data)
        while place < end:
            sector_end = min(end, (place // _SECTOR_BYTES + 1) * _SECTOR_BYTES)
            if rng.random() < kept:
                content[place:sector_end] = data[place - offset : sector_end - offset]
            place = sector_end
        if not any(content[end:]) and rng.random() < 0.5:
            del content[rng.randrange(offset, len(content) + 1) :]
