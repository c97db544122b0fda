"""Runs a plan and says how it ended, over namestore's engine, a faulty one or plain PySyncObj."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from namestore.raft.engine import Engine
from tests.simulation.host import EngineHost
from tests.simulation.mutants import MUTANTS
from tests.simulation.plain import KINDNESS, PlainHost, PlainWatch, borrowed_clock
from tests.simulation.plan import Plan
from tests.simulation.run import Result, Run, engine_host
from tests.simulation.watch import Violation

MUTANT_NAMES = tuple(mutant.__name__ for mutant in MUTANTS)
# What can be simulated beside namestore itself.
PLAIN = "PySyncObj"


@dataclass
class Ending:
    """How a run ended.

    Attributes:
        result: When nothing was found.
        check: Which check found something; empty: none.
        told: What it says.
    """

    plan: Plan
    result: Result | None = None
    check: str = ""
    told: str = ""


def attempt(
    plan: Plan, subject: str = "", trace: Callable[[str], None] | None = None, error: bool = False
) -> Ending:
    """Carries out a plan.

    Args:
        subject: The name of a mutant, or `PLAIN`; empty: namestore's engine as it is.
        error: Let a violation out with its traceback.
    """
    logging.disable(logging.CRITICAL)
    # Garbage of a run is collected after it, and nothing older is looked at then: twice as fast,
    # and as deterministic.
    gc.disable()
    gc.freeze()
    try:
        return Ending(plan, _run(plan, subject, trace))
    except Violation as violation:
        if error:
            raise
        return Ending(plan, None, violation.check, str(violation))
    except Exception as crash:
        if error:
            raise
        return Ending(plan, None, f"crash: {type(crash).__name__}", str(crash))
    finally:
        gc.collect()
        gc.unfreeze()
        gc.enable()
        logging.disable(logging.NOTSET)


def _run(plan: Plan, subject: str, trace: Any) -> Result:
    if subject == PLAIN:
        run = Run(plan.unchanging().changed(KINDNESS), PlainHost, trace, PlainWatch())
        with borrowed_clock(run.world):
            return run.go()
    if subject:
        mutant = MUTANTS[MUTANT_NAMES.index(subject)]
        # Those that are no engine are planted in what is around it.
        host = engine_host(mutant) if issubclass(mutant, Engine) else EngineHost
        with getattr(mutant, "planted", nullcontext)():
            return Run(plan, host, trace).go()
    return Run(plan, trace=trace).go()
