"""The rules of deciding, one by one. tests/properties looks for what is missing here."""

from __future__ import annotations

from unittest import mock

import pytest

from namestore.core.commands import Entry, MalformedCommand, encode_command
from namestore.core.deciding import plain
from namestore.core.outcomes import Outcome, Verdict
from namestore.core.registry import apply_entry, apply_nothing
from namestore.core.state import META_KEY, StateMeta, name_key
from namestore.errors import InvariantViolation
from tests.support.registry_driver import (
    DictState,
    RegistryDriver,
    register,
    register_all,
    release,
)


@pytest.fixture
def registry() -> RegistryDriver:
    return RegistryDriver()


def _verdicts(decision: tuple[Outcome, ...]) -> list[str]:
    return [outcome.verdict.name for outcome in decision]


def test_register_grants_a_free_name(registry: RegistryDriver) -> None:
    """A free name is granted; the record says who, what, when, and at which revision."""
    (outcome,) = registry.decide(register("r1", "user:a", "ann", b"pay", "user:A"))

    record = registry.record("user:a")
    assert record is not None
    assert outcome == Outcome(Verdict.GRANTED, 1, record)
    assert (record.display_name, record.owner, record.payload) == ("user:A", "ann", b"pay")
    assert (record.create_revision, record.mod_revision) == (1, 1)
    assert record.create_time_ms == registry.clock_ms
    assert (registry.meta.revision, registry.meta.name_count) == (1, 1)


def test_register_refuses_a_held_name_even_to_its_owner(registry: RegistryDriver) -> None:
    """Another request is refused with the record in its way; a shared owner does not help."""
    registry.decide(register("r1", "user:a", "ann"))

    (outcome,) = registry.decide(register("r2", "user:a", "ann"))

    assert outcome == Outcome(Verdict.TAKEN, 1, registry.record("user:a"))
    assert registry.meta.revision == 1


def test_register_retry_is_granted_again_with_the_same_answer(registry: RegistryDriver) -> None:
    """A retry gets the decision it got, whatever happened in between."""
    first = registry.decide(register("r1", "user:a"))
    registry.pass_hours(3)
    registry.decide(register("r2", "user:b"))

    assert registry.decide(register("r1", "user:a")) == first


def test_register_late_duplicate_after_release_changes_nothing(registry: RegistryDriver) -> None:
    """Register, release, late duplicate of the register: the name stays free."""
    first = registry.decide(register("r1", "user:a"))
    registry.decide(release("r2", "user:a"))

    assert registry.decide(register("r1", "user:a")) == first
    assert registry.names() == set()
    assert (registry.meta.revision, registry.meta.name_count) == (2, 0)


def test_register_late_duplicate_of_a_refusal_stays_refused(registry: RegistryDriver) -> None:
    """A refused request never becomes a grant, also when the name is free by then."""
    registry.decide(register("r1", "user:a", "ann"))
    refused = registry.decide(register("r2", "user:a", "bob"))
    registry.decide(release("r3", "user:a", "ann"))

    assert registry.decide(register("r2", "user:a", "bob")) == refused
    assert registry.names() == set()


def test_register_duplicate_in_the_same_entry_is_one_request(registry: RegistryDriver) -> None:
    """Two copies of a request in one log entry are granted once, and both hear so."""
    first, other, again = registry.apply(
        register("r1", "user:a"), register("r2", "user:a"), register("r1", "user:a")
    )

    assert first == again
    assert _verdicts(other) == ["TAKEN"]
    assert registry.meta.revision == 1


def test_commands_of_one_entry_see_each_other(registry: RegistryDriver) -> None:
    """Register, release, register in one entry: each sees what the one before did."""
    decisions = registry.apply(
        register("r1", "user:a", "ann"),
        release("r2", "user:a", "ann"),
        register("r3", "user:a", "bob"),
        register("r1", "user:a", "ann"),
    )

    assert [_verdicts(decision)[0] for decision in decisions] == [
        "GRANTED",
        "RELEASED",
        "GRANTED",
        "GRANTED",
    ]
    record = registry.record("user:a")
    assert record is not None
    assert record.request_id == b"r3"


