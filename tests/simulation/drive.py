"""What of a simulated machine outlives its process: its disk, and what happens to it.

A crash takes what was not durable: of the log everything since its last sync, but what of that was
just being written; of the state some of what was not flushed; of an arriving snapshot whatever the
system had not written out yet. Damage changes what was durable. A new drive is an empty one: it has
another incarnation.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from namestore.errors import DiskDamaged
from namestore.storage.damage import REMEDY
from namestore.storage.log_segments import LogLimits
from tests.support.memory_stores import MemoryIncoming, MemoryLog, MemoryState

# Small, so that a log has several, and loses some, in every run.
_SEGMENT_BYTES = 2000


class Drive:
    """One disk with one data directory on it.

    Attributes:
        incarnation: Drawn when the data directory was made.
        damaged: What was done to it, in words; empty: nothing.
    """

    def __init__(self, rng: random.Random, tail_bytes: int) -> None:
        self.incarnation = f"{rng.getrandbits(64):016x}"
        self.log, self.state = MemoryLog(LogLimits(tail_bytes, _SEGMENT_BYTES)), MemoryState()
        self.incoming = MemoryIncoming(self.state.disk)
        self.damaged = ""
        self._unreadable = False

    def power_off(self, rng: random.Random) -> None:
        """Takes what was not durable."""
        self.log.power_off(rng)
        self.state.crash(rng.randrange(self.state.unflushed_changes + 1))
        self.incoming.crash(rng)

    def fill(self) -> None:
        """It takes no more."""
        self.log.disk_fails = self.state.disk_fails = self.incoming.disk_fails = True

    def open(self, *, full: bool) -> None:
        """What the next process does before it takes part in anything; on a disk that may be full.

        Raises:
            DiskDamaged: The data directory cannot be trusted.
        """
        if self._unreadable:
            raise DiskDamaged(f"identity: does not match its checksum. {REMEDY}")
        self.log.reopen()
        self.state.reopen()
        if full:
            self.fill()

    def rot(self, rng: random.Random) -> str:
        """Something that was durable is not any more what was written; says what."""
        kind = rng.choice(["log", "log", "log", "state", "state", "identity"])
        if kind == "log":
            self.damaged = self.log.damage(rng)
        elif kind == "state":
            self.damaged = self.state.damage(rng)
        else:
            self._unreadable = True
            self.damaged = "the identity"
        return self.damaged


def hook(host: Any, drive: Drive) -> None:
    """Every change passes by the watch, most of them also by what may kill the process."""
    log, state, incoming, watch = drive.log, drive.state, drive.incoming, host.watch
    append, write, install, begin = log.append, state.write, state.install, incoming.begin
    truncate_from, reset = log.truncate_from, log.reset
    incoming.begin = host.on_disk(  # type: ignore[method-assign]
        "begin",
        lambda snapshot_id, files: (
            watch.arrives(host, snapshot_id),
            begin(snapshot_id, files),
        )[1],
    )
    incoming.write = host.on_disk("receive", incoming.write)  # type: ignore[method-assign]
    incoming.verify = host.on_disk("verify", incoming.verify)  # type: ignore[method-assign]
    incoming.discard = host.on_disk("discard", incoming.discard)  # type: ignore[method-assign]
    log.append = lambda entries: (watch.appends(host, entries), append(entries))[1]  # type: ignore[method-assign]
    log.truncate_from = lambda index: (  # type: ignore[method-assign]
        watch.removes(host, index),
        truncate_from(index),
    )[1]
    log.reset = lambda index, term: (watch.removes(host, index + 1), reset(index, term))[1]  # type: ignore[method-assign]
    state.write = host.on_disk(  # type: ignore[method-assign]
        "write", lambda changes, meta: watch.writes(host, changes, meta, write)
    )
    state.install = host.on_disk(  # type: ignore[method-assign]
        "install", lambda directory: watch.installs(host, directory, install)
    )
    log.sync = host.on_disk("sync", _told(host, log))  # type: ignore[method-assign]
    state.flush = host.on_disk("flush", state.flush)  # type: ignore[method-assign]


def _told(host: Any, log: MemoryLog) -> Callable[[], None]:
    sync = log.sync

    def told() -> None:
        sync()
        if host.world.trace is not None:
            host.world.say(
                f"{host.node_id} synced {log.first_index}..{log.last_index}, "
                f"term {log.term}, vote {log.voted_for}"
            )

    return told
