"""namestore.core.policies: what a policy may say, and its bytes."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgpack
import pytest

from namestore.core.policies import (
    EMAIL_DOMAINS_MAX,
    POLICY_FORMAT,
    RESERVED_BYTES_MAX,
    RESERVED_WORD_CHARS_MAX,
    RESERVED_WORDS_MAX,
    SECONDS_MAX,
    HoldBack,
    Policy,
    Profile,
    decode_policy,
    encode_policy,
)
from namestore.errors import InvalidRequest, InvariantViolation

DAY_S = 24 * 3600
DAY_MS = DAY_S * 1000

FULL = Policy(
    profile=Profile.USERNAME,
    length_min=3,
    length_max=254,
    squeeze=True,
    look_alikes=True,
    reserved=("abuse*", "post?aster", "\u0430dmin"),
    reserved_shipped=True,
    hold_back=HoldBack(50, DAY_S, 90 * DAY_S),
    redirect_after_rename=True,
    names_per_owner_max=3,
    reservation_default_s=60,
    reservation_longest_s=3600,
)
ADDRESSES = Policy(
    profile=Profile.EMAIL,
    reserved=("abuse@*",),
    email_tag_domains=("*",),
    email_dotless_domains=("gmail.com", "googlemail.com"),
)


def test_a_policy_without_rules_is_how_a_namespace_without_policy_behaves() -> None:
    """`Policy()`: NFC, any length a label may have, nothing reserved, held back or limited."""
    policy = Policy()
    assert policy.profile is Profile.EXACT
    assert (policy.length_min, policy.length_max) == (1, 512)
    assert not policy.squeeze
    assert not policy.look_alikes
    assert policy.reserved == ()
    assert not policy.reserved_shipped
    assert policy.hold_back.period_ms(10 * DAY_MS) == 0
    assert not policy.redirect_after_rename
    assert policy.names_per_owner_max == 0


@pytest.mark.parametrize(
    ("hold_back", "held_ms", "period_ms"),
    (
        (HoldBack(), 100 * DAY_MS, 0),
        (HoldBack.fixed(30), 0, 30_000),
        (HoldBack.fixed(30), 100 * DAY_MS, 30_000),
        (HoldBack.fixed(0), 100 * DAY_MS, 0),
        (HoldBack(50, DAY_S, 30 * DAY_S), 0, DAY_MS),
        (HoldBack(50, DAY_S, 30 * DAY_S), 2 * DAY_MS, DAY_MS),
        (HoldBack(50, DAY_S, 30 * DAY_S), 4 * DAY_MS, 2 * DAY_MS),
        (HoldBack(50, DAY_S, 30 * DAY_S), 60 * DAY_MS, 30 * DAY_MS),
        (HoldBack(50, DAY_S, 30 * DAY_S), 61 * DAY_MS, 30 * DAY_MS),
        (HoldBack(50, 0, DAY_S), 3, 1),
        (HoldBack(50, 0, DAY_S), -5, 0),
    ),
)
def test_hold_back_is_a_share_of_the_time_held_within_bounds(
    hold_back: HoldBack, held_ms: int, period_ms: int
) -> None:
    """Never, fixed and proportional are one rule; whole milliseconds, rounded down."""
    assert hold_back.period_ms(held_ms) == period_ms


@pytest.mark.parametrize(
    ("field", "values"),
    (
        ("profile", {"profile": "exact"}),
        ("profile", {"profile": None}),
        ("length_min", {"length_min": 0}),
        ("length_min", {"length_min": 5, "length_max": 4}),
        ("length_min", {"length_min": 1.0}),
        ("length_min", {"length_min": True}),
        ("length_max", {"length_max": 0}),
        ("length_max", {"length_max": 513}),
        ("squeeze", {"squeeze": 1}),
        ("look_alikes", {"look_alikes": None}),
        ("reserved_shipped", {"reserved_shipped": "user"}),
        ("redirect_after_rename", {"redirect_after_rename": 0}),
        ("squeeze", {"squeeze": True, "profile": Profile.EMAIL}),
        ("reserved_shipped", {"reserved_shipped": True, "profile": Profile.EMAIL}),
        ("hold_back", {"hold_back": 30}),
        ("names_per_owner_max", {"names_per_owner_max": -1}),
        ("names_per_owner_max", {"names_per_owner_max": 1_000_001}),
        ("reservation_longest_s", {"reservation_longest_s": 0}),
        ("reservation_longest_s", {"reservation_longest_s": SECONDS_MAX + 1}),
        ("reservation_default_s", {"reservation_default_s": 0}),
        ("reservation_default_s", {"reservation_default_s": 61, "reservation_longest_s": 60}),
        ("reserved", {"reserved": ["admin"]}),
        ("reserved", {"reserved": "admin"}),
        ("reserved", {"reserved": ("",)}),
        ("reserved", {"reserved": (1,)}),
        ("reserved", {"reserved": ("a" * (RESERVED_WORD_CHARS_MAX + 1),)}),
        ("reserved", {"reserved": ("ok", "\ud800")}),
        ("reserved", {"reserved": ("b", "a", "c", "a")}),
        ("reserved", {"reserved": tuple(map(str, range(RESERVED_WORDS_MAX + 1)))}),
        (
            "reserved",
            {"reserved": tuple(f"{n:0128d}" for n in range(RESERVED_BYTES_MAX // 128 + 1))},
        ),
        ("email_tag_domains", {"email_tag_domains": ("a.example",)}),
        ("email_dotless_domains", {"email_dotless_domains": ("*",), "profile": Profile.SLUG}),
        (
            "email_tag_domains",
            {
                "profile": Profile.EMAIL,
                "email_tag_domains": tuple(f"{n}.example" for n in range(EMAIL_DOMAINS_MAX + 1)),
            },
        ),
    ),
)
def test_a_field_out_of_range_is_refused_by_its_name(field: str, values: dict[str, Any]) -> None:
    """No policy exists that is not valid; the error says which field of it cannot be right."""
    with pytest.raises(InvalidRequest) as refused:
        Policy(**values)
    assert refused.value.metadata["field"] == f"policy.{field}"
    assert refused.value.message.startswith(f"policy.{field}: ")


@pytest.mark.parametrize(
    ("field", "values"),
    (
        ("percent", (-1, 0, 0)),
        ("percent", (1001, 0, 0)),
        ("percent", (0.5, 0, 0)),
        ("minimum_s", (0, -1, 0)),
        ("minimum_s", (0, 2, 1)),
        ("maximum_s", (0, 0, SECONDS_MAX + 1)),
    ),
)
def test_a_hold_back_out_of_range_is_refused_by_its_name(field: str, values: Any) -> None:
    """As for the policy that holds it."""
    with pytest.raises(InvalidRequest) as refused:
        HoldBack(*values)
    assert refused.value.metadata["field"] == f"policy.hold_back.{field}"


def test_a_policy_as_large_as_it_may_be_fits_into_one_entry() -> None:
    """Its bytes stay below the smallest size to which an entry may be configured, 64 KiB."""
    count = RESERVED_WORDS_MAX
    words = tuple(f"{n:0{RESERVED_BYTES_MAX // count}d}" for n in range(count))
    domains = tuple(f"{n:0253d}" for n in range(EMAIL_DOMAINS_MAX))
    largest = dataclasses.replace(
        ADDRESSES, reserved=words, email_tag_domains=domains, email_dotless_domains=domains
    )
    assert sum(map(len, words)) == RESERVED_BYTES_MAX
    assert len(encode_policy(largest)) < 60 * 1024


@pytest.mark.parametrize("policy", (Policy(), FULL, ADDRESSES))
def test_a_policy_comes_back_from_its_bytes(policy: Policy) -> None:
    """Every field is kept, and equal policies have equal bytes."""
    data = encode_policy(policy)
    assert decode_policy(data) == policy
    assert encode_policy(decode_policy(data)) == data


def test_every_field_is_in_the_bytes() -> None:
    """A field that is added to `Policy` and forgotten in the bytes would differ between nodes."""
    default, plain = Policy(), encode_policy(Policy())
    for field in dataclasses.fields(Policy):
        only_addresses = field.name.startswith("email_")
        value = getattr(ADDRESSES if only_addresses else FULL, field.name)
        assert value != getattr(default, field.name)
        profile = {"profile": Profile.EMAIL} if only_addresses else {}
        changed = dataclasses.replace(default, **profile, **{field.name: value})
        assert encode_policy(changed) != plain
        assert decode_policy(encode_policy(changed)) == changed


def _with(position: int, value: Any) -> bytes:
    fields = list(msgpack.unpackb(encode_policy(FULL), use_list=False))
    fields[position] = value
    packed: bytes = msgpack.packb(fields)
    return packed


@pytest.mark.parametrize(
    "data",
    (
        b"",
        b"\xc0",
        msgpack.packb(()),
        encode_policy(FULL)[:-1],
        encode_policy(FULL) + b"\x00",
        _with(0, POLICY_FORMAT + 1),
        _with(0, "1"),
        _with(1, "nickname"),
        _with(2, 0),
        _with(4, 1),
        _with(6, ("a", "a")),
        _with(8, (1, 2)),
        _with(8, ("1", "2", "3")),
        _with(12, 1),
    ),
)
def test_damaged_bytes_stop_the_node(data: bytes) -> None:
    """A policy that cannot be read is never taken for another one."""
    with pytest.raises(InvariantViolation, match="policy"):
        decode_policy(data)
