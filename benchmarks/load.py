"""One process of callers: `python -m benchmarks.load`, told by standard input what to do.

Responsible for calling through a peer's Python client for a while and timing each call. Not for
starting servers or comparing. Invariant: what it counts was granted (or found) as it must be: a
refused new name, or an existing one that is not found, ends the run as an error. Calls that failed
are counted apart.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import random
import resource
import sys
import threading
import time
from array import array
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from benchmarks.peers.catalogue import PEERS
from benchmarks.peers.interface import Address, AsyncPeer, BenchmarkError, BlockingPeer

_WRITES_IN_MIX = 0.1
_ABSENT = 0.5
_AFTER_FAILURE_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Task:
    """What one process does.

    Attributes:
        peer: By its name in the catalogue.
        address: Where it is.
        kind: register, each, all (names at once), lookup, mix.
        callers: Asyncio tasks, or threads.
        batch: Names in one call, of `each` and `all`.
        seconds: Timed.
        prefix: What new names are drawn by: another one in each run.
        seen: So many names are there for look-ups; see `seen_name`.
    """

    peer: str
    address: Address
    kind: str
    callers: int = 1
    batch: int = 1
    seconds: float = 5.0
    prefix: str = "new"
    seen: int = 0


@dataclass(slots=True)
class Outcome:
    """What came of it.

    Attributes:
        names: Granted or looked up in calls that ended while it was timed.
        seconds: Timed.
        latencies_us: Of each of those calls.
        failed: Calls that raised, at any time.
        failure: The first of them, in words.
        cpu_seconds: Of this process, while it was timed.
    """

    names: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    latencies_us: list[int] = field(default_factory=list)
    failed: int = 0
    failure: str = ""


def seen_name(number: int) -> str:
    """Of the names that are there for look-ups. In no order, so that no store can just append."""
    return f"user:{hashlib.sha1(b'%d' % number, usedforsecurity=False).hexdigest()[:16]}"


class Call:
    """A call of the client, and what it must answer."""

    __slots__ = ("_argument", "_call", "_expected")

    def __init__(self, call: Callable[[Any], Any], argument: Any, expected: object) -> None:
        self._call, self._argument, self._expected = call, argument, expected

    def __call__(self) -> Any:
        return self._call(self._argument)

    def check(self, answer: object) -> None:
        if answer != self._expected:
            raise BenchmarkError(f"{self._argument!r}: {answer!r}, not {self._expected!r}")


class Calls:
    """What the callers of one process do next; not to be asked by two threads at once."""

    def __init__(self, client: Any, task: Task) -> None:
        self._client, self._task = client, task
        self._random = random.Random(task.prefix)
        makers = {
            "register": lambda: Call(client.register, self._new(), True),
            "each": lambda: Call(client.register_each, self._batch(), task.batch),
            "all": lambda: Call(client.register_all, self._batch(), True),
            "lookup": lambda: Call(client.lookup, *self._known()),
            "mix": self._mixed,
        }
        self.next: Callable[[], Call] = makers[task.kind]

    def _new(self) -> str:
        """Cheap: it is drawn between two calls. Two of millions of 64 bits do not meet."""
        return f"user:{self._random.getrandbits(64):016x}"

    def _batch(self) -> list[str]:
        return [self._new() for _ in range(self._task.batch)]

    def _known(self) -> tuple[str, bool]:
        """A name, and whether it is there."""
        there = self._random.random() >= _ABSENT
        number = self._random.randrange(self._task.seen)
        return seen_name(number) if there else self._new(), there

    def _mixed(self) -> Call:
        if self._random.random() < _WRITES_IN_MIX:
            return Call(self._client.register, self._new(), True)
        return Call(self._client.lookup, *self._known())


class Meter:
    """Times the calls that end between two moments, and the process's CPU in between."""

    def __init__(self, task: Task, begins: float) -> None:
        self.begins, self.ends = begins, begins + task.seconds
        self._latencies = array("d")
        self._cpu = [0.0, 0.0]
        self._failed, self._failure = 0, ""

    def add(self, began: float, ended: float) -> None:
        if self.begins <= ended < self.ends:
            self._latencies.append(ended - began)

    def add_failure(self, error: Exception) -> None:
        """Counts a call that raised; an answer that is wrong is not one, and raised again."""
        if isinstance(error, BenchmarkError):
            raise error
        self._failed += 1
        if not self._failure:
            self._failure = " ".join(f"{type(error).__name__}: {error}".split())

    def mark(self, index: int) -> None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        self._cpu[index] = used.ru_utime + used.ru_stime

    def outcome(self, task: Task) -> Outcome:
        return Outcome(
            names=len(self._latencies) * task.batch,
            seconds=task.seconds,
            cpu_seconds=self._cpu[1] - self._cpu[0],
            latencies_us=[round(seconds * 1e6) for seconds in self._latencies],
            failed=self._failed,
            failure=self._failure,
        )


