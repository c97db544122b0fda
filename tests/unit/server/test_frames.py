"""Calls that arrived together, over a replica in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from namestore import errors
from namestore.client.sharing import SHARED
from namestore.config import LimitsConfig, dev_config
from namestore.rpc.status import error_from_call_error
from namestore.server.frames import GROUP_ITEMS_MAX, Frames
from namestore.server.gateway import Gateway
from namestore.v1 import registry_pb2 as pb
from tests.support.replica import FakeReplica

Item = pb.SessionRequest.Item


class Asked:
    """Frames over a gateway, and the answers so far: by id, the kind and the message."""

    def __init__(self, replica: FakeReplica, **limits: int) -> None:
        config = replace(dev_config("unused"), limits=LimitsConfig(**limits))
        # A clock that stands: how long something waited is another test's subject.
        self.gateway = Gateway(replica, config, "dev", clock=lambda: 0.0)
        self.frames = Frames(self.gateway, 5.0, lambda seconds: seconds)
        self.answers: dict[int, pb.SessionResponse.Answer] = {}
        self.messages = 0

    def begin(self, *items: Item) -> None:
        self.frames.begin(items, self._deliver)

    def _deliver(self, response: pb.SessionResponse) -> None:
        self.messages += 1
        for answer in response.answers:
            assert answer.id not in self.answers, "answered twice"
            self.answers[answer.id] = answer

    def error(self, item_id: int) -> errors.NamestoreError:
        answer = self.answers[item_id]
        assert answer.WhichOneof("answer") == "error"
        return error_from_call_error(answer.error)


@pytest.fixture
def replica() -> FakeReplica:
    return FakeReplica()


@pytest.fixture
def asked(replica: FakeReplica) -> Asked:
    return Asked(replica)


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  # what is awaited happens in another thread
            await asyncio.sleep(0.005)


def register(item_id: int, name: str, timeout_ms: int = 0, **fields: Any) -> Item:
    return Item(id=item_id, timeout_ms=timeout_ms, register=pb.RegisterRequest(name=name, **fields))


def lookup(item_id: int, name: str, consistency: Any = pb.LINEARIZABLE) -> Item:
    return Item(id=item_id, lookup=pb.LookupRequest(name=name, consistency=consistency))


async def test_the_writes_of_a_frame_are_one_proposal(asked: Asked, replica: FakeReplica) -> None:
    """Decided in order, next to each other, and answered in one message."""
    asked.begin(
        register(7, "user:a", owner="one"),
        register(8, "user:a", owner="two"),
        Item(id=9, release=pb.ReleaseRequest(name="user:a", owner="one")),
        register(10, "user:a", owner="two"),
    )
    await turns()
    assert [len(commands) for commands in replica.calls.proposals] == [4]
    assert asked.messages == 1
    assert [asked.answers[n].register.registered for n in (7, 8, 10)] == [True, False, True]
    assert asked.answers[8].register.record.owner == "one"
    assert asked.answers[9].release.revision == 2


async def test_a_bad_item_never_fails_its_neighbours(asked: Asked, replica: FakeReplica) -> None:
    """Its error is what a call by itself would have met, details included; it is not proposed."""
    asked.begin(
        register(1, "user:a"),
        register(2, "no namespace"),
        Item(id=3),
        Item(id=4, rename=pb.RenameRequest(from_name="user:a", to_name="user:b", owner="else")),
        Item(id=5, release=pb.ReleaseRequest(name="user:none")),
        register(6, "user:c"),
    )
    await turns()
    assert asked.answers[1].register.registered
    assert asked.answers[6].register.registered
    kinds = [type(asked.error(n)) for n in (2, 3, 4, 5)]
    assert kinds == [
        errors.InvalidName,
        errors.InvalidRequest,
        errors.NotOwner,
        errors.NameNotFound,
    ]
    assert asked.error(2).metadata == {"field": "name"}
    assert [len(commands) for commands in replica.calls.proposals] == [4]


async def test_an_unforeseen_fault_of_one_item_is_its_own(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is answered as unknown, and the neighbours are decided."""
    from namestore.rpc import requests

    honest = requests.within_limits

    def broken(name: str, *fields: Any) -> bool:
        if name == "user:boom":
            raise RuntimeError("a fault")
        return honest(name, *fields)

    monkeypatch.setattr(requests, "within_limits", broken)
    asked.begin(register(1, "user:boom"), register(2, "user:b"))
    await turns()
    assert isinstance(asked.error(1), errors.OutcomeUnknown)
    assert asked.answers[2].register.registered


async def test_linearizable_lookups_of_a_frame_share_a_barrier(
    asked: Asked, replica: FakeReplica
) -> None:
    """One round for all of them, and all at one revision."""
    asked.begin(register(0, "user:1", owner="o"))
    await turns()
    asked.begin(*(lookup(n, f"user:{n}") for n in range(1, 200)))
    await until(lambda: len(asked.answers) == 200)
    assert replica.calls.barriers == 1
    assert asked.answers[1].lookup.record.owner == "o"
    assert not asked.answers[2].lookup.found
    assert {asked.answers[n].lookup.revision for n in range(1, 200)} == {1}


