"""What a register costs the core: processor time a name over a dict and over RocksDB, and bytes.

    python benchmarks/core_rate.py [--names 200000] [--entry 500] [--rounds 5]

One process and one thread, without consensus: command bytes -> apply -> one batch. Microseconds are
of processor time, those of RocksDB's threads included. Rounds take turns; prints their median, and
the best, which is nearer to what an undisturbed machine does.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from namestore.core.commands import Entry, Register, Wanted, encode_command
from namestore.core.registry import apply_entry
from namestore.core.state import StateMeta, StateReader
from namestore.storage.state import RocksState

Write = Callable[[dict[bytes, bytes | None], StateMeta], None]


class DictState:
    """A `StateReader` over a dict; scans see nothing, since nothing here is old enough to sweep."""

    def __init__(self) -> None:
        self.content: dict[bytes, bytes] = {}

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self.content.get(key) for key in keys]

    def scan(self, start: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        return iter(())

    def write(self, changes: Mapping[bytes, bytes | None], meta: StateMeta) -> None:
        for key, value in changes.items():
            if value is None:
                self.content.pop(key, None)
            else:
                self.content[key] = value


def registers(count: int) -> list[bytes]:
    """Commands for names in no order, so that the store cannot just append."""
    commands = []
    for number in range(count):
        digest = hashlib.sha1(b"%d" % number, usedforsecurity=False).digest()
        name = f"user:{digest.hex()[:16]}"
        wanted = Wanted(name, name, f"account-{number}")
        commands.append(encode_command(Register(digest[4:], wanted)))
    return commands


def cost(
    commands: list[bytes], per_entry: int, state: StateReader, write: Write, awaited: bool = False
) -> float:
    """Microseconds of processor time a name.

    Args:
        commands: Registers of names that are free.
        per_entry: How many of them are decided together.
        state: Empty.
        write: Of that state.
        awaited: Somebody waits for the decisions, as on a leader.
    """
    meta = StateMeta()
    began = time.process_time()
    for start in range(0, len(commands), per_entry):
        entry = Entry(1_700_000_000_000 + start, commands[start : start + per_entry])
        applied = apply_entry(state, meta, meta.applied_index + 1, 1, entry)
        write(applied.changes, applied.meta)
        meta = applied.meta
        if awaited:
            assert len(applied.decisions) == len(entry.commands)
    seconds = time.process_time() - began
    assert meta.name_count == len(commands)
    return 1e6 * seconds / len(commands)


def on_dict(commands: list[bytes], per_entry: int) -> float:
    state = DictState()
    return cost(commands, per_entry, state, state.write)


def on_rocks(commands: list[bytes], per_entry: int, awaited: bool) -> tuple[float, float]:
    """Microseconds and bytes on disk, a name."""
    with tempfile.TemporaryDirectory(prefix="namestore-benchmark-") as folder:
        root, snapshots = Path(folder, "state"), Path(folder, "snapshots")
        snapshots.mkdir()
        RocksState.create(root)
        state = RocksState.open(root, snapshots)
        reached = cost(commands, per_entry, state, state.write, awaited)
        state.close()
        size = sum(path.stat().st_size for path in root.rglob("*.sst"))
        return reached, size / len(commands)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--names", type=int, default=200_000)
    parser.add_argument("--entry", type=int, default=500, help="commands in one log entry")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    commands = registers(arguments.names)
    costs: dict[str, list[float]] = {"dict": [], "RocksDB": [], "RocksDB, awaited": []}
    for _ in range(arguments.rounds):
        costs["dict"].append(on_dict(commands, arguments.entry))
        quiet, size = on_rocks(commands, arguments.entry, awaited=False)
        costs["RocksDB"].append(quiet)
        costs["RocksDB, awaited"].append(on_rocks(commands, arguments.entry, awaited=True)[0])
    for where, found in costs.items():
        median, best = statistics.median(found), min(found)
        print(f"{where:<18}{median:>7.1f} us/name, best {best:.1f}: {1e6 / median:,.0f} names/s")
    print(f"{'on disk':<18}{size:>7.0f} B/name, outcomes of the last day included")


if __name__ == "__main__":
    main()
