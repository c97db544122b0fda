"""namestore.policy.judging: whether a label may be registered, and what is kept of it."""

from __future__ import annotations

from typing import Any

import pytest

from namestore.core.policies import KeyKind, Policy, Profile
from namestore.errors import InvalidName, InvalidRequest
from namestore.policy.judging import Judge, Judged, Refusal
from namestore.policy.refusing import Reason
from namestore.policy.skeletons import ORIGINAL_BYTES_MAX, SKELETON_BYTES_MAX

USERS = Judge(Policy(profile=Profile.USERNAME, look_alikes=True, reserved_shipped=True))


def _judged(judge: Judge, label: str) -> Judged:
    judged = judge.judge(label)
    assert isinstance(judged, Judged)
    return judged


def _refusal(policy: Policy, label: str) -> Refusal:
    refusal = Judge(policy).judge(label)
    assert isinstance(refusal, Refusal)
    return refusal


def test_a_judgement_keeps_the_label_as_it_was_given() -> None:
    """Beside its canonical form: the one is shown, the other compared."""
    assert Judge(Policy()).judge("zoe\u0301") == Judged("zoe\u0301", "zo\u00e9", None, None, None)
    wide = "\uff41lice"  # looks as its canonical form does
    assert _judged(USERS, wide) == Judged(wide, "alice", "alice", None, None)
    assert _judged(USERS, "Alice") == Judged("Alice", "alice", "alice", "Alice", None)


@pytest.mark.parametrize(
    ("values", "keys"),
    (
        ({}, ()),
        ({"squeeze": True}, ((KeyKind.SQUEEZED, "adam1"),)),
        ({"look_alikes": True}, ((KeyKind.LOOKS, "adarn-l"), (KeyKind.LOOKS, "Adarn-l"))),
        (
            {"look_alikes": True, "squeeze": True},
            ((KeyKind.SQUEEZED_LOOKS, "adarnl"), (KeyKind.SQUEEZED_LOOKS, "Adarnl")),
        ),
    ),
)
def test_keys_are_what_no_two_names_may_share(
    values: dict[str, Any], keys: tuple[tuple[KeyKind, str], ...]
) -> None:
    """None, the squeezed label, or skeletons: of what is compared and of what is shown."""
    judged = _judged(Judge(Policy(profile=Profile.USERNAME, **values)), "Adam-1")
    assert judged.keys == keys


@pytest.mark.parametrize(
    ("one", "other"),
    (
        ("paypal", "\u0440\u0430\u0443\u0440\u04301"),  # Cyrillic, and a digit
        ("\u0440\u0430\u0443\u0440\u0430\u04c0", "paypal"),  # alike only as it is shown
        ("scope", "\u0455\u0441\u043e\u0440\u0435"),  # Cyrillic
        ("paypal", "paypa1"),
        ("paypal", "paypaI"),  # alike only as it is shown
        ("modern", "rnodern"),
        ("llya", "Ilya"),
        ("BOB", "B0B"),
        ("\u0412\u041e\u041d\u0410", "BOHA"),  # alike only in capital letters
    ),
)
def test_twins_share_a_key_and_are_different_names(one: str, other: str) -> None:
    """Whichever comes first keeps the other out."""
    first, second = _judged(USERS, one), _judged(USERS, other)
    assert first.canonical != second.canonical
    assert set(first.keys) & set(second.keys)


@pytest.mark.parametrize(("one", "other"), (("bob", "b0b"), ("ilya", "llya"), ("a-b", "ab")))
def test_what_does_not_look_alike_shares_no_key(one: str, other: str) -> None:
    """None are invented: a small o is no zero, a small i no l; punctuation can be seen."""
    assert not set(_judged(USERS, one).keys) & set(_judged(USERS, other).keys)


@pytest.mark.parametrize("other", ("foobar", "Foo.Bar", "f\u043eo_bar", "f-oobar"))
def test_squeezed_labels_share_a_key(other: str) -> None:
    """Where the policy squeezes; skeletons are then those of squeezed labels."""
    judge = Judge(Policy(squeeze=True, look_alikes=True))
    assert set(_judged(judge, "foo-bar").keys) & set(_judged(judge, other).keys)


@pytest.mark.parametrize(
    ("label", "word"),
    (
        ("admin", "admin"),
        ("Admin", "admin"),
        ("adrnin", "admin"),
        ("1ogin", "login"),
        ("Iogin", "login"),  # a capital I
        ("postrnaster", "postmaster"),
        ("x-admin", "*-admin"),
        ("www", "www"),
        ("\uff57\uff57\uff57", "www"),
        ("\u0430\u0440\u0440", "app"),  # Cyrillic
    ),
)
def test_reserved_words_are_refused_with_the_word(label: str, word: str) -> None:
    """Those of the shipped list too, whatever the disguise."""
    refusal = USERS.judge(label)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.word) == (Reason.RESERVED_WORD, word)
    assert repr(word) in refusal.message


