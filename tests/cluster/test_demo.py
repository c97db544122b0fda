"""The demonstration keeps what it shows, and leaves nothing behind, however it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.eventually import eventually

pytestmark = pytest.mark.cluster

CLONE = Path(__file__).parents[2]
DEMO = CLONE / "examples" / "demo.py"


def _left_behind(pid: int) -> list[str]:
    """What the demonstration of that process has put into the clone, and its node processes."""
    directories = [path.name for path in CLONE.glob(f".namestore-demo-{pid}-*")]
    processes = [
        entry.name
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and f".namestore-demo-{pid}-" in _command_line(entry)
    ]
    return directories + processes


def _command_line(process: Path) -> str:
    try:
        return (process / "cmdline").read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""  # ended meanwhile


def test_demo_shows_what_it_promises() -> None:
    """Exit code 0, every step told, and nothing left."""
    demo = subprocess.Popen([sys.executable, str(DEMO)], stdout=-1, stderr=-1, text=True)
    shown, said = demo.communicate(timeout=110)

    assert demo.returncode == 0, shown + said
    assert said == ""
    for step in ("race", "taken", "chosen slug", "anonymous", "leader dies", "back", "end"):
        assert step in shown
    assert "NOT AS PROMISED" not in shown
    assert _left_behind(demo.pid) == []


@pytest.mark.parametrize(
    ("number", "at"),
    ((signal.SIGINT, "1. Three nodes"), (signal.SIGINT, "leader dies"), (signal.SIGTERM, "race")),
)
def test_interrupted_demo_leaves_nothing(number: signal.Signals, at: str) -> None:
    """Ctrl-C at any step: the nodes are ended, the directory is gone, exit code 130."""
    demo = subprocess.Popen([sys.executable, str(DEMO)], stdout=-1, stderr=-1, text=True)
    assert demo.stdout is not None
    try:
        eventually(lambda: at in demo.stdout.readline(), at, every=0)  # type: ignore[union-attr]
        demo.send_signal(number)
        shown, said = demo.communicate(timeout=60)
    finally:
        demo.kill()
        demo.communicate()

    assert (demo.returncode, said) == (130, ""), shown
    assert _left_behind(demo.pid) == []
