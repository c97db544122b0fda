"""A namespace gets a policy: judged against the names it has, carried out to the end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from namestore import errors
from namestore.config import dev_config
from namestore.core.commands import AbandonPolicy, decode_command
from namestore.core.outcomes import Verdict
from namestore.core.reading import namespace_state
from namestore.rpc import policies
from namestore.server import carrying
from namestore.server.gateway import Gateway
from namestore.server.namespaces import CONFLICTS_LISTED_MAX
from namestore.v1 import namespaces_pb2 as ns
from namestore.v1 import registry_pb2 as pb
from tests.support.registry_driver import register
from tests.support.replica import FakeReplica

WAIT = 30.0
USERNAME = ns.Policy(profile=ns.Policy.USERNAME, look_alikes=True)


@pytest.fixture
def replica() -> FakeReplica:
    return FakeReplica()


@pytest.fixture
def gateway(replica: FakeReplica) -> Gateway:
    return Gateway(replica, dev_config("unused"), "dev")


def put(policy: ns.Policy = USERNAME, **fields: Any) -> ns.PutNamespaceRequest:
    return ns.PutNamespaceRequest(namespace=ns.Namespace(name="user", policy=policy), **fields)


def fill(replica: FakeReplica, labels: Sequence[str]) -> None:
    commands = [register(f"fill-{label}"[:20], f"user:{label}") for label in labels]
    for start in range(0, len(commands), 500):
        replica.registry.apply(*commands[start : start + 500])


async def stands(gateway: Gateway) -> ns.Namespace:
    response = await gateway.get_namespace(ns.GetNamespaceRequest(name="user"), WAIT)
    return response.namespace


async def test_an_empty_namespace_has_its_policy_at_once(gateway: Gateway) -> None:
    """What was put is what is read, every default with its value; a retry hears the same."""
    assert await stands(gateway) == ns.Namespace(name="user")
    request = put(request_id=b"p")
    answer = await gateway.put_namespace(request, WAIT)
    assert (answer.accepted, answer.namespace.policy_version) == (True, 1)
    assert answer.namespace.policy.length_max == 512
    assert await stands(gateway) == answer.namespace
    listed = await gateway.list_namespaces(ns.ListNamespacesRequest(), WAIT)
    assert list(listed.namespaces) == [answer.namespace]
    assert await gateway.put_namespace(request, WAIT) == answer


async def test_a_policy_that_was_taken_is_never_called_certainly_not_done(
    gateway: Gateway, replica: FakeReplica
) -> None:
    """When it is in force, and how it stands cannot be read any more, the outcome is unknown."""

    def lose_quorum() -> None:
        replica.switches.quorum = False

    replica.changed = lose_quorum
    with pytest.raises(errors.OutcomeUnknown):
        await gateway.put_namespace(put(request_id=b"p"), WAIT)
    assert namespace_state(replica.registry.view(), "user").version == 1
    replica.switches.quorum = True
    replica.changed = None
    assert (await gateway.put_namespace(put(request_id=b"p"), WAIT)).accepted


async def test_names_that_could_not_stay_refuse_the_policy(
    gateway: Gateway, replica: FakeReplica
) -> None:
    """Each is listed with its kind, and nothing is changed."""
    fill(replica, ["paypal", "paypa1", "Big", "two words"])
    answer = await gateway.put_namespace(put(), WAIT)
    assert not answer.accepted
    assert {(item.name, item.other, item.kind) for item in answer.conflicts} == {
        ("user:Big", "user:big", ns.PolicyConflict.MOVED),
        ("user:paypal", "user:paypa1", ns.PolicyConflict.LOOK_ALIKE),
        ("user:two words", "", ns.PolicyConflict.INVALID),
    }
    assert answer.conflict_count == 3
    assert replica.calls.proposals == []
    assert await stands(gateway) == ns.Namespace(name="user")


async def test_conflicts_are_listed_within_bounds(gateway: Gateway, replica: FakeReplica) -> None:
    """Beyond, they are counted."""
    fill(replica, [f"Big{n}" for n in range(CONFLICTS_LISTED_MAX + 20)])
    answer = await gateway.put_namespace(put(), WAIT)
    assert len(answer.conflicts) == CONFLICTS_LISTED_MAX
    assert answer.conflict_count == CONFLICTS_LISTED_MAX + 20


async def test_words_reserved_later_take_no_name_away(
    gateway: Gateway, replica: FakeReplica
) -> None:
    """Its holder keeps it, and nobody registers it anew."""
    fill(replica, ["admin", "ann"])
    policy = ns.Policy(profile=ns.Policy.USERNAME, look_alikes=True, reserved=["admin"])
    answer = await gateway.put_namespace(put(policy), WAIT)
    assert (answer.accepted, answer.namespace.pending_version) == (True, 0)
    assert (await gateway.lookup(pb.LookupRequest(name="user:admin"), WAIT)).found
    alike = await gateway.register(pb.RegisterRequest(name="user:Admin"), WAIT)
    assert alike.refusal == pb.RESERVED_WORD


async def test_a_policy_is_carried_over_every_name(gateway: Gateway, replica: FakeReplica) -> None:
    """In bounded commands; afterwards their look-alikes are refused, the first and the last."""
    count = 2 * carrying.NAMES_AT_ONCE + 7
    fill(replica, [f"n{number:04}l" for number in range(count)])
    answer = await gateway.put_namespace(put(), WAIT)
    assert (answer.accepted, answer.namespace.pending_version) == (True, 0)
    assert answer.namespace.policy_version == count + 1
    sizes = [
        len(command.names)
        for proposal in replica.calls.proposals
        for command in map(decode_command, proposal)
        if hasattr(command, "names")
    ]
    assert sum(sizes) == count
    assert max(sizes) <= carrying.NAMES_AT_ONCE
    for label in ("n00001", f"n{count - 1:04}1"):
        refused = await gateway.register(pb.RegisterRequest(name=f"user:{label}"), WAIT)
        assert refused.refusal == pb.CONFUSABLE


async def test_a_policy_that_only_changes_lives_looks_at_no_name(
    gateway: Gateway, replica: FakeReplica
) -> None:
    """It is in force in the same step, whatever names there are."""
    fill(replica, ["Big", "two words"])
    life = ns.Policy(hold_back=ns.HoldBack(maximum_s=60, minimum_s=60))
    answer = await gateway.put_namespace(put(life), WAIT)
    assert (answer.accepted, answer.namespace.policy_version) == (True, 3)
    assert len(replica.calls.proposals) == 1


async def test_a_policy_is_replaced_only_as_it_is_expected(gateway: Gateway) -> None:
    """Two who change it at once do not undo each other."""
    await gateway.put_namespace(put(), WAIT)
    with pytest.raises(errors.StaleFence) as caught:
        await gateway.put_namespace(put(ns.Policy()), WAIT)
    assert caught.value.metadata == {"policy_version": "1"}
    answer = await gateway.put_namespace(put(ns.Policy(), expected_version=1), WAIT)
    assert (answer.accepted, answer.namespace.policy_version) == (True, 2)


async def test_check_only_changes_nothing(gateway: Gateway, replica: FakeReplica) -> None:
    """It says what a put would have said."""
    fill(replica, ["ann"])
    assert (await gateway.put_namespace(put(check_only=True), WAIT)).accepted
    assert await stands(gateway) == ns.Namespace(name="user")
    fill(replica, ["Ann"])
    answer = await gateway.put_namespace(put(check_only=True), WAIT)
    assert (answer.accepted, answer.conflict_count) == (False, 1)
    assert replica.calls.proposals == []


class Crashes:
    """The node that puts a policy is gone right after the policy became pending."""

    def __init__(self, replica: FakeReplica, monkeypatch: pytest.MonkeyPatch) -> None:
        self.crashed = False
        propose = replica.propose

        def crashing(commands: Any, timeout: float, done: Any) -> None:
            if self.crashed:
                done(errors.ShuttingDown("gone"))
                return
            propose(commands, timeout, done)
            self.crashed = True

        monkeypatch.setattr(replica, "propose", crashing)


async def test_a_policy_that_is_pending_is_said_to_be(
    gateway: Gateway, replica: FakeReplica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was taken, so that is the answer, whatever stopped it; the same put goes on with it, and
    another one has to wait."""
    fill(replica, ["ann", "bea"])
    crash = Crashes(replica, monkeypatch)
    answer = await gateway.put_namespace(put(), WAIT)
    assert (answer.accepted, answer.namespace.policy_version) == (True, 0)
    assert answer.namespace.pending_version == 3
    assert answer.namespace.pending_policy.profile == ns.Policy.USERNAME
    crash.crashed = False
    monkeypatch.undo()
    with pytest.raises(errors.ChangeUnderWay):
        await gateway.put_namespace(put(ns.Policy(squeeze=True)), WAIT)
    answer = await gateway.put_namespace(put(), WAIT)
    assert (answer.accepted, answer.namespace.policy_version) == (True, 3)
    assert answer.namespace.pending_version == 0


