"""Update, confirm, rename, history, redirects, policies: what is sent, and what is made of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from namestore import errors
from namestore.client.histories import Ending
from namestore.client.namespace_values import ConflictKind, policy_message
from namestore.client.values import Refusal
from namestore.policy import HoldBack, Policy, Profile
from namestore.rpc.policies import policy_of
from namestore.v1 import namespaces_pb2 as namespaces
from namestore.v1 import registry_pb2 as registry
from tests.unit.client.fake_network import Scene

POLICY = Policy(
    profile=Profile.EMAIL,
    length_min=3,
    length_max=30,
    look_alikes=True,
    reserved=("acme", "acme-*"),
    hold_back=HoldBack(50, 60, 3600),
    redirect_after_rename=True,
    names_per_owner_max=7,
    reservation_default_s=30,
    reservation_longest_s=90,
    email_tag_domains=("*",),
    email_dotless_domains=("gmail.com",),
)


@pytest.fixture(params=("blocking", "asyncio"))
def scene(request: pytest.FixtureRequest) -> Scene:
    return Scene(request.param, nodes=1)


def sent(scene: Scene, method: str) -> Any:
    (only,) = scene.network.of(method)
    return only.request


def test_update_sends_only_what_changes(scene: Scene) -> None:
    """An empty payload is a payload; one that is left away is none."""
    scene.nodes["a:1"].script = [
        registry.UpdateResponse(record=registry.NameRecord(name="user:a", owner="you"))
    ]
    record = scene.update("user:a", "me", new_owner="you", create_revision=4)
    request = sent(scene, "Update")
    assert record.owner == "you"
    assert request.new_owner == "you"
    assert not request.HasField("payload")
    assert request.create_revision == 4
    scene.update("user:a", payload=b"")
    emptied = scene.network.of("Update")[1].request
    assert emptied.HasField("payload")
    assert not emptied.HasField("new_owner")


def test_a_rename_that_is_refused_is_false_and_says_why(scene: Scene) -> None:
    """Until when, and what is in the way, as values of Python."""
    response = registry.RenameResponse(refusal=registry.HELD_BACK, revision=9, in_way="user:paypal")
    response.until.seconds = 86400
    scene.nodes["a:1"].script = [response]
    result = scene.rename("user:a", "user:b", "me", create_revision=3)
    request = sent(scene, "Rename")
    assert (request.from_name, request.to_name, request.create_revision) == ("user:a", "user:b", 3)
    assert not result
    assert result.refusal is Refusal.HELD_BACK
    assert (result.record, result.in_way, result.revision) == (None, "user:paypal", 9)
    assert result.until == datetime(1970, 1, 2, tzinfo=UTC)
    assert result.message is None


@pytest.mark.parametrize(
    ("number", "refusal"),
    [(registry.Refusal.Value(kind.value), kind) for kind in Refusal if kind is not Refusal.OTHER]
    + [(99, Refusal.OTHER)],
)
def test_every_refusal_of_a_register_has_its_value(
    scene: Scene, number: int, refusal: Refusal
) -> None:
    """One that this version does not know is OTHER, never none."""
    scene.nodes["a:1"].script = [
        registry.RegisterResponse(
            refusal=number,  # type: ignore[arg-type]  # also one that is none yet
            message="too short",
            policy_reason="TOO_SHORT",
        )
    ]
    result = scene.register("user:a")
    assert result.refusal is refusal
    assert (result.message, result.policy_reason) == ("too short", "TOO_SHORT")
    assert (result.until, result.in_way) == (None, None)


@pytest.mark.parametrize("method", ("update", "confirm", "rename"))
def test_changes_are_retried_as_the_same_request(scene: Scene, method: str) -> None:
    """An attempt without an answer may have been applied; the next carries its request_id."""
    node = scene.nodes["a:1"]
    node.script = [errors.OutcomeUnknown("the leader went away")]
    arguments = ("user:a", "user:b") if method == "rename" else ("user:a",)
    getattr(scene, method)(*arguments)
    attempts = scene.network.of(method.capitalize())
    assert len(attempts) == 2
    assert len({attempt.request.request_id for attempt in attempts}) == 1
    assert attempts[0].request.request_id


def test_confirm_carries_its_fence_and_identity(scene: Scene) -> None:
    """As they were given."""
    scene.confirm("user:a", "me", create_revision=5, request_id=b"order-17")
    request = sent(scene, "Confirm")
    assert (request.owner, request.create_revision, request.request_id) == ("me", 5, b"order-17")


def test_resolve_tells_where_a_renamed_name_went(scene: Scene) -> None:
    """A redirect is no holding: the result is false, and `lookup` says that it is free."""
    response = registry.LookupResponse(
        redirect=registry.NameRecord(name="user:new", owner="me"), revision=8
    )
    scene.nodes["a:1"].script = [response, response]
    found = scene.resolve("user:old", stale=True)
    assert not found
    assert (found.record, found.redirect.name, found.revision) == (None, "user:new", 8)
    assert sent(scene, "Lookup").consistency == registry.STALE
    assert scene.lookup("user:old") is None


def test_history_is_typed(scene: Scene) -> None:
    """What is still held has no end; an ending that this version does not know is OTHER."""
    response = registry.HistoryResponse(revision=9, oldest_revision=2)
    first = response.holdings.add(
        owner="a", create_revision=3, ended_by=registry.Event.HANDED_OVER, end_revision=4
    )
    first.from_time.seconds, first.to_time.seconds = 1, 2
    unknown = response.holdings.add(owner="b", create_revision=3, end_revision=5)
    unknown.to_time.seconds = 3
    response.holdings.add(owner="c", create_revision=6)
    scene.nodes["a:1"].script = [response]
    history = scene.history("user:a")
    assert sent(scene, "History").consistency == registry.LINEARIZABLE
    assert (history.revision, history.oldest_revision) == (9, 2)
    assert [holding.ended_by for holding in history.holdings] == [
        Ending.HANDED_OVER,
        Ending.OTHER,
        None,
    ]
    assert history.holdings[0].to_time == datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC)
    last = history.holdings[2]
    assert (last.owner, last.to_time, last.end_revision) == ("c", None, None)


@pytest.mark.parametrize("profile", tuple(Profile))
def test_a_policy_is_the_same_after_the_wire(profile: Profile) -> None:
    """Every field of it, and one with every default."""
    policy = replace(POLICY, profile=profile, email_tag_domains=(), email_dotless_domains=())
    for one in (policy, POLICY, Policy(profile=profile)):
        data = policy_message(one).SerializeToString()
        assert policy_of(namespaces.Policy.FromString(data)) == one


def test_put_namespace_lists_what_is_in_the_way(scene: Scene) -> None:
    """A policy that names stand against is an answer: false, with the names."""
    response = namespaces.PutNamespaceResponse(
        namespace=namespaces.Namespace(name="user"), conflict_count=120
    )
    response.conflicts.add(
        kind=namespaces.PolicyConflict.LOOK_ALIKE,
        name="user:paypa1",
        other="user:paypal",
        message="looks like it",
    )
    response.conflicts.add(name="user:b")
    scene.nodes["a:1"].script = [response]
    result = scene.put_namespace("user", POLICY, expected_version=4, check_only=True)
    request = sent(scene, "PutNamespace")
    assert policy_of(request.namespace.policy) == POLICY
    assert (request.namespace.name, request.expected_version, request.check_only) == (
        "user",
        4,
        True,
    )
    assert request.request_id == result.request_id
    assert not result
    assert result.conflict_count == 120
    assert [conflict.kind for conflict in result.conflicts] == [
        ConflictKind.LOOK_ALIKE,
        ConflictKind.OTHER,
    ]
    assert (result.namespace.policy, result.namespace.policy_version) == (None, 0)


def test_a_policy_may_take_a_minute(scene: Scene) -> None:
    """One attempt is given all of it: a node that says nothing is at work."""
    scene.put_namespace("user", POLICY)
    (attempt,) = scene.network.of("PutNamespace")
    assert attempt.timeout > 50


def test_namespaces_are_told_with_what_is_pending(scene: Scene) -> None:
    """One that nobody gave a policy has none; how far a pending one is, is told."""
    pending = namespaces.Namespace(
        name="user",
        policy_version=3,
        policy=policy_message(Policy()),
        pending_version=9,
        pending_policy=policy_message(POLICY),
        pending_through="user:m",
    )
    scene.nodes["a:1"].script = [
        namespaces.GetNamespaceResponse(namespace=namespaces.Namespace(name="post")),
        namespaces.ListNamespacesResponse(namespaces=[pending]),
    ]
    assert scene.get_namespace("post").policy is None
    (state,) = scene.list_namespaces()
    assert (state.policy, state.pending_policy) == (Policy(), POLICY)
    assert (state.policy_version, state.pending_version, state.pending_through) == (3, 9, "user:m")


def test_what_is_no_policy_is_not_sent(scene: Scene) -> None:
    """A dictionary is not judged by guesses."""
    with pytest.raises(errors.InvalidRequest, match=r"namestore\.policy\.Policy"):
        scene.put_namespace("user", {"profile": "slug"})
    assert scene.network.of("PutNamespace") == []
