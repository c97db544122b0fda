"""`python -m tests.simulation`: run seeds, see one again, make it smaller, hunt planted faults."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.simulation.attempt import PLAINS, attempt
from tests.simulation.crashes import crash
from tests.simulation.mutants import MUTANTS, RARE
from tests.simulation.plain_watch import LIES
from tests.simulation.plan import Plan
from tests.simulation.progress import Progress
from tests.simulation.shrink import shrink
from tests.simulation.sweep import LostRuns, command, endings, hunt_all, sweep

Arguments = argparse.Namespace

_NO_RESULT, _INTERRUPTED = 2, 130
_RULES = {mutant.__name__: mutant.__doc__ or "" for mutant in (*MUTANTS, *RARE)} | {
    name: " ".join((host.__doc__ or "").split("\n\n")[0].split()) for name, host in PLAINS.items()
}


def main() -> int:
    """Returns 0 when everything is as it should be, 1 when something was found, or was not.

    2 when runs were lost, so that nothing can be said; 130 when it was interrupted.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    run = _verb(verbs, "run", _run, "run many seeds; non-zero on a violation")
    _many(run, 200)
    run.add_argument("--step", type=int, default=1, help=argparse.SUPPRESS)
    _settings(run, "of every seed's plan; span=2: many short runs instead of fewer long ones")
    _subject(run)
    replay = _verb(verbs, "replay", _replay, "run one seed again")
    replay.add_argument("--trace", action="store_true", help="print everything that happens")
    smaller = _verb(verbs, "shrink", _shrink, "make a failing run smaller")
    for each in (replay, smaller):
        each.add_argument("seed", type=int)
        _settings(each, "of the seed's plan")
        _subject(each)
    mutants = _verb(verbs, "mutants", _mutants, "hunt planted faults; non-zero when one lives")
    _many(mutants, 400)
    names = [*_RULES, []]  # the last: what argparse checks when none is given
    mutants.add_argument("only", nargs="*", choices=names, metavar="FAULT", help=", ".join(_RULES))
    _many(_verb(verbs, "plain", _plain, "count what PySyncObj as it is breaks"), 100)
    crashes = _verb(verbs, "crashes", _crashes, "kill applications between reserve and confirm")
    crashes.add_argument("--count", type=_count, default=1000, help="how many (1000)")
    crashes.add_argument("--first", type=int, default=1, help="the first seed (1)")
    _many(_verb(verbs, "coverage", _coverage, "what of the engine is reached, by file"), 200)
    arguments = parser.parse_args()
    work: Callable[[Arguments], int] = arguments.work
    try:
        return work(arguments)
    except KeyboardInterrupt:
        Progress().say("interrupted")
        return _INTERRUPTED
    except LostRuns as lost:
        Progress().say(f"no result: {lost}")
        return _NO_RESULT
    except BrokenPipeError:
        sys.stderr.close()  # whoever read this has enough
        return 1


def _verb(
    verbs: Any, name: str, work: Callable[[Arguments], int], told: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=told, description=told)
    parser.set_defaults(work=work)
    return parser


def _many(parser: argparse.ArgumentParser, seeds: int) -> None:
    parser.add_argument("--seeds", type=_count, default=seeds, help=f"how many ({seeds})")
    parser.add_argument("--first", type=int, default=1, help="the first of them (1)")
    parser.add_argument("--jobs", type=_count, default=2, help="processes (2)")


def _subject(parser: argparse.ArgumentParser) -> None:
    told = f"over a faulty engine, or plain PySyncObj: {', '.join(_RULES)}"
    parser.add_argument("--subject", default="", choices=_RULES, metavar="FAULT", help=told)


