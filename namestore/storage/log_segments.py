"""The records of a log in segments, and where in them each entry lies.

A segment takes records until it is full; whole ones leave at the other end once no entry in them
counts any more. Not responsible for what is found when a log is opened; see `log_recovery`.

Invariants: a record is durable before anything is told of it, and before the segments that it makes
superfluous are removed. Memory: eight bytes an entry.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from namestore.storage.damage import damaged
from namestore.storage.interfaces import LogEntry
from namestore.storage.log_files import LogFiles
from namestore.storage.log_format import (
    MARK_PLACES,
    BadRecord,
    LogMeta,
    encode_mark,
    encode_segment_head,
)
from namestore.storage.log_records import decode_entry, encode_record, entry_bytes

MARK = "mark"
_SUFFIX = ".wal"
# Read with an entry's header: most entries are not larger, and need no second look.
_READ_BYTES = 4096


@dataclass(frozen=True, slots=True)
class LogLimits:
    """What a log may take, in bytes.

    Attributes:
        tail_bytes: Of memory, for the newest entries.
        segment_bytes: Of a segment, unless a single record is larger.
    """

    tail_bytes: int = 32 * 1024 * 1024
    segment_bytes: int = 8 * 1024 * 1024


def segment_name(sequence: int) -> str:
    """Of the segment whose first record has that number; sorts as the numbers do."""
    return f"{sequence:020d}{_SUFFIX}"


def is_segment(name: str) -> bool:
    """Whether a file is one."""
    number = name.removesuffix(_SUFFIX)
    return number.isdecimal() and name == segment_name(int(number))


@dataclass(slots=True)
class Segment:
    """One file of records, and the entries in it that nothing later has replaced.

    Attributes:
        name: Of the file.
        size: Of what is written in it, in bytes; there may be zeros behind.
        first_index: Of the first entry of `offsets`.
        offsets: Where each of an unbroken run of entries begins.
    """

    name: str
    size: int
    first_index: int = 1
    offsets: array[int] = field(default_factory=lambda: array("Q"))

    @property
    def end_index(self) -> int:
        """Just after the last entry; 0: there is none."""
        return self.first_index + len(self.offsets) if self.offsets else 0

    def add(self, index: int, offsets: Sequence[int]) -> None:
        """Entries from `index` on, in place of any that were there from it on."""
        if self.first_index <= index <= self.end_index:
            del self.offsets[index - self.first_index :]
        else:
            del self.offsets[:]
        if not self.offsets:
            self.first_index = index
        self.offsets.extend(offsets)


class LogSegments:
    """An open log's files.

    Args:
        where: Their directory, for errors.
        log_id: Of this log.
        segments: Oldest first; at least one.
        sequence: Of the newest record.
        checksum: The same record's.
        segment_bytes: None grows larger, unless a single record is.
    """

    def __init__(
        self,
        files: LogFiles,
        where: Path,
        log_id: int,
        segments: list[Segment],
        sequence: int,
        checksum: int,
        segment_bytes: int,
    ) -> None:
        self._files = files
        self._where = where
        self._log_id = log_id
        self._segments = segments
        self._sequence = sequence
        self._checksum = checksum
        # What each place of the mark says; not known before the first is written.
        self._marked = dict.fromkeys(MARK_PLACES, 0)
        self._segment_bytes = segment_bytes

    def append(self, meta: LogMeta, added: Sequence[LogEntry]) -> None:
        """Makes one record durable: `added`, which ends at `meta.last_index`, and `meta`.

        Raises:
            OSError: Whether it is there is not known.
        """
        sequence = self._sequence + 1
        data, checksum, offsets = encode_record(self._log_id, sequence, self._checksum, meta, added)
        newest = self._segments[-1]
        if newest.size + len(data) > self._segment_bytes:
            head = encode_segment_head(self._log_id, sequence)
            newest = Segment(segment_name(sequence), 0)
            self._files.create(newest.name, head + data)
            newest.size = len(head)
            self._segments.append(newest)
        else:
            self._files.write(newest.name, newest.size, data)
        self._sequence, self._checksum = sequence, checksum
        place(self._segments, meta.last_index, [newest.size + offset for offset in offsets])
        newest.size += len(data)
        self._drop_before(meta.first_index)

    def mark(self) -> None:
        """Remembers durably how far the log is durable, in one of two places, the older first.

        Free once both say so: a log at rest has lost nothing if one of them cannot be read.

        Raises:
            OSError: Nothing can be said about the disk.
        """
        older = min(MARK_PLACES, key=self._marked.__getitem__)
        if self._marked[older] < self._sequence:
            self._files.write(MARK, older, encode_mark(self._log_id, self._sequence))
            self._marked[older] = self._sequence

    def mark_all(self) -> None:
        """The same in both places."""
        for _ in MARK_PLACES:
            self.mark()

    def read(self, index: int) -> LogEntry:
        """An entry that counts, against its checksum.

        Raises:
            DiskDamaged: It is not what was written.
            OSError: The disk does not give it.
        """
        segment = next(s for s in reversed(self._segments) if s.first_index <= index < s.end_index)
        offset = segment.offsets[index - segment.first_index]
        try:
            data = self._files.read_at(segment.name, offset, _READ_BYTES)
            size = entry_bytes(data)
            if size > len(data):
                # What is said of its length is believed only as far as the segment goes.
                size = min(size, segment.size - offset)
                data = self._files.read_at(segment.name, offset, size)
            return decode_entry(index, data, 0, len(data))
        except BadRecord as error:
            raise damaged(self._where / segment.name, str(error)) from error

    def read_newest(self, first: int, last: int, bytes_max: int) -> list[LogEntry]:
        """Of the entries from `first` to `last` the newest that fit, oldest first.

        Raises as `read`.
        """
        newest: list[LogEntry] = []
        for index in range(last, first - 1, -1):
            entry = self.read(index)
            bytes_max -= len(entry.command)
            if bytes_max < 0:
                break
            newest.append(entry)
        return newest[::-1]

    def close(self) -> None:
        """Lets go of the files."""
        self._files.close()

    def _drop_before(self, index: int) -> None:
        while len(self._segments) > 1 and self._segments[0].end_index <= index:
            self._files.remove(self._segments.pop(0).name)


def place(segments: Sequence[Segment], last_index: int, offsets: Sequence[int]) -> None:
    """Notes where the entries of the newest record are: in the last segment, up to `last_index`.

    Those from the first added one on, if there were any before, are replaced.
    """
    index = last_index - len(offsets) + 1
    for segment in segments[:-1]:
        if segment.end_index > index:
            segment.add(index, ())
    segments[-1].add(index, offsets)
