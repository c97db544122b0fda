"""The promise itself: many callers, the same names, leaders dying, and each name granted once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pytest

from namestore.localcluster import LocalCluster
from tests.support.cluster import SERVE_SECONDS, finish
from tests.support.eventually import eventually
from tests.support.history import History, Said
from tests.support.racing_callers import Task, read_operations

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

NAMES = [f"user:race-{number:04}" for number in range(1000)]
PROCESSES, CALLERS = 8, 8
KILLS_AT = (0.1, 0.4, 0.7)  # of all answers
PATIENCE_SECONDS = 150.0


@pytest.mark.timeout(240)
def test_each_name_is_granted_once_while_leaders_die(
    cluster: LocalCluster, history: History, tmp_path: Path
) -> None:
    """64 callers in 8 processes race for 1,000 names through three nodes; three leaders die.

    Each name is granted exactly once, and its winner's retry is told so again.
    """
    paths = [tmp_path / f"race-{number}.jsonl" for number in range(PROCESSES)]
    racers = [_start(cluster, number, path) for number, path in enumerate(paths)]
    try:
        for share in KILLS_AT:
            goal = int(share * PROCESSES * CALLERS * len(NAMES))
            eventually(partial(_has_answered, paths, goal), f"{goal} answers", 120, 0.05)
            leader = cluster.wait_for_leader()
            cluster.kill(leader)
            cluster.wait_for_leader(other_than=leader)
            cluster.start(leader)
            cluster.wait_until_serving(timeout=SERVE_SECONDS)
        for racer in racers:
            _, said = racer.communicate(timeout=PATIENCE_SECONDS)
            assert racer.returncode == 0, said
    finally:
        for racer in racers:
            racer.kill()
            racer.communicate()

    operations = [operation for path in paths for operation in read_operations(path)]
    grants = Counter((o.name, o.request_id) for o in operations if o.said is Said.GRANTED)
    assert sorted(name for name, _ in grants) == NAMES, "each granted to one request"
    assert set(grants.values()) == {2}, "and each winner was told so again"
    assert len(operations) == PROCESSES * CALLERS * len(NAMES) + len(NAMES)
    history.operations.extend(operations)
    finish(cluster, history)


def _start(cluster: LocalCluster, number: int, path: Path) -> subprocess.Popen[str]:
    path.touch()
    task = Task(
        endpoints=cluster.endpoints.split(","),
        names=NAMES,
        callers=CALLERS,
        process=number,
        path=str(path),
        patience=PATIENCE_SECONDS,
    )
    racer = subprocess.Popen(
        [sys.executable, "-m", "tests.support.racing_callers"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert racer.stdin is not None
    racer.stdin.write(json.dumps(asdict(task)) + "\n")
    racer.stdin.flush()
    return racer


def _has_answered(paths: list[Path], goal: int) -> bool:
    return sum(path.read_bytes().count(b"\n") for path in paths) >= goal