def _settings(parser: argparse.ArgumentParser, told: str) -> None:
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="sets",
        type=_setting,
        help=f"a number {told}",
    )


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or name not in Plan.draw(1).settings():
        raise argparse.ArgumentTypeError(f"{name!r} is no number of a plan, or has no value")
    try:
        return name, json.loads(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{value!r} is no JSON value") from error


def _plan(arguments: Arguments) -> Plan:
    return Plan.draw(arguments.seed).changed(dict(arguments.sets))


def _run(arguments: Arguments) -> int:
    first, step = arguments.first, arguments.step
    seeds = range(first, first + arguments.seeds * step, step)
    progress = Progress()
    subject, settings = arguments.subject, dict(arguments.sets)
    tally = sweep(
        seeds, arguments.jobs, subject, progress.say, going=progress.going, settings=settings
    )
    if tally.stopped:
        progress.say("interrupted")
    progress.say(tally.summary())
    if tally.found or tally.stopped:
        return 1 if tally.found else _INTERRUPTED
    return 0 if tally.seeds == len(seeds) else _NO_RESULT


def _replay(arguments: Arguments) -> int:
    plan, say = _plan(arguments), Progress().say
    say(str(plan))
    ending = attempt(plan, arguments.subject, say if arguments.trace else None)
    say(f"violation: {ending.told}" if ending.check else f"nothing found: {ending.result}")
    return 1 if ending.check else 0


def _shrink(arguments: Arguments) -> int:
    progress = Progress()
    ending = shrink(_plan(arguments), arguments.subject, progress.say, going=progress.going)
    if not ending.check:
        progress.say("this run does not fail")
        return 0
    progress.say(ending.told)
    progress.say(f"{command('replay', ending.plan, arguments.subject)} --trace")
    return 1


def _mutants(arguments: Arguments) -> int:
    progress, alive = Progress(), 0
    progress.say("| planted fault | found by | seed | seeds run |\n|---|---|---|---|")
    for hunted in hunt_all(arguments.first, arguments.seeds, arguments.jobs, arguments.only):
        ending = hunted.ending
        found = f"{ending.check} | {ending.plan.seed}" if ending else "**nothing** | "
        sound = hunted.subject in PLAINS or ending is None or not attempt(ending.plan).check
        if not sound:
            found = f"**something, and without the fault as well** | {ending.plan.seed}"
        if ending and ending.slipped:
            sound, found = False, f"**a fault that does not fit: {ending.told}** | "
        alive += ending is None or not sound
        rule = " ".join(_RULES[hunted.subject].split())
        progress.say(f"| `{hunted.subject}`: {rule} | {found} | {hunted.seeds} |")
    progress.say(
        f"{alive} planted faults were not found within {arguments.seeds} seeds each; each seed "
        "that found one was run without it as well"
    )
    return 1 if alive else 0


def _plain(arguments: Arguments) -> int:
    """Non-zero when the callers of PySyncObj heard nothing but the truth."""
    progress = Progress()
    progress.say("| PySyncObj | breaks | in seeds of | first |\n|---|---|---|---|")
    lies = 0
    for subject in PLAINS:
        broken: Counter[str] = Counter()
        first: dict[str, int] = {}
        last = arguments.first + arguments.seeds
        for count, ending in enumerate(
            endings(range(arguments.first, last), arguments.jobs, subject), 1
        ):
            for check in ending.broken or ((ending.check,) if ending.check else ()):
                broken[check] += 1
                first[check] = min(ending.plan.seed, first.get(check, last))
            progress.going(f"{subject}: {count} seeds")
        for check, count in broken.most_common():
            row = f"{check} | {count} of {arguments.seeds} | {first[check]}"
            progress.say(f"| `{subject}` | {row} |")
        lies += sum(broken[check] for check in LIES)
    progress.say(f"{lies} times callers heard what cannot be, in {arguments.seeds} seeds each")
    return 0 if lies else 1


def _crashes(arguments: Arguments) -> int:
    return 1 if crash(arguments.count, arguments.first, Progress().say) else 0


def _coverage(arguments: Arguments) -> int:
    from tests.simulation.coverage_report import measure  # needs more than a simulation does

    well = measure(arguments.first, arguments.seeds, arguments.jobs, Progress().say)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
