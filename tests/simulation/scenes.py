"""Scenes: what roughly goes wrong in a run, and how a seed draws all the numbers of its plan."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from namestore.raft.settings import Bounds
from tests.simulation.calling import with_callers, with_whole_callers
from tests.simulation.changing import with_changes
from tests.simulation.plan import KINDS, DiskFaults, LinkFaults, Plan

# By turns: few seeds in a row meet each of them.
SCENES = (
    "mixed",
    "deposed",
    "doors",
    "comeback",
    "snapshots",
    "astray",
    "rotten",
    "late",
    "astray",
    "elections",
    "mixed",
    "power",
    "comeback",
    "deposed",
)


def draw(seed: int) -> Plan:
    """The plan of a seed."""
    rng = random.Random(f"plan {seed}")
    scene = SCENES[seed % len(SCENES)]
    plan = Plan(
        seed,
        scene,
        size=rng.choice([3, 3, 5]),
        span=rng.choice([6.0, 10.0, 16.0]),
        clients=rng.choice([2, 4, 8]),
        names=rng.choice([1, 3, 10, 40]),
        homes=rng.choice([1, 2, 3]),
        affinity=rng.choice([0.0, 0.5, 0.95]),
        registers=rng.choice([0.55, 0.35, 0.2]),
        releases=rng.choice([0.25, 0.2, 0.05]),
        pause=rng.choice([0.4, 0.2, 0.05]),
        client_loss=rng.choice([0, 0.02, 0.1]),
        gives_up=rng.choice([0, 0.3, 1.0]),
        inbox=rng.choice([0, 0, 1, 4]),
        links=_draw_links(rng),
        disk=_draw_disk(rng),
        bounds=_draw_bounds(rng),
        every={kind: mean for kind in KINDS if (mean := _draw_mean(rng, kind))},
    )
    return with_whole_callers(with_callers(with_changes(_DIRECTED[scene](plan, rng))))


def _draw_links(rng: random.Random) -> LinkFaults:
    return LinkFaults(
        delay_max=rng.choice([0.002, 0.01, 0.06]),
        slow_chance=rng.choice([0, 0, 0.01, 0.05]),
        slow_max=rng.choice([0.3, 1.0, 4.0]),
        loss=rng.choice([0, 0, 0.01, 0.1]),
        late_chance=rng.choice([0, 0, 0.02, 0.1]),
        late_max=rng.choice([0.01, 0.5, 5.0]),
        reorder=rng.random() < 0.4,
        lame=rng.choice([0, 0, 0, 0.3]),
        notice_max=rng.choice([0.05, 1.0, 3.0]),
    )


def _draw_disk(rng: random.Random) -> DiskFaults:
    return DiskFaults(
        sync_max=rng.choice([0.001, 0.003, 0.02]),
        stall_chance=rng.choice([0, 0, 0.002]),
        kill_chance=rng.choice([0, 0, 0.0005, 0.002]),
    )


def _draw_bounds(rng: random.Random) -> Bounds:
    message_bytes, window_messages = rng.choice([60, 500, 512 * 1024]), rng.choice([1, 3, 64])
    return Bounds(
        message_bytes=message_bytes,
        window_messages=window_messages,
        entry_names=rng.choice([1, 3, 4096]),
        # No further than what is under way: on so narrow a way everything else would be late.
        uncommitted_entries=min(32, 4 * window_messages),
        pending_commands=rng.choice([3, 20_000, 20_000]),
        apply_bytes=rng.choice([200, 4 << 20]),
        log_entries=rng.choice([5, 30, 200, 100_000]),
        chunk_bytes=rng.choice([700, 5000, 512 * 1024]),
    )


def _draw_mean(rng: random.Random, kind: str) -> float | None:
    mean = rng.choice([None, None, 8.0, 4.0, 2.0])
    return mean * 4 if mean and kind == "kill_all" else mean


def _deposed(plan: Plan, rng: random.Random) -> Plan:
    """Leaders lose their followers, not their callers, and others take over meanwhile."""
    return replace(
        plan,
        names=rng.choice([1, 2, 3]),
        clients=rng.choice([4, 8]),
        affinity=0.95,
        registers=0.3,
        releases=0.3,
        pause=0.05,
        links=replace(plan.links, loss=rng.choice([0, 0.01]), delay_max=rng.choice([0.002, 0.01])),
        every=_only(plan, {"depose": 2.5, "pause_leader": 4.0}, rng),
    )


def _late(plan: Plan, rng: random.Random) -> Plan:
    """Messages outlive elections: connections stand, nothing is lost, much comes late."""
    return replace(
        plan,
        size=rng.choice([3, 5, 5]),
        clients=rng.choice([4, 8]),
        links=LinkFaults(
            delay_max=rng.choice([0.002, 0.01, 0.06]),
            slow_chance=rng.choice([0, 0.05, 0.2]),
            slow_max=rng.choice([1.0, 4.0]),
            late_chance=rng.choice([0, 0.1, 0.3]),
            late_max=5.0,
            reorder=rng.random() < 0.8,
            lame=rng.choice([0, 0.3, 1.0]),
        ),
        bounds=replace(plan.bounds, message_bytes=rng.choice([60, 500])),
        every=_only(plan, {"stall_answers": 2.0, "transfer": 2.0, "stall": 3.0}, rng),
    )


def _astray(plan: Plan, rng: random.Random) -> Plan:
    """Who comes back with entries nobody wants hears what it should have in pieces, not in turn."""
    return replace(
        _late(plan, rng),
        names=3,
        clients=8,
        affinity=0.95,
        registers=0.5,
        releases=0.4,
        pause=0.05,
        links=LinkFaults(
            delay_max=rng.choice([0.01, 0.06]),
            slow_chance=rng.choice([0, 0.05, 0.2]),
            slow_max=1.0,
            loss=0.05,
            late_chance=rng.choice([0, 0.1, 0.3]),
            late_max=2.0,
            reorder=rng.random() < 0.9,
        ),
        bounds=replace(
            plan.bounds,
            message_bytes=60,
            entry_names=1,
            window_messages=rng.choice([1, 3, 64]),
        ),
        every={"depose": 2.0} | ({"flap": 2.0} if rng.random() < 0.5 else {}),
    )


def _comeback(plan: Plan, rng: random.Random) -> Plan:
    """A leader loses its place with entries that few have, regains it, and hears old answers."""
    return replace(
        plan,
        size=5,
        clients=8,
        homes=1,
        affinity=rng.choice([0.8, 0.95]),
        registers=0.5,
        releases=0.4,
        pause=0.05,
        inbox=0,
        links=LinkFaults(delay_max=rng.choice([0.002, 0.01, 0.06]), notice_max=0.05),
        disk=DiskFaults(),
        bounds=replace(
            plan.bounds,
            entry_names=1,
            window_messages=64,
            pending_commands=20_000,
            log_entries=rng.choice([2, 3, 100_000]),
        ),
        every={"comeback": 1.0},
    )


def _elections(plan: Plan, rng: random.Random) -> Plan:
    """Candidates are many, slow to hear of each other, and voters die with the vote on its way."""
    return replace(
        plan,
        size=rng.choice([3, 5, 5]),
        clients=2,
        links=LinkFaults(delay_max=rng.choice([0.06, 0.2, 0.4]), notice_max=0.05),
        every=_only(plan, {"kill_voter": 0.3, "depose": 2.5, "transfer": 2.5}, rng),
    )


def _snapshots(plan: Plan, rng: random.Random) -> Plan:
    """Logs are short and pieces small, so whoever was away needs a snapshot, and is disturbed."""
    bounds = replace(
        plan.bounds, log_entries=rng.choice([2, 3, 5, 12]), chunk_bytes=rng.choice([200, 700, 5000])
    )
    return replace(
        plan,
        pause=0.05,
        bounds=bounds,
        every=_only(plan, {"kill": 3.0, "isolate": 4.0, "depose": 4.0, "doom": 4.0}, rng),
    )


def _power(plan: Plan, rng: random.Random) -> Plan:
    """Nodes die in the middle of what they do to their disks, one after another or all at once."""
    return replace(
        plan,
        pause=0.1,
        disk=replace(plan.disk, kill_chance=rng.choice([0.002, 0.01])),
        every=_only(plan, {"kill_all": 4.0, "doom": 1.5, "kill_leader": 3.0}, rng),
    )


def _doors(plan: Plan, rng: random.Random) -> Plan:
    """Callers use the library, and what they asked of has gone before they hear of it."""
    return replace(
        plan,
        size=3,
        clients=8,
        names=rng.choice([3, 10, 40]),
        registers=0.5,
        releases=0.4,
        pause=0.05,
        client_loss=0.0,
        links=LinkFaults(delay_max=rng.choice([0.002, 0.01]), notice_max=rng.choice([0.05, 1.0])),
        disk=replace(plan.disk, kill_chance=0.0),
        every=_only(plan, {"kill_leader": rng.choice([0.8, 1.5]), "depose": 3.0}, rng),
    )


def _rotten(plan: Plan, rng: random.Random) -> Plan:
    """One disk after another is damaged, and processes die and find it."""
    return replace(
        plan,
        size=5,
        span=16.0,
        clients=rng.choice([4, 8]),
        pause=0.05,
        disk=replace(plan.disk, kill_chance=0.0),
        bounds=replace(plan.bounds, log_entries=rng.choice([30, 200, 100_000])),
        every=_only(plan, {"kill": 2.0}, rng),
    )


def _only(plan: Plan, wanted: dict[str, float], rng: random.Random) -> dict[str, float]:
    """Mostly the faults a scene is about, and now and then one of the others."""
    return {k: v for k, v in plan.every.items() if rng.random() < 0.25} | wanted


_DIRECTED: dict[str, Callable[[Plan, random.Random], Plan]] = {
    "mixed": lambda plan, rng: plan,
    "deposed": _deposed,
    "late": _late,
    "astray": _astray,
    "comeback": _comeback,
    "elections": _elections,
    "snapshots": _snapshots,
    "power": _power,
    "doors": _doors,
    "rotten": _rotten,
}
