"""What can be asked of one picture of the state.

Nothing here changes anything. A reservation that is over by the picture's log time is nobody's, as
it is for the commands decided next: reads and writes agree on the moment. Log time is that of the
entries applied, so a linearizable picture is as late as every write that was answered, and a clock
on the wall has no say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Protocol

from namestore.core import state as st
from namestore.core.commands import (
    Command,
    Expire,
    ExpireItem,
    IndexNames,
    marks,
)
from namestore.core.deciding.remembering import told_before
from namestore.core.events import CHUNK_EVENTS_MAX, Event, Holding, decode_events, decode_holding
from namestore.core.limits import BATCH_REQUESTS_MAX
from namestore.core.namespaces import NamespaceState, decode_namespace
from namestore.core.outcomes import Decision, Verdict
from namestore.core.records import HeldBack, Record, decode_held_back, decode_record
from namestore.core.state import StateMeta, StateReader

# Redirects lead on when the name at their end was renamed too; nobody follows them for ever.
_REDIRECTS_MAX = 16


class Picture(StateReader, Protocol):
    """A picture of the state at `meta`; `namestore.storage.interfaces.StateView` is one."""

    @property
    def meta(self) -> StateMeta:
        """Where this picture stands."""
        ...


@dataclass(frozen=True, slots=True)
class Events:
    """A part of the change feed.

    Attributes:
        events: From the revision asked for on, without a gap; empty: nothing happened since, or
            that revision is not kept any more.
        oldest_revision: The oldest one that can be asked for; beyond the newest while there is no
            event at all.
    """

    events: list[Event]
    oldest_revision: int


def lookup(view: Picture, names: Sequence[str]) -> list[Record | None]:
    """Who holds each of these canonical names, in order."""
    values = view.get_many([st.name_key(name) for name in names])
    time_ms = view.meta.time_ms
    found: list[Record | None] = []
    for name, value in zip(names, values, strict=True):
        record = None if value is None else decode_record(name, value)
        expired = record is None or record.has_expired(time_ms)
        found.append(None if record is None or expired else record.shown())
    return found


def redirected(view: Picture, name: str) -> Record | None:
    """The holding that a renamed name leads to, through further renames if need be.

    None: the name is held itself, it leads nowhere, or what it led to has ended since. A holding
    of somebody else under the same name is never an answer.
    """
    if lookup(view, [name])[0] is not None:
        return None
    left = _left_of(view, name)
    for _ in range(_REDIRECTS_MAX):
        if left is None or not left.redirect:
            return None
        (record,) = lookup(view, [left.redirect])
        if record is not None:
            return record if record.create_revision == left.redirect_revision else None
        further = _left_of(view, left.redirect)
        if further is None or further.create_revision != left.redirect_revision:
            return None
        left = further
    return None


def held_back(view: Picture, name: str) -> HeldBack | None:
    """For whom a name waits, and until when; None: for nobody."""
    left = _left_of(view, name)
    waits = left is not None and left.until_ms > view.meta.time_ms
    return left if waits else None


def records(view: Picture, prefix: str, after: str = "") -> Iterator[Record]:
    """Names that begin with `prefix`, in byte order, beginning behind `after`."""
    start = st.name_key(after) + b"\0" if after else st.name_key(prefix)
    time_ms = view.meta.time_ms
    for key, value in view.scan(start, st.name_key(prefix)):
        record = decode_record(key[len(st.NAME_PREFIX) :].decode(), value)
        if not record.has_expired(time_ms):
            yield record.shown()


def events(view: Picture, from_revision: int, count: int) -> Events:
    """What happened from a revision on (inclusive; at least 1), at most `count` events.

    Whoever asks compares `from_revision` with the `oldest_revision` of the answer: below it, what
    is missing is lost.
    """
    meta = view.meta
    oldest = meta.oldest_revision or meta.revision + 1
    if from_revision < oldest:
        return Events([], oldest)
    start = st.events_key(max(0, from_revision - CHUNK_EVENTS_MAX + 1))
    found: list[Event] = []
    for key, value in view.scan(start, st.EVENTS_PREFIX):
        first = st.read_number(key[1:])
        chunk = decode_events(first, value)
        found += chunk[max(0, from_revision - first) :]
        if len(found) >= count:
            break
    return Events(found[:count], oldest)


def history(view: Picture, name: str) -> list[Holding]:
    """Who held a name, oldest first, the present holder last; as far back as events are kept."""
    prefix = st.holding_key(name, 0)[:-8]
    holdings = [
        decode_holding(st.read_number(key[-8:]), value)
        for key, value in view.scan(prefix, prefix)
        if len(key) == len(prefix) + 8  # longer ones are of a name that goes on behind a zero
    ]
    (record,) = lookup(view, [name])
    if record is not None:
        holdings.append(Holding(record.owner, record.create_revision, record.held_from_ms))
    return holdings


def namespace_state(view: Picture, namespace: str) -> NamespaceState:
    """Where a namespace stands; one that nobody gave a policy stands at version 0."""
    (data,) = view.get_many([st.namespace_key(namespace)])
    return NamespaceState() if data is None else decode_namespace(data)


def namespaces(view: Picture) -> dict[str, NamespaceState]:
    """Every namespace that has a policy, or a pending one, in byte order."""
    return {
        key[len(st.NAMESPACE_PREFIX) :].decode(): decode_namespace(value)
        for key, value in view.scan(st.NAMESPACE_PREFIX, st.NAMESPACE_PREFIX)
    }


def owner_count(view: Picture, namespace: str, owner: str) -> int:
    """How many names an owner has in a namespace whose policy limits them; elsewhere 0."""
    (data,) = view.get_many([st.owner_count_key(namespace, owner)])
    return 0 if data is None else st.read_number(data)


def names_to_index(
    view: Picture, namespace: str, count: int = BATCH_REQUESTS_MAX
) -> list[Record] | None:
    """The next holdings that a pending policy must be carried over: judge them, then `IndexNames`.

    None: no policy is pending. Empty: none is left, and an `IndexNames` without names puts the
    policy in force; it may take several, where many names were registered meanwhile.
    """
    space = namespace_state(view, namespace)
    if not space.pending_version:
        return None
    time_ms = view.meta.time_ms
    prefix = st.name_key(f"{namespace}:")
    start = st.name_key(space.cursor) + b"\0" if space.cursor else prefix
    found = (
        decode_record(key[len(st.NAME_PREFIX) :].decode(), value)
        for key, value in view.scan(start, prefix)
    )
    older = (
        record.shown()
        for record in found
        if record.create_revision < space.pending_version and not record.has_expired(time_ms)
    )
    return list(islice(older, count))


def due_expirations(view: Picture, time_ms: int, count: int = BATCH_REQUESTS_MAX) -> Expire | None:
    """The command that frees what is over by `time_ms`, the proposer's clock; None: nothing is.

    What is over only by that clock is freed once an entry with that time is applied: the command
    is put into such an entry, and does nothing in another.
    """
    items = []
    for key, value in islice(view.scan(st.EXPIRY_PREFIX, st.EXPIRY_PREFIX), count):
        expire_time_ms = st.read_number(key[1:9])
        if expire_time_ms > time_ms:
            break
        items.append(ExpireItem(key[9:].decode(), st.read_number(value), expire_time_ms))
    return Expire(tuple(items)) if items else None


def next_expiration_ms(view: Picture) -> int | None:
    """The log time at which the next reservation is over; None: there is none."""
    for key, _ in view.scan(st.EXPIRY_PREFIX, st.EXPIRY_PREFIX):
        return st.read_number(key[1:9])
    return None


def decided_before(view: Picture, command: Command) -> Decision | None:
    """What a request was told, if it was decided; None: it was not, or is forgotten.

    For requests that are refused before the log, by a policy that may be younger than their first
    attempt: read it at a linearizable picture, and say the refusal only if there is nothing. It
    recognises a request by what its caller asked, in the form in which no policy judged it, too.
    """
    if isinstance(command, (Expire, IndexNames)):
        return None
    (known,) = view.get_many([st.outcome_key(command.request_id)])
    told: Decision | None = None
    for its_mark in marks(command):
        told = told_before(
            known, command, its_mark, partial(_stored, view), view.meta.revision, view.meta.time_ms
        )
        if told is None or told[0].verdict is not Verdict.REQUEST_ID_REUSED:
            break
    return told


def _stored(view: Picture, name: str) -> Record | None:
    (data,) = view.get_many([st.name_key(name)])
    return None if data is None else decode_record(name, data)


def _left_of(view: Picture, name: str) -> HeldBack | None:
    (data,) = view.get_many([st.held_back_key(name)])
    return None if data is None else decode_held_back(name, data)
