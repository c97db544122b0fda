"""What one turn of the Raft thread may take."""

from __future__ import annotations

from typing import Any

import pytest

from namestore.core.commands import (
    Register,
    RegisterEach,
    Wanted,
    decode_entry,
    encode_command,
    names_asked,
)
from namestore.core.outcomes import Verdict
from namestore.errors import NoQuorum, OutcomeUnknown, Overloaded
from namestore.raft.settings import Bounds
from tests.defects.cluster import Answer
from tests.defects.ours import OurCluster


def test_applying_lets_the_network_have_its_turn() -> None:
    """However much is committed: between two entries a turn ends when a heartbeat may be due, and
    the next goes on where it stopped."""
    cluster = OurCluster("a", Bounds(entry_names=1))
    cluster.start()
    cluster.first_leader("a")
    _write_slowly(cluster, 0.03)
    answers = [cluster.write("a", f"n:{number}", "u") for number in range(10)]
    engine, turns = cluster.engines["a"], []
    start = engine.applied_index
    while engine.applied_index < start + len(answers):
        before = engine.applied_index
        cluster.turn("a")
        turns.append(engine.applied_index - before)
        assert len(turns) < 20
    assert engine.commit_index == start + len(answers)
    assert turns == [2] * 5
    assert [answer.heard for answer in answers] == [[True]] * len(answers)


def _write_slowly(cluster: OurCluster, seconds: float) -> None:
    """Each change of a's state takes so long."""
    state = cluster.disks["a"].state
    real = state.write

    def slow(*arguments: Any) -> None:
        cluster.now += seconds
        real(*arguments)

    state.write = slow  # type: ignore[method-assign]


def _asked(cluster: OurCluster, count: int, timeout: float) -> list[Answer]:
    commands = [Register(b"r%d" % n, Wanted(f"n:{n}", "", "u")) for n in range(count)]
    return [cluster.propose("a", [encode_command(each)], timeout) for each in commands]


def test_a_leader_does_not_run_ahead_of_its_followers() -> None:
    """What they do not keep up with waits outside the log, and is told in time that it was not
    applied: a log that is full of what was given up would make everybody late, for ever."""
    cluster = OurCluster("abc", Bounds(entry_names=1, uncommitted_entries=4))
    cluster.start()
    cluster.first_leader("a")
    engine = cluster.engines["a"]
    committed = engine.commit_index
    answers = _asked(cluster, 10, 0.3)
    for _ in range(3):
        cluster.pass_time(0.05)
        cluster.turn("a")
    assert engine.log_end == committed + 4
    for _ in range(6):
        cluster.pass_time(0.05)
        cluster.turn("a")
    told = [type(answer.heard[0]) for answer in answers]
    assert told == [OutcomeUnknown] * 4 + [Overloaded] * 6
    assert engine.log_end == committed + 4
    cluster.settle()
    assert engine.commit_index == committed + 4


def test_what_waits_goes_on_as_soon_as_there_is_room() -> None:
    """In the turn that hears of the commit which makes room: nobody else would wake the node."""
    cluster = OurCluster("abc", Bounds(entry_names=1, uncommitted_entries=4))
    cluster.start()
    cluster.first_leader("a")
    answers = _asked(cluster, 10, 5.0)
    cluster.turn("a")
    engine = cluster.engines["a"]
    assert engine._nap() > 0.0
    begun = engine.log_end
    cluster.deliver("a", "b")
    cluster.deliver("b", "a")
    assert engine.log_end == begun + 4
    cluster.flush()
    cluster.settle()
    verdicts = [answer.heard[0][0][0].verdict for answer in answers]
    assert verdicts == [Verdict.GRANTED] * 10


def _steps(cluster: OurCluster) -> list[str]:
    """What the leader does from now on: what it has sent, and what it applies."""
    engine, steps = cluster.engines["a"], list[str]()
    replicate, apply = engine._replicate, engine._apply
    engine._replicate = lambda now: (steps.append("send"), replicate(now))[1]  # type: ignore[method-assign]
    engine._apply = lambda entry: (steps.append("apply"), apply(entry))[1]  # type: ignore[method-assign]
    return steps


