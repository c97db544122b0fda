"""What the tests of real clusters share. They take seconds each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from namestore.localcluster import LocalCluster
from tests.support.cluster import running_cluster
from tests.support.history import History


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    """Three nodes that serve."""
    with running_cluster(tmp_path / "cluster") as made:
        yield made


@pytest.fixture
def history() -> History:
    """An empty record. Its clock is the same in every process of this machine."""
    return History(time.monotonic)
