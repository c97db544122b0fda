"""Node processes that are none: a stand-in program, and answers made up for it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from namestore.localcluster import LocalCluster
from namestore.localcluster.node_process import NodeProcess
from tests.support.eventually import eventually

STAND_IN = Path(__file__).parents[2] / "support" / "stand_in_node.py"
COMMAND = (sys.executable, "-I", "-S", str(STAND_IN))


@pytest.fixture
def make_process(tmp_path: Path) -> Iterator[Callable[..., NodeProcess]]:
    """Makes `NodeProcess`es that run the stand-in; whatever still runs at the end is killed."""
    made: list[NodeProcess] = []

    def make(node_id: str = "n1", directory: Path = tmp_path) -> NodeProcess:
        made.append(NodeProcess(node_id, directory, COMMAND))
        return made[-1]

    yield make
    for process in made:
        if process._child is not None:
            process._child.kill()
            process._child.wait()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    """Three stand-ins on free ports, none of them started."""
    with LocalCluster.create(tmp_path / "c", base_port=0, command=COMMAND) as made:
        yield made


def wait_ready(process: NodeProcess) -> None:
    """Until the stand-in has set itself up; before, a signal would find Python's own handlers."""
    eventually(lambda: process.log_tail().endswith("ready"), "stand-in ready", every=0.005)
