"""What is started in a place: with a wall clock of its own, and no longer than who started it."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

from tests.torture.enter import CLOCK_FORMAT, UNCHANGED

ROOT = Path(__file__).resolve().parents[2]
ENTER = (sys.executable, "-m", "tests.torture.enter")

PROGRAM = """
import json, sys, time
import grpc.aio
from grpc._cython import cygrpc

grpc.insecure_channel("127.0.0.1:1").close()
grpc.server(None)
modules = [(name, module) for name, module in sys.modules.items() if name.startswith("grpc")]
moved = [name for name, module in modules if getattr(module, "time", None) is time]
if moved:
    sys.exit(f"these see the moved clock: {moved}")

def clocks():
    return [time.time(), time.time_ns() / 1e9, cygrpc.time.time(), time.monotonic()]

before = clocks()
print(json.dumps(before), flush=True)
sys.stdin.readline()
print(json.dumps(clocks()), flush=True)
"""


def test_a_clock_steps_while_the_process_runs(tmp_path: Path) -> None:
    """The wall clock as Python reads it moves, forth and back; gRPC's and measured time do not."""
    (tmp_path / "program.py").write_text(PROGRAM)
    clock = tmp_path / "clock"
    clock.write_bytes(struct.pack(CLOCK_FORMAT, 3_600 * 10**9))
    with subprocess.Popen(
        [*ENTER, UNCHANGED, str(clock), str(os.getpid()), "program"],
        cwd=ROOT,
        env={"PYTHONPATH": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        ahead = json.loads(process.stdout.readline())
        with clock.open("r+b") as file:
            file.write(struct.pack(CLOCK_FORMAT, -3_600 * 10**9))
        process.stdin.write("\n")
        process.stdin.flush()
        behind = json.loads(process.stdout.readline())
    for times, hours in ((ahead, 1), (behind, -1)):
        assert abs(times[0] - times[2] - hours * 3_600) < 60
        assert abs(times[1] - times[2] - hours * 3_600) < 60
    assert 0 < behind[3] - ahead[3] < 60


def test_what_is_started_by_somebody_who_is_gone_does_not_begin(tmp_path: Path) -> None:
    """A run that is killed just as it starts a node: the node would hear of no death any more."""
    (tmp_path / "program.py").write_text("print('begun')")
    ended = subprocess.run(
        [*ENTER, UNCHANGED, UNCHANGED, str(os.getppid()), "program"],
        cwd=ROOT,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
