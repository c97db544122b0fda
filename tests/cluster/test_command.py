"""`namestore-local-cluster` as developers and scripts run it: real nodes, words, exit codes."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from namestore.localcluster import LocalCluster
from namestore.localcluster.identity import identity_of
from namestore.localcluster.ports import free_ports
from tests.support.eventually import eventually

pytestmark = pytest.mark.cluster

COMMAND = (sys.executable, "-m", "namestore", "local-cluster")
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Runs the command in a directory of the test's; nodes that are left are ended afterwards."""

    def run_command(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
            **options,
        )

    yield run_command
    if (tmp_path / ".namestore").exists():
        LocalCluster.open(tmp_path / ".namestore").end()


def test_life_of_a_cluster(run: Run, tmp_path: Path) -> None:
    """Up, status, kill, up again, stop, start, down, and down with all its data."""
    up = run("up", "--base-port", "0")
    assert up.returncode == 0, up.stderr
    assert "started: n1, n2, n3" in up.stdout
    assert "NAMESTORE_ENDPOINTS=127.0.0.1:" in up.stdout
    rows = _rows(run)
    assert [row["health"] for row in rows] == ["serving"] * 3
    assert sorted(row["role"] for row in rows) == ["follower", "follower", "leader"]

    assert run("kill", "1").stdout == "n1 killed\n"
    LocalCluster.open(tmp_path / ".namestore").process("n2").signal(signal.SIGKILL)  # a crash
    assert [row["process"] for row in _rows(run, exit_code=1)] == ["down", "gone", "running"]
    assert "gone" in run("status").stdout
    again = run("up")
    assert "n2 had been killed or had crashed: started again" in again.stdout
    assert "ran already: n3; started: n1, n2" in again.stdout
    assert "already running: n1, n2, n3" in run("up").stdout

    assert run("stop", "n3").stdout == "n3 stopped\n"
    assert run("stop", "n3").stdout == "n3 does not run\n"
    started = run("start", "3")
    assert started.returncode == 0
    assert started.stdout.startswith("n3 started (pid ")

    pids = [row["pid"] for row in _rows(run, exit_code=None)]
    assert run("down").stdout == "ended: n1, n2, n3\n"
    assert [identity_of(pid) for pid in pids] == [None] * 3, "a process still runs"
    assert (tmp_path / ".namestore" / "n1").is_dir(), "data is kept unless told otherwise"
    assert "removed the cluster" in run("down", "--wipe").stdout
    assert not (tmp_path / ".namestore").exists()


def _rows(run: Run, exit_code: int | None = 0) -> list[dict[str, Any]]:
    shown = run("status", "--json")
    assert exit_code in (None, shown.returncode), shown.stderr
    rows: list[dict[str, Any]] = json.loads(shown.stdout)["nodes"]
    return rows


def test_names_survive_down_and_up(run: Run) -> None:
    """What was granted before `down` is held after `up`, on the same ports."""
    assert run("up", "--base-port", "0").returncode == 0
    endpoints = json.loads(run("status", "--json").stdout)["endpoints"]
    cli = [sys.executable, "-m", "namestore", "cli", "--endpoints", endpoints]
    asked = [*cli, "register", "user:alice", "--owner", "account-17"]
    assert subprocess.run(asked, capture_output=True, check=False).returncode == 0
    assert run("down").returncode == 0
    assert run("up").returncode == 0
    asked[-1] = "account-18"
    assert subprocess.run(asked, capture_output=True, check=False).returncode == 1


def test_taken_port_is_named(run: Run, tmp_path: Path) -> None:
    """A port in use: named with whose it is, exit code 3, and nothing was started."""
    (base,) = free_ports(1)
    with socket.create_server(("127.0.0.1", base + 1)):
        up = run("up", "--base-port", str(base))

    assert up.returncode == 3
    assert f"port {base + 1} (gRPC of n2) is in use by pid {os.getpid()}" in up.stderr
    assert not list(tmp_path.rglob("*.pid"))


def test_refused_up_pins_nothing(run: Run, tmp_path: Path) -> None:
    """After a refusal the next `up` may have another shape and other ports: nothing was made."""
    (base,) = free_ports(1)
    with socket.create_server(("127.0.0.1", base)):
        assert run("up", "--base-port", str(base), "--tls").returncode == 3
    assert not (tmp_path / ".namestore").exists()

    up = run("up", "--base-port", "0", "--nodes", "1")
    assert (up.returncode, "started: n1\n" in up.stdout) == (0, True), up.stderr


