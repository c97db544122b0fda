"""An interrupt that meets a destructor is not lost."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from namestore.localcluster.interrupts import termination_interrupts

WAIT = 20.0


class Doomed:
    """The signal comes while it is being let go of."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        os.kill(os.getpid(), self.number)
        end = time.monotonic() + WAIT
        while time.monotonic() < end:
            pass  # until the handler raises


def wait_after(number: int) -> None:
    with termination_interrupts():
        Doomed(number)
        time.sleep(WAIT)


@pytest.mark.parametrize("number", (signal.SIGTERM, signal.SIGHUP, signal.SIGINT))
def test_interrupt_in_a_destructor_comes_again(
    number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Python would print it, and the program go on as if nobody had asked."""
    hook, began = sys.unraisablehook, time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        wait_after(number)
    assert time.monotonic() - began < WAIT
    assert sys.unraisablehook is hook
    assert "Traceback" not in capsys.readouterr().err


def test_other_errors_of_destructors_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """As ever."""
    told: list[object] = []
    monkeypatch.setattr(sys, "__unraisablehook__", told.append)

    class Faulty:
        def __del__(self) -> None:
            raise ValueError

    with termination_interrupts():
        Faulty()
    assert len(told) == 1
