"""`python -m tests.simulation`: run seeds, see one again, make it smaller, hunt planted faults."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from tests.simulation.attempt import MUTANT_NAMES, PLAIN, attempt
from tests.simulation.mutants import MUTANTS
from tests.simulation.plan import Plan
from tests.simulation.shrink import shrink
from tests.simulation.sweep import command, hunt_all, sweep

Arguments = argparse.Namespace


def say(text: str) -> None:
    """Writes a line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Returns 0 when everything is as it should be, 1 when something was found, or was not."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    verbs = parser.add_subparsers(required=True)
    run = _verb(verbs, "run", _run, "run many seeds; non-zero on a violation")
    run.add_argument("--seeds", type=int, default=200, help="how many (200)")
    run.add_argument("--first", type=int, default=1, help="the first of them (1)")
    run.add_argument("--jobs", type=int, default=2, help="processes (2)")
    _subject(run)
    replay = _verb(verbs, "replay", _replay, "run one seed again")
    replay.add_argument("--trace", action="store_true", help="print everything that happens")
    smaller = _verb(verbs, "shrink", _shrink, "make a failing run smaller")
    for each in (replay, smaller):
        each.add_argument("seed", type=int)
        each.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", dest="sets")
        _subject(each)
    mutants = _verb(verbs, "mutants", _mutants, "hunt planted faults; non-zero when one lives")
    mutants.add_argument("--seeds", type=int, default=300, help="at most, for each (300)")
    mutants.add_argument("--first", type=int, default=1)
    mutants.add_argument("--jobs", type=int, default=2)
    mutants.add_argument("only", nargs="*", help=f"of: {', '.join((*MUTANT_NAMES, PLAIN))}")
    arguments = parser.parse_args()
    work: Callable[[Arguments], int] = arguments.work
    return work(arguments)


def _verb(
    verbs: Any, name: str, work: Callable[[Arguments], int], told: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=told, description=told)
    parser.set_defaults(work=work)
    return parser


def _subject(parser: argparse.ArgumentParser) -> None:
    choices = ["", PLAIN, *MUTANT_NAMES]
    parser.add_argument("--subject", default="", choices=choices, help="over that faulty engine")


def _plan(arguments: Arguments) -> Plan:
    pairs = (pair.partition("=") for pair in arguments.sets)
    settings = {name: json.loads(value) for name, _, value in pairs}
    return Plan.draw(arguments.seed).changed(settings)


def _run(arguments: Arguments) -> int:
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    tally = sweep(seeds, arguments.jobs, arguments.subject, say)
    say(tally.summary())
    return 1 if tally.found else 0


def _replay(arguments: Arguments) -> int:
    plan = _plan(arguments)
    say(str(plan))
    ending = attempt(plan, arguments.subject, say if arguments.trace else None)
    say(f"violation: {ending.told}" if ending.check else f"nothing found: {ending.result}")
    return 1 if ending.check else 0


def _shrink(arguments: Arguments) -> int:
    ending = shrink(_plan(arguments), arguments.subject, say)
    if not ending.check:
        say("this run does not fail")
        return 0
    say(ending.told)
    say(f"{command('replay', ending.plan, arguments.subject)} --trace")
    return 1


def _mutants(arguments: Arguments) -> int:
    alive = 0
    rules = {mutant.__name__: mutant.__doc__ or "" for mutant in MUTANTS}
    rules[PLAIN] = "PySyncObj as it is, without namestore's layers."
    say("| planted fault | found by | seed | seeds run |\n|---|---|---|---|")
    for hunted in hunt_all(arguments.first, arguments.seeds, arguments.jobs, arguments.only):
        ending = hunted.ending
        alive += ending is None
        found = f"{ending.check} | {ending.plan.seed}" if ending else "**nothing** | "
        rule = " ".join(rules[hunted.subject].split())
        say(f"| `{hunted.subject}`: {rule} | {found} | {hunted.seeds} |")
    say(f"{alive} planted faults were not found within {arguments.seeds} seeds each")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
