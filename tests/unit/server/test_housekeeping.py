"""What a leader does unasked, and only a leader, within bounds."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from namestore import errors
from namestore.config import HistoryConfig, dev_config
from namestore.core.commands import Expire, IndexNames, PutNamespace, Register, Wanted
from namestore.core.commands import decode_command as decoded
from namestore.core.namespaces import NamespaceState
from namestore.core.policies import Policy, Profile, encode_policy
from namestore.core.reading import events, namespace_state
from namestore.raft.replica import Role
from namestore.server import carrying
from namestore.server.gateway import Gateway
from namestore.server.housekeeping import EXPIRED_AT_ONCE, PAUSE_S, Housekeeping
from tests.support.registry_driver import register
from tests.support.replica import FakeReplica

USERNAME = Policy(profile=Profile.USERNAME, look_alikes=True)


class House:
    """A node's housekeeping on a clock that the test moves: the log's and the wall's are one."""

    def __init__(self) -> None:
        self.replica = FakeReplica()
        self.now = 0.0
        config = dev_config("unused")
        self.gateway = Gateway(self.replica, config, "dev", clock=lambda: self.now)
        self.slept: list[float] = []
        self.keeping = Housekeeping(
            self.replica,
            self.gateway,
            clock=lambda: self.now,
            sleep=self.sleep,
        )

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.pass_seconds(seconds)
        await asyncio.sleep(0)

    def pass_seconds(self, seconds: float) -> None:
        self.now += seconds
        self.replica.registry.clock_ms += round(seconds * 1000)

    def reserve(self, *labels: str, seconds: float = 60.0) -> None:
        ttl_ms = round(seconds * 1000)
        for label in labels:
            wanted = Wanted(f"user:{label}", "", "ann", ttl_ms=ttl_ms)
            self.replica.registry.decide(Register(f"r-{label}".encode(), wanted))

    def put(self, policy: Policy = USERNAME) -> int:
        put = PutNamespace(b"p", "user", encode_policy(policy), 0)
        outcome = self.replica.registry.decide(put)[0]
        assert outcome.verdict.name == "POLICY_PENDING"
        return outcome.revision

    def proposed(self) -> list[Any]:
        return [decoded(data) for proposal in self.replica.calls.proposals for data in proposal]

    def space(self) -> NamespaceState:
        return namespace_state(self.replica.registry.view(), "user")

    def resign(self, monkeypatch: pytest.MonkeyPatch) -> None:
        status = replace(self.replica.status(), role=Role.FOLLOWER)
        monkeypatch.setattr(self.replica, "status", lambda: status)


@pytest.fixture
def house() -> House:
    return House()


async def test_an_idle_registry_frees_what_is_over(house: House) -> None:
    """At its end and not before; watchers would see it go although nobody asks for the name."""
    house.reserve("a", "b")
    house.reserve("later", seconds=100)
    house.pass_seconds(59.9)
    await house.keeping.round()
    assert house.proposed() == []
    house.pass_seconds(0.1)
    await house.keeping.round()
    (expire,) = house.proposed()
    assert [item.name for item in expire.items] == ["user:a", "user:b"]
    assert house.replica.registry.names() == {"user:later"}
    told = [event.kind.name for event in events(house.replica.registry.view(), 4, 9).events]
    assert told == ["EXPIRED", "EXPIRED"]
    await house.keeping.round()
    assert len(house.proposed()) == 1


async def test_a_round_is_bounded(house: House) -> None:
    """Many at once go in several rounds, one soon after the other."""
    house.reserve(*(f"{n:04}" for n in range(EXPIRED_AT_ONCE + 5)))
    house.pass_seconds(60)
    assert await house.keeping.round() < 0.1
    assert len(house.replica.registry.names()) == 5
    await house.keeping.round()
    assert house.replica.registry.names() == set()
    assert [len(expire.items) for expire in house.proposed()] == [EXPIRED_AT_ONCE, 5]


async def test_it_sleeps_until_something_is_due(house: House) -> None:
    """Not longer than a while, since nobody wakes it."""
    assert await house.keeping.round() == PAUSE_S
    house.reserve("a", seconds=0.4)
    assert await house.keeping.round() == pytest.approx(0.4)
    house.reserve("b", seconds=100)
    house.pass_seconds(0.4)
    await house.keeping.round()
    assert await house.keeping.round() == PAUSE_S


async def test_what_looks_over_and_is_not_is_not_freed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command is conditional; and it is not proposed over and over."""
    house.reserve("a")
    status = house.replica.status()
    late = replace(status, log_time_ms=house.replica.registry.clock_ms + 3_600_000)
    monkeypatch.setattr(house.replica, "status", lambda: late)
    pause = await house.keeping.round()
    assert pause >= 0.2
    assert len(house.proposed()) == 1
    assert house.replica.registry.names() == {"user:a"}


async def test_nothing_is_done_before_a_leader_knows_how_late_it_is(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own clock is one of several; it asks again soon."""
    house.reserve("a")
    house.pass_seconds(60.0)
    with monkeypatch.context() as patch:
        unsure = replace(house.replica.status(), log_time_ms=None)
        patch.setattr(house.replica, "status", lambda: unsure)
        assert await house.keeping.round() < PAUSE_S
    assert house.proposed() == []
    await house.keeping.round()
    assert house.replica.registry.names() == set()


