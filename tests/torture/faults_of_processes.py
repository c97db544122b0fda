"""Faults of processes: killed, held, restarted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

from tests.torture.stage import RECOVERY_SECONDS, Stage

# Around the election timeout of the nodes (600 to 1200 ms).
_SHORT_SECONDS = (0.05, 0.5)
_BETWEEN_SECONDS = (0.05, 0.6)


@contextmanager
def kill_leader(stage: Stage, random: Random) -> Iterator[None]:
    """The one whose outage is measured: nothing else is broken, so there is a leader."""
    leader = stage.cluster.wait_for_leader(timeout=RECOVERY_SECONDS)
    stage.diary.leader_kills.append(time.monotonic())
    stage.kill(leader)
    yield
    stage.bring_back(leader)


@contextmanager
def kill_node(stage: Stage, random: Random) -> Iterator[None]:
    node = stage.any_node(random)
    stage.kill(node)
    yield
    stage.bring_back(node)


@contextmanager
def kill_successor(stage: Stage, random: Random) -> Iterator[None]:
    """The leader, and soon after it whoever follows it; the first is back then."""
    first = stage.leader(random)
    stage.kill(first)
    time.sleep(random.uniform(0.3, 2.5))
    stage.bring_back(first)
    second = stage.leader(random)
    stage.kill(second)
    yield
    stage.bring_back(second)


@contextmanager
def kill_all(stage: Stage, random: Random) -> Iterator[None]:
    """At the same moment, as a power cut would; back in any order, with time in between."""
    order = list(stage.node_ids)
    random.shuffle(order)
    for node in order:
        stage.down.add(node)
    for node in order:
        stage.kill(node)
    yield
    for node in order:
        stage.bring_back(node)
        time.sleep(random.choice((0.0, random.uniform(0.0, 1.5))))


@contextmanager
def kill_again(stage: Stage, random: Random) -> Iterator[None]:
    """One node, started and killed while it starts, several times."""
    node = stage.any_node(random)
    for _ in range(random.randint(2, 5)):
        stage.kill(node)
        stage.bring_back(node)
        time.sleep(random.uniform(0.1, 2.0))
    yield


@contextmanager
def pause_node(stage: Stage, random: Random) -> Iterator[None]:
    with stage.paused([stage.any_node(random)]):
        yield


@contextmanager
def pause_leader(stage: Stage, random: Random) -> Iterator[None]:
    with stage.paused([stage.leader(random)]):
        yield


@contextmanager
def pause_majority(stage: Stage, random: Random) -> Iterator[None]:
    nodes = random.sample(stage.node_ids, len(stage.node_ids) // 2 + 1)
    with stage.paused([node for node in nodes if node not in stage.down]):
        yield


@contextmanager
def short_pauses(stage: Stage, random: Random) -> Iterator[None]:
    """Of whoever leads, shorter than an election timeout, one after the other."""
    for _ in range(random.randint(3, 8)):
        with stage.paused([stage.leader(random)]):
            time.sleep(random.uniform(*_SHORT_SECONDS))
        time.sleep(random.uniform(*_BETWEEN_SECONDS))
    yield


@contextmanager
def rolling_restart(stage: Stage, random: Random) -> Iterator[None]:
    """Each node in turn by SIGTERM, as for an upgrade; the next once it serves, or too early."""
    order = list(stage.node_ids)
    random.shuffle(order)
    patient = random.random() < 0.6
    for node in order:
        stage.stop(node)
        stage.bring_back(node)
        stage.give_time(node, 10.0 if patient else random.uniform(0.5, 2.0))
    yield
