"""An answer comes after a sync, and callers who ask at the same time share one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.syncs import count_syncs
from tests.faults.trace import unusable

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(bool(unusable()), reason=unusable()),
]


@pytest.mark.parametrize("nodes", (1, 3))
def test_grants_follow_a_sync_and_share_it(tmp_path: Path, nodes: int) -> None:
    """A majority synced within each call, and callers who ask at the same time share a commit.

    How many share depends on how fast the disk is: with a fast one nobody has long to wait.
    """
    tally = count_syncs(tmp_path, nodes, callers=64, names=10)

    assert tally.grants == 640
    for commits, syncs in zip(tally.log_commits, tally.syncs, strict=True):
        assert 0 < commits < tally.grants * 3 / 4
        assert syncs >= commits
