"""The life of a name through the client: on an embedded registry, and on a node over gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from namestore import aio, embedded, errors
from namestore.client.histories import Ending
from namestore.client.namespace_values import ConflictKind
from namestore.client.values import NewName, Refusal
from namestore.policy import HoldBack, Policy, Profile
from tests.contract.test_sharing import Running

USERS = Policy(
    profile=Profile.USERNAME,
    length_min=3,
    look_alikes=True,
    reserved=("admin*",),
    hold_back=HoldBack.fixed(3600),
    redirect_after_rename=True,
    names_per_owner_max=2,
    reservation_default_s=60,
    reservation_longest_s=120,
)


@pytest.fixture(params=("embedded", "node"))
async def names(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[aio.NameStore]:
    async with AsyncExitStack() as stack:
        if request.param == "embedded":
            opened = await embedded.open_async(tmp_path, timeout=30)
        else:
            running = await Running(tmp_path).started()
            stack.push_async_callback(running.ended)
            opened = aio.NameStore(running.address, timeout=30)
        yield await stack.enter_async_context(opened)


async def test_a_block_keeps_its_name_or_gives_it_back(names: aio.NameStore) -> None:
    """Confirmed on success; free after an exception, without hold-back."""
    await names.put_namespace("user", USERS)
    async with names.reserve("user:Alice", "me") as reservation:
        held = await names.lookup("user:alice")
        assert held is not None
        assert held.expire_time == reservation.expire_time is not None
        assert (held.expire_time - held.create_time).total_seconds() == 60
    kept = await names.lookup("user:alice")
    assert kept is not None
    assert (kept.expire_time, kept.display_name) == (None, "user:Alice")
    with pytest.raises(ZeroDivisionError):
        async with names.reserve("user:bob", "me"):
            raise ZeroDivisionError
    assert await names.register("user:bob", "somebody else")


async def test_a_confirm_that_comes_too_late_is_an_error_of_its_own(tmp_path: Path) -> None:
    """By the log's time, over gRPC; the name is free for somebody else."""
    running = await Running(tmp_path).started()
    async with aio.NameStore(running.address, timeout=30) as names:
        with pytest.raises(errors.ReservationExpired):
            async with names.reserve("user:alice", "me", ttl=60):
                running.replica.registry.clock_ms += 61_000
        assert await names.register("user:alice", "you")
        with pytest.raises(errors.NotOwner):
            await names.confirm("user:alice", "me")
    await running.ended()


async def test_an_embedded_registry_frees_what_is_over(tmp_path: Path) -> None:
    """Nobody writes meanwhile: the node itself sees to it."""
    async with await embedded.open_async(tmp_path, timeout=30) as names:
        assert await names.register("user:alice", "me", ttl=0.05)
        async with asyncio.timeout(30):
            while await names.contains("user:alice"):  # noqa: ASYNC110  # time ends it
                await asyncio.sleep(0.02)
        history = await names.history("user:alice")
        assert [holding.ended_by for holding in history.holdings] == [Ending.EXPIRED]


async def test_a_policy_is_judged_and_its_refusals_say_why(names: aio.NameStore) -> None:
    """Each with what is in the way, and the hold-back with its end."""
    result = await names.put_namespace("user", USERS)
    assert result
    assert result.namespace.policy == USERS
    assert await names.register("user:paypal", "me")
    alike = await names.register("user:paypa1", "you")
    assert alike.refusal is Refusal.CONFUSABLE
    assert alike.record is not None
    assert alike.record.name == "user:paypal"
    reserved = await names.register("user:administrator", "you")
    assert (reserved.refusal, reserved.in_way) == (Refusal.RESERVED_WORD, "admin*")
    short = await names.register("user:ab", "you")
    assert (short.refusal, short.policy_reason) == (Refusal.INVALID_BY_POLICY, "TOO_SHORT")
    assert await names.register("user:second", "me")
    third = await names.register("user:third", "me")
    assert third.refusal is Refusal.OWNER_LIMIT
    await names.release("user:paypal", "me")
    held_back = await names.register("user:paypal", "you")
    assert held_back.refusal is Refusal.HELD_BACK
    assert held_back.until is not None


async def test_a_policy_that_names_stand_against_lists_them(names: aio.NameStore) -> None:
    """Nothing is changed; asked again with the version that is in force, it can be replaced."""
    for name in ("user:alice", "user:Alice", "user:a b"):
        assert await names.register(name, "me")
    refused = await names.put_namespace("user", USERS)
    assert not refused
    kinds = {conflict.name: conflict.kind for conflict in refused.conflicts}
    assert kinds == {"user:Alice": ConflictKind.MOVED, "user:a b": ConflictKind.INVALID}
    assert (await names.get_namespace("user")).policy is None
    for name in ("user:Alice", "user:a b"):
        await names.release(name, "me")
    tried = await names.put_namespace("user", USERS, check_only=True)
    assert tried
    assert await names.list_namespaces() == []
    put = await names.put_namespace("user", USERS)
    with pytest.raises(errors.StaleFence):
        await names.put_namespace("user", Policy())
    version = put.namespace.policy_version
    assert await names.put_namespace("user", Policy(), expected_version=version)
    (state,) = await names.list_namespaces()
    assert (state.name, state.policy) == ("user", Policy())


