"""Batches whose names differ in nothing else, on a node: answered in few bytes if they can be."""

from __future__ import annotations

from typing import Any

import pytest

from namestore import errors
from namestore.config import dev_config
from namestore.core.commands import IndexNames, PutNamespace
from namestore.core.policies import Policy, Profile, encode_policy
from namestore.rpc.batches import member_requests, member_results
from namestore.server.gateway import Gateway
from namestore.v1 import registry_pb2 as pb
from tests.support.replica import FakeReplica

WAIT = 30.0
ALL = pb.RegisterManyRequest.ALL_OR_NOTHING
USERNAME = Policy(profile=Profile.USERNAME, reserved=("admin",))


@pytest.fixture
def replica() -> FakeReplica:
    return FakeReplica()


@pytest.fixture
def gateway(replica: FakeReplica) -> Gateway:
    return Gateway(replica, dev_config("unused"), "dev")


def short(*names: str, **fields: Any) -> pb.RegisterManyRequest:
    return pb.RegisterManyRequest(names=names, **{"owner": "ann", "request_id": b"r" * 16} | fields)


def govern(replica: FakeReplica) -> None:
    put = PutNamespace(b"put", "user", encode_policy(USERNAME), 0)
    outcome = replica.registry.decide(put)[0]
    if outcome.verdict.name == "POLICY_PENDING":
        replica.registry.decide(IndexNames("user", outcome.revision, ()))


async def results(gateway: Gateway, request: pb.RegisterManyRequest) -> list[pb.RegisterResponse]:
    return member_results(request, await gateway.register_many(request, WAIT))


async def test_names_that_are_free_are_granted_in_one_word(
    gateway: Gateway, replica: FakeReplica
) -> None:
    """One proposal of one command; the answer spelled out is what look-ups show."""
    request = short("user:a", "user:b")
    response = await gateway.register_many(request, WAIT)
    assert (response.granted.first_revision, len(response.results)) == (1, 0)
    assert [len(commands) for commands in replica.calls.proposals] == [1]
    for name, result in zip(request.names, member_results(request, response), strict=True):
        found = await gateway.lookup(pb.LookupRequest(name=name), WAIT)
        assert found.record == result.record


async def test_a_name_that_is_taken_is_said_beside_those_that_are_granted(
    gateway: Gateway,
) -> None:
    """Then each name has its own result."""
    await gateway.register(pb.RegisterRequest(name="user:b", owner="bob"), WAIT)
    first, second, third = await results(gateway, short("user:a", "user:b", "user:a"))
    assert (first.registered, first.revision) == (True, 2)
    assert (second.registered, second.refusal, second.record.owner) == (False, pb.TAKEN, "bob")
    assert (third.registered, third.record.owner) == (False, "ann")


async def test_a_retry_hears_the_same(gateway: Gateway) -> None:
    """Also in the long form, and after one of the names was given back: that one stays free."""
    request = short("user:a", "user:b", "user:c")
    before = await results(gateway, request)
    assert await results(gateway, request) == before
    release = pb.ReleaseRequest(name="user:b", owner="ann", request_id=b"x")
    await gateway.release(release, WAIT)
    assert await results(gateway, request) == before
    assert (
        await results(gateway, pb.RegisterManyRequest(requests=member_requests(request))) == before
    )
    assert not (await gateway.lookup(pb.LookupRequest(name="user:b"), WAIT)).found


async def test_under_a_policy_each_name_is_judged(gateway: Gateway, replica: FakeReplica) -> None:
    """What fits is granted as the policy spells it, what does not is refused."""
    govern(replica)
    fits, reserved, other = await results(gateway, short("user:Ann", "user:admin", "post:Any"))
    assert (fits.registered, fits.record.name, fits.record.display_name) == (
        True,
        "user:ann",
        "user:Ann",
    )
    assert reserved.refusal == pb.RESERVED_WORD
    assert other.record.name == "post:Any"


