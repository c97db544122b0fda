"""One process of callers: `python -m tests.torture.callers_process`, its task as a line of JSON.

It asks until its standard input ends, finishes the calls under way, and ends: with 0, or with what
went wrong on standard error.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from namestore import NameStore, aio
from tests.torture.official import OfficialCaller
from tests.torture.raw import RawCaller, open_stubs
from tests.torture.recording import RecordedHistory
from tests.torture.workload import Caller, Names, Sleep, work

STYLES = ("blocking", "asyncio", "raw")


@dataclass(frozen=True)
class Task:
    """What a process is to do.

    Attributes:
        name: Of the process; its callers are named after it.
        style: What its callers use; one of `STYLES`.
        callers: How many.
        endpoints: Of the nodes, as they are reached from here.
        seed: Of what is asked for.
        began: When the run did, on the monotonic clock.
        pause: Seconds between two calls of a caller, on average.
        path: Where to write.
    """

    name: str
    style: str
    callers: int
    endpoints: list[str]
    seed: int
    began: float
    pause: float
    path: str

    def random(self, number: int) -> Random:
        """Of one caller."""
        return Random(f"{self.seed}/{self.name}/{number}")


class Crew:
    """The callers of a process."""

    def __init__(self, task: Task, history: RecordedHistory) -> None:
        self._task = task
        self._history = history
        self._stop = threading.Event()
        self._failures: list[BaseException] = []

    def run(self) -> list[BaseException]:
        """Until standard input ends; gives what callers failed of."""
        style = self._in_one_loop if self._task.style == "asyncio" else self._in_threads
        thread = threading.Thread(target=style)
        thread.start()
        sys.stdin.read()
        self._stop.set()
        thread.join()
        return self._failures

    def _in_threads(self) -> None:
        numbers = range(self._task.callers)
        threads = [threading.Thread(target=self._one, args=(number,)) for number in numbers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _one(self, number: int) -> None:
        try:
            with self._blocking(number) as caller:
                _run_without_loop(self._work(caller, number, _sleep))
        except BaseException as error:  # noqa: BLE001  # told by the exit of the process
            self._failures.append(error)

    @contextmanager
    def _blocking(self, number: int) -> Iterator[Caller]:
        name, random = f"{self._task.name}-{number}", self._task.random(number)
        with ExitStack() as stack:
            if self._task.style == "raw":
                stubs = open_stubs(self._task.endpoints, stack)
                yield RawCaller(name, stubs, self._history, random)
            else:
                endpoints = self._endpoints(random)
                store = NameStore(endpoints, timeout=random.uniform(1.5, 6))
                yield OfficialCaller(name, stack.enter_context(store), self._history)

    def _in_one_loop(self) -> None:
        try:
            asyncio.run(self._all_at_once())
        except BaseException as error:  # noqa: BLE001  # told by the exit of the process
            self._failures.append(error)

    async def _all_at_once(self) -> None:
        random = self._task.random(-1)
        async with aio.NameStore(self._endpoints(random), timeout=4.0) as store:
            callers = [
                OfficialCaller(f"{self._task.name}-{number}", store, self._history)
                for number in range(self._task.callers)
            ]
            tasks = (self._work(each, n, asyncio.sleep) for n, each in enumerate(callers))
            await asyncio.gather(*tasks)

    async def _work(self, caller: Caller, number: int, sleep: Sleep) -> None:
        names = Names(self._task.began, self._task.random(number))
        await work(caller, names, self._stop, self._task.pause, sleep)

    def _endpoints(self, random: Random) -> Sequence[str]:
        return random.sample(self._task.endpoints, len(self._task.endpoints))


async def _sleep(seconds: float) -> None:
    time.sleep(seconds)  # noqa: ASYNC251  # of a caller that blocks, in its own thread


def _run_without_loop(coroutine: Coroutine[None, None, None]) -> None:
    """Callers that block are written as the others are, and wait for nothing but their calls."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise RuntimeError("a caller that blocks gave way")


def main() -> None:
    """Runs the task; the exit code says whether every caller came to its end."""
    told: dict[str, Any] = json.loads(sys.stdin.readline())
    task = Task(**told)
    with RecordedHistory(Path(task.path)) as history:
        failures = Crew(task, history).run()
    sys.exit("\n".join(map(repr, failures)) or 0)


if __name__ == "__main__":
    main()