@pytest.mark.parametrize(
    "other",
    (
        register("r1", "user:a", "bob"),
        register("r1", "user:a", "ann", b"other payload"),
        register("r1", "user:a", "ann", b"", "user:A"),
        release("r1", "user:a", "ann"),
    ),
)
def test_request_id_reused_for_something_else_is_refused(
    registry: RegistryDriver, other: object
) -> None:
    """A request_id means one request: other content under it changes nothing, and hears so."""
    first = registry.decide(register("r1", "user:a", "ann"))

    (outcome,) = registry.decide(other)  # type: ignore[arg-type]

    assert outcome == Outcome(Verdict.REQUEST_ID_REUSED, 1)
    assert registry.names() == {"user:a"}
    assert registry.decide(register("r1", "user:a", "ann")) == first


def test_request_id_reused_for_another_name_does_not_touch_the_first(
    registry: RegistryDriver,
) -> None:
    """The holding remembers its request, and whoever asks for another name does not meet it: that
    one may be granted as well. Each is recognised by its name, and none is given to two."""
    first = registry.decide(register("r1", "user:a", "ann"))
    second = registry.decide(register("r1", "user:b", "ann"))
    assert _verdicts(registry.decide(register("r2", "user:b", "bob"))) == ["TAKEN"]

    assert registry.decide(register("r1", "user:a", "ann")) == first
    assert registry.decide(register("r1", "user:b", "ann")) == second
    assert registry.decide(register_all("r1", "user:a", owner="ann"))[0].record == first[0].record
    assert registry.names() == {"user:a", "user:b"}


def test_request_id_of_a_refusal_reused_for_another_name_is_refused(
    registry: RegistryDriver,
) -> None:
    """A request that holds nothing is remembered by itself; but what one holds stays its own."""
    first = registry.decide(register("r1", "user:a", "ann"))
    registry.decide(register("r2", "user:a", "bob"))
    registry.decide(register("r3", "user:c", "bob"))
    assert _verdicts(registry.decide(register("r2", "user:b", "bob"))) == ["REQUEST_ID_REUSED"]
    assert _verdicts(registry.decide(register("r1", "user:c", "ann"))) == ["TAKEN"]

    assert registry.decide(register("r1", "user:a", "ann")) == first


def test_request_id_reused_answers_for_every_name(registry: RegistryDriver) -> None:
    """There is one outcome per name of the command, also when none was looked at."""
    registry.decide(release("r1", "user:a"))

    decision = registry.decide(register_all("r1", "user:b", "user:c"))

    assert _verdicts(decision) == ["REQUEST_ID_REUSED"] * 2


def test_register_all_grants_every_name_at_its_own_revision(registry: RegistryDriver) -> None:
    """Several names together: one revision each, in the order they were asked for."""
    decision = registry.decide(register_all("r1", "user:b", "mail:b"))

    assert _verdicts(decision) == ["GRANTED", "GRANTED"]
    assert [outcome.revision for outcome in decision] == [1, 2]
    assert registry.meta.name_count == 2
    assert registry.decide(register_all("r1", "user:b", "mail:b")) == decision


def test_register_all_takes_nothing_when_one_name_is_taken(registry: RegistryDriver) -> None:
    """All or nothing: it names the one in the way, and that the others were not tried."""
    registry.decide(register("r1", "user:b"))

    decision = registry.decide(register_all("r2", "user:a", "user:b", "user:c"))

    assert _verdicts(decision) == ["NOT_TRIED", "TAKEN", "NOT_TRIED"]
    assert registry.names() == {"user:b"}
    registry.decide(release("r3", "user:b"))
    assert registry.decide(register_all("r2", "user:a", "user:b", "user:c")) == decision


def test_release_frees_the_name_once(registry: RegistryDriver) -> None:
    """The holder's release frees the name; its retry hears the same and undoes nobody else."""
    registry.decide(register("r1", "user:a"))
    first = registry.decide(release("r2", "user:a"))
    registry.decide(register("r3", "user:a"))

    assert _verdicts(first) == ["RELEASED"]
    assert registry.decide(release("r2", "user:a")) == first
    assert registry.names() == {"user:a"}


@pytest.mark.parametrize(
    ("command", "verdict"),
    (
        (release("r2", "user:free"), "NAME_NOT_FOUND"),
        (release("r2", "user:a", "bob"), "NOT_OWNER"),
        (release("r2", "user:a", "ann", fence=7), "STALE_FENCE"),
        (release("r2", "user:a", "ann", fence=1), "RELEASED"),
    ),
)
def test_release_needs_the_holder_and_the_fence(
    registry: RegistryDriver, command: object, verdict: str
) -> None:
    """Only the owner, and only of the holding that the fence names, releases."""
    registry.decide(register("r1", "user:a", "ann"))

    assert _verdicts(registry.decide(command)) == [verdict]  # type: ignore[arg-type]
    assert registry.meta.name_count == (0 if verdict == "RELEASED" else 1)


