"""A command that is interrupted ends by one code, whatever a second interrupt breaks off."""

from __future__ import annotations

import signal
import sys
from typing import Any, NoReturn

import pytest

from namestore.cli import main as program


class Ended(BaseException):
    """The process would have ended here."""


@pytest.fixture
def codes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The codes with which the process would have ended."""
    ended: list[int] = []

    def end(code: int) -> NoReturn:
        ended.append(code)
        raise Ended

    monkeypatch.setattr(program, "end_process", end)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    return ended


def commands_end_by(monkeypatch: pytest.MonkeyPatch, ending: BaseException) -> None:
    def run(*_: Any) -> NoReturn:
        raise ending

    monkeypatch.setattr(program.cli, "main", run)


@pytest.mark.parametrize("ending", (SystemExit(130), KeyboardInterrupt()))
def test_interrupt_ends_the_process_at_once(
    codes: list[int], monkeypatch: pytest.MonkeyPatch, ending: BaseException
) -> None:
    """Also when it came while the first one was being answered."""
    commands_end_by(monkeypatch, ending)
    with pytest.raises(Ended):
        program.main()
    assert codes == [130]


def test_second_interrupt_meets_the_end_of_the_first(
    codes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the instant before signals are ignored."""
    commands_end_by(monkeypatch, SystemExit(130))
    seconds = [KeyboardInterrupt()]

    def ignore(*_: Any) -> None:
        if seconds:
            raise seconds.pop()

    monkeypatch.setattr(signal, "signal", ignore)
    with pytest.raises(Ended):
        program.main()
    assert codes == [130]


class Doomed:
    """Its destructor is where the interrupt comes."""

    def __init__(self, interrupt: BaseException) -> None:
        self.interrupt = interrupt

    def __del__(self) -> None:
        raise self.interrupt


def test_an_interrupt_in_a_destructor_ends_the_process(
    codes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python would print it with a traceback, and go on."""
    dropped: list[object] = []
    monkeypatch.setattr(sys, "__unraisablehook__", dropped.append)

    def run(*_: Any) -> None:
        Doomed(KeyboardInterrupt())
        assert codes == [130]
        Doomed(ValueError())
        assert len(dropped) == 1

    monkeypatch.setattr(program.cli, "main", run)
    program.main()
    assert codes == [130]


@pytest.mark.parametrize("code", (0, 1, 2, 3, 4))
def test_other_endings_stay_what_they_are(
    codes: list[int], monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """What was registered, refused or unknown is said by the exit code."""
    commands_end_by(monkeypatch, SystemExit(code))
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert ended.value.code == code
    assert not codes
