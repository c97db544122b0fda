"""What a process finds of the log that another one left.

A crash leaves the newest record torn, or not there: nobody was told that it was, and it is cut
off. Everything else that is not as it was written is damage, and the node must not take part: it
may have acknowledged what is missing. Two things tell them apart. A record is begun when the one
before it is durable, so a bad one with another behind it is damage. And the mark names a record
that was durable, mostly a heartbeat before the newest one: if the log ends before it, it was once
longer.

Not promised: what was durable and not marked yet, if none of it can be read after a crash, passes
for what the crash has torn.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from namestore.errors import DiskDamaged
from namestore.storage.damage import damaged, newer, unusable
from namestore.storage.files import making_whole
from namestore.storage.log_files import DirectoryFiles, LogFiles
from namestore.storage.log_format import (
    LOG_FORMAT,
    MARK_PLACES,
    SEGMENT_HEAD_BYTES,
    BadRecord,
    LogMeta,
    NewerFormat,
    checked,
    decode_mark,
    decode_segment_head,
    encode_mark,
    encode_segment_head,
)
from namestore.storage.log_records import decode_record, encode_record, find_record_after
from namestore.storage.log_segments import (
    MARK,
    LogSegments,
    Segment,
    is_segment,
    place,
    segment_name,
)

_FIRST = 1
# What the log was kept in before it had this format.
_LMDB = "data.mdb"


def create_log(directory: Path) -> None:
    """Makes an empty log that is whole or, after a crash, not there.

    Raises:
        StorageError: The directory cannot be written.
    """
    try:
        with making_whole(directory) as making:
            files = DirectoryFiles(making)
            try:
                write_empty(files, secrets.randbits(64))
            finally:
                files.close()
    except OSError as error:
        raise unusable(directory, "make the log", error) from error


def write_empty(files: LogFiles, log_id: int) -> None:
    """The files of an empty log, where none are."""
    record = encode_record(log_id, _FIRST, 0, LogMeta(), ())[0]
    files.create(segment_name(_FIRST), encode_segment_head(log_id, _FIRST) + record)
    mark = encode_mark(log_id, _FIRST)
    files.create(MARK, mark.ljust(MARK_PLACES[1], b"\x00") + mark)


def open_log(files: LogFiles, where: Path, segment_bytes: int) -> tuple[LogSegments, LogMeta]:
    """Opens a log that was made before, after checking every byte of it that counts.

    Args:
        files: Of the log, and nothing else.
        where: Their directory, for errors.
        segment_bytes: How large segments may grow from now on.

    Raises:
        DiskDamaged: It is not what was once written, or was written by a newer version.
        OSError: The files cannot be read, or the torn end cannot be cut off.
    """
    return _Recovery(files, where).run(segment_bytes)


class _Recovery:
    """One log being read. `run` it once."""

    def __init__(self, files: LogFiles, where: Path) -> None:
        self._files = files
        self._where = where
        self._log_id = self._marked = 0
        self._segments: list[Segment] = []
        self._meta = LogMeta()
        # Of the newest record; 0: none was found yet.
        self._sequence = self._checksum = 0
        # Where it begins in its segment, or the segment if it is the first there; and its bytes.
        self._end: tuple[int, bytes] = (0, b"")
        # What counts no more, by file: from which byte on. Let go of when the rest is sound.
        self._superfluous: dict[str, int] = {}

    def run(self, segment_bytes: int) -> tuple[LogSegments, LogMeta]:
        names = self._files.names()
        segment_names = [name for name in names if is_segment(name)]
        if not segment_names:
            raise self._is_gone(names)
        self._read_mark()
        for name in segment_names:
            self._read_segment(name, newest=name == segment_names[-1])
        self._leave_out_empty()
        if self._sequence < self._marked:
            raise self._damaged(
                segment_names[-1],
                f"the log ends with record {self._sequence}, and record {self._marked} was durable",
            )
        self._check_entries()
        self._settle()
        identity = self._log_id, self._segments, self._sequence, self._checksum
        segments = LogSegments(self._files, self._where, *identity, segment_bytes)
        segments.mark_all()
        return segments, self._meta

    def _settle(self) -> None:
        """Lets go of what counts no more, and makes durable what the log ends with.

        That it can be read does not say that it is on stable storage: the process that wrote it may
        have ended before, or was told that it could not be written, which a system says once. So it
        is written again.
        """
        for name, size in self._superfluous.items():
            if size:
                self._files.cut(name, size)
            else:
                self._files.remove(name)
        newest = self._segments[-1].name
        self._files.write(newest, *self._end)
        self._files.sync(newest)

    def _read_mark(self) -> None:
        try:
            self._log_id, self._marked = decode_mark(self._files.read(MARK))
        except FileNotFoundError:
            raise self._damaged(MARK, "what says how far the log was durable is gone") from None
        except BadRecord as error:
            raise self._damaged(MARK, str(error)) from error

    def _read_segment(self, name: str, newest: bool) -> None:
        data = self._files.read(name)
        try:
            first = self._check_head(name, data)
        except NewerFormat as error:
            raise newer(self._where / name, error.found, LOG_FORMAT) from error
        except BadRecord as error:
            self._end_at(name, data, 0, newest, error)
            return
        if first != self._sequence + 1:
            self._forget_older()
        self._segments.append(Segment(name, SEGMENT_HEAD_BYTES))
        self._sequence = first - 1
        self._read_records(name, data, newest)

    def _check_head(self, name: str, data: bytes) -> int:
        log_id, first = decode_segment_head(data)
        if log_id != self._log_id:
            raise self._damaged(name, "it is of another log")
        if name != segment_name(first):
            raise self._damaged(name, f"it begins with record {first}")
        return first

    def _read_records(self, name: str, data: bytes, newest: bool) -> None:
        segment = self._segments[-1]
        while segment.size < len(data):
            if not data[segment.size] and not data[segment.size :].strip(b"\x00"):
                return  # room for more
            try:
                record = decode_record(self._log_id, data, segment.size)
                if record.sequence != self._sequence + 1:
                    raise BadRecord(f"record {record.sequence} follows record {self._sequence}")
                if self._checksum and record.previous != self._checksum:
                    raise BadRecord(f"record {record.sequence} was written behind another one")
            except BadRecord as error:
                self._end_at(name, data, segment.size, newest, error)
                return
            place(self._segments, record.meta.last_index, record.offsets)
            begin = segment.size if segment.size > SEGMENT_HEAD_BYTES else 0
            self._end = begin, data[begin : record.end]
            self._sequence, self._checksum = record.sequence, record.checksum
            self._meta, segment.size = record.meta, record.end

    def _end_at(self, name: str, data: bytes, size: int, newest: bool, error: BadRecord) -> None:
        """What comes from `size` on is not readable: cuts it off, if a crash has torn it."""
        expected = self._sequence + 1
        was_durable = (
            not newest
            or expected <= self._marked
            or find_record_after(self._log_id, data, size, expected) is not None
        )
        if was_durable:
            raise self._damaged(name, f"{error}, although it was durable") from error
        if not size and name != segment_name(expected):
            raise self._damaged(name, str(error)) from error
        self._superfluous[name] = size

    def _leave_out_empty(self) -> None:
        """A segment that was just being made: the log ends in the one before it."""
        newest = self._segments[-1]
        if newest.size > SEGMENT_HEAD_BYTES:
            return
        self._segments.pop()
        if not self._segments:
            raise self._damaged(newest.name, "there is no whole record in it")
        self._superfluous[newest.name] = 0

    def _forget_older(self) -> None:
        """Segments that were removed, and are back in part: nothing in them counts.

        If something did, it will be missed.
        """
        self._superfluous.update((segment.name, 0) for segment in self._segments)
        self._segments.clear()
        self._checksum = 0

    def _check_entries(self) -> None:
        """Every entry from first to last is there."""
        last = self._segments[-1].name
        try:
            meta = checked(self._meta)
        except BadRecord as error:
            raise self._damaged(last, str(error)) from error
        expected = meta.first_index
        for segment in self._segments:
            if segment.first_index <= expected < segment.end_index:
                expected = segment.end_index
        if expected <= meta.last_index:
            finding = f"entry {expected} is missing, and the log goes on to {meta.last_index}"
            raise self._damaged(last, finding)

    def _is_gone(self, names: list[str]) -> DiskDamaged:
        if _LMDB in names:
            return damaged(
                self._where / _LMDB,
                "the log was written by an earlier version of namestore, in a format that this one "
                "does not read",
            )
        return damaged(self._where, "the log is gone, although this node has taken part")

    def _damaged(self, name: str, finding: str) -> DiskDamaged:
        return damaged(self._where / name, finding)
