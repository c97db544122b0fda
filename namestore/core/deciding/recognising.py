"""A request that is granted a name is remembered by the holding, for as long as that lasts.

Responsible for knowing a register again by the record that it made, and for what of it goes into
the outcome table when the holding ends: from then on it is remembered there, for as long as any
other request. So a register that is granted costs one record, and nothing to be forgotten later.

Invariant: a register that was granted a name is told so again, and takes effect once, from its
grant until the retention has passed since its holding ended.
"""

from __future__ import annotations

from collections.abc import Callable

from namestore.core.commands import Register, Wanted
from namestore.core.outcomes import Decision, Outcome, Verdict, encode_decision
from namestore.core.packing import pack
from namestore.core.records import Record

# In the place of a fingerprint: what is remembered is the record, which says what was asked.
BY_RECORD = b""


def by_holding(
    command: Register, record_of: Callable[[str], Record | None], revision: int, time_ms: int
) -> Decision | None:
    """What a register was told that holds its name by now; None: it holds none.

    Args:
        command: As it comes now; it may be judged otherwise than it was then, but no policy comes
            over a name that it would spell otherwise.
        record_of: What is stored under a canonical name.
        revision: Of the registry, now.
        time_ms: The log's time, now.
    """
    record = record_of(command.wanted.name)
    if record is None or record.request_id != command.request_id or record.has_expired(time_ms):
        return None
    return again(command.wanted, record, revision)


def again(wanted: Wanted, record: Record, revision: int) -> Decision:
    """What the request is told whose record this is, or was when its holding ended.

    What was changed since is said as it was asked for: nobody remembers it otherwise.

    Args:
        wanted: As it comes now.
        record: That of its holding.
        revision: Of the registry, now.
    """
    if not _asks_for(wanted, record):
        return (Outcome(Verdict.REQUEST_ID_REUSED, revision),)
    told = record.shown()
    if record.mod_revision != record.create_revision:
        told = Record(
            record.name,
            record.display_name,
            wanted.owner,
            wanted.payload,
            record.request_id,
            record.create_revision,
            record.create_revision,
            record.create_time_ms,
        )
    return (Outcome(Verdict.GRANTED, record.create_revision, told),)


def of_ended(record: Record, time_ms: int) -> bytes:
    """What the outcome table keeps of the request whose holding ended at that log time."""
    outcome = Outcome(Verdict.GRANTED, record.create_revision, record)
    return pack((BY_RECORD, time_ms, 0, encode_decision((outcome,))))


def _asks_for(wanted: Wanted, record: Record) -> bool:
    """As far as the record still says what was asked for."""
    same_name = record.name in (wanted.name, _shown(wanted))
    same_owner = wanted.owner == record.owner or record.owner_revision > 0
    changed = record.mod_revision != record.create_revision
    return (
        same_name
        and record.display_name == _shown(wanted)
        and same_owner
        and (changed or wanted.payload == record.payload)
    )


def _shown(wanted: Wanted) -> str:
    return wanted.display_name or wanted.name
