"""Disks that begin to refuse under load: the node stops, the others go on, nothing is lost.

strace makes the system calls of a running node fail, as a file system does that went read-only or
a disk that is full or broke. A file system that really is full is in tests/cluster/test_disk.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from namestore import NameStore
from tests.faults.load import running_load
from tests.faults.trace import strace_path, unusable
from tests.support.cluster import SERVE_SECONDS, finish, role_ids, running_cluster
from tests.support.history import History

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(240),
    pytest.mark.skipif(bool(unusable()), reason=unusable()),
]

_EXIT_FATAL = 70
_WRITES = "pwrite64,pwritev,writev"
_SYNCS = "fsync,fdatasync"


@contextmanager
def failing_calls(pid: int, calls: str, error: str) -> Iterator[None]:
    """These system calls of a process fail from now on, until the process ends."""
    strace = subprocess.Popen(
        [
            strace_path(),
            *("-f", "-qq", "-p", str(pid), "-o", "/dev/null"),
            *("-e", f"trace={calls}", "-e", f"inject={calls}:error={error}"),
        ],
        stderr=subprocess.PIPE,
    )
    try:
        yield
    finally:
        strace.terminate()
        strace.communicate()


_READ_ONLY = (f"{_WRITES},{_SYNCS}", "EROFS", "Read-only file system")
_FULL = (_WRITES, "ENOSPC", "No space left on device")
_BROKEN = (f"{_WRITES},{_SYNCS}", "EIO", "Input/output error")


@pytest.mark.parametrize(
    ("victim", "calls", "error", "words"),
    (
        ("leader", *_READ_ONLY),
        ("follower", *_READ_ONLY),
        ("leader", *_FULL),
        ("leader", *_BROKEN),
        pytest.param("follower", *_FULL, marks=pytest.mark.slow),
        pytest.param("follower", *_BROKEN, marks=pytest.mark.slow),
    ),
    ids=lambda value: value if value in ("leader", "follower") or value.startswith("E") else "",
)
def test_failing_disk_stops_its_node_only(
    tmp_path: Path, history: History, victim: str, calls: str, error: str, words: str
) -> None:
    """It ends with its code and says why; once the disk works again it starts and catches up."""
    with running_cluster(tmp_path / "cluster") as cluster:
        leader, followers = role_ids(cluster)
        node_id = leader if victim == "leader" else followers[0]
        with running_load(cluster, tmp_path) as load:
            load.wait_for_answers(20)
            pid = cluster.process(node_id).pid
            assert pid is not None
            with failing_calls(pid, calls, error):
                assert cluster.process(node_id).wait_gone(60), "it went on without its disk"
            assert cluster.process(node_id).exit_code == _EXIT_FATAL
            assert words in cluster.process(node_id).log_tail(60)
            load.wait_for_answers(50)
            with NameStore(cluster.endpoints, timeout=SERVE_SECONDS) as store:
                assert load.check_acknowledged(store) > 0
            cluster.start(node_id)
            cluster.wait_until_serving(timeout=SERVE_SECONDS)
            load.wait_for_answers(20)
        history.operations += load.operations
        finish(cluster, history)