async def test_only_the_leader_keeps_house(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A follower looks away, and does not even read."""
    house.reserve("a")
    house.pass_seconds(60)
    with monkeypatch.context() as patch:
        house.resign(patch)
        assert await house.keeping.round() == PAUSE_S
    assert house.proposed() == []
    await house.keeping.round()
    assert len(house.proposed()) == 1


async def test_a_policy_that_nobody_carries_is_carried_on(house: House) -> None:
    """To its end, in bounded steps, whoever began it."""
    count = 2 * carrying.NAMES_AT_ONCE
    house.replica.registry.apply(*(register(f"r{n}", f"user:n{n:04}") for n in range(count)))
    version = house.put()
    await house.keeping.round()
    assert house.proposed() == []
    house.pass_seconds(PAUSE_S)
    while house.space().pending_version:
        before = len(house.proposed())
        await house.keeping.round()
        assert len(house.proposed()) == before + 1
    assert house.space().version == version
    assert sum(len(command.names) for command in house.proposed()) == count


async def test_a_policy_that_somebody_carries_is_left_to_them(house: House) -> None:
    """As long as it gets further."""
    house.replica.registry.apply(*(register(f"r{n}", f"user:n{n:04}") for n in range(9)))
    version = house.put()
    for n in range(4):
        await house.keeping.round()
        house.pass_seconds(PAUSE_S)
        names = ((f"user:n{n:04}", ((1, f"n{n}"),)),)
        house.replica.registry.decide(IndexNames("user", version, names))
    assert house.proposed() == []
    await house.keeping.round()
    house.pass_seconds(PAUSE_S)
    await house.keeping.round()
    assert house.space().version == version


async def test_a_policy_that_a_name_cannot_stay_under_is_dropped(house: House) -> None:
    """The name came after the look of whoever put it."""
    house.replica.registry.apply(register("r", "user:Big"))
    house.put()
    for _ in range(3):
        await house.keeping.round()
        house.pass_seconds(PAUSE_S)
    assert house.space() == NamespaceState()
    assert house.replica.registry.names() == {"user:Big"}


async def test_what_goes_wrong_is_tried_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a quorum, or after a fault nobody foresaw, it goes on later, and never ends."""
    house.reserve("a")
    house.pass_seconds(60)
    house.replica.switches.quorum = False
    leads = replace(house.replica.status(), role=Role.LEADER, log_time_ms=9_000_000)
    monkeypatch.setattr(house.replica, "status", lambda: leads)
    assert await house.keeping.round() >= 0.5
    with monkeypatch.context() as patch:
        patch.setattr(house.replica, "view", lambda: 1 / 0)
        assert await house.keeping.round() >= 0.5
    assert house.replica.registry.names() == {"user:a"}
    house.replica.switches.quorum = True
    await house.keeping.round()
    assert house.replica.registry.names() == set()


async def test_a_draining_node_keeps_no_house(house: House) -> None:
    """And does not keep the drain waiting."""
    house.reserve("a")
    house.pass_seconds(60)
    house.gateway.begin_drain()
    assert await house.keeping.round() >= 0.5
    assert house.proposed() == []
    await asyncio.wait_for(house.gateway.drained(), 10)


async def test_it_runs_until_it_is_cancelled(house: House) -> None:
    """Round after round, each as long after the other as the round said."""
    house.reserve("a", seconds=2.5)
    task = asyncio.create_task(house.keeping.run())
    async with asyncio.timeout(30):
        while house.replica.registry.names():  # noqa: ASYNC110  # the task makes it so
            await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert house.slept[:3] == [pytest.approx(1.0), pytest.approx(1.0), pytest.approx(0.5)]
    assert [type(command) for command in house.proposed()] == [Expire]


async def test_a_leader_sets_how_far_back_history_reaches(house: House) -> None:
    """Once, where it differs from what the file says; a file that says nothing changes nothing."""
    await house.keeping.round()
    assert house.proposed() == []
    history = HistoryConfig(events_max=5000, days_max=7)
    keeping = Housekeeping(house.replica, house.gateway, history, clock=lambda: house.now)
    await keeping.round()
    await keeping.round()
    (keep,) = house.proposed()
    assert (keep.count_max, keep.age_ms_max) == (5000, 7 * 24 * 3600 * 1000)
    meta = house.replica.meta
    assert (meta.events_kept_max, meta.events_kept_ms) == (5000, 7 * 24 * 3600 * 1000)


async def test_a_drain_waits_for_a_chore(house: House) -> None:
    """What was handed on is answered before the node stops; nothing is begun then."""
    drained = asyncio.create_task(house.gateway.drained())
    with house.gateway.chores():
        house.gateway.begin_drain()
        await asyncio.sleep(0)
        assert not drained.done()
    await asyncio.wait_for(drained, 10)
    with pytest.raises(errors.ShuttingDown), house.gateway.chores():
        raise AssertionError
