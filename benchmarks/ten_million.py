"""What very many names cost three nodes on one machine: memory, disk, restart, snapshots.

    python -m benchmarks.ten_million [--names 10000000] [--directory DIR] [--callers 4]

The nodes, and the callers that fill them, are processes of this machine; the directory should be on
the disk that is to hold the data, with 2 KB for each name to spare. Takes minutes for a million.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import multiprocessing
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks import interruption
from namestore import NameStore
from namestore.errors import OutcomeUnknown, Unavailable
from namestore.localcluster import LocalCluster
from namestore.storage.directory import DataDirectory

_BATCH = 1000
_CALL_SECONDS = 60.0
_LONG_SECONDS = 1800.0
# In entries of up to four thousand names. Small enough that a node which was down for a moment of
# single names gets the whole state as a snapshot: what rebuilding it from nothing would take.
_SNAPSHOT_ENTRIES = 500
_STORES = ("log", "state", "snapshots", "incoming")


class Table:
    """Figures, printed as they come."""

    def add(self, what: str, value: str) -> None:
        print(f"{what:<52} {value:>24}", flush=True)

    def seconds(self, what: str, seconds: float) -> None:
        self.add(what, f"{seconds:,.3f} s")


def name_of(number: int) -> str:
    """Names in no order, so that the store cannot just append."""
    return f"user:{hashlib.sha1(b'%d' % number, usedforsecurity=False).hexdigest()[:16]}"


def fill(endpoints: str, start: int, stop: int, step: int) -> int:
    """Registers every `step`-th batch between; in a process of its own. How many were granted."""
    granted = 0
    with NameStore(endpoints, timeout=_CALL_SECONDS) as store:
        for first in range(start, stop, step):
            names = [name_of(number) for number in range(first, min(first + _BATCH, stop))]
            granted += _register(store, names)
    return granted


def _register(store: NameStore, names: list[str]) -> int:
    identity = os.urandom(16)
    for attempt in itertools.count(1):
        try:
            return sum(map(bool, store.register_many(names, "owner", request_id=identity)))
        except (Unavailable, OutcomeUnknown):
            if attempt == 20:
                raise
            time.sleep(0.1 * attempt)
    raise AssertionError("unreachable")


def import_names(cluster: LocalCluster, table: Table, names: int, callers: int) -> None:
    began, done = time.monotonic(), 0
    part = max(_BATCH * callers, names // 10)
    context = multiprocessing.get_context("spawn")  # nothing forks where gRPC runs
    with ProcessPoolExecutor(callers, context) as pool:
        for start in range(0, names, part):
            stop, step = min(start + part, names), _BATCH * callers
            shares = [
                pool.submit(fill, cluster.endpoints, start + caller * _BATCH, stop, step)
                for caller in range(callers)
            ]
            done += sum(share.result() for share in shares)
            rate = done / (time.monotonic() - began)
            print(f"  {done:,} names, {rate:,.0f} a second so far", file=sys.stderr, flush=True)
    assert done == names, f"{done:,} of {names:,} were granted"
    seconds = time.monotonic() - began
    table.add("import through register_many", f"{names / seconds:,.0f} names/s")
    table.seconds("import", seconds)


def report_memory(cluster: LocalCluster, table: Table, when: str) -> None:
    for node_id in cluster.node_ids:
        pid = cluster.process(node_id).pid
        status = Path(f"/proc/{pid}/status").read_text()
        fields = {k: int(v) / 1024 for k, v in re.findall(r"(\w+):\s+(\d+) kB", status)}
        table.add(
            f"resident memory {when}, {node_id} (anonymous, highest)",
            f"{fields['VmRSS']:,.0f} ({fields['RssAnon']:,.0f}, {fields['VmHWM']:,.0f}) MiB",
        )


def report_disk(cluster: LocalCluster, table: Table, names: int) -> None:
    for node_id in cluster.node_ids:
        directory = cluster.config.node(node_id).data_dir
        for store in _STORES:
            used = sum(size for size in _allocated(directory / store))
            if used:
                table.add(
                    f"disk, {node_id}, {store}",
                    f"{used / 2**20:,.0f} MiB, {used / names:,.0f} B/name",
                )


def _allocated(directory: Path) -> Iterator[int]:
    for path in directory.rglob("*"):
        try:
            yield path.stat().st_blocks * 512
        except FileNotFoundError:
            continue  # RocksDB was just done with it


def measure(action: Callable[[], object]) -> float:
    began = time.monotonic()
    action()
    return time.monotonic() - began


def restart(cluster: LocalCluster, table: Table) -> None:
    _, follower = roles(cluster)
    cluster.kill(follower)

    def start() -> None:
        cluster.start(follower)
        cluster.wait_until_serving(follower, timeout=_LONG_SECONDS)

    table.seconds("a follower after kill -9: process start to serving", measure(start))
    for node_id in cluster.node_ids:
        cluster.stop(node_id)

    def start_all() -> None:
        cluster.start()
        cluster.wait_until_serving(timeout=_LONG_SECONDS)

    table.seconds("all three after SIGTERM: process start to serving", measure(start_all))


def checkpoint(cluster: LocalCluster, table: Table) -> None:
    """Of a stopped follower's state, in this process."""
    _, follower = roles(cluster)
    cluster.stop(follower)
    node = cluster.config.node(follower)
    directory = DataDirectory.open(node.data_dir, cluster.config.name, follower)
    try:
        directory.open_log()
        state = directory.open_state()
        began = time.monotonic()
        copy = state.checkpoint()
        table.seconds("taking a snapshot (checkpoint)", time.monotonic() - began)
        began = time.monotonic()
        size = sum(file.size for file in copy.files())
        table.seconds("its checksums, for sending it", time.monotonic() - began)
        table.add("size of the snapshot", f"{size / 2**20:,.0f} MiB")
        copy.release()
    finally:
        directory.close()
    cluster.start(follower)
    cluster.wait_until_serving(timeout=_LONG_SECONDS)


