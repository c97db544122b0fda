"""Faults of disks and clocks, and what operators do: leadership handed over, members changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from namestore import NameStore
from namestore.errors import NamestoreError
from tests.support.linearizability import Violation
from tests.torture.nodes import others
from tests.torture.stage import RECOVERY_SECONDS, Stage

_BALLAST = "ballast"
_END_SECONDS = 10.0
_HOUR = 3_600.0
# Half of what outcomes are surely remembered for, less an hour: see "Log time is exact" and
# "Recognition for ever" in docs/guarantees.md. Any clock may step here, and log time is what a
# majority shows: if they step further, a late retry may be a new request.
_CLOCK_STEP_MAX = 11 * _HOUR
_WIPE_AND_REJOIN = ("--wipe-and-rejoin", "--yes")


@contextmanager
def full_disk(stage: Stage, random: Random) -> Iterator[None]:
    """A node's disk fills up; an operator frees it and starts the node again."""
    node = random.choice(sorted(stage.ground.disks))
    leader = stage.leader(random)
    if leader in stage.ground.disks and random.random() < 0.6:
        node = leader
    ballast = stage.cluster.data_path(node) / _BALLAST
    stage.down.add(node)
    stage.diary.note("disk full", node=node)
    try:
        _fill(ballast)
        yield
        ended = stage.cluster.process(node).wait_gone(_END_SECONDS)
        stage.diary.note("ended of it" if ended else "did not end of it", node=node)
    finally:
        ballast.unlink(missing_ok=True)
    if not ended:
        stage.stop(node)
    stage.bring_back(node)


def _fill(path: Path) -> None:
    """Leaves no byte free."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue


@contextmanager
def clock_step(stage: Stage, random: Random) -> Iterator[None]:
    """The leader's or a node's wall clock jumps, and back again later."""
    node = stage.leader(random) if random.random() < 0.6 else stage.any_node(random)
    seconds = random.choice((-1, 1)) * random.choice((0.5, 30.0, _HOUR, _CLOCK_STEP_MAX))
    _move(stage, node, seconds)
    yield
    _move(stage, node, 0.0)


@contextmanager
def clocks_apart(stage: Stage, random: Random) -> Iterator[None]:
    """Every node has another time, and keeps it until the next step."""
    for node in stage.node_ids:
        _move(stage, node, random.uniform(-1, 1) * random.choice((2.0, 600.0, 5 * _HOUR)))
    yield


def _move(stage: Stage, node: str, seconds: float) -> None:
    stage.diary.note("clock", node=node, seconds=seconds)
    stage.ground.move_clock(node, seconds)


@contextmanager
def transfer(stage: Stage, random: Random) -> Iterator[None]:
    """Leadership is handed over, once or several times."""
    with stage.operator() as store:
        for _ in range(random.randint(1, 3)):
            node = stage.any_node(random)
            stage.diary.note("transfer", to=node)
            try:
                store.transfer_leadership(node, timeout=5.0)
            except NamestoreError as error:
                # With other faults about it may fail; who leads is not what is judged.
                stage.diary.note("not transferred", why=error.message)
            time.sleep(random.uniform(0.1, 1.0))
    yield


@contextmanager
def remove_and_add(stage: Stage, random: Random) -> Iterator[None]:
    """A member is removed, which ends it, and taken in again with the data it had."""
    node = stage.any_node(random)
    rest = stage.cluster.config.node(others(stage.node_ids, node)[0])
    stage.down.add(node)
    with stage.operator() as store:
        stage.diary.note("remove member", node=node)
        _insist(lambda: node not in _voters(store, lambda: store.remove_member(node, timeout=10)))
        if not stage.cluster.process(node).wait_gone(RECOVERY_SECONDS):
            raise Violation(f"{node} was removed and goes on")
        yield
        stage.bring_back(node)
        stage.diary.note("add member", node=node, seen_by=rest.id)
        own = stage.cluster.config.node(node)
        _insist(
            lambda: (
                node
                in _voters(store, lambda: store.add_member(node, own.raft, own.grpc, timeout=10))
            )
        )


@contextmanager
def replace(stage: Stage, random: Random) -> Iterator[None]:
    """A node loses its disk, or distrusts it, and begins anew as a new member."""
    node = stage.any_node(random)
    stage.kill(node)
    if node in stage.ground.disks and random.random() < 0.7:
        stage.diary.note("disk lost", node=node)
        stage.ground.make_disk(node, stage.cluster.data_path(node))
    deadline = time.monotonic() + RECOVERY_SECONDS
    while True:
        stage.diary.note("wipe and rejoin", node=node)
        stage.cluster.start_anew(node, *_WIPE_AND_REJOIN)
        # It ends when the others cannot go on without it just now, and is told again.
        if _stays(stage, node, deadline):
            break
        if time.monotonic() > deadline:
            tail = stage.cluster.process(node).log_tail()
            raise Violation(f"{node} cannot be replaced:\n{tail}")
    stage.down.discard(node)
    yield


def _stays(stage: Stage, node: str, deadline: float) -> bool:
    """Waits until it serves, or ended."""
    process = stage.cluster.process(node)
    while process.pid is not None and time.monotonic() < deadline:
        views = stage.cluster.views([node])
        if node in views and views[node].health.value == "serving":
            return True
        time.sleep(0.2)
    return False


def _voters(store: NameStore, change: Callable[[], object]) -> list[str]:
    change()
    return [member.node_id for member in store.members() if member.voter]


def _insist(done: Callable[[], bool]) -> None:
    """Asks again until it is done: a change names the state that is wanted."""
    deadline = time.monotonic() + RECOVERY_SECONDS
    while True:
        try:
            if done():
                return
            error: NamestoreError | None = None
        except NamestoreError as raised:
            error = raised
        if time.monotonic() > deadline:
            raise Violation(f"a change of members is not done in time: {error}")
        time.sleep(0.5)
