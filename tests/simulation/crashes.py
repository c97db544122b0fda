"""Applications that die between `reserve` and `confirm`, as many times as one likes.

Three nodes, sixty applications, leaders that die and are cut off; judged as every run is. What may
never be: a name that stays burnt, or is granted twice, or is lost though it was confirmed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count

from tests.simulation.attempt import Ending, attempt
from tests.simulation.plan import Lives, Plan
from tests.simulation.sweep import command

_APPLICATIONS = 60
# With a name in hand, heard of or not confirmed for certain.
HOLDING = ("died between", "died confirming")


def plan_of(seed: int, applications: int = _APPLICATIONS) -> Plan:
    """The plan of one of these runs."""
    return Plan(
        seed,
        "sign-ups",
        span=8.0,
        clients=1,
        official=0.0,
        pause=0.02,
        lives=Lives(signups=applications),
        every={"kill_leader": 2.0, "depose": 3.0, "kill": 3.0},
    )


def crash(deaths: int, first: int, say: Callable[[str], None]) -> Ending | None:
    """Runs seeds until so many applications have died with a name in hand.

    Returns:
        What was found; None: nothing.
    """
    counts: Counter[str] = Counter()
    for seed, ending in _endings(first):
        if ending.result is None:
            say(f"seed {seed}: {ending.told}")
            say(f"  {command('replay', ending.plan)} --trace")
            return ending
        counts.update(ending.result.counts)
        died = sum(counts[when] for when in HOLDING)
        told = ", ".join(f"{counts[what]} {what}" for what in sorted(counts))
        say(f"seeds {first} to {seed}: {died} applications died with a name in hand ({told})")
        if died >= deaths:
            break
    return None


def _endings(first: int) -> Iterator[tuple[int, Ending]]:
    for seed in count(first):
        yield seed, attempt(plan_of(seed))
