"""What holds for every test: nothing of the caller's environment leaks in, and runs repeat.

`HYPOTHESIS_PROFILE=explore pytest tests/properties` looks further, with fresh randomness.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

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


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's NAMESTORE_… variables change no test."""
    for variable in list(os.environ):
        if variable.startswith("NAMESTORE_"):
            monkeypatch.delenv(variable)
