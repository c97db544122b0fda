"""Every program ends by a code, without a traceback, when nobody can have its output."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from namestore import streams

ROOT = Path(__file__).parents[2]
EXAMPLE = str(ROOT / "cluster.example.toml")

# No file may grow: that is what a full disk is like to whoever writes.
FULL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
from namestore.__main__ import main
main()
"""
# Standard output is closed, as `>&-` does, before the program begins.
CLOSED = """
import os, sys
os.close(1)
os.execv(sys.executable, [sys.executable, "-m", "namestore", *sys.argv[1:]])
"""
# Nobody reads the pipe, from the beginning.
UNREAD = """
import os, sys
reading, writing = os.pipe()
os.dup2(writing, 1)
os.close(reading)
os.close(writing)
os.execv(sys.executable, [sys.executable, "-m", "namestore", *sys.argv[1:]])
"""

PRINTING = (
    (("cli", "--help"), 3),
    (("cli", "register", "--help"), 3),
    (("server", "--help"), 1),
    (("server", "--config", EXAMPLE, "--node", "n1", "--check-config"), 1),
    (("local-cluster", "--help"), 5),
)


def ended(program: str, directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    with (directory / "output").open("wb") as output:
        return subprocess.run(
            [sys.executable, "-c", program, *arguments],
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            check=False,
            timeout=60,
        )


@pytest.mark.parametrize(("command", "code"), PRINTING)
def test_full_output_is_said(tmp_path: Path, command: tuple[str, ...], code: int) -> None:
    """By a sentence and the program's code for it."""
    done = ended(FULL, tmp_path, *command)
    assert done.returncode == code
    assert os.strerror(errno.EFBIG) in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [command for command, _ in PRINTING[2:]], ids=" ".join)
def test_output_that_nobody_reads_ends_as_other_programs_do(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    """By the code of SIGPIPE, and silently."""
    done = ended(UNREAD, tmp_path, *command)
    assert (done.returncode, done.stderr) == (141, "")


def test_closed_output_is_said(tmp_path: Path) -> None:
    """A check whose result nobody hears has not been made."""
    check = ("server", "--config", EXAMPLE, "--node", "n1", "--check-config")
    done = ended(CLOSED, tmp_path, *check)
    assert done.returncode == 1
    assert done.stderr.startswith("error: standard output is closed")
    gone = ("local-cluster", "status", "--dir", str(tmp_path / "none"))
    done = ended(CLOSED, tmp_path, *gone)
    assert (done.returncode, "no local cluster in" in done.stderr) == (2, True)


def test_other_failures_are_left_alone(tmp_path: Path) -> None:
    """What fails for another reason is not taken for lost output."""

    @click.command(cls=streams.SafeCommand)
    def opens() -> None:
        (tmp_path / "absent").read_text()

    with pytest.raises(FileNotFoundError):
        opens.main([], standalone_mode=False)
