"""The end of a run with callers of the whole API: the replicas hold what the model holds.

All replicas have equal bytes by then, so one of them is read, as callers read it.
"""

from __future__ import annotations

from typing import Any

from namestore.core import reading
from namestore.core.policies import encode_policy
from namestore.rpc.responses import name_record
from tests.properties.registry_model import RegistryModel
from tests.simulation.names_asked import shown
from tests.simulation.names_model import Ledger, keys_of
from tests.simulation.names_told import as_shown
from tests.simulation.watch import Violation

_EVENTS_MAX = 1_000_000


def check_end(ledger: Ledger, state: Any) -> None:
    """Raises `Violation` unless a replica's state is that of the model."""
    with state.view() as view:
        _check_names(ledger.model, view)
        _check_spaces(ledger.model, view)
        _check_feed(ledger.model, view)
        _check_pasts(ledger.model, view)
    _check_unique(ledger.model)


def unfinished(state: Any, before_ms: int) -> list[str]:
    """Reservations that ended before a time, and still stand; policies that are pending."""
    with state.view() as view:
        due = reading.due_expirations(view, before_ms)
        spaces = reading.namespaces(view)
    pending = [name for name, space in spaces.items() if space.pending_version]
    return pending + ([] if due is None else [item.name for item in due.items])


def _differ(what: str, ours: object, theirs: object) -> None:
    if ours != theirs:
        raise Violation("state of the model", f"{what}: the model has {ours}, a replica {theirs}")


def _check_names(model: RegistryModel, view: Any) -> None:
    names = sorted({*model.held, *model.left, *model.past}, key=str.encode)
    _differ("revision", model.revision, view.meta.revision)
    _differ("time", model.time_ms, max(view.meta.time_ms, 1))
    _differ("count", len(model.held), view.meta.name_count)
    held = {name: model.holds(name) for name in names}
    standing = [as_shown(holding) for holding in held.values() if holding is not None]
    seen = [shown(name_record(record)) for record in reading.records(view, "")]
    _differ("names", standing, seen)
    for name in names:
        left, waits = model.left.get(name), reading.held_back(view, name)
        over = left is None or left.until_ms <= model.time_ms
        expected = None if left is None or over else (left.owner, left.until_ms)
        _differ(f"{name} waits", expected, waits and (waits.owner, waits.until_ms))


def _check_spaces(model: RegistryModel, view: Any) -> None:
    expected = {
        name: (
            space.version,
            b"" if space.policy is None else encode_policy(space.policy),
            space.pending_version,
            b"" if space.pending is None else encode_policy(space.pending),
            space.cursor,
        )
        for name, space in sorted(model.spaces.items())
        if space.version or space.pending_version
    }
    seen = {
        name: (space.version, space.policy, space.pending_version, space.pending, space.cursor)
        for name, space in reading.namespaces(view).items()
    }
    _differ("namespaces", expected, seen)


def _check_feed(model: RegistryModel, view: Any) -> None:
    """Every change from the oldest kept on, without a gap; no fewer than was asked for."""
    meta = view.meta
    if not meta.oldest_revision:
        _differ("feed", model.told, [])
        return
    feed = reading.events(view, meta.oldest_revision, _EVENTS_MAX).events
    revisions = [event.revision for event in feed]
    _differ("feed", list(range(meta.oldest_revision, meta.revision + 1)), revisions)
    said = [
        (e.kind.name, e.name, e.other, "" if e.record is None else e.record.owner) for e in feed
    ]
    _differ("events", model.told[meta.oldest_revision - 1 :], said)
    if meta.events_kept_max and len(feed) < min(meta.events_kept_max, meta.revision):
        raise Violation("state of the model", f"only {len(feed)} events are kept")


def _check_pasts(model: RegistryModel, view: Any) -> None:
    for name, past in model.past.items():
        spans = [(h.owner, h.from_ms, h.to_ms) for h in reading.history(view, name) if h.to_ms]
        _differ(f"history of {name}", past[len(past) - len(spans) :], spans)


def _check_unique(model: RegistryModel) -> None:
    """No two names that stand have a unique key of their policy in common."""
    owners: dict[tuple[object, ...], str] = {}
    for name in model.held:
        namespace = name.partition(":")[0]
        policy = model.space(name).policy
        for key in keys_of(policy, name) if policy is not None else ():
            other = owners.setdefault((namespace, *key), name)
            if other != name and model.holds(name) and model.holds(other):
                raise Violation("unique keys", f"{name} and {other} exclude each other")
