"""namestore.policy.forms: a policy as the plain values of JSON and TOML."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest

from namestore.core.policies import HoldBack, Policy, Profile
from namestore.errors import InvalidRequest
from namestore.policy.forms import policy_from, policy_to

FULL = Policy(
    profile=Profile.USERNAME,
    length_min=3,
    length_max=30,
    squeeze=True,
    look_alikes=True,
    reserved=("acme*", "zo\u00e9"),
    reserved_shipped=True,
    hold_back=HoldBack(50, 3600, 86400),
    redirect_after_rename=True,
    names_per_owner_max=3,
    reservation_default_s=60,
    reservation_longest_s=3600,
)
ADDRESSES = Policy(profile=Profile.EMAIL, email_tag_domains=("*",), email_dotless_domains=("a.b",))


@pytest.mark.parametrize("policy", (Policy(), FULL, ADDRESSES))
def test_a_policy_comes_back_from_its_plain_values(policy: Policy) -> None:
    """Through JSON, every field of it."""
    values = policy_to(policy)
    assert list(values) == [field.name for field in fields(Policy)]
    assert policy_from(json.loads(json.dumps(values))) == policy


def test_what_is_left_away_has_its_default() -> None:
    """Nothing said is a policy without rules."""
    assert policy_from({}) == Policy()
    assert policy_from({"profile": "slug"}) == Policy(profile=Profile.SLUG)


@pytest.mark.parametrize(
    ("value", "hold_back"),
    (
        ("never", HoldBack()),
        (0, HoldBack()),
        (3600, HoldBack.fixed(3600)),
        ({"percent": 50, "minimum_s": 1, "maximum_s": 9}, HoldBack(50, 1, 9)),
    ),
)
def test_hold_back_is_never_or_seconds_or_a_share(value: Any, hold_back: HoldBack) -> None:
    """The plain cases are plain to write."""
    assert policy_from({"hold_back": value}).hold_back == hold_back


def test_plain_hold_backs_are_written_plainly() -> None:
    """As a person would."""
    assert policy_to(Policy())["hold_back"] == "never"
    assert policy_to(Policy(hold_back=HoldBack.fixed(60)))["hold_back"] == 60


def test_words_are_sorted_and_kept_once() -> None:
    """Two lists of the same words are the same policy."""
    one = policy_from({"reserved": ["b", "a", "b"]})
    assert one == policy_from({"reserved": ["a", "b"]})
    assert one.reserved == ("a", "b")


@pytest.mark.parametrize(
    ("values", "field", "said"),
    (
        ({"lenght_min": 3}, "policy.lenght_min", "did you mean length_min?"),
        ({"quite_another": 3}, "policy.quite_another", "known are profile, "),
        ({"profile": "nickname"}, "policy.profile", "exact, slug, username, email"),
        ({"profile": 1}, "policy.profile", "not a profile"),
        ({"profile": ["slug"]}, "policy.profile", "not a profile"),
        ({"reserved": "admin"}, "policy.reserved", "not a list of texts"),
        ({"reserved": ["a", 1]}, "policy.reserved", "not a list of texts"),
        ({"hold_back": "always"}, "policy.hold_back", "neither"),
        ({"hold_back": True}, "policy.hold_back", "neither"),
        ({"hold_back": 1.5}, "policy.hold_back", "neither"),
        ({"hold_back": -1}, "policy.hold_back.maximum_s", "whole number"),
        ({"hold_back": {"percent": 5}}, "policy.hold_back", "has no minimum_s"),
        ({"hold_back": {"factor": 5}}, "policy.hold_back.factor", "not known"),
        ({"squeeze": "yes"}, "policy.squeeze", "neither true nor false"),
        ({"length_max": "9"}, "policy.length_max", "whole number"),
    ),
)
def test_what_cannot_be_is_refused_by_its_key(
    values: dict[str, Any], field: str, said: str
) -> None:
    """A misspelt rule is never silently left out."""
    with pytest.raises(InvalidRequest) as refused:
        policy_from(values)
    assert refused.value.metadata["field"] == field
    assert said in refused.value.message
