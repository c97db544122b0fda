"""Clusters for the schedules: `make(nodes)` is PySyncObj as released, and namestore's engine."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from namestore.raft.settings import Bounds
from tests.defects.cluster import Cluster
from tests.defects.ours import OurCluster
from tests.defects.plain import PlainCluster, use_clock_of


class MakePlain(Protocol):
    """Makes a cluster of PySyncObj."""

    def __call__(self, nodes: str, **settings: Any) -> PlainCluster: ...


class Make(Protocol):
    """Makes a cluster of either engine: `batch_bytes` of log in one message."""

    def __call__(self, nodes: str, batch_bytes: int = 65536) -> Cluster: ...


@pytest.fixture
def make_plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakePlain]:
    """PySyncObj 0.3.17."""
    logger = logging.getLogger("pysyncobj")
    monkeypatch.setattr(logger, "disabled", True)
    made: list[PlainCluster] = []

    def make(nodes: str, **settings: Any) -> PlainCluster:
        directory = tmp_path / str(len(made))
        directory.mkdir()
        cluster = PlainCluster(nodes, directory, **settings)
        use_clock_of(cluster, monkeypatch)
        cluster.start()
        made.append(cluster)
        return cluster

    yield make
    for cluster in made:
        cluster.close()
    # The library leaves files open: they go now, where the tests' marks ignore the warning.
    made.clear()
    gc.collect()


@pytest.fixture(params=("plain", "namestore"))
def make(request: pytest.FixtureRequest, make_plain: MakePlain) -> Make:
    """Both engines, one after the other. Proposals are not joined into one entry."""

    def make(nodes: str, batch_bytes: int = 65536) -> Cluster:
        if request.param == "plain":
            return make_plain(nodes, appendEntriesBatchSizeBytes=batch_bytes)
        cluster = OurCluster(nodes, Bounds(message_bytes=batch_bytes, entry_names=1))
        cluster.start()
        return cluster

    return make
