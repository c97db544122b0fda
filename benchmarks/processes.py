"""Server processes, from start to end, and what they cost.

Responsible for processes that a benchmark starts itself, each with its log beside its data. Not for
what they serve. Invariant: what was started here is ended by `end_all`, also on Ctrl-C, and by the
kernel if this process is killed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks import interruption
from benchmarks.peers.interface import BenchmarkError

_TERM_SECONDS = 20.0
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class Servers:
    """The server processes of one peer, by name. Each ends with the thread that started it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        user: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Runs a command in the background; its output goes to `<name>.log`.

        Args:
            name: Of the server; one that runs is not started twice.
            command: Program and arguments.
            user: Whom it runs as; None: us.
            environment: Added to ours.
        """
        if name in self._processes and self._processes[name].poll() is None:
            raise BenchmarkError(f"{name} already runs")
        with self._log_path(name).open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [*as_user(user), *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._directory,
                env={**os.environ, **(environment or {})},
                start_new_session=True,  # Ctrl-C is for us: we end them in order
            )

    def wait_until(self, condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
        """Waits for a condition. Raises BenchmarkError when it does not come, or a server ends."""
        deadline = time.monotonic() + seconds
        while not condition():
            interruption.check()
            for name, process in self._processes.items():
                if process.poll() is not None:
                    raise BenchmarkError(f"{name} ended: {process.returncode}\n{self.tail(name)}")
            if time.monotonic() > deadline:
                tails = "\n".join(self.tail(name) for name in self._processes)
                raise BenchmarkError(f"after {seconds:g} s not {what}\n{tails}")
            time.sleep(0.05)

    def kill(self, name: str) -> None:
        """kill -9, and the process is gone."""
        process = self._processes.pop(name, None)
        if process is None:
            return
        process.kill()
        process.wait()

    def end(self, name: str, number: signal.Signals = signal.SIGTERM) -> None:
        """Asks a server to end, and makes it."""
        process = self._processes.pop(name, None)
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(number)
        try:
            process.wait(_TERM_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def end_all(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Asks all to end, at once; then as `end`."""
        for process in self._processes.values():
            if process.poll() is None:
                process.send_signal(number)
        for name in list(self._processes):
            self.end(name, number)

    def pids(self) -> dict[str, list[int]]:
        """By server, its process and all below it."""
        return {name: list(family(process.pid)) for name, process in self._processes.items()}

    def tail(self, name: str, lines: int = 10) -> str:
        """What a server last said."""
        text = self._log_path(name).read_text(errors="replace")
        return "\n".join(f"[{name}] {line}" for line in text.splitlines()[-lines:])

    def _log_path(self, name: str) -> Path:
        return self._directory / f"{name}.log"


def as_user(user: str | None) -> list[str]:
    """What stands before a command so that it runs as a user, and does not outlive us."""
    identity = [] if user is None else [f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    return ["setpriv", *identity, "--pdeathsig=KILL", "--"]


def run(command: Sequence[str], *, user: str | None = None, seconds: float = 600.0) -> str:
    """Runs a command to its end; its standard output.

    Raises:
        BenchmarkError: It failed, or took too long.
    """
    try:
        done = subprocess.run(
            [*as_user(user), *command],
            capture_output=True,
            check=False,
            text=True,
            timeout=seconds,
            cwd="/",
        )
    except subprocess.TimeoutExpired as error:
        raise BenchmarkError(f"{command[0]} took more than {seconds:g} s") from error
    if done.returncode:
        raise BenchmarkError(f"{' '.join(command)}: {done.returncode}\n{done.stderr.strip()}")
    return done.stdout


def find_program(name: str) -> str | None:
    """The path of a program, if it is there."""
    if name.startswith("/"):
        return name if Path(name).exists() else None
    return shutil.which(name)


def family(pid: int) -> Iterator[int]:
    """A process and its children, and theirs; those that ended meanwhile are left out."""
    try:
        children = [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except (FileNotFoundError, ProcessLookupError):
        return
    yield pid
    for child in children:
        yield from family(child)


def cpu_seconds(pids: Sequence[int]) -> float:
    """User and system time these processes have used, with that of their children that ended."""
    ticks = 0
    for pid in pids:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        # proc(5): utime, stime, cutime, cstime are fields 14 to 17; the name may have spaces.
        ticks += sum(int(field) for field in stat.rpartition(")")[2].split()[11:15])
    return ticks / _TICKS_A_SECOND


def memory_bytes(pids: Sequence[int]) -> int:
    """Proportional set size: what is shared between processes is counted once."""
    total = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total * 1024


def disk_bytes(path: Path) -> int:
    """What is allocated below a directory."""
    total = 0
    for file in path.rglob("*"):
        try:
            total += file.lstat().st_blocks * 512
        except FileNotFoundError:
            continue  # removed by its server meanwhile
    return total