def test_down_ends_nodes_whose_pid_file_is_lost(run: Run, tmp_path: Path) -> None:
    """Their data's lock tells of them: `status` shows them, `kill` and `down --wipe` end them."""
    place = tmp_path / ".namestore"
    assert run("up", "--base-port", "0").returncode == 0
    pids = [row["pid"] for row in _rows(run)]
    (place / "n1.pid").unlink()
    (place / "n2.pid").write_text("garbage")
    (place / "n3.pid").write_text((place / "n3.pid").read_text().replace(str(pids[2]), "1"))

    assert [(row["process"], row["pid"]) for row in _rows(run)] == [("lost", n) for n in pids]
    assert "(its pid file is lost)" in " ".join(run("status").stdout.split())
    killed = run("kill", "1")
    assert (killed.returncode, killed.stdout) == (0, "n1 killed\n")
    assert f"the pid file of n2 was lost: it is pid {pids[1]}" in killed.stderr
    (place / "n2.pid").unlink()
    down = run("down", "--wipe")
    assert (down.returncode, "ended: n2, n3" in down.stdout) == (0, True), down.stderr
    assert [identity_of(pid) for pid in pids] == [None] * 3, "a process still runs"
    assert not place.exists()


def test_wipe_spares_data_in_use_by_a_stranger(run: Run, tmp_path: Path) -> None:
    """No process that is not proven to be the node is ended, and its data is not removed."""
    place = tmp_path / ".namestore"
    assert run("up", "--base-port", "0", "--nodes", "1").returncode == 0
    assert run("down").returncode == 0
    with (place / "n1" / "LOCK").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        for command in (("down", "--wipe"), ("down",), ("kill", "1"), ("stop", "1")):
            refused = run(*command)
            assert refused.returncode == 1, command
            assert f"n1 by pid {os.getpid()}" in refused.stderr, command
        assert [row["process"] for row in _rows(run, exit_code=1)] == ["held"]
        assert (place / "n1" / "identity").exists()
    assert run("down", "--wipe").returncode == 0
    assert not place.exists()


def test_node_that_cannot_start_takes_the_others_along(run: Run, tmp_path: Path) -> None:
    """Its log's end is shown, the nodes that did start are ended, the exit code is 1."""
    LocalCluster.create(tmp_path / ".namestore", base_port=0)
    (tmp_path / ".namestore" / "n2").write_text("not a directory")
    up = run("up")

    assert up.returncode == 1
    assert "n2 ended with exit code 3" in up.stderr
    assert str(tmp_path / ".namestore" / "n2") in up.stderr
    assert LocalCluster.open(tmp_path / ".namestore").running() == []


def test_second_up_at_the_same_time_is_told(run: Run, tmp_path: Path) -> None:
    """One works, the other one hears who does; there is one cluster in the end."""
    first = subprocess.Popen([*COMMAND, "up", "--base-port", "0"], cwd=tmp_path, stdout=-1)
    try:
        eventually(lambda: (tmp_path / ".namestore" / "n1.pid").exists(), "started", every=0.005)
        second = run("up")
        assert (second.returncode, f"pid {first.pid}" in second.stderr) == (4, True)
        assert first.wait(100) == 0
    finally:
        first.kill()
        first.communicate()
    assert "already running" in run("up").stdout


@pytest.mark.parametrize("number", (signal.SIGINT, signal.SIGTERM))
def test_interrupted_up_leaves_nothing_running(
    run: Run, tmp_path: Path, number: signal.Signals
) -> None:
    """Ctrl-C while it waits: the nodes it started are gone before it is; exit code 130."""
    up = subprocess.Popen(
        [*COMMAND, "up", "--base-port", "0"], cwd=tmp_path, stdout=-1, stderr=-1, text=True
    )
    try:
        eventually(lambda: (tmp_path / ".namestore" / "n3.pid").exists(), "started", every=0.005)
        up.send_signal(number)
        _, said = up.communicate(timeout=60)
    finally:
        up.kill()
        up.communicate()

    assert (up.returncode, said.splitlines()[-1]) == (130, "interrupted")
    assert LocalCluster.open(tmp_path / ".namestore").running() == []
    assert run("up").returncode == 0, "and it can be done again"


@pytest.mark.parametrize(
    ("arguments", "said"),
    (
        (("status",), "no local cluster in"),
        (("down",), "no local cluster in"),
        (("kill", "1"), "no local cluster in"),
        (("up", "--nodes", "0"), "--nodes"),
        (("up", "--dir", "taken"), "holds other things (thesis.txt)"),
        (("start",), "NODE"),
    ),
)
def test_wrong_use_is_explained(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    """Exit code 2 and a sentence, never a traceback; nothing is made."""
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("x")
    shown = run(*arguments)

    assert shown.returncode == 2
    assert said in shown.stderr
    assert "Traceback" not in shown.stderr
    assert not (tmp_path / ".namestore").exists()
