"""Deliberate faults in what a node makes of its disk. See `tests.simulation.mutants_agreement`."""

from __future__ import annotations

from typing import Any

from namestore.storage import log_format, log_records, log_recovery, log_segments
from namestore.storage.interfaces import LogEntry
from namestore.storage.log_records import ENTRY_HEAD_BYTES, entry_bytes
from tests.simulation.mutants_callers import Planted


def _entry_as_it_is(index: int, data: bytes, at: int, end: int) -> LogEntry:
    stop = min(end, at + entry_bytes(data[at : at + ENTRY_HEAD_BYTES]))
    return LogEntry(
        data[at + ENTRY_HEAD_BYTES : stop], index, int.from_bytes(data[at + 8 : at + 16])
    )


class EntriesUnchecked(Planted):
    """The checksum of a log entry is not looked at."""

    replaced = (
        (log_records, "decode_entry", _entry_as_it_is),
        (log_segments, "decode_entry", _entry_as_it_is),
    )


class DamagePassesForTorn(Planted):
    """What cannot be read at the end of the log is cut off, whether a crash has torn it or not."""

    replaced = (
        (log_recovery, "find_record_after", lambda *_: None),
        (log_recovery, "decode_mark", lambda data: (log_format.decode_mark(data)[0], 0)),
    )


_drop_before = log_segments.LogSegments._drop_before


def _drop_one_more(segments: Any, index: int) -> None:
    held = len(segments._segments)
    _drop_before(segments, index)
    if held > len(segments._segments) > 1:
        _drop_before(segments, segments._segments[0].end_index)


class DropsSegmentInUse(Planted):
    """With segments of the log that nobody needs goes one that is needed."""

    replaced = ((log_segments.LogSegments, "_drop_before", _drop_one_more),)


def _place_last(segments: Any, last_index: int, offsets: Any) -> None:
    segments[-1].offsets.extend(offsets)
    segments[-1].first_index = last_index - len(segments[-1].offsets) + 1


class ReplacedEntriesStay(Planted):
    """Of entries that were replaced, those of the newest segment are taken for others."""

    replaced = (
        (log_segments, "place", _place_last),
        (log_recovery, "place", _place_last),
    )
