"""One process of a race: callers in threads that all ask for the same names.

`python -m tests.support.racing_callers` reads its task as one line of JSON and writes what each
caller asked and heard to a file, a line of JSON for each name. Started by tests/cluster/test_race.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import IO, Any

from namestore import NameStore
from namestore.client.values import RegisterResult
from namestore.errors import OutcomeUnknown, Unavailable
from tests.support.history import Ask, Operation, Said

_BATCH = 50
_CALL_SECONDS = 10.0


@dataclass
class Task:
    """What one process is to do.

    Attributes:
        endpoints: Of all nodes; each caller begins with another one.
        names: Everybody asks for all of them, each in an order of its own.
        callers: How many threads.
        process: A number that tells this process from the others.
        path: Where to write.
        patience: Seconds after which a caller gives up.
    """

    endpoints: list[str]
    names: list[str]
    callers: int
    process: int
    path: str
    patience: float


class Racer:
    """One caller."""

    def __init__(self, task: Task, number: int, file: IO[str], lock: threading.Lock) -> None:
        self._task = task
        self._name = f"caller-{task.process}-{number}"
        self._random = Random(self._name)
        first = (task.process + number) % len(task.endpoints)
        self._endpoints = task.endpoints[first:] + task.endpoints[:first]
        self._file, self._lock = file, lock
        self._give_up_at = time.monotonic() + task.patience

    def run(self) -> None:
        """Asks for every name; then asks again for those it was granted: it still is."""
        order = list(self._task.names)
        self._random.shuffle(order)
        granted: list[RegisterResult] = []
        with NameStore(self._endpoints, timeout=_CALL_SECONDS) as store:
            for start in range(0, len(order), _BATCH):
                granted += [r for r in self._ask(store, order[start : start + _BATCH]) if r]
            for result in granted:
                self._ask_again(store, result)

    def _ask(self, store: NameStore, names: list[str]) -> list[RegisterResult]:
        identity = os.urandom(16)
        called = time.monotonic()
        results: list[RegisterResult] = self._until_answered(
            lambda: store.register_many(names, self._name, request_id=identity)
        )
        for result in results:
            self._write(result, called)
        return results

    def _ask_again(self, store: NameStore, granted: RegisterResult) -> None:
        called = time.monotonic()
        again: RegisterResult = self._until_answered(
            lambda: store.register(granted.name, self._name, request_id=granted.request_id)
        )
        self._write(again, called)

    def _until_answered(self, ask: Any) -> Any:
        while True:
            try:
                return ask()
            except (Unavailable, OutcomeUnknown):
                if time.monotonic() > self._give_up_at:
                    raise

    def _write(self, result: RegisterResult, called: float) -> None:
        record = result.record
        if record is None:
            raise ValueError(f"an answer without a record: {result}")
        operation = Operation(
            client=self._name,
            ask=Ask.REGISTER,
            name=result.name,
            owner=self._name,
            request_id=result.request_id.hex(),
            called=called,
            returned=time.monotonic(),
            said=Said.GRANTED if result else Said.TAKEN,
            revision=record.create_revision if result else result.revision,
            holder_owner="" if result else record.owner,
            holder_revision=0 if result else record.create_revision,
        )
        line = json.dumps({**asdict(operation), "ask": "REGISTER", "said": operation.said.name})
        with self._lock:
            self._file.write(line + "\n")
            self._file.flush()


def read_operations(path: Path) -> list[Operation]:
    """What a process wrote."""
    lines = (json.loads(line) for line in path.read_text().splitlines())
    return [
        Operation(**{**line, "ask": Ask[line["ask"]], "said": Said[line["said"]]}) for line in lines
    ]


def main() -> None:
    """Runs the task; the exit code says whether every caller was answered everything."""
    task = Task(**json.loads(sys.stdin.readline()))
    lock = threading.Lock()
    failures: list[str] = []

    def race(racer: Racer) -> None:
        try:
            racer.run()
        except Exception as error:  # noqa: BLE001  # told to the test by exit code and text
            failures.append(repr(error))

    with Path(task.path).open("w") as file:
        threads = [
            threading.Thread(target=race, args=(Racer(task, number, file, lock),))
            for number in range(task.callers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    sys.exit("\n".join(failures) or 0)


if __name__ == "__main__":
    main()
