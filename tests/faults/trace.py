"""System calls of a process, as strace writes them, in the order in which they began.

Knows strace's notation, not what the calls mean. strace holds a thread at the beginning and at the
end of each call, so the order of its lines is the order of causes: what one thread did because
another's call had returned stands behind that return.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from namestore.localcluster.node_process import SERVER_COMMAND

_LINE = re.compile(rb"(\d+) +(?:(\d+\.\d+) )?(.*)")
_CALL = re.compile(rb"(\w+)\((.*)\) += (-?\d+)(?:<([^>]*)>)?", re.DOTALL)
_RESUMED = re.compile(rb"<\.\.\. \w+ resumed>(.*)", re.DOTALL)
_UNFINISHED = b" <unfinished ...>"
_DURATION = re.compile(rb" <(\d+\.\d+)>$")
_STRING = re.compile(rb'"((?:\\x[0-9a-f]{2})*)"(?:\.\.\.)?')


# Options: with the time of each call, and how long it took.
TIMES = ("-ttt", "-T")


@dataclass(frozen=True, slots=True)
class Call:
    """One call that succeeded.

    Attributes:
        name: Of the call.
        arguments: As strace writes them; strings and the paths of descriptors in \\x notation.
        result: What it returned.
        result_path: Of the descriptor that it returned.
        began: Its place in the trace; `ended`: that of its return. Not before `began`.
        began_at: Seconds since the epoch; 0 unless traced with `TIMES`. `ended_at` likewise.
    """

    name: str
    arguments: bytes
    result: int
    result_path: str
    began: int
    ended: int
    began_at: float = 0.0
    ended_at: float = 0.0

    def strings(self) -> list[bytes]:
        """The strings among the arguments: paths, or what was written."""
        return [unescaped(text) for text in _STRING.findall(self.arguments)]

    def descriptor(self, place: int = 0) -> tuple[int, str]:
        """The descriptor at the given place among the descriptors, and its path."""
        found = re.findall(rb"(?:^|, )(AT_FDCWD|\d+)<([^>]*)>", self.arguments)
        number, path = found[place]
        return -1 if number == b"AT_FDCWD" else int(number), unescaped(path).decode()

    def last_number(self) -> int:
        """The last argument."""
        return int(self.arguments.rpartition(b", ")[2])


def strace_command(output: Path, calls: Sequence[str], *options: str) -> list[str]:
    """What to put before a command so that its calls are written to `output`.

    The command keeps the pid that is started: strace becomes its grandchild.
    """
    traced = ",".join(calls)
    common = ["-D", "-f", "--seccomp-bpf", "-y", "-xx", "-q", "-e", "signal=none"]
    return [strace_path(), *common, *options, "-e", f"trace={traced}", "-o", str(output)]


def traced_node_command(directory: Path, calls: Sequence[str], *options: str) -> list[str]:
    """What runs as a node so that its calls are written to `directory`/trace.PID.

    exec does not change the pid.
    """
    command = strace_command(directory / "trace.PID", calls, *options)
    script = shlex.join(command).replace("trace.PID", 'trace."$$"')
    return ["/bin/sh", "-c", f'exec {script} "$@"', "sh", *SERVER_COMMAND]


def strace_path() -> str:
    """Where strace is. Raises FileNotFoundError."""
    strace = shutil.which("strace")
    if strace is None:
        raise FileNotFoundError("strace is not installed")
    return strace


@cache
def unusable() -> str:
    """Why nothing can be traced here; empty: it can."""
    strace = shutil.which("strace")
    if strace is None:
        return "strace is not installed"
    tried = subprocess.run(
        [*strace_command(Path(os.devnull), ["fsync"]), "true"], capture_output=True, check=False
    )
    return "" if tried.returncode == 0 else f"strace cannot trace here: {tried.stderr!r}"


def read_calls(path: Path) -> list[Call]:
    """The calls of a trace that succeeded, by their beginning."""
    return sorted(_calls(path.read_bytes().split(b"\n")), key=lambda call: call.began)


def unescaped(text: bytes) -> bytes:
    """What strace wrote as \\x2f\\x61."""
    return bytes.fromhex(text.replace(b"\\x", b"").decode())


def escaped(text: str) -> bytes:
    """As strace writes a path."""
    return b"".join(b"\\x%02x" % byte for byte in text.encode())


def _calls(lines: list[bytes]) -> Iterator[Call]:
    open_calls: dict[bytes, tuple[int, float, bytes]] = {}
    for number, line in enumerate(lines):
        parts = _LINE.fullmatch(line)
        if parts is None:
            continue
        thread, text = parts[1], parts[3]
        at = float(parts[2] or 0)
        if text.endswith(_UNFINISHED):
            open_calls[thread] = number, at, text.removesuffix(_UNFINISHED)
            continue
        began = number
        resumed = _RESUMED.fullmatch(text)
        if resumed is not None:
            began, at, head = open_calls.pop(thread)
            text = head + resumed[1]
        duration = _DURATION.search(text)
        call = _CALL.match(text)
        if call is not None and int(call[3]) >= 0:
            yield Call(
                call[1].decode(),
                call[2],
                int(call[3]),
                unescaped(call[4] or b"").decode(),
                began,
                number,
                at,
                at + float(duration[1] if duration else 0),
            )
    # Calls that had not returned at the end are left out: they can only be writes that nothing
    # waited for, or syncs that covered nothing yet.
