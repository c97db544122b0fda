"""What an entry forgets of the past: outcomes, hold-backs and events whose time is over.

Invariant: the work is bounded by a constant and by what the entry itself added, and what is past
its time still shrinks, since each sweep may take a few more than were added.
"""

from __future__ import annotations

from namestore.core import state as st
from namestore.core.deciding.holdings import forget_hold_back
from namestore.core.deciding.remembering import read_listed, time_of
from namestore.core.deciding.step import Step
from namestore.core.events import CHUNK_EVENTS_MAX, ENDS_HOLDING, EventFields, decode_chunk
from namestore.core.limits import OUTCOME_RETENTION_MS
from namestore.core.records import decode_held_back
from namestore.errors import InvariantViolation

_OUTCOME_ENTRIES_MAX = 4
_HOLD_BACKS_MAX = 4
_CHUNKS_MAX = 2


def outcomes(step: Step, oldest_ms: int, *, added: bool) -> int:
    """Forgets outcomes past their time; returns how far it got.

    Args:
        step: The entry, decided.
        oldest_ms: No remembered outcome is older; 0: none is.
        added: The entry added some.
    """
    horizon_ms = step.time_ms - OUTCOME_RETENTION_MS
    if not oldest_ms or oldest_ms >= horizon_ms:
        return oldest_ms
    start = st.outcome_time_key(oldest_ms, 0)
    for swept, (key, value) in enumerate(step.scan_beneath(start, st.OUTCOME_TIME_PREFIX)):
        time_ms = time_of(key)
        if time_ms >= horizon_ms or swept == _OUTCOME_ENTRIES_MAX:
            return time_ms
        step.changes[key] = None
        for request_id in read_listed(value):
            step.changes.setdefault(st.outcome_key(request_id), None)
    return step.time_ms if added else 0


def hold_backs(step: Step) -> int:
    """Forgets hold-backs that are over; returns the earliest end of those that are left."""
    next_end_ms = step.next_hold_end_ms
    if not next_end_ms or next_end_ms > step.time_ms:
        return next_end_ms
    most = _HOLD_BACKS_MAX + step.revision - step.meta.revision
    start = st.HELD_BACK_END_PREFIX + st.number(next_end_ms)
    begun = [
        st.read_number(key[1:9])
        for key, value in step.changes.items()
        if key[:1] == st.HELD_BACK_END_PREFIX and value is not None
    ]
    left_ms = min(begun, default=0)
    for swept, (key, _) in enumerate(step.scan_beneath(start, st.HELD_BACK_END_PREFIX)):
        until_ms = st.read_number(key[1:9])
        if until_ms > step.time_ms or swept == most:
            return min(until_ms, left_ms or until_ms)
        if step.changes.get(key, b"") is None:
            continue  # taken, or held back anew, by this entry
        name = key[9:].decode()
        data = step.get(st.held_back_key(name))
        if data is not None:
            forget_hold_back(step, name, decode_held_back(name, data))
    return left_ms


def events(step: Step) -> tuple[int, int]:
    """Writes the entry's events and forgets the oldest; the oldest revision kept, and its time.

    A chunk goes as a whole, with the past holdings that its events ended.
    """
    added = step.write_events()
    oldest, oldest_ms = step.oldest_revision, step.meta.oldest_event_ms
    if added and not oldest_ms:
        oldest_ms = step.time_ms
    horizon_ms = step.time_ms - step.events_kept_ms
    for _ in range(added + _CHUNKS_MAX):
        # The entry's own chunks stay: what is beneath ends before them.
        if oldest > step.meta.revision or not oldest_ms:
            break
        if oldest_ms >= horizon_ms and (
            step.revision - oldest + 1 < step.events_kept_max + CHUNK_EVENTS_MAX
        ):
            break
        oldest = _forget_chunk(step, oldest)
        oldest_ms = _chunk_time_ms(step, oldest)
    return oldest, oldest_ms


def _forget_chunk(step: Step, first: int) -> int:
    """Forgets the chunk that begins with that revision; returns where the next one begins."""
    _, chunk = _chunk(step, first)
    step.changes[st.events_key(first)] = None
    for revision, (kind, name, *_) in enumerate(chunk, first):
        if kind in ENDS_HOLDING:
            step.changes[st.holding_key(name, revision)] = None
    return first + len(chunk)


def _chunk_time_ms(step: Step, first: int) -> int:
    if first > step.meta.revision:  # the entry's own, if it has any
        return step.time_ms if first <= step.revision else 0
    return _chunk(step, first)[0]


def _chunk(step: Step, first: int) -> tuple[int, tuple[EventFields, ...]]:
    data = step.get(st.events_key(first))
    if data is None:
        raise InvariantViolation(f"the feed of changes has a gap at revision {first}")
    return decode_chunk(data)
