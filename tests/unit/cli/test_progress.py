"""Progress: a bar on a terminal, a line now and then elsewhere, nothing with --json."""

from __future__ import annotations

import pytest

from namestore.cli.progress import Bar, Lines, progress_view
from tests.unit.cli.conftest import Run


def numbered(count: int) -> str:
    return "".join(f"user:n{number:04}\n" for number in range(1, count + 1))


def test_progress_without_a_terminal_is_a_line_now_and_then(run: Run) -> None:
    """One in five seconds at most; none with --json."""
    ticks = iter(range(0, 1000, 2))
    result = run("import", "-", "--batch", "1", stdin=numbered(9), clock=lambda: next(ticks))
    lines = result.stderr.splitlines()
    assert 1 <= len(lines) <= 4
    assert all(line.startswith("granted ") for line in lines)


def test_bar_shows_how_far_it_is_and_lets_lines_through(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal: a share, the tally in words, and whole lines about single rows above it."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    with Bar(200) as bar:
        bar.advance(100, "granted 7  taken 0  invalid 1")
        bar.note("line 3: invalid: [bold]x[/bold]" + "y" * 100)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "50%" in shown.err
    assert "granted 7  taken 0  invalid 1" in shown.err
    assert "[bold]x[/bold]" + "y" * 100 in shown.err


def test_view_is_silent_plain_or_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar only where somebody watches standard error, and never with --json."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert isinstance(progress_view(silent=False, bytes_total=None, clock=lambda: 0.0), Bar)
    assert isinstance(progress_view(silent=True, bytes_total=None, clock=lambda: 0.0), Lines)
