"""One log entry being decided: the state beneath, the changes so far above.

Responsible for reading through the changes, for counting revisions and for writing down what
happened. It decides nothing.

Invariant: a revision is one event. `tell` is where both come about, and `plain` for its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from namestore.core import state as st
from namestore.core.events import (
    CHUNK_EVENTS_MAX,
    EventFields,
    EventKind,
    encode_events,
)
from namestore.core.namespaces import (
    NamespaceState,
    decode_namespace,
    encode_namespace,
    namespace_of,
)
from namestore.core.records import HeldBack, Record, decode_held_back, decode_record
from namestore.core.state import StateMeta, StateReader

_NO_NAMESPACE = NamespaceState()


class Step:
    """The state as an entry finds it, and as it leaves it.

    Attributes:
        meta: Where the state beneath stands.
        index: Of the entry.
        time_ms: The log's time while this entry is decided.
        revision: Of the last change so far.
        name_count: As in `StateMeta`, so far.
        namespace_count: The same.
        has_policies: There is a namespace with a policy, or with a pending one.
        events_kept_max: The same.
        events_kept_ms: The same.
        next_hold_end_ms: The same.
        oldest_revision: The same, before the oldest are forgotten.
        changes: Key to new value, None to delete.
        known: What was read, as it is by now: never older than `changes`.
        happened: The events, in the order of their revisions, if any are kept.
        remembered: The request_ids whose outcomes are in `changes`.
        records_remember: A register that is granted is remembered by its record; see
            `recognising`. Not by entries of versions before that.
    """

    def __init__(
        self,
        state: StateReader,
        meta: StateMeta,
        index: int,
        time_ms: int,
        *,
        tells: bool,
        records_remember: bool,
    ) -> None:
        self._state = state
        self.records_remember = records_remember
        self.meta = meta
        self.index = index
        # Log time never runs backwards, whatever the leaders' clocks do. It begins at 1, because
        # a time of 0 in the meta means that there is nothing.
        self.time_ms = max(meta.time_ms, time_ms, 1)
        self.revision = meta.revision
        self.name_count = meta.name_count
        self.namespace_count = meta.namespace_count
        self.has_policies = meta.namespace_count > 0
        self.events_kept_max = meta.events_kept_max
        self.events_kept_ms = meta.events_kept_ms
        self.next_hold_end_ms = meta.next_hold_end_ms
        # A feed that has begun goes on, whoever wrote the entry: a gap would be a lie.
        begins = meta.revision + 1 if tells else 0
        self.oldest_revision = meta.oldest_revision or begins
        self.changes: dict[bytes, bytes | None] = {}
        self.known: dict[bytes, bytes | None] = {}
        self.happened: list[EventFields] = []
        self.remembered: list[bytes] = []
        self._spaces: dict[str, NamespaceState] = {}

    # -- reading ----------------------------------------------------------------------------

    def prefetch(self, keys: Iterable[bytes]) -> None:
        """Reads many keys in one call to the store; `get` knows them then."""
        known = self.known
        wanted = [key for key in dict.fromkeys(keys) if key not in known]
        if wanted:
            known.update(zip(wanted, self._state.get_many(wanted), strict=True))

    def get(self, key: bytes) -> bytes | None:
        """The value of a key as it is by now."""
        known = self.known
        if key not in known:
            (known[key],) = self._state.get_many([key])
        return known[key]

    def are_absent(self, keys: list[bytes]) -> bool:
        """There is nothing under any of these keys, as it is by now. Reads them in one call."""
        if not self.known.keys().isdisjoint(keys):
            self.prefetch(keys)
            return all(self.known[key] is None for key in keys)
        values = self._state.get_many(keys)
        absent = values.count(None) == len(keys)
        if not absent:
            self.known.update(zip(keys, values, strict=True))
        return absent

    def record(self, name: str) -> Record | None:
        """What is stored under a name, be it expired."""
        data = self.get(st.name_key(name))
        return None if data is None else decode_record(name, data)

    def held_back(self, name: str) -> HeldBack | None:
        """What is left of a name, be its hold-back over."""
        if not self.has_policies:
            return None  # nothing was ever held back
        data = self.get(st.held_back_key(name))
        return None if data is None else decode_held_back(name, data)

    def space_of(self, name: str) -> NamespaceState:
        """Where the namespace of a canonical name stands."""
        return self.space(namespace_of(name)) if self.has_policies else _NO_NAMESPACE

    def space(self, namespace: str) -> NamespaceState:
        """Where a namespace stands."""
        known = self._spaces.get(namespace)
        if known is None:
            data = self.get(st.namespace_key(namespace))
            known = _NO_NAMESPACE if data is None else decode_namespace(data)
            self._spaces[namespace] = known
        return known

    def names_after(self, namespace: str, cursor: str, count: int) -> list[str]:
        """The next names of a namespace in byte order, as they are by now."""
        prefix = st.name_key(f"{namespace}:")
        start = st.name_key(cursor) + b"\0" if cursor else prefix
        beneath = (key for key, _ in self._state.scan(start, prefix) if key not in self.changes)
        found = list(islice(beneath, count))
        found += [
            key
            for key, value in self.changes.items()
            if value is not None and key >= start and key.startswith(prefix)
        ]
        # Beneath they are the first `count`, so among all of them they are as well.
        return [key[len(st.NAME_PREFIX) :].decode() for key in sorted(found)[:count]]

    def scan_beneath(self, start: bytes, prefix: bytes) -> Iterable[tuple[bytes, bytes]]:
        """As `StateReader.scan`, without what this entry changed."""
        return self._state.scan(start, prefix)

    # -- changing ---------------------------------------------------------------------------

    def put(self, key: bytes, value: bytes | None) -> None:
        """Changes the value of a key; None deletes it."""
        self.known[key] = self.changes[key] = value

    def put_all(self, changes: dict[bytes, bytes]) -> None:
        """Changes the values of many keys."""
        self.known.update(changes)
        self.changes.update(changes)

    def put_space(self, namespace: str, space: NamespaceState) -> None:
        """Changes where a namespace stands."""
        was = self.space(namespace) != _NO_NAMESPACE
        will_be = space != _NO_NAMESPACE
        self.namespace_count += will_be - was
        self.has_policies = self.namespace_count > 0
        self._spaces[namespace] = space
        self.put(st.namespace_key(namespace), encode_namespace(space) if will_be else None)

    def tell(self, kind: EventKind, name: str, record: bytes, other: str = "") -> int:
        """A change happened: counts it and keeps its event. Returns its revision.

        Args:
            kind: What happened.
            name: Canonical, or the namespace.
            record: Encoded; empty: none.
            other: The other name of a rename.
        """
        self.revision += 1
        if self.oldest_revision:
            self.happened.append((kind, name, record, other) if other else (kind, name, record))
        return self.revision

    def tell_each(self, events: list[EventFields]) -> None:
        """As many changes happened, in this order; see `tell`."""
        self.revision += len(events)
        if self.oldest_revision:
            self.happened.extend(events)

    @property
    def tells(self) -> bool:
        """Events are kept."""
        return self.oldest_revision > 0

    def write_events(self) -> int:
        """Puts what happened into chunks; returns how many. Once, at the end."""
        first = self.meta.revision + 1
        starts = range(0, len(self.happened), CHUNK_EVENTS_MAX)
        for start in starts:
            chunk = self.happened[start : start + CHUNK_EVENTS_MAX]
            self.changes[st.events_key(first + start)] = encode_events(self.time_ms, chunk)
        return len(starts)
