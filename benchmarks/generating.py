"""The runner's side of `load`: processes of callers, started, timed together, added up.

Invariant: every peer is called by the same number of processes with the same number of callers, and
servers' CPU is read at the moments between which the callers count.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks.load import Outcome, Task
from benchmarks.peers.interface import BenchmarkError, Peer
from benchmarks.processes import as_user, cpu_seconds
from benchmarks.samples import CLIENT_CPU, FAILED, P50, P99, RATE, SERVER_CPU
from benchmarks.spreads import percentile

_ROOT = Path(__file__).resolve().parents[1]
_GRACE_SECONDS = 60.0
_FAILED_SHARE_MAX = 0.05


def generate(peer: Peer, task: Task, processes: int, warm_seconds: float) -> dict[str, float]:
    """Lets callers call for a while.

    Args:
        peer: It runs.
        task: Of all processes together; its callers are shared out among them.
        processes: At most as many as there are callers.
        warm_seconds: Called, and not counted.

    Returns:
        The figures of a sample.

    Raises:
        BenchmarkError: A caller got another answer than it must get, or none.
    """
    processes = min(processes, task.callers)
    tasks = [
        replace(task, callers=share, prefix=f"{task.prefix}/{index}")
        for index, share in enumerate(_shares(task.callers, processes))
    ]
    running = [Generator(each) for each in tasks]
    try:
        for generator in running:
            generator.wait_ready()
        begins = time.monotonic() + warm_seconds
        for generator in running:
            generator.begin(begins)
        servers = [pid for pids in peer.pids().values() for pid in pids]
        _sleep_until(begins)
        before = cpu_seconds(servers)
        _sleep_until(begins + task.seconds)
        spent = cpu_seconds(servers) - before
        for generator in running:
            generator.let_go()
        outcomes = [generator.outcome() for generator in running]
    finally:
        for generator in running:
            generator.end()
    return figures(outcomes, spent)


def figures(outcomes: Sequence[Outcome], server_seconds: float) -> dict[str, float]:
    """Adds up what processes found in the same time.

    Raises:
        BenchmarkError: No call ended in that time, or too many failed.
    """
    names = sum(outcome.names for outcome in outcomes)
    latencies = [each for outcome in outcomes for each in outcome.latencies_us]
    failed = sum(outcome.failed for outcome in outcomes)
    if failed > _FAILED_SHARE_MAX * len(latencies):
        why = next(outcome.failure for outcome in outcomes if outcome.failed)
        raise BenchmarkError(f"{failed} calls failed, {len(latencies)} did not; the first: {why}")
    if not names:
        raise BenchmarkError("no call ended while the callers counted")
    failures = {FAILED: failed / len(latencies) * 100} if failed else {}
    return {
        RATE: names / outcomes[0].seconds,
        P50: percentile(latencies, 50) / 1e3,
        P99: percentile(latencies, 99) / 1e3,
        SERVER_CPU: server_seconds / names * 1e6,
        CLIENT_CPU: sum(outcome.cpu_seconds for outcome in outcomes) / names * 1e6,
        **failures,
    }


class Generator:
    """One process of callers.

    Whoever makes one waits until it is ready, says when it shall begin to count, lets it go when
    that is over, takes what it found, and ends it whatever happened. Each of these raises
    `BenchmarkError` when the process has ended, or says nothing for a minute longer than it should.
    """

    def __init__(self, task: Task) -> None:
        self._seconds = task.seconds
        self._process = subprocess.Popen(
            [*as_user(None), sys.executable, "-m", "benchmarks.load"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
        )
        # Whoever waits for it below then hears that it ended.
        self._watchdog = threading.Timer(self._seconds + _GRACE_SECONDS, self._process.kill)
        self._watchdog.daemon = True
        self._watchdog.start()
        self._say(json.dumps(asdict(task)))

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def wait_ready(self) -> None:
        """Returns when its callers have their connections."""
        self._expect("ready\n")

    def begin(self, moment: float) -> None:
        """Lets its callers call at once, and count from that moment of the monotonic clock on."""
        self._say(repr(moment))

    def let_go(self) -> None:
        """Lets it end, once all its calls are answered."""
        self._expect("called\n")
        self._say("end")

    def outcome(self) -> Outcome:
        """What it found, once it was let go."""
        output, errors = self._process.communicate()
        if self._process.returncode:
            raise BenchmarkError(f"the callers failed:\n{errors}")
        return Outcome(**json.loads(output))

    def end(self) -> None:
        """Whatever it does, it ends."""
        self._watchdog.cancel()
        self._process.kill()
        self._process.communicate()

    def _expect(self, line: str) -> None:
        assert self._process.stdout is not None
        if self._process.stdout.readline() != line:
            self._fail()

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self._fail()

    def _fail(self) -> None:
        _, errors = self._process.communicate()
        how = errors or f"no answer within {self._seconds + _GRACE_SECONDS:g} s"
        raise BenchmarkError(f"the callers failed:\n{how}")


def _shares(callers: int, processes: int) -> list[int]:
    return [callers // processes + (index < callers % processes) for index in range(processes)]


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))
