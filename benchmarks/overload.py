"""What becomes of three nodes that are asked for several times what they can do.

    python -m benchmarks.overload [--times 3] [--seconds 15] [--names 100] [--directory DIR]

First it looks for the best they do: callers that wait for their answers, more of them each time.
Then callers that wait for nobody ask for so many times that. Then the first ones ask again. It says
what was granted, how long callers waited to be granted and to be refused, whether an election was
begun, and what the nodes' memory did. Nodes and callers share this machine's cores, so what is
granted under overload is less by what the refused callers themselves cost.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from benchmarks import interruption
from benchmarks.offering import Answers, Offer, carry_out
from benchmarks.peers.interface import BenchmarkError
from benchmarks.peers.namestore import Namestore
from benchmarks.processes import memory_bytes
from benchmarks.spreads import percentile
from benchmarks.workloads.context import say

_WAITING = (8, 16, 32, 64, 128)
_LOOK_SECONDS = 0.5
_MIB = 2**20


@contextmanager
def watched(pids: list[int]) -> Iterator[list[int]]:
    """The memory of processes together, in bytes, half a second apart while the block lasts."""
    memory, over = [memory_bytes(pids)], threading.Event()

    def look() -> None:
        while not over.wait(_LOOK_SECONDS):
            memory.append(memory_bytes(pids))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield memory
    finally:
        over.set()
        watcher.join()


class Trial:
    """Three nodes, and callers in a process of their own."""

    def __init__(self, peer: Namestore, pool: ProcessPoolExecutor, names: int) -> None:
        self._peer, self._pool, self._names = peer, pool, names
        self._pids = [pid for each in peer.pids().values() for pid in each]

    def ask(self, what: str, seconds: float, waiting: int = 0, rate: float = 0.0) -> float:
        """Has one offer carried out and prints what came of it; names granted a second.

        Args:
            what: The first words of its line.
            seconds: How long it is asked.
            waiting: Callers that wait for their answers.
            rate: Or calls a second, for which nobody waits.
        """
        endpoints = tuple(self._peer.address()["endpoints"])
        offer = Offer(endpoints, self._names, seconds, waiting, rate)
        with watched(self._pids) as memory:
            answers = self._pool.submit(carry_out, offer).result()
        granted = answers.count("granted") * self._names / answers.seconds
        print(f"{what:<28} {granted:>9,.0f} {_said(answers)} {_grown(memory)}", flush=True)
        return granted

    def term(self) -> int:
        """Of the leader: each election makes it greater."""
        return self._peer.term()


def _said(answers: Answers) -> str:
    cells = []
    for what in ("granted", "overloaded", "unknown"):
        found = answers.latencies.get(what)
        if not found:
            cells.append(f"{0:>8} {'':>14}")
            continue
        p50, p99 = (percentile(found, percent) * 1000 for percent in (50, 99))
        spread = f"{p50:,.0f}, {p99:,.0f} ms"
        cells.append(f"{len(found):>8,} {spread:>14}")
    if answers.count("unavailable") or answers.unasked:
        cells.append(f"{answers.count('unavailable')} unavailable, {answers.unasked} not asked")
    if answers.late:
        cells.append(f"(callers late by {answers.late * 1000:,.0f} ms at most)")
    return " ".join(cells)


def _grown(memory: list[int]) -> str:
    first, last, most = memory[0], memory[-1], max(memory)
    return f"{first / _MIB:>6,.0f} to {last / _MIB:,.0f}, at most {most / _MIB:,.0f} MiB"


def run(trial: Trial, seconds: float, times: float, names: int) -> None:
    """All of it, line by line."""
    head = "calls, p50, p99"
    print(
        f"{'callers':<28} {'names/s':>9} {'granted: ' + head:>23} {'overloaded: the same':>23} "
        f"{'unknown: the same':>23} memory of all nodes"
    )
    trial.ask("(to warm up)", 3.0, waiting=8)
    reached = {
        waiting: trial.ask(f"{waiting} that wait", seconds / 3, waiting=waiting)
        for waiting in _WAITING
    }
    best_with = max(reached, key=lambda waiting: reached[waiting])
    best = reached[best_with]
    before = trial.term()
    crowd = trial.ask(f"{times:g} times {best:,.0f} names/s", seconds, rate=times * best / names)
    elections = trial.term() - before
    after = trial.ask(f"{best_with} that wait, again", seconds / 3, waiting=best_with)
    print(
        f"\ngranted under {times:g} times the best: {crowd / best:.2f} of the best; "
        f"afterwards {after / best:.2f}; elections meanwhile: {elections}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--times", type=float, default=3.0, help="what they can do [%(default)s]")
    add("--seconds", type=float, default=15.0, help="of overload [%(default)s]")
    add("--names", type=int, default=100, help="in one call [%(default)s]")
    add("--directory", type=Path, default=Path(tempfile.gettempdir()), help="[%(default)s]")
    arguments = parser.parse_args()
    with interruption.heeded():
        try:
            overload(arguments)
        except BenchmarkError as error:
            sys.exit(f"{error}")


def overload(arguments: argparse.Namespace) -> None:
    """Three nodes of their own, and everything that is asked of them."""
    directory = Path(tempfile.mkdtemp(prefix="namestore-overload-", dir=arguments.directory))
    peer = Namestore()
    try:
        say("starting three nodes")
        peer.start(directory)
        # Nothing forks where gRPC runs.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            trial = Trial(peer, pool, arguments.names)
            run(trial, arguments.seconds, arguments.times, arguments.names)
    finally:
        peer.stop()
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