async def test_stale_lookups_ask_nobody(asked: Asked, replica: FakeReplica) -> None:
    """They are answered although nothing else of their frame can be."""
    replica.switches.hold = True
    asked.begin(register(1, "user:a"), lookup(2, "user:a", pb.STALE), lookup(3, "user:a"))
    await turns()
    assert list(asked.answers) == [2]
    replica.let_go()
    await turns()
    assert asked.answers[1].register.registered
    assert asked.answers[3].lookup.found


async def test_an_item_of_short_timeout_does_not_wait_for_the_long(
    asked: Asked, replica: FakeReplica
) -> None:
    """It is answered within its own, and its neighbours keep theirs."""
    replica.switches.drop_answers = True
    asked.begin(register(1, "user:a", 20), register(2, "user:b", 4000), register(3, "user:c", 30))
    await until(lambda: len(asked.answers) == 2)
    assert {type(asked.error(n)) for n in (1, 3)} == {errors.OutcomeUnknown}
    short, long = sorted(replica.calls.timeouts)
    assert short < 0.02
    assert long > 3.0


async def test_items_of_like_timeouts_go_together(asked: Asked, replica: FakeReplica) -> None:
    """Within the shortest of them, so that none is answered late."""
    replica.switches.hold = True
    asked.begin(register(1, "user:a", 4000), register(2, "user:b", 2500))
    await turns()
    assert len(replica.calls.timeouts) == 1
    assert replica.calls.timeouts[0] <= 2.5
    replica.let_go()


async def test_no_item_waits_longer_than_the_node_lets_anybody(
    asked: Asked, replica: FakeReplica
) -> None:
    """Not told, or told too much: the node's own limit counts."""
    replica.switches.hold = True
    asked.begin(register(1, "user:a"), register(2, "user:b", 4_000_000_000))
    await turns()
    assert len(replica.calls.timeouts) == 1
    assert replica.calls.timeouts[0] <= 5.0
    replica.let_go()


async def test_a_large_frame_is_proposed_in_parts(asked: Asked, replica: FakeReplica) -> None:
    """One proposal holds so many commands at most; nothing is lost between two."""
    asked.begin(*(register(n, f"user:{n}") for n in range(GROUP_ITEMS_MAX + 500)))
    await turns()
    assert [len(commands) for commands in replica.calls.proposals] == [GROUP_ITEMS_MAX, 500]
    assert all(asked.answers[n].register.registered for n in range(GROUP_ITEMS_MAX + 500))


async def test_admission_refuses_items_at_once(replica: FakeReplica) -> None:
    """Beyond what the node lets wait they hear OVERLOADED, and room comes back with the answers."""
    asked = Asked(replica, pending_commands_max=3)
    replica.switches.hold = True
    asked.begin(register(1, "user:a"), register(2, "user:b"))
    await turns()
    asked.begin(register(3, "user:c"), register(4, "user:d"))
    await turns()
    assert [type(asked.error(n)) for n in (3, 4)] == [errors.Overloaded] * 2
    replica.let_go()
    await turns()
    asked.begin(register(5, "user:c"), register(6, "user:d"))
    await turns()
    assert asked.answers[6].register.registered


async def test_draining_answers_what_was_begun_and_refuses_the_rest(
    asked: Asked, replica: FakeReplica
) -> None:
    """The node waits for its frames as it does for calls."""
    replica.switches.hold = True
    asked.begin(register(1, "user:a"), register(2, "user:b"))
    await turns()
    asked.gateway.begin_drain()
    drained = asyncio.create_task(asked.gateway.drained())
    asked.begin(register(3, "user:c"))
    await turns()
    assert isinstance(asked.error(3), errors.ShuttingDown)
    assert not drained.done()
    replica.let_go()
    await drained
    await turns()
    assert asked.answers[2].register.registered


async def test_what_the_replica_says_reaches_every_item(asked: Asked, replica: FakeReplica) -> None:
    """Certainly not applied, for each of them."""
    replica.switches.quorum = False
    asked.begin(register(1, "user:a"), register(2, "user:b"), lookup(3, "user:a"))
    await turns()
    assert [type(asked.error(n)) for n in (1, 2, 3)] == [errors.NoQuorum] * 3


async def test_an_item_is_served_wherever_a_call_by_itself_is(asked: Asked) -> None:
    """A call that the node comes to serve is served in sessions as well, and shared by the client;
    until then it is refused in both."""
    for call in (field.name for field in Item.DESCRIPTOR.oneofs_by_name["call"].fields):
        item = Item(id=1)
        getattr(item, call).SetInParent()
        asked.answers.clear()
        asked.begin(item)
        await turns()
        served = not isinstance(asked.error(1), errors.NotImplementedYet)
        assert served == hasattr(Gateway, call), call
        assert served == (call in SHARED.values()), call
