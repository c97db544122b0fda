"""What a report says of the machine that it ran on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import machine


def _after(used: int, idle: int) -> Iterator[tuple[int, int]]:
    yield 1000, 5000
    yield 1000 + used, 5000 + idle


@pytest.mark.parametrize(("used", "idle", "busy"), ((2, 98, False), (20, 80, True), (0, 0, False)))
def test_a_machine_is_busy_by_what_is_used_while_one_looks(
    used: int, idle: int, busy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by what ended before."""
    ticks = _after(used, idle)
    monkeypatch.setattr(machine, "_ticks", lambda stat: next(ticks))
    assert (machine.busy(seconds=0.0) is not None) == busy


def test_ticks_are_of_all_cores(tmp_path: Path) -> None:
    """The first line is their sum; waiting for a disk is idle, being a guest is counted already."""
    stat = tmp_path / "stat"
    stat.write_text("cpu  10 1 5 70 4 0 2 3 9 9\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
    assert machine._ticks(stat) == (21, 74)
