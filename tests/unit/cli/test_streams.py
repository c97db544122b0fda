"""Standard streams that are closed or full: no traceback, and a code that scripts can rely on."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from namestore.cli.connection import Environment
from namestore.cli.main import cli
from tests.unit.cli.fake_store import FakeStore

ROOT = Path(__file__).parents[3]

# No file may grow: that is what a full disk is like to whoever writes.
FULL = """
import resource, sys
from namestore.cli.connection import Environment
from namestore.cli.main import cli
from tests.unit.cli.fake_store import FakeStore
store = FakeStore()
store.holds("user:held")
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
cli.main(sys.argv[1:], obj=Environment(store.open))
"""


def ended(store: FakeStore, *arguments: str) -> int:
    """The code with which the command line ends in this process."""
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments, obj=Environment(store.open))
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.mark.parametrize(
    ("command", "code"),
    (
        (("register", "user:a"), 4),
        (("--json", "register", "nonsense"), 2),
        (("--json", "register"), 2),
        (("lookup", "user:a"), 3),
        (("members", "list"), 3),
        (("list",), 3),
        (("export",), 3),
        (("export", "absent:"), 3),
    ),
)
def test_closed_output_is_said(
    store: FakeStore,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: tuple[str, ...],
    code: int,
) -> None:
    """A result that is lost: 4 after a write, 3 after a read. What is wrong anyway stays 2."""
    store.holds("user:held")
    answer = store.statuses[0]
    assert answer.node is not None
    store.statuses = [replace(answer, node=replace(answer.node, members=tuple(store.members)))]
    monkeypatch.setattr(sys, "stdout", None)
    assert ended(store, *command) == code
    said = capsys.readouterr().err
    assert "standard output is closed" in said
    assert "Traceback" not in said


def test_closed_error_changes_no_code(store: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remarks are left out, results are not."""
    monkeypatch.setattr(sys, "stderr", None)
    assert ended(store, "register", "user:a") == 0
    assert ended(store, "register", "nonsense") == 2
    assert ended(store, "register") == 2
    assert ended(store, "export") == 0


def test_closed_input_is_bad_usage(
    store: FakeStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is asked of the registry."""
    monkeypatch.setattr(sys, "stdin", None)
    assert ended(store, "import", "-") == 2
    assert "standard input is closed" in capsys.readouterr().err
    assert store.targets == []


@pytest.mark.parametrize(
    ("command", "code"),
    ((("register", "user:a"), 4), (("--json", "register", "nonsense"), 2), (("export",), 3)),
)
def test_full_output_is_said(tmp_path: Path, command: tuple[str, ...], code: int) -> None:
    """The same codes as for a closed one, and the interpreter adds nothing at its end."""
    with (tmp_path / "output").open("wb") as output:
        done = subprocess.run(
            [sys.executable, "-c", FULL, *command],
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            check=False,
            timeout=60,
        )
    assert done.returncode == code
    assert os.strerror(errno.EFBIG) in done.stderr
    assert "Traceback" not in done.stderr


def test_full_error_changes_no_code(tmp_path: Path) -> None:
    """Neither at once nor when the interpreter ends."""
    with (tmp_path / "error").open("wb") as error:
        done = subprocess.run(
            [sys.executable, "-c", FULL, "register", "nonsense"],
            stdout=subprocess.PIPE,
            stderr=error,
            cwd=ROOT,
            check=False,
            timeout=60,
        )
    assert (done.returncode, done.stdout) == (2, b"")
