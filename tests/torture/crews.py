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
    place: str
    log: Path
    process: subprocess.Popen[str] | None = None


class Crews:
    """All callers of a run, while it is entered.

    Args:
        directory: Gets what they record, and what they print.
        pause: Seconds between two calls of a caller, on average.
    """

    def __init__(self, directory: Path, ground: Ground, seed: int, pause: float) -> None:
        self._ground = ground
        self._read: dict[Path, int] = {}
        self._calls = 0
        self._crews: list[_Crew] = []
        began = time.monotonic()
        for number, (style, callers) in enumerate(_CREWS):
            place = CALLERS[number % len(CALLERS)]
            name = f"{style}-{number}"
            task = Task(
                name=name,
                style=style,
                callers=callers,
                endpoints=[grpc for grpc, _ in ground.seen_by(place).values()],
                seed=seed,
                began=began,
                pause=pause,
                path=str(directory / f"{name}.jsonl"),
            )
            self._crews.append(_Crew(task, place, directory / f"{name}.log"))

    @property
    def paths(self) -> list[Path]:
        """What they record."""
        return [Path(crew.task.path) for crew in self._crews]

    @property
    def logs(self) -> list[Path]:
        """What they print."""
        return [crew.log for crew in self._crews]

    def __enter__(self) -> Self:
        try:
            for crew in self._crews:
                self._start(crew)
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._kill()

    def _kill(self) -> None:
        for process in self._processes():
            process.kill()
            process.communicate()

    def _processes(self) -> list[subprocess.Popen[str]]:
        return [crew.process for crew in self._crews if crew.process is not None]

    def check(self) -> None:
        """Raises `Violation` if one ended by itself."""
        self._refuse(lambda process: process.poll() is not None)

    def finish(self) -> None:
        """Has all of them finish what they have under way. Raises `Violation` if they do not."""
        for process in self._processes():
            if process.stdin is not None:
                process.stdin.close()
        deadline = time.monotonic() + _END_SECONDS
        for process in self._processes():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                raise Violation(f"calls hang: {process.args!r}") from None
        self._refuse(lambda process: process.returncode != 0)

    def answers(self) -> int:
        """Calls that were answered so far."""
        for path in self.paths:
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                text = file.read()
            self._read[path] = self._read.get(path, 0) + len(text)
            self._calls += text.count(b'"answer":')
        return self._calls

    def _refuse(self, failed: Callable[[subprocess.Popen[str]], bool]) -> None:
        for crew in self._crews:
            if crew.process is not None and failed(crew.process):
                raise Violation(f"{crew.task.name} failed:\n{crew.log.read_text()[-4000:]}")

    def _start(self, crew: _Crew) -> None:
        Path(crew.task.path).touch()
        with crew.log.open("w") as output:
            process = crew.process = subprocess.Popen(
                [*self._ground.command(crew.place), "tests.torture.callers_process"],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                text=True,
                start_new_session=True,
            )
        if process.stdin is not None:
            process.stdin.write(json.dumps(asdict(crew.task)) + "\n")
            process.stdin.flush()


def tests_are_importable() -> None:
    """For every process that is started from here, wherever it stands."""
    root = str(Path(__file__).resolve().parents[2])
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, (root, os.environ.get("PYTHONPATH", "")))
    )
