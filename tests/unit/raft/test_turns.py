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
    state = cluster.disks["a"].state
    real = state.write

    def slow(*arguments: Any) -> None:
        cluster.now += 0.03
        real(*arguments)

    state.write = slow  # type: ignore[method-assign]
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
    """In the next turn, without a nap: a commit makes room, and nobody else would wake the node."""
    cluster = OurCluster("abc", Bounds(entry_names=1, uncommitted_entries=4))
    cluster.start()
    cluster.first_leader("a")
    answers = _asked(cluster, 10, 5.0)
    cluster.turn("a")
    engine = cluster.engines["a"]
    assert engine._nap() > 0.0
    cluster.deliver("a", "b")
    cluster.deliver("b", "a")
    assert engine._nap() == 0.0
    cluster.flush()
    cluster.settle()
    verdicts = [answer.heard[0][0][0].verdict for answer in answers]
    assert verdicts == [Verdict.GRANTED] * 10


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
