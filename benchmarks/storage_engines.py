"""What keeps the log, beside what could, and what the state costs: figures of decisions 1 and 19.

    python benchmarks/storage_engines.py [--directory DIR] [--names 1000000]

Run it on an idle machine, on the disk that is to hold the data. Takes about a minute.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import lmdb
from rocksdict import Options, Rdict, WriteBatch, WriteOptions

from namestore.core.state import META_KEY, StateMeta, encode_meta
from namestore.storage.interfaces import LogEntry
from namestore.storage.log import WalLog
from namestore.storage.state import RocksState

_APPENDS = 150
_COMMAND = os.urandom(4096)


class Engine(Protocol):
    def append(self, index: int) -> None: ...


class Segments:
    """The one that namestore has."""

    def __init__(self, directory: Path) -> None:
        WalLog.create(directory)
        self._log = WalLog.open(directory)

    def append(self, index: int) -> None:
        self._log.append([LogEntry(_COMMAND, index, 1)])
        self._log.sync()


class Lmdb:
    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self._environment = lmdb.open(str(directory), map_size=1 << 30)

    def append(self, index: int) -> None:
        with self._environment.begin(write=True) as transaction:
            transaction.put(index.to_bytes(8, "big"), _COMMAND, append=True)


class Sqlite:
    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self._db = sqlite3.connect(directory / "log.db", isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("CREATE TABLE log (i INTEGER PRIMARY KEY, term INT, command BLOB)")

    def append(self, index: int) -> None:
        self._db.execute("INSERT INTO log VALUES (?, 1, ?)", (index, _COMMAND))


class RocksDb:
    def __init__(self, directory: Path) -> None:
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        self._db = Rdict(str(directory), options)
        self._synced = WriteOptions()
        self._synced.sync = True

    def append(self, index: int) -> None:
        batch = WriteBatch(raw_mode=True)
        batch.put(index.to_bytes(8, "big"), _COMMAND)
        self._db.write(batch, self._synced)


class RocksDbFlushed(RocksDb):
    """Written without a sync, and synced by a call that lets go of the interpreter lock."""

    def append(self, index: int) -> None:
        batch = WriteBatch(raw_mode=True)
        batch.put(index.to_bytes(8, "big"), _COMMAND)
        self._db.write(batch)
        self._db.flush_wal(True)


class PlainFile:
    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self._file = os.open(directory / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def append(self, index: int) -> None:
        del index
        os.write(self._file, _COMMAND)
        os.fdatasync(self._file)


@contextmanager
def _beside(*works: Callable[[threading.Event], None]) -> Iterator[None]:
    stop = threading.Event()
    threads = [threading.Thread(target=work, args=(stop,)) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _spin(stop: threading.Event) -> None:
    count = 0
    while not stop.is_set():
        count += 1


class Heartbeat:
    """Wants to run every 2 ms; remembers by how much it was late."""

    def __init__(self) -> None:
        self.late_ms: list[float] = []

    def __call__(self, stop: threading.Event) -> None:
        while not stop.is_set():
            due = time.perf_counter() + 0.002
            time.sleep(0.002)
            self.late_ms.append(1e3 * (time.perf_counter() - due))


def _timed_appends(engine: Engine, first: int, count: int) -> list[float]:
    times = []
    for index in range(first, first + count):
        began = time.perf_counter()
        engine.append(index)
        times.append(1e3 * (time.perf_counter() - began))
    return times


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def _show_log(name: str, engine: Engine) -> None:
    alone = _timed_appends(engine, 1, _APPENDS)
    cells = [f"{statistics.median(alone):.2f} / {_percentile(alone, 0.99):.2f}"]
    first = _APPENDS + 1
    for interval in (0.005, 0.0005):
        sys.setswitchinterval(interval)
        heartbeat = Heartbeat()
        with _beside(_spin, heartbeat):
            times = _timed_appends(engine, first, _APPENDS)
        first += _APPENDS
        cells.append(f"{statistics.median(times):.2f} / {_percentile(times, 0.99):.2f}")
        cells.append(f"{_percentile(heartbeat.late_ms, 0.99):.1f}")
    sys.setswitchinterval(0.005)
    # Without anybody computing: what the engine's own calls keep others from.
    heartbeat = Heartbeat()
    with _beside(heartbeat):
        _timed_appends(engine, first, 4 * _APPENDS)
    cells.append(f"{_percentile(heartbeat.late_ms, 0.99):.1f}")
    print(f"| {name} | " + " | ".join(cells) + " |")


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _register_all(state: RocksState, names: int, per_entry: int = 100) -> float:
    """Register-if-absent, `per_entry` to a Raft entry; seconds."""
    rng = random.Random(1)
    began = time.perf_counter()
    for index in range(1, names // per_entry + 1):
        keys = [b"nuser:" + rng.randbytes(5).hex().encode() for _ in range(per_entry)]
        meta = StateMeta(applied_index=index, applied_term=1)
        found = zip(keys, state.get_many(keys), strict=True)
        changes: dict[bytes, bytes | None] = {
            key: b"user:someone|" + rng.randbytes(16) for key, value in found if value is None
        }
        changes[META_KEY] = encode_meta(meta)
        state.write(changes, meta)
    state.flush()
    return time.perf_counter() - began


def _show_state(directory: Path, names: int) -> None:
    before = _resident_mb()
    RocksState.create(directory / "state")
    state = RocksState.open(directory / "state", directory / "snapshots")
    heartbeat = Heartbeat()
    with _beside(heartbeat):
        seconds = _register_all(state, names)
    resident = _resident_mb() - before
    began = time.perf_counter()
    state.checkpoint().release()
    checkpoint_ms = 1e3 * (time.perf_counter() - began)
    state.close()
    size = sum(path.stat().st_size for path in (directory / "state").rglob("*") if path.is_file())
    began = time.perf_counter()
    state = RocksState.open(directory / "state", directory / "snapshots")
    open_ms = 1e3 * (time.perf_counter() - began)
    keys = [b"nuser:" + os.urandom(5).hex().encode() for _ in range(10_000)]
    began = time.perf_counter()
    with state.view() as view:
        view.get_many(keys)
    absent_us = 1e6 * (time.perf_counter() - began) / len(keys)
    state.close()
    print(f"register-if-absent, 100 an entry: {names / seconds:,.0f} names/s")
    print(f"a heartbeat meanwhile: late by {_percentile(heartbeat.late_ms, 0.99):.1f} ms (p99), ")
    print(f"    {max(heartbeat.late_ms):.1f} ms (worst)")
    print(f"disk: {size / names:.1f} bytes a name; memory: {resident:.0f} MB")
    print(f"checkpoint: {checkpoint_ms:.1f} ms; reopening: {open_ms:.1f} ms")
    print(f"a name that is absent, in a view: {absent_us:.1f} us")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, default=None)
    parser.add_argument("--names", type=int, default=1_000_000)
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(dir=options.directory))
    try:
        print("Durable append of 4 KB, ms (median / p99); heartbeat: lateness in ms (p99)\n")
        print(
            "| engine | alone | beside a spinning thread, 5 ms | heartbeat | the same, 0.5 ms "
            "| heartbeat | heartbeat, nobody spinning |"
        )
        print("|---|---|---|---|---|---|---|")
        for engine in (Segments, Lmdb, Sqlite, RocksDb, RocksDbFlushed, PlainFile):
            _show_log(engine.__name__, engine(home / engine.__name__))
        print(f"\nState store, {options.names:,} names\n")
        _show_state(home, options.names)
    finally:
        shutil.rmtree(home)


if __name__ == "__main__":
    main()
