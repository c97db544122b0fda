"""The figures of the last minute."""

from __future__ import annotations

from namestore.server.metrics import WINDOW_SECONDS, CallFigures, CallMetrics


class Clock:
    now = 1000.5

    def __call__(self) -> float:
        return self.now


def test_figures_are_means_over_the_window() -> None:
    """Mean time in milliseconds, share of errors; nothing when nothing was called."""
    metrics = CallMetrics(Clock())
    assert metrics.figures() == CallFigures(0, 0.0, 0.0)
    for duration, failed in ((0.1, False), (0.2, False), (0.3, True), (0.4, False)):
        metrics.record(duration, failed=failed)
    assert metrics.figures() == CallFigures(4, 250.0, 0.25)


def test_figures_forget_what_is_older_than_the_window() -> None:
    """A second leaves the window whole, and its bucket is used again."""
    clock = Clock()
    metrics = CallMetrics(clock)
    metrics.record(1.0, failed=True)
    clock.now += WINDOW_SECONDS - 1
    metrics.record(3.0, failed=False)
    assert metrics.figures().calls == 2
    clock.now += 1
    assert metrics.figures() == CallFigures(1, 3000.0, 0.0)
    metrics.record(1.0, failed=False)
    assert metrics.figures() == CallFigures(2, 2000.0, 0.0)
    clock.now += 10 * WINDOW_SECONDS
    assert metrics.figures().calls == 0
