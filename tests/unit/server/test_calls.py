"""Reservations, changes of a holding, redirects and history, as callers meet them."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from namestore import errors
from namestore.config import dev_config
from namestore.core.commands import PutNamespace
from namestore.core.policies import HoldBack, Policy, encode_policy
from namestore.server.gateway import Gateway
from namestore.server.reading import HOLDINGS_MAX
from namestore.v1 import registry_pb2 as pb
from tests.support.registry_driver import register, release
from tests.support.replica import FakeReplica

WAIT = 30.0


@pytest.fixture
def replica() -> FakeReplica:
    return FakeReplica()


@pytest.fixture
def gateway(replica: FakeReplica) -> Gateway:
    return Gateway(replica, dev_config("unused"), "dev")


def govern(replica: FakeReplica, **rules: Any) -> None:
    """Gives `user` a policy, behind the gateway's back."""
    version = 0
    put = PutNamespace(b"policy", "user", encode_policy(Policy(**rules)), version)
    assert replica.registry.decide(put)[0].verdict.name == "POLICY_ACTIVE"


async def take(gateway: Gateway, name: str, owner: str = "ann", **fields: Any) -> pb.NameRecord:
    response = await gateway.register(pb.RegisterRequest(name=name, owner=owner, **fields), WAIT)
    assert response.registered
    return response.record


async def found(gateway: Gateway, name: str) -> pb.LookupResponse:
    return await gateway.lookup(pb.LookupRequest(name=name), WAIT)


async def test_a_reservation_ends_by_itself(gateway: Gateway, replica: FakeReplica) -> None:
    """It says when it ends; from then on no read shows it, and anybody may take it."""
    record = await take(gateway, "user:a", ttl=Duration(seconds=60))
    assert record.expire_time.ToMilliseconds() == record.create_time.ToMilliseconds() + 60_000
    replica.registry.clock_ms += 60_000
    await take(gateway, "post:clock")
    assert not (await found(gateway, "user:a")).found
    listed = await gateway.list(pb.ListRequest(prefix="user:"), WAIT)
    assert not listed.records
    many = await gateway.lookup_many(pb.LookupManyRequest(names=["user:a"]), WAIT)
    assert not many.results[0].found
    await take(gateway, "user:a", owner="bob")


@pytest.mark.parametrize(
    ("ttl", "lasts_ms"),
    (
        (Duration(), 600_000),
        (Duration(nanos=1), 1),
        (Duration(seconds=1, nanos=500_000_001), 1501),
        (Duration(seconds=300_000_000_000), 7 * 24 * 3600 * 1000),
    ),
)
async def test_a_reservation_lasts_as_asked_within_its_bounds(
    ttl: Duration, lasts_ms: int, gateway: Gateway
) -> None:
    """Zero is the default, part of a millisecond counts as one, too long is the longest."""
    record = await take(gateway, "user:a", ttl=ttl)
    begin = record.create_time.ToMilliseconds()
    assert record.expire_time.ToMilliseconds() - begin == lasts_ms


async def test_confirming_makes_a_reservation_permanent(
    gateway: Gateway, replica: FakeReplica
) -> None:
    """By its owner and within its time; after it the name is nobody's."""
    await take(gateway, "user:a", ttl=Duration(seconds=60))
    with pytest.raises(errors.NotOwner):
        await gateway.confirm(pb.ConfirmRequest(name="user:a", owner="bob"), WAIT)
    stale = pb.ConfirmRequest(name="user:a", owner="ann", create_revision=9)
    with pytest.raises(errors.StaleFence):
        await gateway.confirm(stale, WAIT)
    request = pb.ConfirmRequest(name="user:a", owner="ann", request_id=b"c")
    confirmed = await gateway.confirm(request, WAIT)
    assert not confirmed.record.HasField("expire_time")
    assert confirmed.revision == 2
    assert await gateway.confirm(request, WAIT) == confirmed
    await take(gateway, "user:b", ttl=Duration(seconds=60))
    replica.registry.clock_ms += 60_000
    with pytest.raises(errors.NameNotFound):
        await gateway.confirm(pb.ConfirmRequest(name="user:b", owner="ann"), WAIT)
    assert (await found(gateway, "user:a")).found


async def test_update_changes_what_is_given(gateway: Gateway) -> None:
    """Payload, owner, or both; an empty payload is one, an absent one is none."""
    await take(gateway, "user:a", payload=b"one")
    update = pb.UpdateRequest(name="user:a", owner="ann", new_owner="bob", request_id=b"u")
    changed = await gateway.update(update, WAIT)
    assert (changed.record.owner, changed.record.payload, changed.revision) == ("bob", b"one", 2)
    assert changed.record.create_revision == 1
    with pytest.raises(errors.NotOwner):
        await gateway.update(pb.UpdateRequest(name="user:a", owner="ann", payload=b""), WAIT)
    emptied = await gateway.update(
        pb.UpdateRequest(name="user:a", owner="bob", payload=b"", create_revision=1), WAIT
    )
    assert (emptied.record.owner, emptied.record.payload) == ("bob", b"")
    assert await gateway.update(update, WAIT) == changed
    with pytest.raises(errors.InvalidRequest) as caught:
        await gateway.update(pb.UpdateRequest(name="user:a", new_owner="x" * 257), WAIT)
    assert caught.value.metadata == {"field": "new_owner"}
    with pytest.raises(errors.InvalidRequest) as caught:
        await gateway.update(pb.UpdateRequest(name="user:a", payload=b"x" * 1025), WAIT)
    assert caught.value.metadata == {"field": "payload"}


