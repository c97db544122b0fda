"""What holds for every test: nothing of the caller's environment leaks in, and runs repeat.

`HYPOTHESIS_PROFILE=explore pytest tests/properties` looks further, with fresh randomness.
"""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

from tests.support.drawn import DRAWN

# Machines are shared and slow at times: how long one example takes says nothing.
settings.register_profile(
    "repeatable",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "explore", settings.get_profile("repeatable"), derandomize=False, max_examples=2_000
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

# A shell starts what runs in its background with Ctrl-C ignored, and every process that a test
# starts would inherit that: here it is heard again, and the tests of it mean what they say.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's NAMESTORE_… variables change no test."""
    for variable in list(os.environ):
        if variable.startswith("NAMESTORE_"):
            monkeypatch.delenv(variable)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Seeds that were drawn: a run that found nothing can be repeated as well."""
    if DRAWN:
        terminalreporter.section("drawn anew")
        for line in DRAWN:
            terminalreporter.line(line)
