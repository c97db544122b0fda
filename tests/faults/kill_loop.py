"""kill -9, again and again, under load: nothing acknowledged is lost, nothing is granted twice.

Each round kills one node or all of them at once, at a moment of chance: while they serve, or while
they are still starting. They are started again, and once they serve, every name that was ever
acknowledged is asked for. At the end the record of all calls is judged. `python -m tests.faults
kills` runs it for long, test_kills a few rounds.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from namestore import NameStore
from namestore.localcluster import LocalCluster
from tests.faults.load import Load, running_load
from tests.support.cluster import SERVE_SECONDS, finish, running_cluster
from tests.support.history import History

# Small, so that logs are shortened and snapshots are taken while nodes are killed.
_SETTINGS = {"raft": {"snapshot_entries": 200}}
_ANSWERS_BETWEEN = 20


@dataclass
class Tally:
    """What a run did, for its summary."""

    kills: int = 0
    all_at_once: int = 0
    while_starting: int = 0
    names: int = 0
    operations: int = 0
    unknown: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.kills} kills ({self.all_at_once} rounds of all nodes at once, "
            f"{self.while_starting} kills while starting): {self.names} acknowledged lasting "
            f"names, {self.operations} calls of which {self.unknown} with unknown outcome, "
            f"{self.seconds:.0f} s; 0 lost, 0 granted twice"
        )


def kill_in_a_loop(
    path: Path, kills: int, seed: int, tell: Callable[[str], object] = lambda _: None
) -> Tally:
    """Kills at least so many times; see the module.

    Args:
        path: A directory, existing and empty.
        kills: Processes killed at least.
        seed: Of what is killed when; what runs at the same time is not repeated by it.
        tell: Hears about progress.

    Raises:
        Violation: A name was lost or granted twice.
        NodeFailed: A node does not come back.
    """
    tally, began = Tally(), time.monotonic()
    with running_cluster(path / "cluster", settings=_SETTINGS) as cluster:
        with running_load(cluster, path) as load:
            _kill_on(cluster, load, kills, Random(seed), tally, tell)
        history = History(time.monotonic, load.operations)
        finish(cluster, history)
    tally.operations = len(load.operations)
    tally.unknown = sum(operation.said.name == "UNKNOWN" for operation in load.operations)
    tally.seconds = time.monotonic() - began
    return tally


def _kill_on(
    cluster: LocalCluster,
    load: Load,
    kills: int,
    random: Random,
    tally: Tally,
    tell: Callable[[str], object],
) -> None:
    with NameStore(cluster.endpoints, timeout=SERVE_SECONDS) as store:
        while tally.kills < kills:
            load.wait_for_answers(_ANSWERS_BETWEEN)
            time.sleep(random.random() * 0.5)  # the moment within a heartbeat, a sync, a message
            victims = list(cluster.node_ids)
            if random.random() < 0.7:
                victims = [random.choice(victims)]
            tally.kills += _kill(cluster, victims)
            tally.all_at_once += len(victims) > 1
            cluster.start()
            if random.random() < 0.3:
                time.sleep(random.random() * 2)
                again = _kill(cluster, [random.choice(victims)])
                tally.kills += again
                tally.while_starting += again
                cluster.start()
            cluster.wait_until_serving(timeout=SERVE_SECONDS)
            tally.names = load.check_acknowledged(store)
            tell(
                f"{tally.kills} kills, last of {', '.join(victims)}: all {tally.names} "
                "acknowledged names are there"
            )


def _kill(cluster: LocalCluster, victims: list[str]) -> int:
    """All of them before waiting for any; how many there were."""
    killed = [cluster.process(node_id).signal(signal.SIGKILL) for node_id in victims]
    for node_id in victims:
        cluster.kill(node_id)
    return sum(killed)
