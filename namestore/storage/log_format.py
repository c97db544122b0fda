"""The bytes of the log on disk: segments of records, and a mark.

A segment is a file, named by the sequence number of its first record, that begins with

| bytes | what                                                                              |
|-------|-----------------------------------------------------------------------------------|
| 8     | `SEGMENT_MAGIC`                                                                   |
| 4     | crc32 of what follows                                                             |
| 4     | `LOG_FORMAT`                                                                      |
| 8     | the log's id: drawn when the log was made, so that no other log's bytes pass here |
| 8     | the sequence number of its first record                                           |

Records follow one another, numbered without a gap over all segments. Each is what one `sync` made
durable, and holds all that is needed to go on from it:

| bytes | what                                                                              |
|-------|-----------------------------------------------------------------------------------|
| 4     | `RECORD_MAGIC`                                                                    |
| 4     | crc32 of the log's id and of what follows, up to the entries                      |
| 8     | sequence number                                                                   |
| 4     | the crc32 of the record before it, so that no other history passes for its own    |
| 4     | crc32 of the heads of its entries: of what stands before each command             |
| 4     | bytes of the fields of `LogMeta`                                                  |
| 4     | how many entries are added; the last of them is the meta's `last_index`           |
| 4     | bytes of the entries                                                              |
| ...   | MessagePack: the fields of `LogMeta`                                              |
| ...   | the entries: crc32 (4), bytes of the command (4), term (8), command               |

The crc32 of an entry covers its index, term and command, so that an entry that turns up in
another's place is not taken for it. Entries from the first added one on, if there were any before,
are replaced. The mark is told in `encode_mark`. Numbers are big-endian. These bytes are for ever: a
change of layout is a new `LOG_FORMAT`, and the old one stays readable.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

LOG_FORMAT = 2

SEGMENT_MAGIC = b"nslog\r\n\x1a"

_SEGMENT_HEAD = struct.Struct(">8sIIQQ")
_MARK = struct.Struct(">IQQ")
# Where the checksums stand, and what they cover begins.
_SEGMENT_COVERED_AT, _MARK_COVERED_AT = 12, 4

SEGMENT_HEAD_BYTES = _SEGMENT_HEAD.size
# The two places of the mark are in sectors of their own: a torn write spoils one.
MARK_PLACES = (0, 4096)
MARK_BYTES = _MARK.size


class LogMeta(NamedTuple):
    """What stands beside the entries.

    Attributes:
        term: The current term.
        voted_for: The node voted for in it.
        commit_index: first_index - 1 <= commit_index <= last_index.
        first_index: Of the oldest entry that counts; older ones may still lie about.
        base_term: Of the entry just before `first_index`.
        last_index: Of the newest entry that counts.
    """

    term: int = 0
    voted_for: str | None = None
    commit_index: int = 0
    first_index: int = 1
    base_term: int = 0
    last_index: int = 0


class BadRecord(ValueError):
    """Bytes that are not what was once written. The text is the finding."""


class NewerFormat(ValueError):
    """A layout this program does not know; `found` says which."""

    def __init__(self, found: object) -> None:
        super().__init__(f"format {found}")
        self.found = found


# -- segments ---------------------------------------------------------------------------------


def encode_segment_head(log_id: int, sequence: int) -> bytes:
    """What a segment begins with, whose first record has that number."""
    head = _SEGMENT_HEAD.pack(SEGMENT_MAGIC, 0, LOG_FORMAT, log_id, sequence)
    checksum = zlib.crc32(head[_SEGMENT_COVERED_AT:])
    return _SEGMENT_HEAD.pack(SEGMENT_MAGIC, checksum, LOG_FORMAT, log_id, sequence)


def decode_segment_head(data: bytes) -> tuple[int, int]:
    """The log's id, and the number of the first record.

    Raises:
        BadRecord: It is not the beginning of a segment.
        NewerFormat: Written by a newer version.
    """
    if len(data) < SEGMENT_HEAD_BYTES:
        raise BadRecord("it is too short for a segment of the log")
    magic, checksum, found, log_id, sequence = _SEGMENT_HEAD.unpack_from(data)
    if magic != SEGMENT_MAGIC or checksum != zlib.crc32(
        data[_SEGMENT_COVERED_AT:SEGMENT_HEAD_BYTES]
    ):
        raise BadRecord("it does not begin as a segment of the log does")
    if found != LOG_FORMAT:
        raise NewerFormat(found)
    return log_id, sequence


# -- the mark ---------------------------------------------------------------------------------


def encode_mark(log_id: int, sequence: int) -> bytes:
    """Says that the records up to `sequence` are durable.

    It is written to both places, one after the other, and the higher number counts.
    """
    covered = _MARK.pack(0, log_id, sequence)[_MARK_COVERED_AT:]
    return _MARK.pack(zlib.crc32(covered), log_id, sequence)


def decode_mark(data: bytes) -> tuple[int, int]:
    """The log's id and the number, of the two places whichever is higher.

    Raises:
        BadRecord: Neither place can be read.
    """
    found = []
    for place in MARK_PLACES:
        written = data[place : place + MARK_BYTES]
        if len(written) == MARK_BYTES:
            checksum, log_id, sequence = _MARK.unpack(written)
            if checksum == zlib.crc32(written[_MARK_COVERED_AT:]):
                found.append((sequence, log_id))
    if not found:
        raise BadRecord("it does not say how far the log was durable")
    sequence, log_id = max(found)
    return log_id, sequence


def checked(meta: LogMeta) -> LogMeta:
    """Gives it back if its numbers do not contradict each other.

    Raises:
        BadRecord: They do.
    """
    if meta.last_index < meta.commit_index:
        raise BadRecord(
            f"the log ends at {meta.last_index}, but the entries up to {meta.commit_index} were "
            "committed"
        )
    if not 1 <= meta.first_index <= meta.last_index + 1:
        raise BadRecord(f"the log cannot go from {meta.first_index} to {meta.last_index}")
    return meta
