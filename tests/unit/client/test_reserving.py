"""A block with a reservation: confirmed on success, released on an exception, in both flavours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from namestore import errors
from namestore.v1 import registry_pb2 as registry
from tests.unit.client.fake_network import Scene, granted, taken


@pytest.fixture(params=("blocking", "asyncio"))
def scene(request: pytest.FixtureRequest) -> Scene:
    return Scene(request.param, nodes=1)


def within(scene: Scene, block: Callable[[Any], None], **options: Any) -> None:
    """Runs a block with `user:Alice` reserved for `me`."""
    reserving = scene.store.reserve("user:Alice", "me", **options)
    if scene.flavour == "blocking":
        with reserving as reservation:
            block(reservation)
        return

    async def use() -> None:
        async with reserving as reservation:
            block(reservation)

    asyncio.run(use())


def reserved(request: registry.RegisterRequest) -> registry.RegisterResponse:
    """Granted as the server spells it, at revision 7."""
    response = granted(request, 7)
    response.record.name = "user:alice"
    response.record.expire_time.seconds = 60
    return response


def fail(reservation: Any) -> None:
    raise ZeroDivisionError


def calls(scene: Scene) -> list[str]:
    return [sent.method for sent in scene.network.sent if sent.method != "Status"]


def test_a_block_that_succeeds_confirms(scene: Scene) -> None:
    """This very holding, by its canonical name, after the block and not before."""
    node = scene.nodes["a:1"]
    node.script = [reserved]
    seen = []

    def block(reservation: Any) -> None:
        seen.append((reservation.name, reservation.create_revision, calls(scene)))
        assert reservation.expire_time.timestamp() == 60

    within(scene, block, ttl=timedelta(seconds=60), payload=b"x")
    assert seen == [("user:alice", 7, ["Register"])]
    assert calls(scene) == ["Register", "Confirm"]
    asked, confirmed = (scene.network.of(method)[0].request for method in ("Register", "Confirm"))
    assert (asked.ttl.seconds, asked.payload, asked.owner) == (60, b"x", "me")
    assert (confirmed.name, confirmed.owner, confirmed.create_revision) == ("user:alice", "me", 7)
    assert asked.request_id != confirmed.request_id


def test_without_a_time_the_policy_says_it(scene: Scene) -> None:
    """A ttl of zero is sent, which is something else than none: none would be for ever."""
    scene.nodes["a:1"].script = [reserved]
    within(scene, lambda reservation: None)
    request = scene.network.of("Register")[0].request
    assert request.HasField("ttl")
    assert request.ttl.ToNanoseconds() == 0


def test_a_block_that_raises_releases_and_raises_the_same(scene: Scene) -> None:
    """Nothing is confirmed, and only this very holding is given back."""
    scene.nodes["a:1"].script = [reserved]
    with pytest.raises(ZeroDivisionError):
        within(scene, fail)
    assert calls(scene) == ["Register", "Release"]
    released = scene.network.of("Release")[0].request
    assert (released.name, released.owner, released.create_revision) == ("user:alice", "me", 7)


@pytest.mark.parametrize(
    "late",
    (
        errors.NameNotFound("nobody holds it"),
        errors.NotOwner("somebody else does"),
        errors.StaleFence("registered anew"),
    ),
)
def test_a_confirm_that_comes_too_late_is_an_error_of_its_own(
    scene: Scene, late: errors.NamestoreError
) -> None:
    """Whatever became of the name since; and it says which reservation it was."""
    scene.nodes["a:1"].script = [reserved, late]
    with pytest.raises(errors.ReservationExpired, match="user:alice") as caught:
        within(scene, lambda reservation: None)
    assert caught.value.record.create_revision == 7
    assert isinstance(caught.value, errors.Refused)
    assert calls(scene) == ["Register", "Confirm"]


def test_a_name_that_is_taken_begins_no_block(scene: Scene) -> None:
    """The one in the way is told; nothing is released, as nothing was had."""
    scene.nodes["a:1"].script = [taken]
    with pytest.raises(errors.NameTaken) as caught:
        within(scene, lambda reservation: pytest.fail("the block was entered"))
    assert caught.value.record.owner == "somebody"
    assert caught.value.metadata["refusal"] == "TAKEN"
    assert calls(scene) == ["Register"]


@pytest.mark.parametrize("over", (errors.NameNotFound("over"), errors.StaleFence("anew")))
def test_what_is_over_needs_no_release(scene: Scene, over: errors.NamestoreError) -> None:
    """The block's own exception is raised, and nothing is said of it."""
    scene.nodes["a:1"].script = [reserved, over]
    with pytest.raises(ZeroDivisionError) as caught:
        within(scene, fail)
    assert getattr(caught.value, "__notes__", []) == []


def test_a_release_that_fails_is_noted_at_the_blocks_exception(scene: Scene) -> None:
    """It does not take its place: the reservation ends by itself, and until when is said."""
    scene.nodes["a:1"].script = [reserved, errors.PermissionDenied("not you")]
    with pytest.raises(ZeroDivisionError) as caught:
        within(scene, fail)
    (note,) = caught.value.__notes__
    assert "not you" in note
    assert "ends by itself at 1970-01-01 00:01:00" in note


def test_a_confirm_without_an_answer_can_be_asked_again(scene: Scene) -> None:
    """Its outcome is unknown, and the error carries the request_id of the confirm."""
    node = scene.nodes["a:1"]
    node.script = [reserved]

    def hang(reservation: Any) -> None:
        node.state = "hang"

    with pytest.raises(errors.OutcomeUnknown) as caught:
        within(scene, hang, timeout=2)
    sent = {sent.request.request_id for sent in scene.network.of("Confirm")}
    assert sent == {caught.value.request_id}


def test_a_reservation_serves_once(scene: Scene) -> None:
    """A second block with it is refused before anything is sent."""
    scene.nodes["a:1"].script = [reserved]
    reserving = scene.store.reserve("user:alice")

    def enter() -> None:
        if scene.flavour == "blocking":
            with reserving:
                pass
        else:
            asyncio.run(_enter(reserving))

    enter()
    with pytest.raises(errors.ClientMisuse, match="call reserve again"):
        enter()
    assert calls(scene) == ["Register", "Confirm"]


def test_a_block_that_is_cancelled_releases() -> None:
    """Of asyncio: the cancellation goes on after the name was given back."""
    scene = Scene("asyncio", nodes=1)
    scene.nodes["a:1"].script = [reserved]

    async def use() -> None:
        entered = asyncio.Event()

        async def hold() -> None:
            async with scene.store.reserve("user:alice", "me"):
                entered.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(hold())
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(use())
    assert calls(scene) == ["Register", "Release"]


async def _enter(reserving: Any) -> None:
    async with reserving:
        pass