def test_a_mixed_word_meets_a_reserved_one_where_scripts_may_mix() -> None:
    """A profile without a rule for scripts still keeps a Cyrillic admin from being registered."""
    policy = Policy(reserved=("admin",))
    assert _refusal(policy, "\u0430dmin").word == "admin"
    assert _refusal(policy, "\u0410dm\u0456n").word == "admin"


def test_the_policys_own_words_are_reserved_beside_the_shipped_ones() -> None:
    """And the shipped ones only if asked for."""
    own = Policy(profile=Profile.USERNAME, reserved=("acme*",))
    assert _refusal(own, "Acme-Inc").word == "acme*"
    assert isinstance(Judge(own).judge("admin"), Judged)
    both = Policy(profile=Profile.USERNAME, reserved=("acme*",), reserved_shipped=True)
    assert _refusal(both, "acme").word == "acme*"
    assert _refusal(both, "admin").word == "admin"


@pytest.mark.parametrize(
    ("label", "reason"),
    (
        ("", Reason.EMPTY),
        ("ab", Reason.TOO_SHORT),
        ("abcdef", Reason.TOO_LONG),
        ("a b", Reason.FORBIDDEN_CHARACTER),
        ("p\u0430yp", Reason.MIXED_SCRIPTS),
        ("\u05d0\u05d1*", Reason.BAD_FORM),
        ("\u00e9" * 769, Reason.TOO_LONG),
    ),
)
def test_a_refusal_has_a_reason_and_a_sentence(label: str, reason: Reason) -> None:
    """One for programs, one for people; short, and in plain ASCII."""
    refusal = _refusal(Policy(profile=Profile.USERNAME, length_min=3, length_max=5), label)
    assert refusal.reason is reason
    assert refusal.message.isascii()
    assert len(refusal.message) < 300


def test_lengths_are_those_of_the_canonical_form_in_code_points() -> None:
    """And its bytes are limited as those of every label."""
    five = Judge(Policy(length_min=5, length_max=5))
    assert isinstance(five.judge("\u00e9\u00e9\u00e9\u00e9\u00e9"), Judged)
    assert isinstance(five.judge("e\u0301" * 5), Judged)
    largest = Policy(profile=Profile.USERNAME)
    assert isinstance(Judge(largest).judge("\u0437" * 256), Judged)
    assert _refusal(largest, "\u0437" * 257).reason is Reason.TOO_LONG
    assert _refusal(largest, "a" * 513).reason is Reason.TOO_LONG
    assert isinstance(Judge(largest).judge("a" * 512), Judged)


def test_a_label_is_not_looked_at_beyond_what_a_canonical_form_can_come_from() -> None:
    """Wide and decomposed letters take up to three times the bytes."""
    users = Judge(Policy(profile=Profile.USERNAME))
    wide = _judged(users, "\uff41" * 512)
    assert len(wide.original.encode()) == ORIGINAL_BYTES_MAX
    assert wide.canonical == "a" * 512
    for label in ("\uff41" * 513, "a" * 2000, "\ud800" * 513):
        assert _refusal(users.policy, label).reason is Reason.TOO_LONG


def test_a_label_without_a_visible_character_is_refused_where_looks_matter() -> None:
    """It would look like every other of its kind, and like nothing."""
    assert _refusal(Policy(look_alikes=True), "\u200b\u2060").reason is Reason.NOTHING_VISIBLE
    assert isinstance(Judge(Policy()).judge("\u200b"), Judged)


def test_a_name_that_exists_is_found_whatever_the_policy_reserves() -> None:
    """Lengths and reserved words are asked of new names only."""
    strict = Judge(Policy(profile=Profile.USERNAME, length_min=8, reserved=("ann",)))
    assert strict.canonical("Ann") == "ann"
    with pytest.raises(InvalidName) as refused:
        strict.canonical("a b")
    assert refused.value.metadata == {"field": "name", "reason": "FORBIDDEN_CHARACTER"}


def test_a_policy_with_a_word_that_cannot_be_is_refused() -> None:
    """Before it is put in force."""
    with pytest.raises(InvalidRequest, match=r"policy\.reserved"):
        Judge(Policy(reserved=("*",)))


def test_the_largest_skeleton_is_within_its_bound() -> None:
    """A label of the characters that grow most."""
    judged = _judged(Judge(Policy(look_alikes=True)), "\ufdfa" * 170)
    assert judged.skeleton is not None
    assert 5000 < len(judged.skeleton.encode()) <= SKELETON_BYTES_MAX
