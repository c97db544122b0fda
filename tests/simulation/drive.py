"""What of a simulated machine outlives its process: its disk, and what happens to it.

A crash takes what was not durable: of the log everything since its last sync, of the state some of
what was not flushed, of an arriving snapshot whatever the system had not written out yet. Damage
changes what was durable. A new drive is an empty one: it has another incarnation.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from namestore.errors import DiskDamaged
from namestore.storage.damage import REMEDY
from tests.support.memory_stores import MemoryIncoming, MemoryLog, MemoryState


class Drive:
    """One disk with one data directory on it.

    Attributes:
        incarnation: Drawn when the data directory was made.
        damaged: What was done to it, in words; empty: nothing.
    """

    def __init__(self, rng: random.Random, tail_bytes: int) -> None:
        self.incarnation = f"{rng.getrandbits(64):016x}"
        self.log, self.state = MemoryLog(tail_bytes), MemoryState()
        self.incoming = MemoryIncoming(self.state.disk)
        self.damaged = ""
        self._unreadable = False

    def power_off(self, rng: random.Random) -> None:
        """Takes what was not durable."""
        self.log.close()
        self.state.crash(rng.randrange(self.state.unflushed_changes + 1))
        self.incoming.crash(rng)

    def open(self) -> None:
        """What the next process does before it takes part in anything.

        Raises:
            DiskDamaged: The data directory cannot be trusted.
        """
        if self._unreadable:
            raise DiskDamaged(f"identity: does not match its checksum. {REMEDY}")
        self.log.reopen()
        self.state.reopen()

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
    incoming.begin = lambda snapshot_id, files: (  # type: ignore[method-assign]
        watch.arrives(host, snapshot_id),
        begin(snapshot_id, files),
    )[1]
    log.append = lambda entries: (watch.appends(host, entries), append(entries))[1]  # type: ignore[method-assign]
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
