"""namestore.policy.checking: what a policy would do to names that exist."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from namestore.core.policies import Policy, Profile
from namestore.errors import InvalidRequest
from namestore.policy.checking import Conflict, check, check_held, check_spelled

USERS = Policy(profile=Profile.USERNAME, length_min=2, look_alikes=True, reserved=("admin", "x*"))


def _found(policy: Policy, names: list[str]) -> list[tuple[Conflict, str, str]]:
    return [finding[:3] for finding in check(policy, names)]


def _found_held(policy: Policy, names: list[tuple[str, str]]) -> list[tuple[Conflict, str, str]]:
    return [finding[:3] for finding in check_held(policy, names)]


def test_each_kind_of_conflict_is_found_once_and_with_the_other_name() -> None:
    """Of names that exclude each other the first stays; each later one is reported."""
    names = ["alice", "a b", "Admin", "Alice", "a1ice", "bob", "xavier", "ALICE", "c"]
    assert _found(USERS, names) == [
        (Conflict.INVALID, "a b", ""),
        (Conflict.RESERVED, "Admin", "admin"),
        (Conflict.EQUAL, "Alice", "alice"),
        (Conflict.LOOK_ALIKE, "a1ice", "alice"),
        (Conflict.RESERVED, "xavier", "x*"),
        (Conflict.EQUAL, "ALICE", "alice"),
        (Conflict.INVALID, "c", ""),
    ]


def test_spelling_counts_only_where_nothing_worse_does() -> None:
    """A name stored in another form is told so; one that excludes another is told that instead."""
    names = ["Alice", "bob", "ALICE", "Admin", "alice"]
    assert [finding[:3] for finding in check_spelled(USERS, names)] == [
        (Conflict.MOVED, "Alice", "alice"),
        (Conflict.EQUAL, "ALICE", "Alice"),
        (Conflict.RESERVED, "Admin", "admin"),
        (Conflict.EQUAL, "alice", "Alice"),
    ]


def test_spellings_of_one_name_are_equal_under_every_policy() -> None:
    """Also under one that asks for nothing but the canonical form."""
    plain = Policy(profile=Profile.USERNAME)
    assert _found(plain, ["Alice", "alice", "a1ice"]) == [(Conflict.EQUAL, "alice", "Alice")]


def test_planted_look_alikes_are_all_found_and_none_invented() -> None:
    """Among names that are no look-alikes: exactly the planted ones, each with its model."""
    syllables = [a + b for a in "bdfgkpt" for b in "aeou"]
    names = [f"{one}{two}{three}" for one in syllables for two in syllables for three in syllables]
    twin = str.maketrans({"a": "\u0430", "e": "\u0435", "o": "\u043e", "p": "\u0440"})
    planted = {name.translate(twin): name for name in names[::97]}
    mixed = Policy(look_alikes=True)
    found = _found(mixed, names + list(planted))
    expected = [
        (Conflict.LOOK_ALIKE, twin, model) for twin, model in planted.items() if twin != model
    ]
    assert len(expected) > 150
    assert found == expected


def test_squeezed_names_are_equal() -> None:
    """Differing in punctuation or case alone."""
    names = ["foo-bar", "foo_bar", "fo.obar", "baz", "f\u043eobar"]
    squeezed = [
        (Conflict.EQUAL, "foo_bar", "foo-bar"),
        (Conflict.EQUAL, "fo.obar", "foo-bar"),
    ]
    assert _found(Policy(squeeze=True), names) == squeezed
    assert _found(Policy(squeeze=True, look_alikes=True), names) == [
        *squeezed,
        (Conflict.LOOK_ALIKE, "f\u043eobar", "foo-bar"),
    ]


def test_a_name_read_twice_in_one_spelling_is_one_name() -> None:
    """An export may repeat itself."""
    assert _found(USERS, ["alice", "bob", "alice"]) == []
    assert _found(USERS, ["Alice", "Alice"]) == []


def test_names_alike_only_as_they_are_shown_are_found_either_way_round() -> None:
    """A capital I and a small l."""
    assert _found(USERS, ["paypal", "paypaI"]) == [(Conflict.LOOK_ALIKE, "paypaI", "paypal")]
    assert _found(USERS, ["paypaI", "paypal"]) == [(Conflict.LOOK_ALIKE, "paypal", "paypaI")]


def test_a_held_name_that_would_be_stored_as_another_is_found() -> None:
    """It could not be reached any more; names that are only read from a file simply change."""
    assert _found(USERS, ["Alice", "bob"]) == []
    held = [("Alice", "Alice"), ("bob", "Bob"), ("zo\u00e9", "zoe\u0301")]
    assert _found_held(USERS, held) == [(Conflict.MOVED, "Alice", "alice")]


def test_held_names_are_judged_as_they_are_shown() -> None:
    """The look of a display name counts, and conflicts are told in canonical names."""
    held = [("alice", "Alice"), ("bob", "BOB"), ("admin", "ADMIN")]
    assert _found_held(USERS, held) == [(Conflict.RESERVED, "admin", "admin")]
    held = [("paypal", "paypal"), ("paypai", "paypaI"), ("foo", "foo")]
    assert _found_held(USERS, held) == [(Conflict.LOOK_ALIKE, "paypai", "paypal")]
    assert _found_held(USERS, held[::-1]) == [(Conflict.LOOK_ALIKE, "paypal", "paypai")]


def test_findings_come_while_names_are_read() -> None:
    """The names are read once, one by one, and not gathered first."""
    read = []

    def names() -> Iterator[str]:
        for name in ("alice", "a b", "bob"):
            read.append(name)
            yield name

    findings = check(USERS, names())
    assert next(findings).name == "a b"
    assert read == ["alice", "a b"]
    assert list(findings) == []
    assert read == ["alice", "a b", "bob"]


def test_every_finding_says_what_is_wrong_in_a_sentence() -> None:
    """With the names, in plain ASCII."""
    names = ["alice", "a b", "admin", "Alice", "\u0430lice", "a1ice"]
    for finding in check(USERS, names):
        assert ascii(finding.name) in finding.message
        assert finding.message.isascii()


def test_a_policy_that_cannot_be_is_refused_before_any_name() -> None:
    """As it is when it is put in force."""
    with pytest.raises(InvalidRequest):
        next(check(Policy(reserved=("*",)), ["alice"]))