async def test_a_name_that_came_between_the_look_and_the_policy_drops_it(
    gateway: Gateway, replica: FakeReplica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was registered under the old rules and cannot stay: the policy goes, and it is named."""
    fill(replica, ["ann"])
    propose = replica.propose

    def late(commands: Any, timeout: float, done: Any) -> None:
        monkeypatch.setattr(replica, "propose", propose)
        fill(replica, ["Bea"])
        propose(commands, timeout, done)

    monkeypatch.setattr(replica, "propose", late)
    answer = await gateway.put_namespace(put(), WAIT)
    assert not answer.accepted
    assert [(item.name, item.kind) for item in answer.conflicts] == [
        ("user:Bea", ns.PolicyConflict.MOVED)
    ]
    assert answer.namespace == ns.Namespace(name="user")
    assert isinstance(decode_command(replica.calls.proposals[-1][0]), AbandonPolicy)
    assert not namespace_state(replica.registry.view(), "user").pending_version


async def test_a_name_whose_look_is_too_long_drops_the_policy(
    gateway: Gateway, replica: FakeReplica
) -> None:
    """It could not be indexed, so nothing waits for it; it is named."""
    label = "\ufdfa" * 170
    fill(replica, ["ann", label])
    answer = await gateway.put_namespace(put(ns.Policy(look_alikes=True)), WAIT)
    assert not answer.accepted
    assert [(item.name, item.kind) for item in answer.conflicts] == [
        (f"user:{label}", ns.PolicyConflict.INVALID)
    ]
    assert answer.namespace == ns.Namespace(name="user")


async def test_two_names_that_came_to_exclude_each_other_drop_it(
    gateway: Gateway, replica: FakeReplica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The registry meets them; both are named."""
    fill(replica, ["paypal"])
    propose = replica.propose

    def late(commands: Any, timeout: float, done: Any) -> None:
        monkeypatch.setattr(replica, "propose", propose)
        fill(replica, ["paypa1"])
        propose(commands, timeout, done)

    monkeypatch.setattr(replica, "propose", late)
    answer = await gateway.put_namespace(put(), WAIT)
    assert not answer.accepted
    (conflict,) = answer.conflicts
    assert {conflict.name, conflict.other} == {"user:paypal", "user:paypa1"}


async def test_a_name_that_is_held_back_drops_the_policy(
    gateway: Gateway, replica: FakeReplica
) -> None:
    """It was taken while the policy was on its way, and given back: nobody but its last owner may
    have anything that looks like it, so a name that does cannot come under the policy. Both are
    named, and that one of them only waits."""
    held_back = ns.HoldBack(minimum_s=3600, maximum_s=3600)
    lives = ns.Policy(hold_back=held_back)
    in_force = (await gateway.put_namespace(put(lives), WAIT)).namespace.policy_version
    await gateway.register(pb.RegisterRequest(name="user:paypa1", owner="ann"), WAIT)
    alike = ns.Policy(hold_back=held_back, look_alikes=True)
    begun = policies.put_command(put(alike, expected_version=in_force))
    assert replica.registry.decide(begun)[0].verdict is Verdict.POLICY_PENDING
    taken = pb.RegisterRequest(name="user:paypal", owner="bob")
    assert (await gateway.register(taken, WAIT)).registered
    await gateway.release(pb.ReleaseRequest(name="user:paypal", owner="bob"), WAIT)
    answer = await gateway.put_namespace(put(alike, expected_version=in_force), WAIT)
    assert not answer.accepted
    (conflict,) = answer.conflicts
    assert (conflict.name, conflict.other) == ("user:paypa1", "user:paypal")
    assert "held back" in conflict.message
    assert answer.namespace.policy_version == in_force
    assert not answer.namespace.pending_version


async def test_a_node_that_drains_leaves_a_policy_to_the_others(
    gateway: Gateway, replica: FakeReplica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers that the policy is pending, and keeps its end waiting no longer."""
    fill(replica, [f"n{number:04}" for number in range(3 * carrying.NAMES_AT_ONCE)])
    propose = replica.propose

    def last_calls(commands: Any, timeout: float, done: Any) -> None:
        propose(commands, timeout, done)
        if len(replica.calls.proposals) == 2:
            gateway.begin_drain()

    monkeypatch.setattr(replica, "propose", last_calls)
    answer = await gateway.put_namespace(put(), WAIT)
    assert answer.accepted
    assert answer.namespace.pending_through == f"user:n{carrying.NAMES_AT_ONCE - 1:04}"
    await asyncio.wait_for(gateway.drained(), 10)


async def test_a_policy_that_somebody_else_dropped_was_not_accepted(
    gateway: Gateway, replica: FakeReplica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the reason was, and although it is gone by now."""
    fill(replica, ["ann"])
    propose = replica.propose

    def dropping(commands: Any, timeout: float, done: Any) -> None:
        propose(commands, timeout, done)
        version = namespace_state(replica.registry.view(), "user").pending_version
        if version:
            replica.registry.decide(AbandonPolicy(b"drop", "user", version))

    monkeypatch.setattr(replica, "propose", dropping)
    answer = await gateway.put_namespace(put(), WAIT)
    assert (answer.accepted, answer.conflict_count) == (False, 0)
    assert answer.namespace == ns.Namespace(name="user")


async def test_a_put_that_is_late_says_how_far_it_is(
    replica: FakeReplica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the deadline of its caller the policy is pending, and not lost."""
    now = [0.0]
    gateway = Gateway(replica, dev_config("unused"), "dev", clock=lambda: now[0])
    fill(replica, [f"n{number:04}" for number in range(2 * carrying.NAMES_AT_ONCE)])
    propose = replica.propose

    def slow(commands: Any, timeout: float, done: Any) -> None:
        propose(commands, timeout, done)
        if len(replica.calls.proposals) == 2:
            now[0] = 29.0

    monkeypatch.setattr(replica, "propose", slow)
    answer = await gateway.put_namespace(put(), 30.0)
    assert (answer.accepted, answer.namespace.policy_version) == (True, 0)
    assert answer.namespace.pending_version == 2 * carrying.NAMES_AT_ONCE + 1
    assert answer.namespace.pending_through == f"user:n{carrying.NAMES_AT_ONCE - 1:04}"


async def test_a_policy_that_cannot_be_is_refused(gateway: Gateway, replica: FakeReplica) -> None:
    """Also for what only its own judge knows."""
    with pytest.raises(errors.InvalidRequest) as caught:
        await gateway.put_namespace(put(ns.Policy(profile=ns.Policy.EMAIL, squeeze=True)), WAIT)
    assert caught.value.metadata == {"field": "policy.squeeze"}
    with pytest.raises(errors.InvalidRequest) as caught:
        await gateway.get_namespace(ns.GetNamespaceRequest(name="?"), WAIT)
    assert caught.value.metadata == {"field": "name"}
    assert replica.calls.proposals == []


async def test_without_a_majority_no_policy_is_put_or_told(
    gateway: Gateway, replica: FakeReplica
) -> None:
    """Certainly not applied; a draining node takes none either."""
    replica.switches.quorum = False
    for call in (
        gateway.put_namespace(put(), WAIT),
        gateway.get_namespace(ns.GetNamespaceRequest(name="user"), WAIT),
        gateway.list_namespaces(ns.ListNamespacesRequest(), WAIT),
    ):
        with pytest.raises(errors.NoQuorum):
            await call
    gateway.begin_drain()
    with pytest.raises(errors.ShuttingDown):
        await gateway.put_namespace(put(), WAIT)
    await asyncio.wait_for(gateway.drained(), 10)
