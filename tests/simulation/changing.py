"""Whether and how the members and the disks of a run change, beside what its scene says.

Drawn apart from the scene, so that every scene meets every kind of change, and none. How often
differs: a scene that needs many things to fit together mostly keeps its members and disks.
"""

from __future__ import annotations

import random
from dataclasses import replace

from tests.simulation.plan import Plan

TURNS = (
    "still",
    "still",
    "still",
    "still",
    "members",
    "members",
    "grow and shrink",
    "damage",
    "all",
)
# Of scenes that most changes would only disturb.
_MOSTLY_STILL = ("still",) * 8 + ("members", "all")
TURNS_OF = {
    "deposed": _MOSTLY_STILL,
    "late": _MOSTLY_STILL,
    "astray": _MOSTLY_STILL,
    "comeback": _MOSTLY_STILL,
    "doors": _MOSTLY_STILL,
    "rotten": ("damage",),
}


def with_changes(plan: Plan) -> Plan:
    """The plan, with the changes that its seed has drawn."""
    rng = random.Random(f"changes {plan.seed}")
    turn = rng.choice(TURNS_OF.get(plan.scene, TURNS))
    if turn == "grow and shrink":
        return _grow_and_shrink(plan, rng)
    if turn in ("members", "all"):
        plan = _members(plan, rng)
    if turn in ("damage", "all"):
        plan = _damage(plan, rng)
    return plan


def _members(plan: Plan, rng: random.Random) -> Plan:
    every = {
        "grow": rng.choice([2.0, 4.0]),
        "shrink": rng.choice([3.0, 6.0]),
        "replace": rng.choice([4.0, 10.0]),
        "move": rng.choice([8.0, 20.0]),
        "meddle": rng.choice([0.5, 2.0]),
    }
    wanted = {kind: mean for kind, mean in every.items() if rng.random() < 0.7}
    return replace(plan, spares=rng.choice([1, 2, 2, 3]), every=plan.every | wanted)


def _grow_and_shrink(plan: Plan, rng: random.Random) -> Plan:
    """Three become five and three again, some of them others than before."""
    return replace(
        plan,
        size=3,
        spares=2,
        span=rng.choice([10.0, 20.0]),
        every=plan.every | {"grow": 1.5, "shrink": rng.choice([3.0, 5.0]), "meddle": 1.0},
    )


def _damage(plan: Plan, rng: random.Random) -> Plan:
    every = {
        "rot": rng.choice([1.5, 4.0]),
        "rot_arrival": rng.choice([0.5, 2.0]),
        "empty": rng.choice([4.0, 10.0]),
    }
    wanted = {kind: mean for kind, mean in every.items() if rng.random() < 0.8}
    if plan.scene == "rotten":
        wanted = {"rot": 0.4}
    return replace(
        plan,
        disk=replace(plan.disk, tail_bytes=rng.choice([0, 300, 32 << 20])),
        every=plan.every | wanted,
    )
