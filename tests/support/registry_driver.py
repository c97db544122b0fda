"""The state machine with a dict for a store: entries go in, decisions come out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from namestore.core.commands import (
    ENTRY_VERSION,
    Command,
    Entry,
    Register,
    RegisterAll,
    Release,
    Wanted,
    decode_entry,
    encode_command,
    encode_entry,
)
from namestore.core.outcomes import Decision
from namestore.core.packing import unpack_fields
from namestore.core.records import Record, decode_record
from namestore.core.registry import apply_entry
from namestore.core.state import (
    META_KEY,
    NAME_PREFIX,
    OUTCOME_PREFIX,
    OUTCOME_TIME_PREFIX,
    StateMeta,
    decode_meta,
    name_key,
)

HOUR_MS = 60 * 60 * 1000


class DictState:
    """A `StateReader` over a dict."""

    def __init__(self) -> None:
        self.content: dict[bytes, bytes] = {}

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self.content.get(key) for key in keys]

    def scan(self, start: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        for key in sorted(self.content):
            if key >= start and key.startswith(prefix):
                yield key, self.content[key]

    def write(self, changes: dict[bytes, bytes | None]) -> None:
        for key, value in changes.items():
            if value is None:
                self.content.pop(key, None)
            else:
                self.content[key] = value


class DictView(DictState):
    """A picture of a `DictState`, as the functions of `namestore.core.reading` want it."""

    def __init__(self, state: DictState, meta: StateMeta) -> None:
        super().__init__()
        self.content, self.meta = dict(state.content), meta


class RegistryDriver:
    """One replica's registry. What it applies takes the way through the bytes of the log.

    Args:
        entry_version: Of the log entries it writes; 1: as the first released version did.
    """

    def __init__(self, entry_version: int = ENTRY_VERSION) -> None:
        self.entry_version = entry_version
        self.state = DictState()
        self.log: list[bytes] = []
        self.clock_ms = 1_000_000

    @property
    def meta(self) -> StateMeta:
        return decode_meta(self.state.content.get(META_KEY))

    def apply(self, *commands: Command) -> list[Decision]:
        """Decides the commands as one entry, stamped with `clock_ms`."""
        encoded = [encode_command(command) for command in commands]
        return self.apply_log_entry(encode_entry(Entry(self.clock_ms, encoded, self.entry_version)))

    def apply_log_entry(self, data: bytes) -> list[Decision]:
        self.log.append(data)
        meta = self.meta
        applied = apply_entry(self.state, meta, meta.applied_index + 1, 1, decode_entry(data))
        self.state.write(applied.changes)
        assert self.meta == applied.meta
        return applied.decisions

    def decide(self, command: Command) -> Decision:
        """One command in an entry of its own."""
        return self.apply(command)[0]

    def view(self) -> DictView:
        """A picture of the present state."""
        return DictView(self.state, self.meta)

    def pass_hours(self, hours: float) -> None:
        self.clock_ms += int(hours * HOUR_MS)

    def record(self, name: str) -> Record | None:
        data = self.state.content.get(name_key(name))
        return None if data is None else decode_record(name, data)

    def names(self) -> set[str]:
        return {key[1:].decode() for key in self._keys(NAME_PREFIX)}

    def remembered(self) -> set[bytes]:
        """The request_ids in the outcome table."""
        return {key[1:] for key in self._keys(OUTCOME_PREFIX)}

    def sweep_entries(self) -> int:
        """How many entries' outcomes wait to be forgotten."""
        return len(self._keys(OUTCOME_TIME_PREFIX))

    def listed(self) -> list[bytes]:
        """The request_ids in those entries' lists."""
        lists = (self.state.content[key] for key in self._keys(OUTCOME_TIME_PREFIX))
        return [request_id for data in lists for request_id in unpack_fields(data, "a list")]

    def _keys(self, prefix: bytes) -> list[bytes]:
        return [key for key in self.state.content if key.startswith(prefix)]


def register(
    request_id: str, name: str, owner: str = "ann", payload: bytes = b"", display_name: str = ""
) -> Register:
    return Register(request_id.encode(), Wanted(name, display_name or name, owner, payload))


def register_all(request_id: str, *names: str, owner: str = "ann") -> RegisterAll:
    return RegisterAll(request_id.encode(), tuple(Wanted(name, name, owner) for name in names))


def release(request_id: str, name: str, owner: str = "ann", fence: int = 0) -> Release:
    return Release(request_id.encode(), name, owner, fence)
