"""Process control: what is started is known, and nothing else is ever touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from namestore.localcluster.errors import DirectoryUnusable, NodeFailed
from namestore.localcluster.identity import identity_of
from namestore.localcluster.node_process import NodeProcess
from namestore.localcluster.pid_file import PidRecord, read_pid_file, write_pid_file
from tests.support.eventually import eventually
from tests.unit.localcluster.conftest import wait_ready

Make = Callable[..., NodeProcess]


def test_start_runs_the_node_in_a_session_of_its_own(make_process: Make, tmp_path: Path) -> None:
    """A Ctrl-C at the terminal reaches the tool, not the nodes; output goes to the log."""
    process = make_process()
    pid = process.start()
    wait_ready(process)

    assert process.pid == pid
    assert os.getsid(pid) == pid
    assert f"--config {tmp_path}/cluster.toml --node n1" in process.log_tail()


def test_start_leaves_a_running_node_alone(make_process: Make) -> None:
    """Starting twice is starting once, also from another invocation of the tool."""
    pid = make_process().start()

    assert make_process().start() == pid


def test_another_invocation_ends_the_node(make_process: Make) -> None:
    """The pid file is all that is needed to find a node again; it goes with the process."""
    starter = make_process()
    starter.start()
    wait_ready(starter)
    other = make_process()

    assert other.signal(signal.SIGTERM)
    starter._child.wait()  # type: ignore[union-attr]
    assert other.wait_gone(10)
    assert starter.exit_code == 0
    assert not other.pid_path.exists()


def test_own_file_of_a_node_is_preferred(make_process: Make, tmp_path: Path) -> None:
    """`n1.toml` beside `cluster.toml` is n1's view of the addresses."""
    (tmp_path / "n1.toml").write_text("")

    assert make_process("n1").config_path == tmp_path / "n1.toml"
    assert make_process("n2").config_path == tmp_path / "cluster.toml"


def test_wait_gone_gives_up_in_time(make_process: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that does not heed SIGTERM is reported, not waited for for ever."""
    monkeypatch.setenv("STAND_IN", "deaf")
    process = make_process()
    process.start()
    wait_ready(process)

    assert process.signal(signal.SIGTERM)
    assert not process.wait_gone(0.05)
    assert process.signal(signal.SIGKILL)
    assert process.wait_gone(10)
    assert process.exit_code == -signal.SIGKILL


def test_paused_node_counts_as_running(make_process: Make) -> None:
    """SIGSTOP holds a process; it has not ended."""
    process = make_process()
    pid = process.start()
    process.signal(signal.SIGSTOP)
    os.waitpid(pid, os.WUNTRACED)

    assert process.pid == pid
    assert process.paused
    process.signal(signal.SIGCONT)
    os.waitid(os.P_PID, pid, os.WCONTINUED)
    assert not process.paused


def test_stale_pid_file_is_no_process(make_process: Make) -> None:
    """After kill -9 or a crash the file is there and the process is not."""
    process = make_process()
    pid = process.start()
    os.kill(pid, signal.SIGKILL)
    process._child.wait()  # type: ignore[union-attr]

    assert process.pid is None
    assert process.pid_file_is_stale
    assert make_process().start() != pid


def test_recycled_pid_is_never_signalled(make_process: Make) -> None:
    """The pid lives again as somebody else's process: its start time tells."""
    process = make_process()
    somebody_else = subprocess.Popen([sys.executable, "-I", "-S", "-c", "input()"], stdin=-1)
    try:
        write_pid_file(process.pid_path, PidRecord(somebody_else.pid, "an earlier start"))
        assert process.pid is None
        assert not process.signal(signal.SIGKILL)
        assert process.wait_gone(0)
        assert somebody_else.poll() is None
    finally:
        somebody_else.communicate(b"\n")


def test_pid_file_of_a_foreign_program_is_not_believed(make_process: Make) -> None:
    """Right pid, right start time, but that process was never started as this node."""
    process = make_process()
    own = os.getpid()
    write_pid_file(process.pid_path, PidRecord(own, identity_of(own) or ""))

    assert process.pid is None
    assert not process.signal(signal.SIGKILL)


def test_pid_file_copied_with_its_directory_is_not_believed(
    make_process: Make, tmp_path: Path
) -> None:
    """`cp -r` of a running cluster's directory must not give power over its nodes."""
    copy = tmp_path / "copy"
    copy.mkdir()
    original = make_process()
    original.start()
    (copy / "n1.pid").write_bytes(original.pid_path.read_bytes())

    # A process that is just beginning has no arguments yet, and is given the benefit of the doubt.
    copied = make_process("n1", copy)
    eventually(lambda: copied.pid is None, "the other's node is told apart")


@pytest.mark.parametrize("content", ("", "{", "[]", '{"pid": "x", "identity": ""}', '{"pid": 1}'))
def test_damaged_pid_file_is_no_process(make_process: Make, content: str) -> None:
    """Nothing can be told from it; a node that still runs is found by its port."""
    process = make_process()
    process.pid_path.write_text(content)

    assert process.pid is None


def test_unreadable_pid_file_is_an_error(make_process: Make) -> None:
    """It may speak of a running node: guessing "no" could start a second one."""
    process = make_process()
    process.pid_path.mkdir()

    with pytest.raises(DirectoryUnusable, match=r"n1\.pid"):
        _ = process.pid


def test_program_that_cannot_be_run(tmp_path: Path) -> None:
    """The message names the program; no pid file is left."""
    process = NodeProcess("n1", tmp_path, ("/does/not/exist",))

    with pytest.raises(NodeFailed, match="/does/not/exist"):
        process.start()
    assert not process.pid_path.exists()


def test_process_that_cannot_be_noted_is_not_left_running(make_process: Make) -> None:
    """No pid file, no node: otherwise nobody could find it again."""
    process = make_process()
    process.pid_path.with_name(f".n1.pid.{os.getpid()}").mkdir()

    with pytest.raises(DirectoryUnusable):
        process.start()
    assert process.exit_code == -signal.SIGKILL


def test_log_tail_begins_with_this_start(
    make_process: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an earlier run logged does not explain why this one failed."""
    process = make_process()
    process.log_path.write_text("from an earlier run\n")
    monkeypatch.setenv("STAND_IN", "3")
    process.start()
    process._child.wait()  # type: ignore[union-attr]

    assert process.exit_code == 3
    assert "this is why it failed" in process.log_tail()
    assert "earlier run" not in process.log_tail()


def test_identity_is_kept_and_told_apart() -> None:
    """The same for one process at all times; none for a pid that nobody has."""
    own = os.getpid()

    assert identity_of(own) == identity_of(own) is not None
    assert identity_of(os.getppid()) != identity_of(own)
    assert identity_of(2**22 + 1) is None


def test_pid_file_round_trip(tmp_path: Path) -> None:
    """What is written is read, and nothing else is left in the directory."""
    write_pid_file(tmp_path / "n1.pid", PidRecord(7, "boot/9"))

    assert read_pid_file(tmp_path / "n1.pid") == PidRecord(7, "boot/9")
    assert [entry.name for entry in tmp_path.iterdir()] == ["n1.pid"]
