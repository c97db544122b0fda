"""What the tests of faults share. They start real processes and take seconds each."""

from __future__ import annotations

import time

import pytest

from tests.support.history import History


@pytest.fixture
def history() -> History:
    """An empty record. Its clock is the same in every process of this machine."""
    return History(time.monotonic)
