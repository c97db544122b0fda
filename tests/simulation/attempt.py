"""Runs a plan and says how it ended, over namestore's engine, a faulty one or plain PySyncObj."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from namestore.raft.engine import Engine
from tests.simulation.alarm import alarmed
from tests.simulation.host import EngineHost
from tests.simulation.mutants import MUTANTS, RARE
from tests.simulation.plain import PlainHost, PowerHost, treated
from tests.simulation.plain_disk import borrowed_library
from tests.simulation.plain_watch import PlainWatch, audit
from tests.simulation.plan import Plan
from tests.simulation.run import Result, Run, engine_host
from tests.simulation.watch import Violation

MUTANT_NAMES = tuple(mutant.__name__ for mutant in MUTANTS)
_PLANTED = {mutant.__name__: mutant for mutant in (*MUTANTS, *RARE)}
# What can be simulated beside namestore itself.
PLAIN, PLAIN_POWER = "PySyncObj", "PySyncObj-power"
PLAINS: dict[str, type[PlainHost]] = {PLAIN: PlainHost, PLAIN_POWER: PowerHost}

_CRASH = "crash: "
_SLIPS = ("TypeError", "AttributeError", "NameError")


@dataclass
class Ending:
    """How a run ended.

    Attributes:
        result: When nothing was found.
        check: Which check found something; empty: none.
        told: What it says.
        broken: Over plain PySyncObj: every check that found something.
    """

    plan: Plan
    result: Result | None = None
    check: str = ""
    told: str = ""
    broken: tuple[str, ...] = ()

    @property
    def slipped(self) -> bool:
        """Something was raised that is no judge's word: nothing had been found by then.

        That is how a planted fault ends that does not fit into namestore any more: code called what
        is not there, or otherwise than it is.
        """
        crashed = self.check.startswith(_CRASH)
        return crashed or any(slip in f"{self.check} {self.told}" for slip in _SLIPS)


def attempt(
    plan: Plan, subject: str = "", trace: Callable[[str], None] | None = None, error: bool = False
) -> Ending:
    """Carries out a plan.

    Args:
        subject: The name of a mutant, or `PLAIN`; empty: namestore's engine as it is.
        error: Let a violation out with its traceback.

    Raises:
        ValueError: There is no such subject.
    """
    if subject and subject not in _PLANTED and subject not in PLAINS:
        raise ValueError(f"there is no planted fault {subject!r}")
    with alarmed() as errors, _garbage_kept():
        return _attempt(plan, subject, trace, errors, error)


@contextmanager
def _garbage_kept() -> Iterator[None]:
    # Garbage of a run is collected after it, and nothing older is looked at then: twice as fast,
    # and as deterministic.
    gc.disable()
    gc.freeze()
    hooks = sys.get_asyncgen_hooks()
    # What a dead process left unfinished ends without another word, as nothing of it runs on.
    sys.set_asyncgen_hooks(finalizer=lambda unfinished: None)
    try:
        yield
    finally:
        gc.collect()
        sys.set_asyncgen_hooks(*hooks)
        gc.unfreeze()
        gc.enable()


def _attempt(plan: Plan, subject: str, trace: Any, errors: list[str], error: bool) -> Ending:
    try:
        result = _run(plan, subject, trace)
        if errors and subject not in PLAINS:
            raise Violation("no error is logged", errors[0])
        return Ending(plan, result)
    except Violation as violation:
        if error:
            raise
        broken = violation.broken
        return Ending(plan, None, violation.check, str(violation), broken)
    except KeyboardInterrupt:
        raise
    except BaseException as crash:  # whatever it is: a worker that ends says nothing more
        if error:
            raise
        return Ending(plan, None, f"{_CRASH}{type(crash).__name__}", str(crash))


def _run(plan: Plan, subject: str, trace: Any) -> Result:
    if subject in PLAINS:
        return _run_plain(plan, subject, trace)
    if subject:
        mutant = _PLANTED[subject]
        # Those that are no engine are planted in what is around it.
        host = engine_host(mutant) if issubclass(mutant, Engine) else EngineHost
        with getattr(mutant, "planted", nullcontext)():
            return Run(plan, host, trace).go()
    return Run(plan, trace=trace).go()


def _run_plain(plan: Plan, subject: str, trace: Any) -> Result:
    """What ends a run is not all that it broke: every check has its say."""
    watch = PlainWatch()
    run = Run(treated(plan), PLAINS[subject], trace, watch)
    with borrowed_library(run.world.rng):
        try:
            result = run.go()
        except Violation as violation:
            watch.note(violation.check, str(violation))
            result = None
        watch.judge([*run.record, *audit(run)])
    if result is None:
        raise RuntimeError("a run ended without a result, and nothing was found")
    return result
