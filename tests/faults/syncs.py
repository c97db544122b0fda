"""Syncs of the disk under load, counted by strace beside what the callers heard.

A grant is right only if, between the call and its answer, a majority of the nodes synced their
logs; and callers who ask at the same time share those syncs. `python -m tests.faults syncs` reports
the ratio.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from namestore import NameStore
from namestore.localcluster import LocalCluster
from tests.faults.trace import TIMES, Call, read_calls, traced_node_command
from tests.support.cluster import SERVE_SECONDS
from tests.support.linearizability import Violation

_CALLS = ("openat", "close", "fsync", "fdatasync", "pwrite64", "writev")
_STRING_BYTES = "1"
_SEGMENT = ".wal"


@dataclass(frozen=True, slots=True)
class Grant:
    """A name that was granted, and when, in seconds since the epoch."""

    name: str
    called: float
    returned: float


@dataclass(frozen=True, slots=True)
class SyncTally:
    """What was counted.

    Attributes:
        grants: Names registered under load.
        callers: At the same time.
        log_commits: For each node, synced writes to the log's segments.
        syncs: For each node, everything the disk was asked to make durable while they ran.
    """

    grants: int
    callers: int
    log_commits: tuple[int, ...]
    syncs: tuple[int, ...]

    def __str__(self) -> str:
        each = ", ".join(
            f"{commits} log commits, {syncs} syncs in all ({syncs / self.grants:.3f} a name)"
            for commits, syncs in zip(self.log_commits, self.syncs, strict=True)
        )
        return (
            f"{self.grants} names by {self.callers} callers on {len(self.syncs)} nodes; per node: "
            f"{each}; a majority synced within every call that was granted"
        )


def count_syncs(path: Path, nodes: int, callers: int, names: int) -> SyncTally:
    """Registers `names` names by each of so many callers, under strace.

    Args:
        path: An existing, empty directory.
        nodes: Of the cluster.
        callers: Threads.
        names: Of each caller.

    Raises:
        Violation: A grant was answered before a majority had synced.
    """
    path = path.resolve()
    cluster_path = path / "cluster"
    with LocalCluster.create(
        cluster_path,
        nodes=nodes,
        base_port=0,
        command=traced_node_command(path, _CALLS, "-s", _STRING_BYTES, *TIMES),
    ) as cluster:
        cluster.start()
        cluster.wait_until_serving(timeout=SERVE_SECONDS)
        traces = [path / f"trace.{cluster.process(node_id).pid}" for node_id in cluster.node_ids]
        grants = _load(cluster.endpoints, callers, names)
    began, ended = min(g.called for g in grants), max(g.returned for g in grants)
    commits, syncs = [], []
    for trace in traces:
        durable, committed = _syncs(read_calls(trace))
        commits.append([call for call in committed if began < call.began_at < ended])
        syncs.append(sum(began < call.began_at < ended for call in durable))
    _check_order(grants, commits)
    return SyncTally(len(grants), callers, tuple(map(len, commits)), tuple(syncs))


def _load(endpoints: str, callers: int, names: int) -> list[Grant]:
    with NameStore(endpoints, timeout=SERVE_SECONDS) as store:
        store.register("user:connected")

        def ask(caller: int) -> list[Grant]:
            grants = []
            for number in range(names):
                name = f"user:{caller}-{number}"
                called = time.time()
                assert store.register(name)
                grants.append(Grant(name, called, time.time()))
            return grants

        with ThreadPoolExecutor(callers) as threads:
            return [grant for grants in threads.map(ask, range(callers)) for grant in grants]


def _syncs(calls: list[Call]) -> tuple[list[Call], list[Call]]:
    """Calls that make something durable, and those of them that are commits of the log."""
    synced_handles: set[int] = set()
    durable, commits = [], []
    for call in sorted(calls, key=lambda c: c.ended if c.name == "openat" else c.began):
        if call.name == "openat":
            synced_handles.discard(call.result)
            if b"O_DSYNC" in call.arguments and call.result_path.endswith(_SEGMENT):
                synced_handles.add(call.result)
        elif call.name in ("fsync", "fdatasync"):
            durable.append(call)
        elif call.name == "pwrite64" and call.descriptor()[0] in synced_handles:
            durable.append(call)
            commits.append(call)
    return durable, commits


def _check_order(grants: list[Grant], commits: list[list[Call]]) -> None:
    majority = len(commits) // 2 + 1
    for grant in grants:
        synced = sum(
            any(grant.called < c.began_at and c.ended_at < grant.returned for c in of_node)
            for of_node in commits
        )
        if synced < majority:
            raise Violation(f"{grant} was answered when {synced} of {len(commits)} had synced")
