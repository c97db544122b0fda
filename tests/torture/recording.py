"""What callers asked and heard, written down as it happens, and read again.

A file for each process; a line when a call leaves and a line when its answer came, so that what a
process had under way when it ended is known to be unknown. Not responsible for judging.

Invariant: a call's first line is in the file before the call leaves.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.history import Ask, Call, History, Operation, Said


@dataclass(frozen=True, slots=True)
class StaleRead:
    """A look-up that may show the past, and says which.

    Attributes:
        called: When it was sent; returned: when the answer came.
        revision: Of the state it was read from.
        owner: Of the record found; empty: none was.
        create_revision: Of the record found.
    """

    client: str
    name: str
    called: float
    returned: float
    revision: int
    owner: str = ""
    create_revision: int = 0


class RecordedHistory(History):
    """A `History` whose calls go to a file instead of a list. From any number of threads."""

    def __init__(self, path: Path) -> None:
        super().__init__(time.monotonic)
        self._file = path.open("w", encoding="utf-8")
        self._numbers = itertools.count()
        self._writing = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    @contextmanager
    def call(
        self, client: str, ask: Ask, name: str, owner: str = "", request_id: str = ""
    ) -> Iterator[Call]:
        call = Call(Operation(client, ask, name, owner, request_id, self.clock()))
        number = next(self._numbers)
        self._write(
            {
                "call": number,
                "client": client,
                "ask": ask.name,
                "name": name,
                "owner": owner,
                "request_id": request_id,
                "called": call.operation.called,
            }
        )
        try:
            yield call
        finally:
            done = call.done
            if done is not None and done.said is not Said.UNKNOWN:
                self._write(
                    {
                        "answer": number,
                        "said": done.said.name,
                        "returned": self.clock(),
                        "revision": done.revision,
                        "holder_owner": done.holder_owner,
                        "holder_revision": done.holder_revision,
                    }
                )

    def stale(self, read: StaleRead) -> None:
        """Records a stale read that was answered; others say nothing."""
        self._write({"stale": asdict(read)})

    def _write(self, line: dict[str, Any]) -> None:
        text = json.dumps(line, separators=(",", ":")) + "\n"
        with self._writing:
            self._file.write(text)
            self._file.flush()


@dataclass
class Recorded:
    """What was read from the files of a run."""

    operations: list[Operation] = field(default_factory=list)
    stale: list[StaleRead] = field(default_factory=list)

    def read(self, path: Path) -> None:
        """Adds what one process wrote."""
        calls: dict[int, dict[str, Any]] = {}
        answers: dict[int, dict[str, Any]] = {}
        with path.open(encoding="utf-8") as lines:
            for text in lines:
                if not text.endswith("\n"):
                    break  # the process ended in the middle of it
                line = json.loads(text)
                if "call" in line:
                    calls[line.pop("call")] = line
                elif "answer" in line:
                    answers[line.pop("answer")] = line
                else:
                    self.stale.append(StaleRead(**line["stale"]))
        for number, call in calls.items():
            answer = answers.get(number, {})
            if answer:
                answer["said"] = Said[answer["said"]]
            self.operations.append(Operation(**{**call, "ask": Ask[call["ask"]], **answer}))