# -- remembering, and forgetting --------------------------------------------------------------


def test_outcome_is_remembered_for_a_day(registry: RegistryDriver) -> None:
    """24 hours of log time and plenty of entries later a duplicate is still a duplicate."""
    first = registry.decide(register("r1", "user:a"))
    registry.decide(release("r2", "user:a"))
    registry.pass_hours(24)
    for number in range(10):
        registry.decide(register(f"s{number}", f"user:s{number}"))

    assert registry.decide(register("r1", "user:a")) == first
    assert "user:a" not in registry.names()


def test_outcomes_are_forgotten_after_their_time(registry: RegistryDriver) -> None:
    """The table of outcomes shrinks again: old entries' outcomes go, a few with each entry."""
    for number in range(20):
        registry.decide(release(f"r{number}", f"user:{number}"))
    assert len(registry.remembered()) == 20

    registry.pass_hours(26)
    for number in range(5):
        registry.decide(release(f"s{number}", f"user:s{number}"))

    assert registry.remembered() == {b"s0", b"s1", b"s2", b"s3", b"s4"}
    assert registry.sweep_entries() == 5


def test_outcomes_of_time_zero_are_forgotten_too(registry: RegistryDriver) -> None:
    """A leader whose clock reads 0 leaves nothing behind that no sweep would find."""
    registry.clock_ms = 0
    registry.decide(release("r0", "user:zero"))
    registry.pass_hours(26)
    registry.decide(release("r1", "user:one"))

    assert registry.remembered() == {b"r1"}


def test_register_is_granted_again_when_only_the_holding_remembers(
    registry: RegistryDriver,
) -> None:
    """A retry after the outcome was forgotten is granted, with the holding as it began."""
    (first,) = registry.decide(register("r1", "user:a"))
    registry.pass_hours(26)
    registry.decide(register("r2", "user:b"))

    (late,) = registry.decide(register("r1", "user:a"))

    assert (late.verdict, late.record) == (Verdict.GRANTED, first.record)


def test_register_recognised_late_is_remembered_as_it_began(registry: RegistryDriver) -> None:
    """The retry of such a late retry gets the true record, not one that begins at the retry.

    Found by reading: the outcome was rebuilt with the time of the late retry.
    """
    (first,) = registry.decide(register("r1", "user:a"))
    registry.pass_hours(26)
    registry.decide(register("r2", "user:b"))
    late = registry.decide(register("r1", "user:a"))

    assert registry.decide(register("r1", "user:a")) == late
    assert late[0].record == first.record


@pytest.mark.parametrize(
    "other", (register("r1", "user:a", "bob"), register("r1", "user:a", "ann", b"other"))
)
def test_request_id_reused_after_it_was_forgotten_is_granted_nothing(
    registry: RegistryDriver, other: object
) -> None:
    """A name is not given to a second owner because he happens on the first one's request_id.

    Found by reading: the holding recognised any request under its request_id as its own.
    """
    registry.decide(register("r1", "user:a", "ann"))
    registry.pass_hours(26)
    registry.decide(register("r2", "user:b"))

    assert _verdicts(registry.decide(other)) == ["REQUEST_ID_REUSED"]  # type: ignore[arg-type]


def test_register_all_retried_late_after_a_partial_release(registry: RegistryDriver) -> None:
    """It is granted what it still holds, and takes nothing anew.

    Found by reading: it heard that its own name was taken.
    """
    registry.decide(register_all("r1", "user:a", "user:b", "user:c"))
    registry.decide(release("r2", "user:a"))
    registry.decide(release("r3", "user:c"))
    registry.decide(register("r4", "user:c"))
    registry.pass_hours(26)
    registry.decide(register("r5", "user:z"))

    decision = registry.decide(register_all("r1", "user:a", "user:b", "user:c"))

    assert _verdicts(decision) == ["NOT_TRIED", "GRANTED", "TAKEN"]
    assert registry.names() == {"user:b", "user:c", "user:z"}