async def test_renames_redirect_and_histories_tell_all(names: aio.NameStore) -> None:
    """The old name leads to the new one; each holding has its owner, its end and its reason."""
    await names.put_namespace("user", USERS)
    first = await names.register("user:alice", "me", b"payload")
    handed = await names.update("user:alice", "me", new_owner="you", payload=b"x")
    assert (handed.owner, handed.payload) == ("you", b"x")
    assert first.record is not None
    assert handed.create_revision == first.record.create_revision
    with pytest.raises(errors.NotOwner):
        await names.rename("user:alice", "user:alina", "me")
    taken = await names.rename("user:alice", "user:adminx", "you")
    assert taken.refusal is Refusal.RESERVED_WORD
    renamed = await names.rename("user:alice", "user:alina", "you")
    assert renamed
    assert renamed.record is not None
    assert (renamed.record.name, renamed.record.payload) == ("user:alina", b"x")
    found = await names.resolve("user:Alice")
    assert not found
    assert found.redirect == renamed.record
    history = await names.history("user:alice")
    assert [(holding.owner, holding.ended_by) for holding in history.holdings] == [
        ("me", Ending.HANDED_OVER),
        ("you", Ending.RENAMED_AWAY),
    ]
    assert history.revision >= renamed.revision
    (holding,) = (await names.history("user:alina")).holdings
    assert (holding.owner, holding.to_time) == ("you", None)


async def test_a_fence_keeps_a_later_holding_as_it_is(names: aio.NameStore) -> None:
    """Of the same owner too: update, confirm and rename meet another holding."""
    first = await names.register("user:alice", "me")
    assert first.record is not None
    fence = first.record.create_revision
    await names.release("user:alice", "me")
    await names.register("user:alice", "me")
    for change in (
        names.update("user:alice", "me", payload=b"x", create_revision=fence),
        names.confirm("user:alice", "me", create_revision=fence),
        names.rename("user:alice", "user:bob", "me", create_revision=fence),
    ):
        with pytest.raises(errors.StaleFence):
            await change


async def test_a_change_sent_again_is_the_same_change(names: aio.NameStore) -> None:
    """Under one request_id it is told what it was told, and takes effect once."""
    await names.register("user:alice", "me")
    first = await names.rename("user:alice", "user:bob", "me", request_id=b"r")
    again = await names.rename("user:alice", "user:bob", "me", request_id=b"r")
    assert first.record == again.record
    assert again.renamed
    one = await names.update("user:bob", "me", payload=b"1", request_id=b"u")
    await names.update("user:bob", "me", payload=b"2")
    assert await names.update("user:bob", "me", payload=b"1", request_id=b"u") == one
    now = await names.lookup("user:bob")
    assert now is not None
    assert now.payload == b"2"


async def test_reservations_of_many_names_at_once(names: aio.NameStore) -> None:
    """All or none, with one time for all unless a name has its own."""
    wanted = [NewName("user:alice"), NewName("mail:alice@example.org", ttl=30)]
    results = await names.register_many(wanted, "me", ttl=60, all_or_nothing=True)
    assert all(results)
    lasting = []
    for result in results:
        assert result.record is not None
        assert result.record.expire_time is not None
        lasting.append((result.record.expire_time - result.record.create_time).total_seconds())
    assert lasting == [60, 30]


async def test_changes_share_round_trips(names: aio.NameStore) -> None:
    """Many at once are all answered, each with its own answer or error."""
    count = 60
    await asyncio.gather(*(names.register(f"user:n{n}", "me", ttl=600) for n in range(count)))
    changes = [names.confirm(f"user:n{n}", "me" if n % 2 else "you") for n in range(count)]
    confirmed = await asyncio.gather(*changes, return_exceptions=True)
    for number, answer in enumerate(confirmed):
        if number % 2:
            assert not isinstance(answer, BaseException), answer
            assert (answer.name, answer.expire_time) == (f"user:n{number}", None)
        else:
            assert isinstance(answer, errors.NotOwner)
    renames = (names.rename(f"user:n{n}", f"user:m{n}", "me") for n in range(count))
    assert all(await asyncio.gather(*renames))
    updates = (names.update(f"user:m{n}", "me", payload=b"%d" % n) for n in range(count))
    updated = await asyncio.gather(*updates)
    assert [record.payload for record in updated] == [b"%d" % n for n in range(count)]


def test_the_blocking_flavour_reserves_too(tmp_path: Path) -> None:
    """`with`, on an embedded registry: kept, and given back."""
    with embedded.open(tmp_path, timeout=30) as names:
        with names.reserve("user:alice", "me", ttl=60):
            assert "user:alice" in names
        record = names.lookup("user:alice")
        assert record is not None
        assert record.expire_time is None
        with pytest.raises(ZeroDivisionError), names.reserve("user:bob", "me", ttl=60):
            raise ZeroDivisionError
        assert "user:bob" not in names
