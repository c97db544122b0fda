"""Values that are made fast are no others."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime

import pytest

from namestore.client.frozen import maker
from namestore.client.values import NameRecord, RegisterResult

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def made() -> tuple[RegisterResult, RegisterResult]:
    """One that was made fast, and one that the class made, of the same fields."""
    record = maker(NameRecord)("user:a", "user:A", "ann", b"p", 3, 4, NOON, None)
    same = NameRecord("user:a", "user:A", "ann", b"p", 3, 4, NOON, None)
    fast = maker(RegisterResult)("user:A", True, None, record, 4, b"id")
    return fast, RegisterResult("user:A", True, None, same, 4, b"id")


def test_they_are_what_the_class_makes() -> None:
    """Equal, of one class, as true, and with the same words; also once copied or kept."""
    fast, slow = made()
    assert fast == slow
    assert hash(fast) == hash(slow)
    assert repr(fast) == repr(slow)
    assert type(fast) is RegisterResult
    assert fast
    assert pickle.loads(pickle.dumps(fast)) == slow  # noqa: S301  # our own
    assert copy.deepcopy(fast) == slow
    assert replace(fast, revision=9) == replace(slow, revision=9)


def test_they_cannot_be_changed() -> None:
    """No field, be it one that was left out."""
    fast, _ = made()
    for name in ("registered", "until"):
        with pytest.raises(FrozenInstanceError):
            setattr(fast, name, False)
    with pytest.raises(FrozenInstanceError):
        del fast.record  # type: ignore[misc]


def test_what_is_left_out_is_what_the_class_says() -> None:
    """By place or by name, with the defaults; and what has none must be given."""
    fast, _ = made()
    assert (fast.until, fast.in_way, fast.message, fast.policy_reason) == (None,) * 4
    named = maker(RegisterResult)(
        name="a",
        registered=False,
        refusal=None,
        record=None,
        revision=1,
        request_id=b"",
        in_way="b",
    )
    assert not named
    assert named.in_way == "b"
    with pytest.raises(TypeError):
        maker(RegisterResult)("a", True)  # type: ignore[call-arg]
