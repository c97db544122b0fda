"""The callers of the benchmarks: what they ask for, and what they take for an answer."""

from __future__ import annotations

import pytest

from benchmarks.load import Call, Calls, Meter, Outcome, Task, seen_name
from benchmarks.peers.interface import BenchmarkError
from benchmarks.workloads.verify import verify

_TASK = Task(peer="fake", address={}, kind="register", seen=100)


class FakeClient:
    """A registry in memory; a `forgetful` one grants every name each time."""

    def __init__(self, forgetful: bool = False) -> None:
        self._names: set[str] = set()
        self._forgetful = forgetful

    async def register(self, name: str) -> bool:
        granted = name not in self._names or self._forgetful
        self._names.add(name)
        return granted

    async def register_each(self, names: list[str]) -> int:
        return sum([await self.register(name) for name in names])

    async def register_all(self, names: list[str]) -> bool:
        if not self._forgetful and not self._names.isdisjoint(names):
            return False
        self._names.update(names)
        return True

    async def lookup(self, name: str) -> bool:
        return name in self._names

    async def close(self) -> None:
        """Nothing to end."""


class FakePeer:
    """A peer whose clients share one registry."""

    name = "fake"

    def __init__(self, forgetful: bool) -> None:
        self.client = FakeClient(forgetful)

    def address(self) -> dict[str, list[str]]:
        return {}

    async def connect(self, address: object, callers: int) -> FakeClient:
        return self.client


async def test_verify_lets_a_registry_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who grants each name once, and all of a batch or none, may be measured."""
    peer = FakePeer(forgetful=False)
    monkeypatch.setattr("benchmarks.workloads.verify.PEERS", {"fake": peer})
    await verify(peer)  # type: ignore[arg-type]
    assert await peer.client.lookup("user:verify-one")


async def test_verify_stops_who_grants_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The speed of a peer that gives a name away twice is worth nothing."""
    peer = FakePeer(forgetful=True)
    monkeypatch.setattr("benchmarks.workloads.verify.PEERS", {"fake": peer})
    with pytest.raises(BenchmarkError, match="granted the same name: 8, not 1"):
        await verify(peer)  # type: ignore[arg-type]


def test_a_wrong_answer_ends_the_run() -> None:
    """A new name that is refused is no name registered."""
    call = Call(lambda name: False, "user:a", True)
    with pytest.raises(BenchmarkError, match="user:a"):
        call.check(call())


async def test_new_names_never_repeat() -> None:
    """Each registration of a run is of a name of its own, and so are those of another process."""
    client = FakeClient()
    for prefix in ("64/0/0", "64/0/1", "64/1/0"):
        task = Task(peer="fake", address={}, kind="each", batch=500, prefix=prefix)
        calls = Calls(client, task)
        for _ in range(4):
            call = calls.next()
            call.check(await call())


async def test_look_ups_know_what_is_there() -> None:
    """Of names that are asked for, some are there and some are not, and the callers know which."""
    client = FakeClient()
    for number in range(100):
        await client.register(seen_name(number))
    calls = Calls(client, Task(peer="fake", address={}, kind="lookup", seen=100))
    answers = []
    for _ in range(100):
        call = calls.next()
        answers.append(await call())
        call.check(answers[-1])
    assert set(answers) == {True, False}


def test_meter_counts_failures_apart() -> None:
    """What a library raises is counted; a wrong answer still ends the run."""
    meter = Meter(_TASK, begins=0.0)
    meter.add_failure(ConnectionError("gone\naway"))
    meter.add_failure(TimeoutError())
    with pytest.raises(BenchmarkError):
        meter.add_failure(BenchmarkError("granted twice"))
    outcome = meter.outcome(_TASK)
    assert (outcome.failed, outcome.failure) == (2, "ConnectionError: gone away")


def test_meter_counts_what_ends_in_its_time() -> None:
    """Calls that end while callers warm up, or after the end, are not counted."""
    meter = Meter(Task(peer="fake", address={}, kind="register", seconds=2.0), begins=10.0)
    for began, ended in ((9.0, 9.9), (9.5, 10.5), (11.0, 11.25), (11.9, 12.0)):
        meter.add(began, ended)
    meter.mark(0)
    meter.mark(1)
    outcome: Outcome = meter.outcome(_TASK)
    assert outcome.names == 2
    assert outcome.latencies_us == [1_000_000, 250_000]