def rebuild(cluster: LocalCluster, table: Table) -> None:
    leader, follower = roles(cluster)
    cluster.kill(follower)
    with NameStore(cluster.endpoint(leader), timeout=_CALL_SECONDS) as store:
        for number in range(3 * _SNAPSHOT_ENTRIES):
            store.register(f"user:while-down-{number}")
    log = cluster.process(follower).log_path
    before = log.read_text().count("snapshot.installed")
    goal = cluster.views([leader])[leader].status
    assert goal is not None

    def caught_up() -> bool:
        status = cluster.views([follower]).get(follower)
        applied = status.status.applied_index if status and status.status else 0
        installed = log.read_text().count("snapshot.installed") > before
        return installed and applied >= goal.commit_index

    def start() -> None:
        cluster.start(follower)
        cluster.wait_until(caught_up, "rebuilt", _LONG_SECONDS)

    table.seconds("rebuilding a node by snapshot, from process start", measure(start))


def roles(cluster: LocalCluster) -> tuple[str, str]:
    leader = cluster.wait_for_leader(timeout=_LONG_SECONDS)
    return leader, next(node_id for node_id in cluster.node_ids if node_id != leader)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--names", type=int, default=10_000_000)
    parser.add_argument("--callers", type=int, default=4, help="processes that import")
    parser.add_argument("--directory", type=Path, help="where the data goes [default: temporary]")
    arguments = parser.parse_args()
    with interruption.heeded():
        measure_all(arguments)


def measure_all(arguments: argparse.Namespace) -> None:
    path = Path(tempfile.mkdtemp(prefix="namestore-benchmark-", dir=arguments.directory))
    table = Table()
    table.add("names", f"{arguments.names:,}")
    settings = {"raft": {"snapshot_entries": _SNAPSHOT_ENTRIES}}
    try:
        with LocalCluster.create(path / "c", nodes=3, base_port=0, settings=settings) as cluster:
            cluster.start()
            cluster.wait_until_serving(timeout=60)
            import_names(cluster, table, arguments.names, arguments.callers)
            report_memory(cluster, table, "after the import")
            report_disk(cluster, table, arguments.names)
            restart(cluster, table)
            report_memory(cluster, table, "after a restart")
            checkpoint(cluster, table)
            rebuild(cluster, table)
            report_memory(cluster, table, "at the end")
    finally:
        shutil.rmtree(path)


if __name__ == "__main__":
    main()