def test_who_has_much_to_apply_goes_on_saying_that_it_leads() -> None:
    """After all lost power: nobody calls, and the state is made again from the log."""
    cluster = OurCluster("abc", Bounds(entry_names=1, uncommitted_entries=1000))
    cluster.start()
    cluster.first_leader("a")
    for number in range(100):
        cluster.write("a", f"n:{number}", "u")
    cluster.settle()
    cluster.crash("a", "b", "c")
    _write_slowly(cluster, 0.02)
    cluster.restart("a", "b", "c")
    cluster.pass_time(1.5)
    cluster.turn("a", campaign=True)
    while not cluster.leads("a"):
        cluster.deliver("a", "b")
        cluster.deliver("b", "a")
    engine, silence, said_at = cluster.engines["a"], 0.0, cluster.now
    assert engine.applied_index < engine.log_end - 90
    while engine.applied_index < engine.log_end:
        cluster.turn("a")
        if cluster.deliver("a", "b"):
            silence, said_at = max(silence, cluster.now - said_at), cluster.now
        for message in cluster.take("b", "a"):
            cluster.wires["a"].hear("b", message)
    assert max(silence, cluster.now - said_at) < 0.3


@pytest.mark.parametrize(("more", "first"), ((0, "apply"), (1, "send")))
def test_who_waits_for_an_acknowledgement_alone_is_answered_first(more: int, first: str) -> None:
    """With more to propose the followers come first: they can work on the next entry meanwhile."""
    cluster = OurCluster("abc", Bounds())
    cluster.start()
    cluster.first_leader("a")
    cluster.settle()
    cluster.flush()
    (answer,) = _asked(cluster, 1, 5.0)
    cluster.turn("a")
    assert cluster.deliver("a", "b") == 1
    _asked(cluster, more, 5.0)
    steps = _steps(cluster)
    cluster.deliver("b", "a")
    assert answer.heard
    assert steps[0] == first
    cluster.turn("a")
    assert {"apply", "send"} <= set(steps)


def test_what_is_synced_is_marked_within_a_heartbeat() -> None:
    """So that a later life of the node misses it if it is gone; and a log at rest is left alone."""
    cluster = OurCluster("abc", Bounds())
    cluster.start()
    cluster.first_leader("a")
    cluster.settle()
    for node in "abc":
        segments = cluster.disks[node].log._segments
        assert segments is not None
        cluster.pass_time(0.1)
        cluster.turn(node)
        assert set(segments._marked.values()) == {segments._sequence}
        assert segments._sequence > 1
        cluster.disks[node].log.disk.fails = True
        cluster.pass_time(0.1)
        cluster.turn(node)


def test_without_a_majority_nobody_is_told_that_there_is_too_much() -> None:
    """Who would back off and ask the same node again had better go elsewhere."""
    cluster = OurCluster("abc", Bounds(entry_names=1, uncommitted_entries=4))
    cluster.start()
    cluster.first_leader("a")
    cluster.isolate("a")
    answers = _asked(cluster, 6, 0.3)
    for _ in range(9):
        cluster.pass_time(0.05)
        cluster.turn("a")
    told = [type(answer.heard[0]) for answer in answers]
    assert told == [OutcomeUnknown] * 4 + [NoQuorum] * 2


@pytest.mark.parametrize("names", (1, 500, 1000))
def test_an_entry_asks_for_no_more_names_than_it_may(names: int) -> None:
    """Heartbeats wait while one is applied: a batch that is written as one command counts as the
    names in it. Nothing is lost by that: what does not fit goes into the next entry."""
    cluster = OurCluster("a", Bounds(entry_names=2000))
    cluster.start()
    cluster.first_leader("a")
    begun = cluster.engines["a"].log_end
    answers = []
    for number in range(5000 // names):
        batch = tuple(f"n:{number}-{place}" for place in range(names))
        command = encode_command(RegisterEach(b"r%d" % number, batch, "u"))
        answers.append(cluster.propose("a", [command]))
    cluster.settle()
    log = cluster.disks["a"].log
    sizes = [
        sum(map(names_asked, decode_entry(entry.command[1:]).commands))
        for entry in log.entries(begun + 1, 10**9)
    ]
    assert sizes == [2000, 2000, 1000]
    assert all(answer.heard[0] for answer in answers)
