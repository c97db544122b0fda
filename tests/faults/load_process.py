"""One process of callers that ask without pause until their standard input is closed.

`python -m tests.faults.load_process` reads its task as one line of JSON. Every call is written to
the task's file, a line of JSON each, when its caller has heard the answer: what the file says was
acknowledged may be asked for at once.

Two kinds of names. *Lasting* ones, `user:last-…`, are registered and never released; at any moment
all callers, of all processes, ask for the same few. *Passing* ones, `user:pass-…`, change hands for
a few seconds. Nobody asks for a name again later, so that each has a short history.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import IO

from namestore import NameStore
from tests.support.callers import Caller
from tests.support.history import Ask, History, Operation, Said

LASTING = "user:last-"
_CALL_SECONDS = 5.0
_LASTING_PER_SECOND = 20
_PASSING_SECONDS, _PASSING_NAMES = 4, 12


@dataclass(frozen=True, slots=True)
class Task:
    """What one process is to do.

    Attributes:
        endpoints: Of all nodes; each caller begins with another one.
        callers: How many threads.
        process: A number that tells this process from the others.
        path: Where to write.
        pause: Seconds that a caller rests after each call; the fewer, the longer the history.
    """

    endpoints: list[str]
    callers: int
    process: int
    path: str
    pause: float


class Journal(list[Operation]):
    """The operations of a history, written down as they come; the history holds its lock."""

    def __init__(self, file: IO[str]) -> None:
        super().__init__()
        self._file = file

    def append(self, operation: Operation) -> None:
        """Writes instead of remembering: a long run would be much to remember."""
        line = {**asdict(operation), "ask": operation.ask.name, "said": operation.said.name}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()


def read_operation(line: str) -> Operation:
    """One line of what a process wrote."""
    fields = json.loads(line)
    return Operation(**{**fields, "ask": Ask[fields["ask"]], "said": Said[fields["said"]]})


def _ask_on(task: Task, number: int, history: History, stop: threading.Event) -> None:
    client = f"caller-{task.process}-{number}"
    random = Random(client)
    first = (task.process + number) % len(task.endpoints)
    mine: list[str] = []
    with NameStore(task.endpoints[first:] + task.endpoints[:first], timeout=_CALL_SECONDS) as store:
        caller = Caller(store, history, client)
        while not stop.wait(task.pause):
            _ask(caller, random, mine)


def _ask(caller: Caller, random: Random, mine: list[str]) -> None:
    now = time.monotonic()
    lasting = f"{LASTING}{int(now * _LASTING_PER_SECOND)}"
    turn = f"user:pass-{int(now / _PASSING_SECONDS)}"
    passing = f"{turn}-{random.randrange(_PASSING_NAMES)}"
    choice = random.random()
    if choice < 0.4:
        caller.register(lasting)
    elif choice < 0.7:
        if caller.register(passing):
            mine.append(passing)
    elif choice < 0.85 or not mine:
        caller.lookup(random.choice((lasting, passing)))
    else:
        caller.release(mine.pop())


def main() -> None:
    """Runs the task; the exit code says whether every caller went on to the end."""
    task = Task(**json.loads(sys.stdin.readline()))
    stop = threading.Event()
    failures: list[str] = []

    def ask_on(number: int, history: History) -> None:
        try:
            _ask_on(task, number, history, stop)
        except Exception as error:  # noqa: BLE001  # told to the other side by exit code and text
            failures.append(repr(error))

    with Path(task.path).open("w") as file:
        history = History(time.monotonic, Journal(file))
        threads = [
            threading.Thread(target=ask_on, args=(number, history))
            for number in range(task.callers)
        ]
        for thread in threads:
            thread.start()
        sys.stdin.read()
        stop.set()
        for thread in threads:
            thread.join()
    sys.exit("\n".join(failures) or 0)


if __name__ == "__main__":
    main()
