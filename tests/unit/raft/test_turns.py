"""What one turn of the Raft thread may take."""

from __future__ import annotations

from typing import Any

from namestore.raft.settings import Bounds
from tests.defects.ours import OurCluster


def test_applying_lets_the_network_have_its_turn() -> None:
    """However much is committed: between two entries a turn ends when a heartbeat may be due, and
    the next goes on where it stopped."""
    cluster = OurCluster("a", Bounds(entry_commands=1))
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
