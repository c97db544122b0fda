"""Who calls the nodes of a run, and how bad the lines between them are.

Drawn apart from the scene, but how often each kind of caller is drawn may differ by it.
"""

from __future__ import annotations

import random
from dataclasses import replace

from tests.simulation.plan import LineFaults, Lives, Plan

# Scenes about what nodes say to each other: mostly with callers that ask one thing after another,
# over lines that are good enough.
_AMONG_NODES = frozenset({"deposed", "late", "astray", "comeback"})


def with_callers(plan: Plan) -> Plan:
    """Who calls, and what happens between callers and nodes."""
    rng = random.Random(f"callers {plan.seed}")
    if plan.scene in _AMONG_NODES and rng.random() < 0.75:
        return replace(plan, official=0.0)
    plan = _with_any_callers(plan, rng)
    return _at_doors(plan, rng) if plan.scene == "doors" else plan


def with_whole_callers(plan: Plan) -> Plan:
    """Some seeds have callers of the whole API beside the others."""
    rng = random.Random(f"whole {plan.seed}")
    if rng.random() >= (0.15 if plan.scene in _AMONG_NODES else 0.5):
        return plan
    lives = Lives(
        callers=rng.choice([2, 4, 6]),
        labels=rng.choice([2, 4, 9]),
        policy=rng.choice([-1, -1, 1, 2, 3, 4, 7, 9, 9]),
        policies=rng.choice([0, 0.02, 0.1, 0.4]),
        events=rng.choice([0, 5, 50, 10_000]),
        watchers=rng.choice([0, 0, 1, 3]),
        signups=rng.choice([0, 0, 0, 4]),
    )
    every = {"drain": rng.choice([2.0, 6.0]), "clock_jump": rng.choice([1.0, 3.0])}
    wanted = {kind: mean for kind, mean in every.items() if rng.random() < 0.4}
    return replace(
        plan, lives=lives, clients=rng.choice([1, 2, plan.clients]), every=plan.every | wanted
    )


def _at_doors(plan: Plan, rng: random.Random) -> Plan:
    """Deadlines are about as long as a cluster needs for its next leader."""
    return replace(
        plan,
        official=1.0,
        shares=rng.random() < 0.5,
        lines=replace(
            plan.lines,
            break_chance=rng.choice([0.02, 0.1, 0.2]),
            silent_every=0,
            request_timeout=rng.choice([0.4, 2.0]),
            call_timeout=rng.choice([0.2, 0.4, 0.8]),
        ),
    )


def _with_any_callers(plan: Plan, rng: random.Random) -> Plan:
    return replace(
        plan,
        official=rng.choice([0.0, 0.5, 0.5, 1.0]),
        sessions=rng.choice([1, 2, 8]),
        shares=rng.random() < 0.7,
        many=rng.choice([0, 0.1, 0.4]),
        disk=replace(plan.disk, stall_chance=rng.choice([plan.disk.stall_chance] * 5 + [0.03])),
        lines=LineFaults(
            delay_max=rng.choice([0.002, 0.002, 0.02]),
            slow_chance=rng.choice([0, 0, 0.02, 0.1]),
            slow_max=rng.choice([0.3, 1.0, 4.0]),
            late_chance=rng.choice([0, 0.05, 0.3]),
            late_max=rng.choice([0.1, 1.0, 6.0]),
            break_chance=rng.choice([0, 0, 0.02, 0.1]),
            silent_every=rng.choice([0, 0, 4.0]),
            lag_max=rng.choice([0, 0.0005, 0.02]),
            request_timeout=rng.choice([0.4, 2.0, 5.0]),
            call_timeout=rng.choice([0.5, 2.0, 5.0]),
        ),
    )
