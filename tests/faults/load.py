"""Load from several processes at once, and what they have heard so far.

The processes are `load_process`; here they are started, read and ended.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from namestore import NameStore
from namestore.localcluster import LocalCluster
from tests.faults.load_process import LASTING, Task, read_operation
from tests.support.cluster import SERVE_SECONDS
from tests.support.eventually import eventually
from tests.support.history import Operation, Said
from tests.support.linearizability import Violation

_ROOT = Path(__file__).resolve().parents[2]
_END_SECONDS = 60.0
_LOOKUPS_AT_ONCE = 500


class Load:
    """What the processes heard, read from their files as they write.

    Attributes:
        operations: All calls read so far, in no particular order.
        acknowledged: The lasting names that somebody was granted: owner and revision.
    """

    def __init__(self, paths: list[Path]) -> None:
        self.operations: list[Operation] = []
        self.acknowledged: dict[str, tuple[str, int]] = {}
        self._paths = paths
        self._read = [0] * len(paths)

    @property
    def answered(self) -> int:
        """How many calls were answered, as of the last `read`."""
        return sum(operation.answered for operation in self.operations)

    def read(self) -> None:
        """Takes in what was written since."""
        for number, path in enumerate(self._paths):
            with path.open("rb") as file:
                file.seek(self._read[number])
                text = file.read()
            whole = text[: text.rfind(b"\n") + 1]
            self._read[number] += len(whole)
            for line in whole.decode().splitlines():
                self._note(read_operation(line))

    def wait_for_answers(self, more: int) -> None:
        """Waits until so many more calls were answered."""
        self.read()
        goal = self.answered + more

        def arrived() -> bool:
            self.read()
            return self.answered >= goal

        eventually(arrived, f"{more} more answers", SERVE_SECONDS)

    def _note(self, operation: Operation) -> None:
        self.operations.append(operation)
        if operation.said is Said.GRANTED and operation.name.startswith(LASTING):
            granted = operation.owner, operation.revision or 0
            if self.acknowledged.setdefault(operation.name, granted) != granted:
                raise Violation(
                    f"{operation.name} was granted to {self.acknowledged[operation.name]} and to "
                    f"{granted}"
                )

    def check_acknowledged(self, store: NameStore) -> int:
        """Looks up every acknowledged name, linearizably; how many there are.

        Raises:
            Violation: One is missing, or is somebody else's.
        """
        self.read()
        expected = dict(self.acknowledged)
        names = list(expected)
        for start in range(0, len(names), _LOOKUPS_AT_ONCE):
            part = names[start : start + _LOOKUPS_AT_ONCE]
            for name, record in zip(part, store.lookup_many(part), strict=True):
                found = None if record is None else (record.owner, record.create_revision)
                if found != expected[name]:
                    raise Violation(f"{name} was granted to {expected[name]}, and is now {found}")
        return len(names)


@contextmanager
def running_load(
    cluster: LocalCluster, path: Path, *, processes: int = 2, callers: int = 4, pause: float = 0.01
) -> Iterator[Load]:
    """Load for as long as the block lasts; all of it is read when it is left.

    Args:
        cluster: Whose nodes to ask.
        path: An existing directory for the processes' files.
        processes: How many.
        callers: Threads in each.
        pause: Seconds that each thread rests after a call.
    """
    paths = [path / f"load-{number}.jsonl" for number in range(processes)]
    running: list[subprocess.Popen[str]] = []
    try:
        for number, file in enumerate(paths):
            file.touch()
            task = Task(cluster.endpoints.split(","), callers, number, str(file), pause)
            running.append(_start(task))
        load = Load(paths)
        yield load
        for process in running:
            _, said = process.communicate(timeout=_END_SECONDS)
            assert process.returncode == 0, said
        load.read()
    finally:
        for process in running:
            process.kill()
            process.communicate()


def _start(task: Task) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.load_process"],
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(asdict(task)) + "\n")
    process.stdin.flush()
    return process
