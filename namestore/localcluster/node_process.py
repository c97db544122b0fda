"""One node as a process of the operating system: start it, signal it, see it end.

Not responsible for what the node says about itself (`observe`) or for several nodes (`cluster`).
Invariant: a signal is sent only to the very process that was started for this node and
configuration file, never to another one that the system gave the same pid.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from namestore.localcluster.data_lock import DataHolder, data_holder
from namestore.localcluster.errors import DirectoryUnusable, NodeFailed
from namestore.localcluster.identity import command_line, identity_of, is_paused
from namestore.localcluster.interrupts import interrupts_held
from namestore.localcluster.pid_file import PidRecord, read_pid_file, write_pid_file

SERVER_COMMAND: tuple[str, ...] = (sys.executable, "-m", "namestore", "server")
_POLL_SECONDS = 0.02
_TAIL_BYTES_MAX = 64 * 1024


class NodeProcess:
    """The process of one node of one directory, whoever started it.

    Args:
        node_id: Also names its files: `<id>.pid`, `<id>.log`.
        directory: Where those files are; absolute.
        command: What to run; `--config FILE --node ID` is added.
    """

    def __init__(
        self, node_id: str, directory: Path, command: Sequence[str] = SERVER_COMMAND
    ) -> None:
        self.node_id = node_id
        self.log_path = directory / f"{node_id}.log"
        self.pid_path = directory / f"{node_id}.pid"
        self._directory = directory
        self._data_path = directory / node_id
        self._command = tuple(command)
        self._child: subprocess.Popen[bytes] | None = None  # only if this object started it
        self._log_start = 0

    @property
    def config_path(self) -> Path:
        """The node's own file if there is one (`<id>.toml`), else the cluster's."""
        own = self._directory / f"{self.node_id}.toml"
        return own if own.exists() else self._directory / "cluster.toml"

    @property
    def pid(self) -> int | None:
        """The running process; None: it does not run (never started, ended, or another's pid).

        A pid file that is lost or damaged does not make a node disappear: the lock on its data
        tells of it.

        Raises:
            DirectoryUnusable: The pid file or the lock cannot be read.
        """
        pid = self._recorded_pid()
        if pid is not None:
            return pid
        found = self._found()
        return None if found is None else found.pid

    @property
    def data_stranger(self) -> DataHolder | None:
        """Who has the node's data and cannot be told to be the node; None: nobody."""
        if self._recorded_pid() is not None:
            return None
        holder = data_holder(self._data_path)
        return holder if holder is not None and self.pid is None else None

    def adopt(self) -> int | None:
        """Writes the pid file of a node that runs without one; gives its pid if there is such."""
        if self._recorded_pid() is not None:
            return None
        found = self._found()
        if found is None:
            return None
        write_pid_file(self.pid_path, found)
        return found.pid

    @property
    def pid_file_is_lost(self) -> bool:
        """The process runs, and no pid file tells of it."""
        return self._recorded_pid() is None and self._found() is not None

    @property
    def exit_code(self) -> int | None:
        """Of the process this object started, once it ended; -N: by signal N."""
        return None if self._child is None else self._child.poll()

    @property
    def paused(self) -> bool:
        """It runs, and is held by SIGSTOP."""
        pid = self.pid
        return pid is not None and is_paused(pid)

    @property
    def pid_file_is_stale(self) -> bool:
        """There is a pid file, and the process it speaks of is gone."""
        return self.pid_path.exists() and self.pid is None

    def start(self) -> int:
        """Starts the process in the background, in a session of its own; gives its pid.

        A running one is left alone. What it prints is added to its log.

        Raises:
            NodeFailed: The program cannot be run.
            DirectoryUnusable: Its files cannot be written.
        """
        pid = self.pid
        if pid is not None:
            return pid
        # An interrupt between the start and the pid file would leave a process nobody knows of.
        with interrupts_held():
            self._child = self._spawn()
            identity = identity_of(self._child.pid) or "ended at once"
            try:
                write_pid_file(self.pid_path, PidRecord(self._child.pid, identity))
            except BaseException:
                self._child.kill()
                self._child.wait()
                raise
        return self._child.pid

    def signal(self, number: signal.Signals) -> bool:
        """Sends the process a signal; False: it does not run.

        Raises:
            NodeFailed: The system does not permit it.
        """
        pid = self.pid
        if pid is None:
            return False
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return False
        except PermissionError as error:
            raise NodeFailed(f"{self.node_id} (pid {pid}) runs under another user") from error
        return True

    def wait_gone(self, timeout: float) -> bool:
        """Waits until the process has ended, at most `timeout` seconds; True: it has.

        Removes the pid file once it has.
        """
        deadline = time.monotonic() + timeout
        while self.pid is not None:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_SECONDS)
        self.pid_path.unlink(missing_ok=True)
        return True

    def log_tail(self, lines: int = 20) -> str:
        """The last lines it logged since this object started it, or at all."""
        try:
            with self.log_path.open("rb") as log:
                size = log.seek(0, os.SEEK_END)
                log.seek(max(min(self._log_start, size), size - _TAIL_BYTES_MAX))
                text = log.read().decode("utf-8", "replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def _spawn(self) -> subprocess.Popen[bytes]:
        arguments = [*self._command, "--config", str(self.config_path), "--node", self.node_id]
        try:
            with self.log_path.open("ab") as log:
                self._log_start = log.tell()
                return subprocess.Popen(
                    arguments,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=self._directory,
                    start_new_session=True,  # a Ctrl-C at the terminal is not meant for the nodes
                )
        except OSError as error:
            if error.filename == str(self.log_path):
                raise DirectoryUnusable(
                    f"cannot write {self.log_path}: {error.strerror}"
                ) from error
            raise NodeFailed(f"cannot run {self._command[0]}: {error.strerror}") from error

    def _recorded_pid(self) -> int | None:
        record = read_pid_file(self.pid_path)
        if record is None:
            return None
        child = self._child
        # Asking also lets go of a zombie. A child's pid is not given out again before that.
        if child is not None and child.pid == record.pid and child.poll() is None:
            return record.pid
        return record.pid if self._is_ours(record) else None

    def _found(self) -> PidRecord | None:
        """The process that has the node's data, if its arguments prove it to be the node."""
        holder = data_holder(self._data_path)
        if holder is None or holder.pid is None:
            return None
        identity = identity_of(holder.pid)  # before its arguments: those are then this one's
        if identity is None or not self._is_named_by(" ".join(command_line(holder.pid))):
            return None
        return PidRecord(holder.pid, identity)

    def _is_ours(self, record: PidRecord) -> bool:
        if identity_of(record.pid) != record.identity:
            return False
        # A pid file that was copied along with its directory speaks of the other one's node. That
        # very process without arguments is one that is just beginning or ending.
        arguments = " ".join(command_line(record.pid))
        return not arguments or self._is_named_by(arguments)

    def _is_named_by(self, arguments: str) -> bool:
        return any(
            f"--config {self._directory / name} --node {self.node_id} " in f"{arguments} "
            for name in ("cluster.toml", f"{self.node_id}.toml")
        )
