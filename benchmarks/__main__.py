"""Measures namestore beside its alternatives: `python -m benchmarks`, or `make bench`.

Responsible for the command line and the order of a run. A peer that is not installed is left out
and named, with what it would need: nothing is installed here. Invariant: every process that was
started is ended, also on Ctrl-C, and nothing is left but the results.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import interruption, machine
from benchmarks.fleet import Fleet, choose
from benchmarks.peers.catalogue import PEERS
from benchmarks.peers.interface import BenchmarkError, failures_of_peers
from benchmarks.peers.postgres import ReplicatedPostgres
from benchmarks.publishing import publish
from benchmarks.samples import PeerNote, Results
from benchmarks.workloads import calls, growth, outage, unary
from benchmarks.workloads.context import Context, Plan, say
from benchmarks.workloads.loading import load_names
from benchmarks.workloads.verify import verify

_ROOT = Path(__file__).resolve().parents[1]
_DISK = Path("/var/tmp")  # noqa: S108 - on a disk, unlike /tmp on many systems; mkdtemp inside
_CALLS = {workload.name: workload for workload in calls.WORKLOADS}
_KINDS = (*_CALLS, "unary", "outage", "growth")
_QUICK = Plan(rounds=2, seconds=1.0, warm_seconds=0.3, sizes=(0, 20_000))
_QUICK_PEERS = tuple(name for name in PEERS if name != ReplicatedPostgres.name)
_QUICK_KINDS = ("one", "64", "256", "batch", "lookup", "unary")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line; see --help."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split(":")[0])
    add = parser.add_argument
    add("--quick", action="store_true", help="a minute or two; goes to build/benchmarks")
    add("--peers", type=_words, help=f"of {', '.join(PEERS)} [all; --quick: one PostgreSQL]")
    add("--workloads", type=_words, help=f"of {', '.join(_KINDS)} [all]")
    add("--rounds", type=int, help="of each workload [5]")
    add("--seconds", type=float, help="of each round of each peer [5]")
    add("--processes", type=int, default=1, help="of callers, for each peer [1]")
    add("--preload", type=_numbers, help="names already there, in growth [0,1000000]")
    add("--growth-peers", type=_words, default=("namestore", "etcd"), help="[namestore,etcd]")
    add("--directory", type=Path, default=_DISK, help=f"where the data goes [{_DISK}]")
    add("--output", type=Path, help="where the report goes [docs]")
    add("--from-results", type=Path, help="write the report anew from an earlier benchmarks.json")
    return parser.parse_args(arguments)


def _words(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(sorted({int(word.replace("_", "")) for word in text.split(",")}))


def plan_of(options: argparse.Namespace) -> Plan:
    """What the command line asks for, the rest as --quick or the full run has it."""
    base = _QUICK if options.quick else Plan()
    return Plan(
        rounds=options.rounds or base.rounds,
        seconds=options.seconds or base.seconds,
        warm_seconds=base.warm_seconds,
        processes=options.processes,
        sizes=options.preload or base.sizes,
    )


def measure(options: argparse.Namespace, output: Path) -> Results:
    """The whole run. What is done so far is saved after each workload."""
    plan, kinds = plan_of(options), _kinds(options)
    able, skipped = choose(options.peers or (_QUICK_PEERS if options.quick else tuple(PEERS)))
    for name, needed in skipped.items():
        say(f"SKIPPED: {name} is not installed here. It needs: {needed}")
    if "unary" in kinds and not unary.available():
        say(f"SKIPPED: unary calls. They need: apt install {unary.PACKAGE}")
        skipped["h2load"] = f"apt install {unary.PACKAGE}"
    with Fleet(options.directory) as fleet:
        if machine.is_memory(fleet.path):
            raise BenchmarkError(f"{fleet.path} is memory: syncs cost nothing there (--directory)")
        results = Results(
            machine.describe(fleet.path),
            _options(plan),
            skipped=skipped,
            warnings=_warnings(options),
        )
        context = Context(plan, fleet, results)
        for name in able:
            _start(context, name)
        for kind in kinds:
            say(f"{kind}:")
            _run(context, kind, options)
            results.save(output / "benchmarks.json")
    return results


def _kinds(options: argparse.Namespace) -> tuple[str, ...]:
    kinds: tuple[str, ...] = options.workloads or (_QUICK_KINDS if options.quick else _KINDS)
    unknown = sorted(set(kinds) - set(_KINDS))
    if unknown:
        raise BenchmarkError(f"no workload {unknown[0]!r}; there are {', '.join(_KINDS)}")
    # Those that need the peers all running come first; the others run when these have ended.
    return tuple(kind for kind in _KINDS if kind in kinds)


def _warnings(options: argparse.Namespace) -> list[str]:
    quick = "A quick run: rounds are too few and too short for the figures to stand."
    return [text for text in (options.quick and quick, machine.busy()) if text]


def _options(plan: Plan) -> dict[str, str]:
    return {
        "rounds": f"{plan.rounds} of {plan.seconds:g} s, after {plan.warm_seconds:g} s of warm-up",
        "processes of callers": str(plan.processes),
        "names in a batch": str(plan.batch),
        "names there for look-ups": f"{plan.seen:,}; one look-up in two asks for one of them",
    }


def _start(context: Context, name: str) -> None:
    """Starts a peer, and lets it take part if it grants each name once."""
    kind, results = PEERS[name], context.results
    say(f"starting {name}")
    try:
        with failures_of_peers():
            peer = context.fleet.start(name)
            interruption.check()
            asyncio.run(verify(peer))
            asyncio.run(load_names(peer, context.plan.seen, context.plan.batch))
    except BenchmarkError as error:
        say(f"SKIPPED: {name}: {error}")
        results.skipped[name] = f"it did not start or did not do its job: {error}"
        context.fleet.drop(name)
        return
    facts = kind.facts
    results.peers[name] = PeerNote(
        facts.title, peer.version(), facts.durable, facts.client, facts.batch, facts.lookup
    )


def _run(context: Context, kind: str, options: argparse.Namespace) -> None:
    results = context.results
    if kind in _CALLS:
        if calls.IDLE not in results.workloads:
            results.workloads[calls.IDLE] = calls.IDLE_TITLE
            calls.run_idle(context)
        results.workloads[kind] = _CALLS[kind].title
        calls.run(context, _CALLS[kind])
    elif kind == "unary" and unary.available():
        results.workloads.update(unary.WORKLOADS)
        unary.run(context)
    elif kind == "outage":
        _end_all(context)
        results.workloads[outage.NAME] = outage.TITLE
        outage.run(context, list(results.peers))
    elif kind == "growth":
        _end_all(context)
        results.workloads.update(growth.titles(context.plan.sizes))
        growth.run(context, [name for name in options.growth_peers if name in results.peers])


def _end_all(context: Context) -> None:
    for name in list(context.fleet.running):
        context.fleet.drop(name)


def main() -> int:
    options = parse(sys.argv[1:])
    output = options.output or (_ROOT / "build" / "benchmarks" if options.quick else _ROOT / "docs")
    output.mkdir(parents=True, exist_ok=True)
    interruption.listen()
    try:
        if options.from_results:
            results = Results.load(options.from_results)
        else:
            results = measure(options, output)
    except BenchmarkError as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; what was started has been ended")
        interruption.leave()
    for path in publish(results, output):
        say(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
