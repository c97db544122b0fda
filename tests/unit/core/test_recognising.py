"""A register is remembered by the holding it made, and by the outcome table from its end on."""

from __future__ import annotations

import pytest

from namestore.core.commands import Command, Update
from namestore.core.limits import OUTCOME_RETENTION_MS
from namestore.core.outcomes import Outcome, Verdict
from tests.support.registry_driver import RegistryDriver, register, release

HOURS_KEPT = OUTCOME_RETENTION_MS // 3_600_000


@pytest.fixture
def registry() -> RegistryDriver:
    return RegistryDriver()


def update(request_id: str, name: str, owner: str, payload: bytes | None, to: str | None) -> Update:
    return Update(request_id.encode(), name, owner, payload, to, 0)


def test_a_grant_leaves_nothing_to_be_forgotten(registry: RegistryDriver) -> None:
    """One record for a name, and no other key that grows with the names."""
    before = len(registry.state.content)
    for number in range(50):
        registry.decide(register(f"r{number}", f"user:{number}"))

    assert registry.remembered() == set()
    names = [key for key in registry.state.content if key.startswith(b"nuser:")]
    assert len(names) == 50
    others = {key for key in registry.state.content if key[:1] not in (b"n", b"e")}
    assert len(others) <= before + 1


@pytest.mark.parametrize("days", (0, 1, 2, 400))
def test_a_duplicate_after_the_end_changes_nothing(registry: RegistryDriver, days: int) -> None:
    """However long the holding lasted: for a day after its end at least the request is known."""
    first = registry.decide(register("r1", "user:a", "ann", b"pay"))
    registry.pass_hours(24 * days)
    registry.decide(release("r2", "user:a", "ann"))
    registry.pass_hours(24)
    for number in range(10):
        registry.decide(release(f"s{number}", f"user:s{number}"))

    assert registry.decide(register("r1", "user:a", "ann", b"pay")) == first
    assert registry.names() == set()


def test_what_ended_is_forgotten_in_time(registry: RegistryDriver) -> None:
    """The table shrinks again, and the name can be had under any id."""
    registry.decide(register("r1", "user:a"))
    registry.decide(release("r2", "user:a"))
    assert registry.remembered() == {b"r1", b"r2"}
    registry.pass_hours(HOURS_KEPT + 1)
    for number in range(3):
        registry.decide(release(f"s{number}", "user:nobody"))

    assert registry.remembered() == {b"s0", b"s1", b"s2"}
    assert registry.decide(register("r1", "user:a"))[0].verdict is Verdict.GRANTED


@pytest.mark.parametrize(
    "change",
    (
        update("r2", "user:a", "ann", b"new", None),
        update("r2", "user:a", "ann", None, "bob"),
        update("r2", "user:a", "ann", b"new", "bob"),
    ),
)
@pytest.mark.parametrize("ends", (False, True))
def test_a_retry_hears_what_it_heard_whatever_became_of_the_name(
    registry: RegistryDriver, change: Command, ends: bool
) -> None:
    """The record as it was granted: its payload and owner of then are in the request."""
    first = registry.decide(register("r1", "user:a", "ann", b"pay", "user:A"))
    registry.decide(change)
    if ends:
        record = registry.record("user:a")
        assert record is not None
        registry.decide(release("r3", "user:a", record.owner))
    registry.pass_hours(23)

    assert registry.decide(register("r1", "user:a", "ann", b"pay", "user:A")) == first


@pytest.mark.parametrize("ends", (False, True))
@pytest.mark.parametrize(
    "other",
    (
        register("r1", "user:a", "bob", b"pay"),
        register("r1", "user:a", "ann", b"other"),
        register("r1", "user:a", "ann", b"pay", "user:A"),
    ),
)
def test_other_contents_under_its_id_are_refused(
    registry: RegistryDriver, other: Command, ends: bool
) -> None:
    """They are not the request that was granted, and grant nothing."""
    registry.decide(register("r1", "user:a", "ann", b"pay"))
    if ends:
        registry.decide(release("r2", "user:a", "ann"))
    revision = registry.meta.revision

    assert registry.decide(other) == (Outcome(Verdict.REQUEST_ID_REUSED, revision),)
    assert registry.meta.revision == revision


def test_an_id_that_holds_a_name_ends_nothing(registry: RegistryDriver) -> None:
    """Whoever derives ids from names hears at once that a release needs another one; and the
    holding is known as before."""
    first = registry.decide(register("r1", "user:a", "ann"))
    assert registry.decide(release("r1", "user:a", "ann"))[0].verdict is Verdict.REQUEST_ID_REUSED
    assert registry.decide(update("r1", "user:a", "ann", b"x", None))[0].verdict is (
        Verdict.REQUEST_ID_REUSED
    )

    assert registry.names() == {"user:a"}
    assert registry.decide(register("r1", "user:a", "ann")) == first
