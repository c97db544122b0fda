"""The short form of `make torture`: a new seed each time; and that a run leaves nothing behind.

Where network namespaces cannot be had, the same run takes place on loopback addresses.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.drawn import DRAWN
from tests.support.eventually import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
INTERRUPTED = 128 + signal.SIGINT


@contextmanager
def started(directory: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A run, which is over when the block is."""
    command = [sys.executable, "-m", "tests.torture", "--directory", str(directory), *options]
    run = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=2, text=True)
    try:
        yield run
    finally:
        run.kill()
        run.wait()
        if run.stdout is not None:
            run.stdout.close()


def users_of(directory: Path) -> list[str]:
    """Processes whose arguments name the directory."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with suppress(OSError):
                arguments = (process / "cmdline").read_text(errors="replace").split("\0")
                if any(str(directory) in each for each in arguments):
                    found.append(" ".join(arguments))
    return found


def nothing_runs(directory: Path) -> bool:
    return not users_of(directory) and str(directory) not in Path("/proc/mounts").read_text()


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("options", "minutes"), (((), 0.35), (("--loopback",), 0.1)))
def test_new_seeds_find_nothing(tmp_path: Path, options: tuple[str, ...], minutes: float) -> None:
    """Real nodes, real faults: every answer can be true; a failure prints how to see it again.

    Neither a process nor a mount nor a file is left.
    """
    with started(tmp_path, "--minutes", str(minutes), *options) as run:
        said, _ = run.communicate()
    print(said)  # noqa: T201  # all that happened, shown when it fails
    drawn = [line for line in said.splitlines() if line.startswith("seed ")]
    DRAWN.append(f"torture {' '.join([*options, *drawn])}")
    assert run.returncode == 0, said
    assert said.splitlines()[-1].startswith("no violation: ")
    assert nothing_runs(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.timeout(300)
def test_a_planted_fault_is_found(tmp_path: Path) -> None:
    """Nodes that forget what they decided grant a retry anew, and a run sees it: it ends with 1,
    says seed and command, and keeps what the callers recorded.

    What happens in real time is not the seed's to say, so a run may be too short to hear of it:
    then the next one does.
    """
    for seed in range(5, 15):
        planted = ("--minutes", "0.1", "--seed", str(seed), "--mutant", "RequestsForgotten")
        with started(tmp_path, *planted) as run:
            said, _ = run.communicate()
        if run.returncode:
            break
    assert run.returncode == 1, said
    again, last = said.splitlines()[-2:]
    assert last.startswith(f"VIOLATION with seed {seed}: ")
    assert again.endswith(f"--minutes 0.1 --seed {seed} --nodes 3 --mutant RequestsForgotten")
    assert any(path.stat().st_size for path in tmp_path.glob("*/raw-1.jsonl"))
    assert nothing_runs(tmp_path)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("number", "options"),
    (
        (signal.SIGTERM, ()),
        (signal.SIGKILL, ()),
        (signal.SIGINT, ("--loopback",)),
        (signal.SIGKILL, ("--loopback",)),
    ),
)
def test_a_run_cut_short_leaves_nothing(
    tmp_path: Path, number: signal.Signals, options: tuple[str, ...]
) -> None:
    """In the middle of faults: asked to end, interrupted, or killed.

    Killed, it leaves what it had written, for somebody may want to look. Its network devices and
    its mounts are never seen from outside.
    """
    devices = sorted(Path("/sys/class/net").iterdir())
    with started(tmp_path, "--minutes", "5", *options) as run:
        eventually(lambda: any(tmp_path.glob("*/diary.jsonl")), "nodes serve", timeout=90)
        eventually(lambda: "fault" in _diary(tmp_path), "something is broken", timeout=60)
        assert users_of(tmp_path)
        assert sorted(Path("/sys/class/net").iterdir()) == devices
        assert str(tmp_path) not in Path("/proc/mounts").read_text()
        os.kill(run.pid, number)
        code = run.wait(60)
    eventually(lambda: nothing_runs(tmp_path), "everything has ended")
    if number is signal.SIGKILL:
        assert code == -signal.SIGKILL
    else:
        assert code == INTERRUPTED
        assert list(tmp_path.iterdir()) == []


def _diary(directory: Path) -> str:
    return "".join(path.read_text() for path in directory.glob("*/diary.jsonl"))
