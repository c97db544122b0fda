"""Which process is behind a process id: a number that the system gives out again and again.

Responsible for telling whether a process is alive and still the one that was once started. Not for
starting or ending any. Invariant: `identity_of` gives the same text for the same process for as
long as it lives, and another text for every other process, also after a reboot.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

_PROC = Path("/proc")
# Places in /proc/PID/stat, counted from the state (proc(5) counts from 1, and that is its third).
_THREADS, _START_TIME = 17, 19
_DEAD_STATES = frozenset("ZXx")  # zombie, dead: nothing runs any more, only its exit code is kept


def identity_of(pid: int) -> str | None:
    """Which process has that id, by boot, id and start; None: no such process runs.

    A zombie does not run, unless only its first thread has ended: the others still hold its files
    and ports. On systems without /proc the start time comes from `ps`, to the second.
    """
    if not (_PROC / "self" / "stat").exists():
        started = _ps(pid, "lstart=")
        return None if started is None else f"{pid}/{started}"
    fields = _stat_fields(pid)
    if fields is None or (fields[0] in _DEAD_STATES and int(fields[_THREADS]) <= 1):
        return None
    return f"{_boot_id()}/{pid}/{fields[_START_TIME]}"


def command_line(pid: int) -> list[str]:
    """The arguments that the process was started with; empty when they cannot be read.

    They are also empty for a moment when a process begins, and when it ends: its memory comes
    after and goes before the process itself, with the files and ports that it still holds.
    """
    try:
        raw = (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return (_ps(pid, "args=") or "").split()
    return [part.decode("utf-8", "replace") for part in raw.split(b"\0") if part]


def is_paused(pid: int) -> bool:
    """The process was stopped by a signal (SIGSTOP, SIGTSTP) and waits for SIGCONT."""
    fields = _stat_fields(pid)
    if fields is None:
        return (_ps(pid, "stat=") or "").startswith("T")
    return fields[0] == "T"


def _stat_fields(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the state on (its third in proc(5))."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # The second field, the command in parentheses, may itself hold spaces and parentheses.
    return text[text.rindex(")") + 2 :].split()


def _boot_id() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "boot"  # start times then tell processes apart within one boot only


def _ps(pid: int, column: str) -> str | None:
    try:
        found = subprocess.run(
            ["/bin/ps", "-p", str(pid), "-o", column], capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    return found.stdout.strip() or None