async def run_async(task: Task) -> Outcome:
    """Callers that are asyncio tasks of one loop."""
    peer = cast("type[AsyncPeer]", PEERS[task.peer])
    client = await peer.connect(task.address, task.callers)
    calls, clock = Calls(client, task), time.monotonic
    meter = Meter(task, await asyncio.to_thread(agree_on_begin))

    async def caller() -> None:
        while (began := clock()) < meter.ends:
            call = calls.next()
            try:
                call.check(await call())
                meter.add(began, clock())
            except Exception as error:  # noqa: BLE001 - a library's own; counted, and shown
                meter.add_failure(error)
                await asyncio.sleep(_AFTER_FAILURE_SECONDS)

    loop = asyncio.get_running_loop()
    for index, moment in enumerate((meter.begins, meter.ends)):
        loop.call_later(moment - clock(), meter.mark, index)
    await asyncio.gather(*(caller() for _ in range(task.callers)))
    await asyncio.sleep(0.01)  # past the second mark, if the last call ended just before
    await asyncio.to_thread(agree_on_end)
    await client.close()
    return meter.outcome(task)


def run_threads(task: Task) -> Outcome:
    """Callers that are threads."""
    client = cast("type[BlockingPeer]", PEERS[task.peer]).connect_blocking(
        task.address, task.callers
    )
    calls, lock, clock = Calls(client, task), threading.Lock(), time.monotonic
    meter = Meter(task, agree_on_begin())

    def caller() -> None:
        while (began := clock()) < meter.ends:
            with lock:
                call = calls.next()
            try:
                call.check(call())
                meter.add(began, clock())
            except Exception as error:  # noqa: BLE001 - a library's own; counted, and shown
                meter.add_failure(error)
                time.sleep(_AFTER_FAILURE_SECONDS)

    with ThreadPoolExecutor(task.callers) as pool:
        waiting = [pool.submit(caller) for _ in range(task.callers)]
        for index, moment in enumerate((meter.begins, meter.ends)):
            time.sleep(max(0.0, moment - clock()))
            meter.mark(index)
        for each in waiting:
            each.result()
    agree_on_end()
    client.close()
    return meter.outcome(task)


def agree_on_begin() -> float:
    """Tells the runner that this process is ready; when the timing begins, on the monotonic clock.

    All processes of a machine share that clock. Until then the callers already call, to warm up.
    """
    print("ready", flush=True)
    return float(sys.stdin.readline())


def agree_on_end() -> None:
    """Keeps the connections until the runner has seen what the servers used for them.

    Some have a process for each, which takes its figures with it.
    """
    print("called", flush=True)
    sys.stdin.readline()


def main() -> None:
    task = Task(**json.loads(sys.stdin.readline()))
    gc.freeze()
    blocking = hasattr(PEERS[task.peer], "connect_blocking")
    outcome = run_threads(task) if blocking else asyncio.run(run_async(task))
    json.dump(asdict(outcome), sys.stdout)


if __name__ == "__main__":
    main()
