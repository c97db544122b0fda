"""Many seeds, on several cores: runs them, counts what happened, reports what was found."""

from __future__ import annotations

import itertools
import multiprocessing
import signal
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.attempt import MUTANT_NAMES, PLAINS, Ending, attempt
from tests.simulation.plain_watch import LIES
from tests.simulation.plan import Plan

Say = Callable[[str], None]

# A run takes a second. Longer, and the process it was in was killed, or hangs.
_PATIENCE_S = 300.0


@dataclass
class Tally:
    """What many runs did together.

    Attributes:
        stopped: Somebody interrupted it.
    """

    began: float = field(default_factory=time.monotonic)
    seeds: int = 0
    found: list[Ending] = field(default_factory=list)
    events: int = 0
    messages: int = 0
    elections: int = 0
    kills: int = 0
    snapshots: int = 0
    operations: int = 0
    seconds: float = 0.0
    recoveries_s: list[float] = field(default_factory=list)
    stopped: bool = False
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, ending: Ending) -> None:
        """Counts a run in."""
        self.seeds += 1
        result = ending.result
        if result is None:
            self.found.append(ending)
            return
        self.events += result.events
        self.messages += result.messages
        self.elections += result.elections
        self.kills += result.kills
        self.snapshots += result.snapshots
        self.operations += result.operations
        self.seconds += result.seconds
        self.recoveries_s.append(result.recovery_s)
        self.counts.update(result.counts)

    def progress(self) -> str:
        """How far it is."""
        wall = max(time.monotonic() - self.began, 1e-9)
        return (
            f"{self.seeds} seeds in {wall:.0f} s, {self.events / 1e6:.1f} million events, "
            f"{len(self.found)} violations"
        )

    def summary(self) -> str:
        """One line."""
        wall = max(time.monotonic() - self.began, 1e-9)
        hours = self.seconds / 3600
        told = [
            f"{self.seeds} seeds, {len(self.found)} violations, {self.events} events",
            f"{hours:.2f} simulated hours in {wall:.0f} s ({hours / wall:.4f} hours a second)",
            f"{self.messages} messages",
            f"{self.operations} operations",
            f"{self.elections} elections",
            f"{self.kills} kills",
            f"{self.snapshots} snapshots",
            self._recovery(),
            *(f"{count} {what}" for what, count in sorted(self.counts.items())),
        ]
        return ", ".join(told)

    def _recovery(self) -> str:
        """How long callers waited once the faults were over, in simulated seconds."""
        waits = sorted(self.recoveries_s) or [0.0]
        late = [waits[min(len(waits) - 1, int(share * len(waits)))] for share in (0.5, 0.99, 1.0)]
        return "all served {:.1f} s after the last fault, p99 {:.1f}, max {:.1f}".format(*late)


class LostRuns(Exception):
    """Seeds were begun of which nothing was heard again."""


def sweep(
    seeds: Iterable[int],
    jobs: int,
    subject: str = "",
    say: Say = print,
    seconds_max: float = float("inf"),
    going: Say = lambda told: None,
    settings: Mapping[str, Any] | None = None,
) -> Tally:
    """Runs the seeds, and says at once what was found and how to see it again.

    Args:
        seconds_max: No run begins after so much wall time.
        going: Told after every run how far it is.
        settings: Numbers that are the same in the plan of every seed.
    """
    tally = Tally()
    try:
        for ending in endings(seeds, jobs, subject, settings):
            tally.add(ending)
            if ending.check:
                say(f"seed {ending.plan.seed}: {ending.told}")
                say(f"  {command('replay', ending.plan, subject)} --trace")
            going(tally.progress())
            if time.monotonic() - tally.began > seconds_max:
                break
    except KeyboardInterrupt:
        tally.stopped = True
    return tally


def command(verb: str, plan: Plan, subject: str = "") -> str:
    """What to type to see a run again."""
    with_subject = f" --subject {subject}" if subject else ""
    return f"python -m tests.simulation {verb} {plan.arguments()}{with_subject}"


def endings(
    seeds: Iterable[int], jobs: int, subject: str, settings: Mapping[str, Any] | None = None
) -> Iterator[Ending]:
    """How each of the seeds ended, in any order.

    Raises:
        LostRuns: Not of every seed.
    """
    todo = ((seed, subject, dict(settings or {})) for seed in seeds)
    if jobs <= 1:
        yield from map(_one, todo)
        return
    # Forked at once, before there are threads; fresh workers now and then, for their memory.
    with multiprocessing.get_context("fork").Pool(
        jobs, initializer=_leave_interrupts_to_the_parent, maxtasksperchild=200
    ) as pool:
        ended = pool.imap_unordered(_one, todo)
        while True:
            try:
                yield ended.next(_PATIENCE_S)
            except StopIteration:
                return
            except multiprocessing.TimeoutError:
                raise LostRuns(
                    f"nothing was heard of any run for {_PATIENCE_S:g} s: a process was killed, "
                    "or hangs"
                ) from None


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _one(task: tuple[int, str, dict[str, Any]]) -> Ending:
    seed, subject, settings = task
    return attempt(Plan.draw(seed).changed(settings), subject)


@dataclass
class Hunt:
    """How one planted fault fared. `ending`: what found it; None: it lives."""

    subject: str
    seeds: int
    ending: Ending | None


def hunt(subject: str, first: int, seeds_max: int, jobs: int, checks: Collection[str] = ()) -> Hunt:
    """Runs seeds over a faulty engine until one finds the fault.

    Args:
        checks: Only what these find counts; empty: what any finds.
    """
    count = 0
    for ending in endings(range(first, first + seeds_max), jobs, subject):
        count += 1
        if ending.check and (not checks or ending.check in checks):
            return Hunt(subject, count, ending)
    return Hunt(subject, count, None)


def hunt_all(first: int, seeds_max: int, jobs: int, only: list[str]) -> Iterator[Hunt]:
    """Every planted fault, or only these; and what callers suffer over plain PySyncObj."""
    for subject in only or itertools.chain(MUTANT_NAMES, PLAINS):
        if subject:
            yield hunt(subject, first, seeds_max, jobs, LIES if subject in PLAINS else ())
