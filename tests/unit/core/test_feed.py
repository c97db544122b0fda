"""The feed of changes: complete, bounded, and cheap to forget."""

from __future__ import annotations

from itertools import pairwise

from namestore.core import reading
from namestore.core.commands import KeepEvents, Update
from namestore.core.events import CHUNK_EVENTS_MAX
from tests.support.lives import Life
from tests.support.registry_driver import RegistryDriver, register, release

HOUR_MS = 3_600_000


def _kinds(registry: RegistryDriver, first: int = 1) -> list[str]:
    return [event.kind.name for event in reading.events(registry.view(), first, 1000).events]


def test_every_change_is_an_event_of_its_own_revision() -> None:
    """With the record as it was then, without what is of no concern to callers."""
    registry = RegistryDriver()
    registry.apply(register("r1", "user:a"), register("r2", "user:a", "bob"))
    registry.apply(Update(b"r3", "user:a", "ann", b"new"), release("r4", "user:a"))
    feed = reading.events(registry.view(), 1, 10).events
    assert [(event.revision, event.kind.name) for event in feed] == [
        (1, "REGISTERED"),
        (2, "UPDATED"),
        (3, "RELEASED"),
    ]
    assert [event.record and event.record.payload for event in feed] == [b"", b"new", b"new"]
    assert {event.time_ms for event in feed} == {registry.clock_ms}


def test_a_rename_is_two_events_that_name_each_other() -> None:
    """Whoever follows one name only sees it go, or come."""
    life = Life()
    life.take("user:a")
    life.rename("user:a", "user:b")
    gone, come = reading.events(life.registry.view(), 2, 10).events
    assert (gone.kind.name, gone.name, gone.other) == ("RENAMED_AWAY", "user:a", "user:b")
    assert (come.kind.name, come.name, come.other) == ("RENAMED", "user:b", "user:a")


def test_the_feed_is_read_in_parts() -> None:
    """From any revision on, as many as asked for, across chunks and entries."""
    registry = RegistryDriver()
    count = 2 * CHUNK_EVENTS_MAX + 10
    registry.apply(*(register(f"r{n}", f"user:{n}") for n in range(count)))
    registry.apply(register("last", "user:last"))
    view = registry.view()
    for first in (1, CHUNK_EVENTS_MAX, CHUNK_EVENTS_MAX + 1, count, count + 1):
        part = reading.events(view, first, 3).events
        assert [event.revision for event in part] == [*range(first, min(first + 3, count + 2))]
    assert reading.events(view, count + 2, 3).events == []


def test_old_events_are_forgotten_by_number_with_the_holdings_they_ended() -> None:
    """At least as many as promised are kept, at most a chunk more, and the oldest is said."""
    registry = RegistryDriver()
    registry.apply(KeepEvents(b"keep", 10, 1000 * HOUR_MS))
    for number in range(400):
        registry.apply(register(f"r{number}", "user:a"), release(f"s{number}", "user:a"))
    view = registry.view()
    oldest = view.meta.oldest_revision
    kept = view.meta.revision - oldest + 1
    assert 10 <= kept <= 10 + CHUNK_EVENTS_MAX
    assert reading.events(view, oldest - 1, 5).events == []
    assert reading.events(view, oldest - 1, 5).oldest_revision == oldest
    assert len(reading.events(view, oldest, 1000).events) == kept
    assert len(reading.history(view, "user:a")) == kept // 2


def test_old_events_are_forgotten_by_age_a_few_at_a_time() -> None:
    """A long silence does not make the next entry expensive."""
    registry = RegistryDriver()
    registry.apply(KeepEvents(b"keep", 10**6, HOUR_MS))
    for number in range(20):
        registry.apply(register(f"r{number}", f"user:{number}"))
    registry.pass_hours(2)
    oldest = [registry.meta.oldest_revision]
    for number in range(20):
        registry.apply(register(f"s{number}", f"post:{number}"))
        oldest.append(registry.meta.oldest_revision)
    assert oldest[-1] == 21
    assert max(after - before for before, after in pairwise(oldest)) <= 3
    assert _kinds(registry, 21) == ["REGISTERED"] * 20


def test_a_feed_whose_events_are_all_too_old_is_empty() -> None:
    """And goes on with the next change."""
    registry = RegistryDriver()
    registry.apply(KeepEvents(b"keep", 10**6, HOUR_MS), register("r", "user:a"))
    registry.pass_hours(2)
    registry.apply()
    assert (registry.meta.oldest_revision, registry.meta.oldest_event_ms) == (2, 0)
    registry.apply(register("s", "user:b"))
    assert _kinds(registry, 2) == ["REGISTERED"]


def test_the_feed_begins_with_the_first_entry_that_knows_of_it() -> None:
    """What older versions wrote has no events, and nobody is told that it has."""
    registry = RegistryDriver(entry_version=1)
    registry.apply(register("r1", "user:a"), register("r2", "user:b"))
    view = registry.view()
    assert (view.meta.oldest_revision, reading.events(view, 1, 9).oldest_revision) == (0, 3)
    assert [holding.to_ms for holding in reading.history(view, "user:a")] == [0]
    registry.entry_version = 2
    registry.apply(release("r3", "user:a"))
    assert _kinds(registry, 3) == ["RELEASED"]
    assert reading.events(registry.view(), 2, 9).events == []
    registry.entry_version = 1
    registry.apply(release("r4", "user:b"))
    assert _kinds(registry, 3) == ["RELEASED", "RELEASED"]


def test_a_page_of_names_leaves_out_what_is_over() -> None:
    """In byte order, behind the last one of the page before."""
    life = Life()
    for name in ("user:a", "user:c", "post:a"):
        life.take(name)
    life.take("user:b", ttl_ms=1000)
    names = [record.name for record in reading.records(life.registry.view(), "user:")]
    assert names == ["user:a", "user:b", "user:c"]
    life.registry.clock_ms += 1000
    life.registry.apply()
    view = life.registry.view()
    assert [record.name for record in reading.records(view, "user:", "user:a")] == ["user:c"]
