"""kill -9 under load, a few times; `python -m tests.faults kills` does it for long."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.kill_loop import kill_in_a_loop

pytestmark = pytest.mark.cluster


@pytest.mark.timeout(300)
def test_kills_lose_nothing_and_grant_nothing_twice(tmp_path: Path) -> None:
    """After each kill of one node or of all, every acknowledged name is there."""
    tally = kill_in_a_loop(tmp_path, kills=6, seed=3)

    assert tally.kills >= 6
    assert tally.names > 0
