"""The processes of callers: started in their places, watched, and brought to their end.

Not responsible for what they ask (`callers_process`). Invariant: a process that ends before it is
told to, or not with 0, is a finding: callers meet nothing that they do not expect.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.linearizability import Violation
from tests.torture.callers_process import Task
from tests.torture.grounds import CALLERS, Ground

_END_SECONDS = 60.0
_CREWS = (("blocking", 3), ("raw", 3), ("asyncio", 4), ("raw", 3), ("blocking", 2))


@dataclass
class _Crew:
    task: Task
    process: subprocess.Popen[str]
    log: Path


class Crews:
    """All callers of a run, while it is entered.

    Args:
        directory: Gets what they record, and what they print.
        pause: Seconds between two calls of a caller, on average.
    """

    def __init__(self, directory: Path, ground: Ground, seed: int, pause: float) -> None:
        self._directory = directory
        self._ground = ground
        self._seed = seed
        self._pause = pause
        self._crews: list[_Crew] = []
        self._read: dict[Path, int] = {}
        self._calls = 0

    @property
    def paths(self) -> list[Path]:
        """What they recorded."""
        return [Path(crew.task.path) for crew in self._crews]

    @property
    def logs(self) -> list[Path]:
        """What they printed."""
        return [crew.log for crew in self._crews]

    def __enter__(self) -> Self:
        began = time.monotonic()
        for number, (style, callers) in enumerate(_CREWS):
            place = CALLERS[number % len(CALLERS)]
            name = f"{style}-{number}"
            task = Task(
                name=name,
                style=style,
                callers=callers,
                endpoints=[grpc for grpc, _ in self._ground.seen_by(place).values()],
                seed=self._seed,
                began=began,
                pause=self._pause,
                path=str(self._directory / f"{name}.jsonl"),
            )
            self._start(task, place)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for crew in self._crews:
            crew.process.kill()
            crew.process.communicate()

    def check(self) -> None:
        """Raises `Violation` if one ended by itself."""
        self._refuse(lambda crew: crew.process.poll() is not None)

    def finish(self) -> None:
        """Has all of them finish what they have under way. Raises `Violation` if they do not."""
        for crew in self._crews:
            if crew.process.stdin is not None:
                crew.process.stdin.close()
        deadline = time.monotonic() + _END_SECONDS
        for crew in self._crews:
            try:
                crew.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                raise Violation(f"calls of {crew.task.name} hang") from None
        self._refuse(lambda crew: crew.process.returncode != 0)

    def answers(self) -> int:
        """Calls that were answered so far."""
        for path in self.paths:
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                text = file.read()
            self._read[path] = self._read.get(path, 0) + len(text)
            self._calls += text.count(b'"answer":')
        return self._calls

    def _refuse(self, failed: Callable[[_Crew], bool]) -> None:
        for crew in self._crews:
            if failed(crew):
                raise Violation(f"{crew.task.name} failed:\n{crew.log.read_text()[-4000:]}")

    def _start(self, task: Task, place: str) -> None:
        log = self._directory / f"{task.name}.log"
        Path(task.path).touch()
        with log.open("w") as output:
            process = subprocess.Popen(
                [*self._ground.command(place), "tests.torture.callers_process"],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                text=True,
                start_new_session=True,
            )
        self._crews.append(_Crew(task, process, log))
        if process.stdin is not None:
            process.stdin.write(json.dumps(asdict(task)) + "\n")
            process.stdin.flush()


def tests_are_importable() -> None:
    """For every process that is started from here, wherever it stands."""
    root = str(Path(__file__).resolve().parents[2])
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, (root, os.environ.get("PYTHONPATH", "")))
    )
