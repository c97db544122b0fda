"""A process with namespaces of its own: processes, mounts and network, and nothing left of them.

Responsible for starting a function as the first process of new namespaces, and for ending it.
Not for what is put into them. Invariant: when that first process ends, in whatever way, the kernel
kills every process in there, and with the last of them go all mounts and network devices; and it
ends with the process that called `run`, even if that is killed.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from tests.torture import kernel

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_INTERRUPTED, _FAILED = 128 + signal.SIGINT, 2
_WORLD = kernel.NEW_PIDS | kernel.NEW_MOUNTS | kernel.NEW_NET


def obstacle() -> str | None:
    """Why `run` would not work here; None: it would. Tries it, in a process that ends at once."""
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(source)
        _try(sink)
    os.close(sink)
    with os.fdopen(source, "rb") as told:
        reason = told.read().decode("utf-8", "replace")
    os.waitpid(child, 0)
    return None if reason == "works" else reason or "it ended without a word"


def run(function: Callable[[], int]) -> int:
    """Runs the function in namespaces of its own; returns what it returns, the exit code.

    The process that calls has no threads yet. SIGINT, SIGTERM and SIGHUP that it gets go to the
    function, as KeyboardInterrupt; a second one ends everything at once.
    """
    _leave()
    # The kernel drops signals for a first process that has no handler yet, unless they are blocked.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    child = os.fork()
    if child == 0:
        os._exit(_first_process(function))
    return _wait(child)


def run_outside(function: Callable[[], int]) -> int:
    """As `run`, without namespaces: nothing but the function itself ends what it started."""
    try:
        for number in _SIGNALS:
            signal.signal(number, _interrupt)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        return function()
    except KeyboardInterrupt:
        return _INTERRUPTED


def _try(sink: int) -> None:
    try:
        _leave()
        child = os.fork()
        if child == 0:
            _settle()
            os.close(kernel.open_tunnel("probe"))
            kernel.bring_up("lo")
            os.write(sink, b"works")
            os._exit(0)
        os.waitpid(child, 0)
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        os.write(sink, f"{where}{error.strerror}".encode())
    finally:
        os._exit(0)


def _leave() -> None:
    """Into new namespaces; without the right to, as the root of a user namespace of one's own."""
    try:
        kernel.unshare(_WORLD)
    except PermissionError:
        user, group = os.geteuid(), os.getegid()
        kernel.unshare(_WORLD | kernel.NEW_USERS)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")


def _settle() -> None:
    kernel.die_with_parent()
    kernel.keep_mounts_private()
    kernel.mount("proc", Path("/proc"))


def _first_process(function: Callable[[], int]) -> int:
    try:
        os.setsid()  # Ctrl-C at the terminal goes to the process outside, which passes it on
        _settle()
    except OSError as error:
        sys.stderr.write(f"cannot furnish the namespaces: {error}\n")
        return _FAILED
    return run_outside(function)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _wait(child: int) -> int:
    interrupts = 0

    def pass_on(number: int, frame: FrameType | None) -> None:
        nonlocal interrupts
        interrupts += 1
        os.kill(child, signal.SIGTERM if interrupts == 1 else signal.SIGKILL)

    for number in _SIGNALS:
        signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code
