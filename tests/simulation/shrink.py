"""Makes a failing run smaller: fewer faults, fewer callers, less time, and it still fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

from namestore.raft.settings import Bounds
from tests.simulation.attempt import Ending, attempt
from tests.simulation.plan import DiskFaults, LineFaults, LinkFaults, Lives, Plan

# The simplest value of each number, tried at once; those left out are halved instead.
_SIMPLEST: dict[str, Any] = {
    "affinity": 0.0,
    "client_loss": 0.0,
    "gives_up": 0.0,
    "many": 0.0,
    "sessions": 1,
    "shares": False,
    "inbox": 0,
    "size": 3,
} | {
    f"{part}.{f.name}": getattr(values, f.name)
    for part, values in (
        ("links", LinkFaults()),
        ("lines", LineFaults()),
        ("disk", DiskFaults()),
        ("lives", Lives()),
        ("bounds", Bounds()),
    )
    for f in fields(values)
}


def shrink(
    plan: Plan,
    subject: str,
    say: Callable[[str], None],
    runs_max: int = 300,
    going: Callable[[str], None] = lambda told: None,
) -> Ending:
    """The smallest failing run found within so many runs; the plan's own, if it does not fail."""
    best = attempt(plan, subject)
    if not best.check:
        return best
    runs, smaller = 1, True
    while smaller:
        smaller = False
        for settings in _smaller(best.plan):
            if runs >= runs_max:
                return best
            runs += 1
            going(f"run {runs} of {runs_max} at most")
            tried = attempt(best.plan.changed(settings), subject)
            if tried.check == best.check:
                best, smaller = tried, True
                say(f"still fails with {settings}")
    return best


def _smaller(plan: Plan) -> Iterator[dict[str, Any]]:
    """Plans a step simpler than this one, the most effective steps first."""
    settings = plan.settings()
    for path, value in settings.items():
        if path.startswith("every.") and value is not None:
            yield {path: None}
    if plan.span > 1:
        yield {"span": plan.span / 2}
        yield {"span": plan.span * 0.8}
    if plan.clients > 1:
        yield {"clients": max(1, plan.clients // 2)}
        yield {"clients": plan.clients - 1}
    if plan.names > 1:
        yield {"names": 1}
    for path, simplest in _SIMPLEST.items():
        if settings[path] != simplest:
            yield {path: simplest}
