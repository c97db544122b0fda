"""The benchmarks, run with namestore alone: every part of a run, and what it leaves behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.machine import is_memory
from benchmarks.samples import P50, P99, RATE, SERVER_CPU, Results
from tests.support.eventually import eventually

pytestmark = pytest.mark.cluster

CLONE = Path(__file__).parents[2]


def _start(tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    if is_memory(tmp_path):
        pytest.skip("the benchmarks refuse directories in memory")
    (tmp_path / "data").mkdir()
    places = ["--directory", str(tmp_path / "data"), "--output", str(tmp_path / "out")]
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks", "--peers", "namestore", *places, *arguments],
        cwd=CLONE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _processes_below(directory: Path) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            arguments = (
                (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
            )
        except OSError:
            continue  # ended meanwhile
        if any(argument.startswith(f"{directory}/".encode()) for argument in arguments):
            found.append(entry.name)
    return found


def test_run_measures_and_leaves_results_only(tmp_path: Path) -> None:
    """A run verifies, measures, writes its page, and ends what it started."""
    run = _start(tmp_path, "--workloads", "64,lookup", "--rounds", "1", "--seconds", "0.3")
    said, _ = run.communicate(timeout=100)
    assert run.returncode == 0, said
    results = Results.load(tmp_path / "out" / "benchmarks.json")
    assert [sample.error for sample in results.samples] == [""] * 3
    for workload in ("64", "lookup"):
        for figure in (RATE, P50, P99, SERVER_CPU):
            assert results.by_round(workload, "namestore", figure)[0] > 0
    assert "64 callers register" in (tmp_path / "out" / "benchmarks.md").read_text()
    assert list((tmp_path / "data").iterdir()) == []
    assert _processes_below(tmp_path / "data") == []


def test_interrupted_run_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C ends the servers and removes their data."""
    run = _start(tmp_path, "--workloads", "256", "--rounds", "100")
    try:
        eventually(lambda: len(_processes_below(tmp_path / "data")) == 3, "three nodes", 60)
        run.send_signal(signal.SIGINT)
        said, _ = run.communicate(timeout=60)
    finally:
        run.kill()
    assert run.returncode == 130, said
    assert list((tmp_path / "data").iterdir()) == []
    assert _processes_below(tmp_path / "data") == []
