"""Policies on the wire: every field there and back, defaults, and what is refused."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from namestore.core.namespaces import NamespaceState
from namestore.core.policies import HoldBack, Policy, Profile, encode_policy
from namestore.errors import InvalidRequest
from namestore.policy import Conflict, Finding
from namestore.rpc import policies
from namestore.v1 import namespaces_pb2 as pb

EVERYTHING = Policy(
    profile=Profile.EMAIL,
    length_min=2,
    length_max=40,
    look_alikes=True,
    reserved=("a*", "b"),
    hold_back=HoldBack(50, 60, 3600),
    redirect_after_rename=True,
    names_per_owner_max=7,
    reservation_default_s=30,
    reservation_longest_s=90,
    email_tag_domains=("*",),
    email_dotless_domains=("gmail.com",),
)
NAME = Policy(profile=Profile.SLUG, squeeze=True, reserved_shipped=True)


@pytest.mark.parametrize("policy", (Policy(), EVERYTHING, NAME))
def test_a_policy_comes_back_as_it_went(policy: Policy) -> None:
    """Field by field."""
    message = pb.Policy()
    policies.fill_policy(message, policy)
    assert policies.policy_of(message) == policy


def test_every_field_of_a_policy_is_on_the_wire() -> None:
    """Under the name that it has in the core; a field that is added later is not forgotten."""
    on_wire = {field.name for field in pb.Policy.DESCRIPTOR.fields}
    assert on_wire == {field.name for field in fields(Policy)}
    default = Policy()
    changed = [
        field.name
        for field in fields(Policy)
        if getattr(EVERYTHING, field.name) != getattr(default, field.name)
        or getattr(NAME, field.name) != getattr(default, field.name)
    ]
    assert set(changed) == on_wire
    assert {Profile(name.lower()) for name in pb.Policy.Profile.keys()} == set(Profile)  # noqa: SIM118


def test_what_is_left_away_has_its_default() -> None:
    """Lists are sorted, each word once; a short longest time shortens the default."""
    assert policies.policy_of(pb.Policy()) == Policy()
    words = policies.policy_of(pb.Policy(reserved=["b", "a", "b"]))
    assert words == Policy(reserved=("a", "b"))
    short = policies.policy_of(pb.Policy(reservation_longest_s=60))
    assert short == replace(Policy(), reservation_default_s=60, reservation_longest_s=60)


@pytest.mark.parametrize(
    ("request_", "field"),
    (
        (pb.PutNamespaceRequest(), "namespace.name"),
        (pb.PutNamespaceRequest(namespace=pb.Namespace(name="User")), "namespace.name"),
        (pb.PutNamespaceRequest(namespace=pb.Namespace(name="a" * 33)), "namespace.name"),
        (
            pb.PutNamespaceRequest(namespace=pb.Namespace(name="a"), request_id=b"r" * 65),
            "request_id",
        ),
        (
            pb.PutNamespaceRequest(
                namespace=pb.Namespace(name="a", policy=pb.Policy(length_max=513))
            ),
            "policy.length_max",
        ),
        (
            pb.PutNamespaceRequest(
                namespace=pb.Namespace(
                    name="a", policy=pb.Policy(hold_back=pb.HoldBack(minimum_s=2, maximum_s=1))
                )
            ),
            "policy.hold_back.minimum_s",
        ),
    ),
)
def test_a_put_is_refused_with_its_field(request_: pb.PutNamespaceRequest, field: str) -> None:
    """Before anything is looked at."""
    with pytest.raises(InvalidRequest) as caught:
        policies.put_command(request_)
    assert caught.value.metadata == {"field": field}


def test_a_profile_of_a_later_version_is_refused() -> None:
    """Not taken for another one."""
    message = pb.Policy.FromString(b"\x08\x09")
    with pytest.raises(InvalidRequest) as caught:
        policies.policy_of(message)
    assert caught.value.metadata == {"field": "policy.profile"}


def test_a_namespace_says_what_is_in_force_and_what_is_pending() -> None:
    """A policy that there is none of is absent."""
    message = pb.Namespace()
    policies.fill_namespace(message, "user", NamespaceState())
    assert message == pb.Namespace(name="user")
    space = NamespaceState(3, encode_policy(NAME), 9, encode_policy(EVERYTHING), "user:b")
    policies.fill_namespace(message, "user", space)
    assert (message.policy_version, message.pending_version) == (3, 9)
    assert policies.policy_of(message.policy) == NAME
    assert policies.policy_of(message.pending_policy) == EVERYTHING
    assert message.pending_through == "user:b"


def test_a_conflict_names_both_names() -> None:
    """With their namespace; an invalid name has no other."""
    alike = Finding(Conflict.LOOK_ALIKE, "paypa1", "paypal", "alike")
    assert policies.conflict_message("user", alike) == pb.PolicyConflict(
        kind=pb.PolicyConflict.LOOK_ALIKE, name="user:paypa1", other="user:paypal", message="alike"
    )
    invalid = Finding(Conflict.INVALID, "x y", "", "space")
    assert policies.conflict_message("user", invalid).other == ""
