"""A process that uses an embedded registry while its system calls are recorded.

`python -m tests.faults.recorded_writer DIRECTORY MARKS NAMES`: opens the registry in DIRECTORY
twice, one after the other, and registers half of NAMES each time from several threads, releasing
some of them again. The first time it is killed in the midst of it. To the file MARKS it writes
`held NAME` after each grant, `leaving NAME` before each release and `gone NAME` after it: these
writes are in the record as well, and so show what anybody can have known when.
"""

from __future__ import annotations

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from namestore import NameStore, embedded
from namestore.config import ClusterConfig
from namestore.storage import log
from namestore.storage.log_segments import LogLimits

OWNER = "writer"
_CALLERS = 4
_RELEASED_EACH = 9
# Small, so that the state is flushed and the log shortened again and again.
_SNAPSHOT_ENTRIES = 25
_PAYLOAD_BYTES_MAX = 900
# Small, so that segments of the log come and go.
_SEGMENT_BYTES = 3000


def _use(store: NameStore, marks: int, number: int) -> None:
    name = f"user:{number}"
    if store.register(name, OWNER, bytes(number * 37 % _PAYLOAD_BYTES_MAX), timeout=60):
        os.write(marks, f"held {name}\n".encode())
    if number % _RELEASED_EACH == 0:
        os.write(marks, f"leaving {name}\n".encode())
        store.release(name, OWNER, timeout=60)
        os.write(marks, f"gone {name}\n".encode())


def main(directory: Path, marks_path: Path, names: int) -> None:
    """See the module."""
    configured = embedded._config

    def shorter_log(path: Path) -> ClusterConfig:
        config = configured(path)
        return replace(config, raft=replace(config.raft, snapshot_entries=_SNAPSHOT_ENTRIES))

    embedded._config = shorter_log
    log.LogLimits = partial(LogLimits, segment_bytes=_SEGMENT_BYTES)  # type: ignore[misc, assignment]
    marks = os.open(marks_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    killed = os.fork()
    if not killed:
        _use_half(directory, marks, range(names // 2), killed=True)
    assert os.waitstatus_to_exitcode(os.waitpid(killed, 0)[1]) == -signal.SIGKILL
    _use_half(directory, marks, range(names // 2, names), killed=False)


def _use_half(directory: Path, marks: int, half: range, *, killed: bool) -> None:
    with embedded.open(directory) as store, ThreadPoolExecutor(_CALLERS) as callers:
        list(callers.map(lambda number: _use(store, marks, number), half))
        if killed:
            callers.submit(store.register, "user:unheard", OWNER)
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
