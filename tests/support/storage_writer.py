"""A process that writes to a log and a state until it is killed or its disk fails.

    python -m tests.support.storage_writer DIRECTORY [FILE_BYTES_MAX]

Before each sync it says `about INDEX`, after it `synced INDEX`; after each flush
`flushed INDEX`. On DiskFailed it says `failed MESSAGE` and ends with 70.
"""

from __future__ import annotations

import random
import resource
import sys
from pathlib import Path

from namestore.core.state import META_KEY, StateMeta, encode_meta
from namestore.errors import DiskFailed
from namestore.storage.directory import DataDirectory, reconcile
from namestore.storage.interfaces import LogEntry
from namestore.storage.log import WalLog
from namestore.storage.state import RocksState


def command_of(index: int) -> bytes:
    """What the entry at `index` holds: large ones among small ones."""
    return (b"%d " % index) * (900 if index % 7 == 0 else 20)


def _say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def _turn(log: WalLog, state: RocksState, rng: random.Random) -> None:
    first = log.last_index + 1
    last = first + rng.randrange(20)
    log.append([LogEntry(command_of(index), index, log.term) for index in range(first, last + 1)])
    if rng.random() < 0.1:
        log.save_vote(log.term + 1, "writer")
    _say("about", last)
    log.sync()
    _say("synced", last)
    log.save_commit(last)
    for index in range(state.meta.applied_index + 1, last + 1):
        meta = StateMeta(applied_index=index, applied_term=log.term_at(index) or 0)
        state.write({b"n%d" % index: b"%d" % index, META_KEY: encode_meta(meta)}, meta)
    if rng.random() < 0.1:
        state.flush()
        _say("flushed", state.durable_index)
        if state.durable_index - log.first_index > 100:
            log.drop_through(state.durable_index - 50)
    if rng.random() < 0.03:
        state.checkpoint().release()


def main(directory: Path, file_bytes_max: int | None) -> int:
    """Writes for ever."""
    held = DataDirectory.open(directory, "home", "n1")
    log, state = held.open_log(), held.open_state()
    reconcile(log, state)
    if log.term == 0:
        log.save_vote(1, "writer")
    rng = random.Random(log.last_index)
    if file_bytes_max is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes_max, file_bytes_max))
    try:
        while True:
            _turn(log, state, rng)
    except DiskFailed as error:
        _say("failed", error.message)
        return 70


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None))