def test_register_all_reordered_late_keeps_each_names_revision(registry: RegistryDriver) -> None:
    """Names in another order, long after: each answer carries its own holding, also on retry.

    Found by reading: revisions were counted up from the first name's.
    """
    registry.decide(register_all("r1", "user:a", "user:b"))
    registry.pass_hours(26)
    registry.decide(register("r2", "user:z"))

    for _ in range(2):
        decision = registry.decide(register_all("r1", "user:b", "user:a"))
        assert [outcome.record for outcome in decision] == [
            registry.record("user:b"),
            registry.record("user:a"),
        ]


def test_a_duplicate_in_the_entry_that_forgets_is_still_a_duplicate(
    registry: RegistryDriver,
) -> None:
    """What an entry forgets is forgotten after it, not within."""
    first = registry.decide(register("r1", "user:a"))
    registry.decide(release("r2", "user:a"))
    registry.pass_hours(26)

    assert registry.decide(register("r1", "user:a")) == first
    assert registry.names() == set()
    assert registry.remembered() == set()


# -- time and place ---------------------------------------------------------------------------


def test_log_time_never_runs_backwards(registry: RegistryDriver) -> None:
    """A leader whose clock is behind stamps with the largest time seen so far."""
    registry.decide(register("r1", "user:a"))
    latest_ms = registry.clock_ms
    registry.pass_hours(-5)
    (outcome,) = registry.decide(register("r2", "user:b"))

    assert registry.meta.time_ms == latest_ms
    assert outcome.record is not None
    assert outcome.record.create_time_ms == latest_ms


@pytest.mark.parametrize(("index", "term"), ((5, 3), (4, 3), (7, 3), (6, 2)))
def test_an_entry_out_of_place_is_not_applied(index: int, term: int) -> None:
    """An entry is applied once and none is left out; otherwise the node stops."""
    meta = StateMeta(applied_index=5, applied_term=3)

    with pytest.raises(InvariantViolation, match=f"entry {index} of term {term}"):
        apply_entry(DictState(), meta, index, term, Entry(1, []))
    with pytest.raises(InvariantViolation, match=f"entry {index} of term {term}"):
        apply_nothing(meta, index, term)


def test_apply_nothing_moves_only_the_index(registry: RegistryDriver) -> None:
    """An entry of the engine's own leaves revision, count and time as they were."""
    registry.decide(register("r1", "user:a"))
    meta = registry.meta

    applied = apply_nothing(meta, meta.applied_index + 1, 2)

    assert applied.meta == meta._replace(applied_index=meta.applied_index + 1, applied_term=2)
    assert list(applied.changes) == [META_KEY]
    assert applied.decisions == []


def test_decisions_are_made_once_and_where_somebody_asks(registry: RegistryDriver) -> None:
    """A node on which nobody waits makes no answers; who asks again gets the same ones."""
    encoded = [encode_command(register(name, f"user:{name}")) for name in "ab"]

    with mock.patch.object(plain, "decisions", wraps=plain.decisions) as made:
        applied = apply_entry(registry.state, StateMeta(), 1, 1, Entry(1, encoded))
        assert not made.called
        first = applied.decisions

        assert [_verdicts(decision) for decision in first] == [["GRANTED"]] * 2
        assert applied.decisions is first
        assert made.call_count == 1


def test_values_are_compared_by_content_and_have_no_other_fields() -> None:
    """They may stand in sets; a field that is misspelled is refused and not added."""
    one, same = register("r1", "user:a"), register("r1", "user:a")

    assert one == same
    assert len({one, same, register("r1", "user:b")}) == 2
    with pytest.raises(AttributeError):
        one.request = b"r2"  # type: ignore[attr-defined]


def test_an_entry_with_a_malformed_command_decides_nothing(registry: RegistryDriver) -> None:
    """It is found before the first decision, so no half of an entry is ever seen."""
    with pytest.raises(MalformedCommand):
        apply_entry(registry.state, StateMeta(), 1, 1, Entry(1, [b"\xc0"]))
    assert registry.state.content == {}


@pytest.mark.parametrize("damage", (b"", b"\xc0", b"\x90", b"\x91\x01", b"\x91\xa1x"))
def test_damage_beneath_stops_the_node_by_name(registry: RegistryDriver, damage: bytes) -> None:
    """A value that cannot be read is never decided upon."""
    registry.decide(register("r1", "user:a"))
    registry.state.content[name_key("user:a")] = damage
    with pytest.raises(InvariantViolation, match="record"):
        registry.decide(register("r2", "user:a"))

    registry.state.content[b"or1"] = damage
    with pytest.raises(InvariantViolation, match="remembered outcome"):
        registry.decide(register("r1", "user:b"))