async def test_handing_over_respects_the_limit_of_the_new_owner(
    gateway: Gateway, replica: FakeReplica
) -> None:
    """An error for the giver, and a refusal for who registers himself."""
    govern(replica, names_per_owner_max=1)
    await take(gateway, "user:a")
    await take(gateway, "user:b", owner="bob")
    with pytest.raises(errors.OwnerLimit):
        await gateway.update(pb.UpdateRequest(name="user:a", owner="ann", new_owner="bob"), WAIT)
    refused = await gateway.register(pb.RegisterRequest(name="user:c", owner="ann"), WAIT)
    assert (refused.registered, refused.refusal) == (False, pb.OWNER_LIMIT)


async def test_rename_takes_one_name_and_lets_go_of_the_other(gateway: Gateway) -> None:
    """In one step; the new name being taken is an answer, not holding the old one is an error."""
    await take(gateway, "user:a", payload=b"p")
    await take(gateway, "user:b", owner="bob")
    request = pb.RenameRequest(from_name="user:a", to_name="user:b", owner="ann")
    refused = await gateway.rename(request, WAIT)
    assert (refused.renamed, refused.refusal, refused.record.owner) == (False, pb.TAKEN, "bob")
    request = pb.RenameRequest(
        from_name="user:a", to_name="user:c", owner="ann", request_id=b"r", create_revision=1
    )
    renamed = await gateway.rename(request, WAIT)
    assert renamed.renamed
    assert (renamed.record.name, renamed.record.payload, renamed.revision) == ("user:c", b"p", 4)
    assert await gateway.rename(request, WAIT) == renamed
    assert not (await found(gateway, "user:a")).found
    with pytest.raises(errors.NameNotFound):
        await gateway.rename(
            pb.RenameRequest(from_name="user:a", to_name="user:d", owner="ann"), WAIT
        )
    for field, names in (("from_name", ("bad", "user:x")), ("to_name", ("user:x", "bad"))):
        request = pb.RenameRequest(from_name=names[0], to_name=names[1])
        with pytest.raises(errors.InvalidName) as caught:
            await gateway.rename(request, WAIT)
        assert caught.value.metadata == {"field": field}


async def test_a_renamed_name_leads_to_the_new_one(gateway: Gateway, replica: FakeReplica) -> None:
    """Where the policy says so, and until somebody takes it."""
    govern(replica, redirect_after_rename=True)
    await take(gateway, "user:a")
    await gateway.rename(pb.RenameRequest(from_name="user:a", to_name="user:c", owner="ann"), WAIT)
    left = await found(gateway, "user:a")
    assert (left.found, left.redirect.name, left.redirect.owner) == (False, "user:c", "ann")
    assert not (await found(gateway, "user:never")).HasField("redirect")
    await take(gateway, "user:a", owner="bob")
    taken = await found(gateway, "user:a")
    assert (taken.found, taken.HasField("redirect")) == (True, False)


async def test_a_name_held_back_says_until_when(gateway: Gateway, replica: FakeReplica) -> None:
    """To everybody but its last owner, who gets it again."""
    govern(replica, hold_back=HoldBack.fixed(100))
    await take(gateway, "user:a")
    await gateway.release(pb.ReleaseRequest(name="user:a", owner="ann"), WAIT)
    refused = await gateway.register(pb.RegisterRequest(name="user:a", owner="bob"), WAIT)
    assert refused.refusal == pb.HELD_BACK
    assert refused.until.ToMilliseconds() == replica.registry.clock_ms + 100_000
    assert not refused.HasField("record")
    await take(gateway, "user:a", owner="ann")


async def test_history_says_who_held_a_name(gateway: Gateway, replica: FakeReplica) -> None:
    """Every owner, oldest first, with what ended their time; the present one last."""
    first = await take(gateway, "user:a")
    replica.registry.clock_ms += 1000
    await gateway.update(pb.UpdateRequest(name="user:a", owner="ann", new_owner="bob"), WAIT)
    replica.registry.clock_ms += 1000
    await gateway.release(pb.ReleaseRequest(name="user:a", owner="bob"), WAIT)
    await take(gateway, "user:a", owner="cat")
    told = await gateway.history(pb.HistoryRequest(name="user:a"), WAIT)
    assert [(h.owner, h.create_revision, h.ended_by, h.end_revision) for h in told.holdings] == [
        ("ann", 1, pb.Event.HANDED_OVER, 2),
        ("bob", 1, pb.Event.RELEASED, 3),
        ("cat", 4, pb.Event.KIND_UNSPECIFIED, 0),
    ]
    ann, bob, cat = told.holdings
    assert ann.from_time == first.create_time
    assert ann.to_time == bob.from_time
    assert bob.to_time.ToMilliseconds() - bob.from_time.ToMilliseconds() == 1000
    assert not cat.HasField("to_time")
    assert (told.revision, told.oldest_revision) == (4, 1)
    nobody = await gateway.history(pb.HistoryRequest(name="user:never"), WAIT)
    assert (len(nobody.holdings), nobody.revision) == (0, 4)


async def test_a_long_history_is_cut_at_its_old_end(gateway: Gateway, replica: FakeReplica) -> None:
    """The newest holdings are told, as many as an answer holds."""
    for n in range(HOLDINGS_MAX + 3):
        replica.registry.apply(register(f"r{n}", "user:a"), release(f"l{n}", "user:a"))
    told = await gateway.history(pb.HistoryRequest(name="user:a"), WAIT)
    assert len(told.holdings) == HOLDINGS_MAX
    assert told.holdings[-1].end_revision == told.revision
