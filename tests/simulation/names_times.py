"""How long reservations lasted, by the world's clock: none ends earlier than clocks can explain.

Log time at a grant is behind the world by as much as the slowest of the voters' clocks, and by what
its leader was late in hearing of the others; at the end it is ahead by as much as a majority ever
was; and in between a leader's monotonic clock may carry it on that is a little fast. What is more
than all together is a fault, as docs/guarantees.md says.
"""

from __future__ import annotations

from tests.simulation.names_model import Ledger
from tests.simulation.plan import Plan
from tests.simulation.watch import Violation

_ROUNDS_S = 0.5  # between two heartbeats, their answers, and syncs in between
_PACE_MAX = 1.02  # of a monotonic clock
_STALLS_S, _PAUSES_S, _DISK_STALLS_S = 6.0, 5.0, 2.0


def late_s(plan: Plan) -> float:
    """By how much a leader may be late in hearing what another's clock shows."""
    links, kinds = plan.links, set(plan.every)
    seconds = _ROUNDS_S + 2 * (links.delay_max + links.lame + plan.disk.sync_max)
    if links.slow_chance:
        seconds += 2 * links.slow_max
    if links.loss or links.late_chance:
        seconds += links.late_max
    if kinds & {"stall", "stall_answers", "comeback", "meddle"}:
        seconds += _STALLS_S
    if kinds & {"pause", "pause_leader", "comeback", "meddle"}:
        seconds += _PAUSES_S
    if plan.disk.stall_chance:
        seconds += _DISK_STALLS_S
    return seconds


def check_lasting(ledger: Ledger, made_at: dict[int, float], apart_s: float, plan: Plan) -> None:
    """Raises `Violation` if a reservation was ended too early.

    Args:
        ledger: What happened.
        made_at: Index to when its entry was made.
        apart_s: What the furthest of a majority is ahead of the slowest clock, at any time.
        plan: How late things may be.
    """
    bound_s = apart_s + late_s(plan)
    began: dict[int, float] = {}
    for each in ledger.happened:
        holding = each.holding
        if holding is None or not holding.expire_ms:
            continue
        if each.kind == "REGISTERED":
            began[holding.revision] = made_at[each.index]
        elif each.kind == "EXPIRED" and holding.revision in began:
            lasted_s = made_at[each.index] - began[holding.revision]
            wanted_s = (holding.expire_ms - holding.time_ms) / 1000
            if lasted_s < wanted_s / _PACE_MAX - bound_s:
                told = f"{holding} was to last {wanted_s} s, and lasted {lasted_s:.3f} s"
                raise Violation("no early end", f"{told}; clocks explain {bound_s:.3f} s")