async def test_a_policy_that_came_meanwhile_judges_what_was_not_granted(
    gateway: Gateway, replica: FakeReplica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch was proposed when there was none: what it decided stands, the rest is judged."""
    propose, once = replica.propose, []

    def late(commands: Any, timeout: float, done: Any) -> None:
        if not once:
            once.append(True)
            govern(replica)
        propose(commands, timeout, done)

    monkeypatch.setattr(replica, "propose", late)
    fits, reserved, other = await results(gateway, short("user:ann", "user:admin", "post:Any"))
    assert (fits.registered, other.registered) == (True, True)
    assert reserved.refusal == pb.RESERVED_WORD
    assert [len(commands) for commands in replica.calls.proposals] == [1, 1]


async def test_names_that_are_wanted_together_are_granted_in_one_word(
    gateway: Gateway, replica: FakeReplica
) -> None:
    """As above; a retry hears the same, in either form, and so does one after a release."""
    await gateway.register(pb.RegisterRequest(name="user:x"), WAIT)
    request = short("user:a", "user:b", mode=ALL)
    response = await gateway.register_many(request, WAIT)
    assert (response.granted.first_revision, len(response.results)) == (2, 0)
    granted = member_results(request, response)
    for name, result in zip(request.names, granted, strict=True):
        found = await gateway.lookup(pb.LookupRequest(name=name), WAIT)
        assert found.record == result.record
    spelled = pb.RegisterManyRequest(requests=member_requests(request), mode=ALL)
    await gateway.release(pb.ReleaseRequest(name="user:b", owner="ann", request_id=b"x"), WAIT)
    for again in (request, spelled):
        assert await results(gateway, again) == granted


async def test_of_names_that_are_wanted_together_one_brings_down_all(gateway: Gateway) -> None:
    """And is named."""
    await gateway.register(pb.RegisterRequest(name="user:b", owner="bob"), WAIT)
    free, taken = await results(gateway, short("user:a", "user:b", mode=ALL))
    assert (free.registered, free.refusal) == (False, pb.REFUSAL_UNSPECIFIED)
    assert (taken.refusal, taken.record.owner) == (pb.TAKEN, "bob")


@pytest.mark.parametrize("meanwhile", (False, True))
async def test_names_that_are_wanted_together_are_judged(
    gateway: Gateway, replica: FakeReplica, monkeypatch: pytest.MonkeyPatch, meanwhile: bool
) -> None:
    """By the policy there is, and by one that comes while they are proposed."""
    propose, once = replica.propose, [] if meanwhile else [True]

    def late(commands: Any, timeout: float, done: Any) -> None:
        if not once:
            once.append(True)
            govern(replica)
        propose(commands, timeout, done)

    if not meanwhile:
        govern(replica)
    monkeypatch.setattr(replica, "propose", late)
    first, second = await results(gateway, short("user:Ann", "post:Any", mode=ALL))
    assert [one.record.name for one in (first, second)] == ["user:ann", "post:Any"]
    assert first.record.display_name == "user:Ann"
    mixed = short("user:bob", "user:admin", request_id=b"s" * 16, mode=ALL)
    fits, reserved = await results(gateway, mixed)
    assert (fits.registered, reserved.refusal) == (False, pb.RESERVED_WORD)


async def test_a_request_id_of_another_request_is_refused_by_name(gateway: Gateway) -> None:
    """The message says which of the names it was."""
    await gateway.register(
        pb.RegisterRequest(name="user:x", owner="bob", request_id=b"r" * 16 + b"\0\1"), WAIT
    )
    await gateway.release(pb.ReleaseRequest(name="user:x", owner="bob", request_id=b"other"), WAIT)
    with pytest.raises(errors.InvalidRequest) as caught:
        await gateway.register_many(short("user:a", "user:b"), WAIT)
    assert caught.value.metadata == {"field": "names[1]"}
