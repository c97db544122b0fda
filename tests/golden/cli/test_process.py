"""The command line as a process of its own: what only a real process can show."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NOBODY = "127.0.0.1:1"

EXPORT_MUCH = """
from namestore.cli.connection import Environment
from namestore.cli.main import cli
from tests.unit.cli.fake_store import FakeStore
store = FakeStore()
for number in range(20000):
    store.holds(f"user:{number:06}")
cli.main(["export"], obj=Environment(store.open))
"""


def test_closed_pipe_is_quiet() -> None:
    """No traceback, neither from the command nor from the interpreter at its end."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as nobody_reads:
        done = subprocess.run(
            [sys.executable, "-c", EXPORT_MUCH],
            stdout=nobody_reads,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            check=False,
            timeout=60,
        )
    assert (done.returncode, done.stderr.decode()) == (141, "")


def test_unreachable_node_is_unavailable() -> None:
    """The real client, and no node: code 3, one line of what and one of what to do."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "namestore.cli",
            "lookup",
            "user:a",
            "--endpoints",
            NOBODY,
            "--timeout=1",
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert NOBODY in done.stderr
    assert "namestore-local-cluster up" in done.stderr


def test_embedded_registry_prints_results_only(tmp_path: Path) -> None:
    """No server needed, and standard output holds one object: what a node logs is not a result."""
    command = [sys.executable, "-m", "namestore.cli", "--json", "--data-dir", str(tmp_path / "r")]
    for registered in (True, False):
        done = subprocess.run(
            [*command, "register", "user:alice", "--owner", "o"],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
            timeout=60,
        )
        assert json.loads(done.stdout)["registered"] is registered
        assert (done.returncode, done.stderr) == (0 if registered else 1, "")


@pytest.mark.parametrize(("closed", "code"), ((">&- 2>&-", 4), ("2>&-", 0)))
def test_process_starts_with_closed_streams(tmp_path: Path, closed: str, code: int) -> None:
    """The real registry, whose files get none of their numbers: it opens again afterwards."""
    command = (sys.executable, "-m", "namestore.cli", "--data-dir", str(tmp_path / "r"))
    for arguments, expected in (
        (("register", "user:a"), code),
        (("lookup", "user:a"), 3 if code else 0),
    ):
        done = subprocess.run(
            ["/bin/sh", "-c", f'exec "$@" <&- {closed}', "sh", *command, *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            check=False,
            timeout=60,
        )
        assert done.returncode == expected
