"""Power loss of a follower that receives a snapshot, below its process as in `power_loss`.

The follower is killed, left behind until its entries are gone, and started again: it installs a
snapshot. Then a third node is ended, so that every later grant needs this follower's disk: what was
granted must be in every image of it, in the state or in the log that is replayed into it.
"""

from __future__ import annotations

import shutil
import time
from bisect import bisect_left
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from namestore import NameStore
from namestore.errors import NamestoreError
from namestore.localcluster import LocalCluster
from namestore.storage.directory import DataDirectory, reconcile
from tests.faults.disk import Disk, Keep, keep_some
from tests.faults.power_loss import STRING_BYTES_MAX, contents
from tests.faults.recording import CALLS, disk_of
from tests.faults.trace import TIMES, Call, read_calls, traced_node_command
from tests.support.cluster import SERVE_SECONDS, role_ids
from tests.support.eventually import eventually
from tests.support.linearizability import Violation

_SETTINGS = {"raft": {"snapshot_entries": 20}}
_BEFORE, _WHILE_DOWN, _AFTER = 10, 80, 30
_ALL_BYTES = 1 << 40


@dataclass(frozen=True, slots=True)
class Received:
    """What was recorded of the follower.

    Attributes:
        second_start: The place of the trace where its process began for the second time.
        times: Places of the trace, and the time at each, both growing.
        grants: Names with the time of their answer, from when every grant needed this follower.
        earlier: Names granted before; the snapshot holds them.
    """

    cluster_name: str
    node_id: str
    disk: Disk
    second_start: int
    times: list[tuple[int, float]]
    grants: list[tuple[float, str]]
    earlier: list[str]

    def known(self, point: int) -> list[str]:
        """Names that must be there: those granted by then, and the earlier with the first."""
        last = bisect_left(self.times, (point, 0.0)) - 1
        time_then = self.times[last][1]
        granted = [name for at, name in self.grants if at < time_then]
        return [*self.earlier, *granted] if granted else []


def record_receiver(path: Path) -> Received:
    """Runs it; `path` is an existing, empty directory."""
    path = path.resolve()
    command = traced_node_command(path, CALLS, "-s", STRING_BYTES_MAX, *TIMES)
    with LocalCluster.create(
        path / "cluster", nodes=3, base_port=0, settings=_SETTINGS, command=command
    ) as cluster:
        cluster.start()
        cluster.wait_until_serving(timeout=SERVE_SECONDS)
        _, (follower, third) = role_ids(cluster)
        with NameStore(cluster.endpoints, timeout=SERVE_SECONDS) as store:
            earlier = [name for _, name in _register(store, "before", _BEFORE)]
            first = _kill(cluster, follower, path)
            earlier += [name for _, name in _register(store, "while-down", _WHILE_DOWN)]
            cluster.start(follower)
            log = cluster.process(follower).log_path
            eventually(lambda: "snapshot.installed" in log.read_text(), "installed", SERVE_SECONDS)
            cluster.kill(third)
            grants = _register(store, "after", _AFTER)
            second = _kill(cluster, follower, path)
        data, name = cluster.config.node(follower).data_dir, cluster.config.name
    shift = max(call.ended for call in first) + 1
    calls = first + [
        replace(call, began=call.began + shift, ended=call.ended + shift) for call in second
    ]
    disk = disk_of(data, calls)
    disk.image(1 << 62, path / "all", lambda _: True)
    assert contents(path / "all") == contents(data), "the record does not explain the directory"
    latest, times = 0.0, []
    for call in calls:
        latest = max(latest, call.began_at)
        times.append((call.began, latest))
    return Received(name, follower, disk, shift, times, grants, earlier)


def _register(store: NameStore, kind: str, count: int) -> list[tuple[float, str]]:
    granted = []
    for number in range(count):
        name = f"user:{kind}-{number:03}-end"
        assert store.register(name)
        granted.append((time.time(), name))
    return granted


def _kill(cluster: LocalCluster, node_id: str, path: Path) -> list[Call]:
    """Ends the process; gives its calls."""
    trace = path / f"trace.{cluster.process(node_id).pid}"
    time.sleep(0.5)  # calls under way would be known by their beginning only
    cluster.kill(node_id)
    return read_calls(trace)


def lose_power_while_receiving(received: Received, path: Path, points: int, seed: int) -> int:
    """Tries three images at each of so many places of the second run; how many it were.

    Raises:
        Violation: An image does not open, or lacks a granted name. It is left in `path`.
    """
    every = [point for point in received.disk.points() if point > received.second_start]
    chosen = Random(seed).sample(every, min(points, len(every)))
    for point in chosen:
        ways: dict[str, Keep] = {
            "nothing": lambda _: False,
            "everything": lambda _: True,
            "some": keep_some(Random(f"{seed}/{point}")),
        }
        for way, keep in ways.items():
            image = path / f"image-{point}-{way}"
            received.disk.image(point, image, keep)
            _check_image(received, image, received.known(point))
            shutil.rmtree(image)
    return 3 * len(chosen)


def _check_image(received: Received, image: Path, known: list[str]) -> None:
    try:
        held = DataDirectory.open(image, received.cluster_name, received.node_id)
        try:
            log, state = held.open_log(), held.open_state()
            reconcile(log, state)
            if held.fresh:
                raise Violation(f"{image}: the node passes for one that never took part")
            stored = b"\n".join(
                [key + value for key, value in state.scan(b"", b"")]
                + [entry.command for entry in log.entries(log.first_index, _ALL_BYTES)]
            )
        finally:
            held.close()
    except NamestoreError as error:
        raise Violation(f"{image} does not open: {error}") from error
    lost = [name for name in known if name.partition(":")[2].encode() not in stored]
    if lost:
        raise Violation(f"{image}: {len(lost)} acknowledged names are lost: {lost[:5]}")
