"""The page of a run, as Markdown. Pure: results in, text out.

Ratios come first, since they were taken side by side; where namestore is behind stands right after
them. Invariant: every figure of the page is one of the run's samples, or made of them here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.samples import (
    CLIENT_CPU,
    DISK,
    LOADING,
    MEMORY,
    OUTAGE,
    P50,
    P99,
    RATE,
    SERVER_CPU,
    Results,
)
from benchmarks.tables import (
    NOTHING,
    OURS,
    figure_of,
    losses,
    number,
    peers_in,
    ratio_of,
    ratio_table,
    show,
    table,
    workload_table,
    workloads_with,
)

_INTRODUCTION = """\
# Benchmarks

Written by `make bench`, which starts every system itself, on one machine and with data of its own,
and calls each through the client library that a Python application would use. All systems run at
the same time and are called in turn, round after round, each round beginning with another one: what
disturbs the machine disturbs all of them. Cells are medians, with the lowest and the highest round
in brackets; ratios are taken within a round.

Every system acknowledges a name only after it is synced to the disks of a majority of its nodes,
unless the table of systems says otherwise. Nodes and callers share one processor: a node on a
machine of its own does more, and ratios may be others there. Before anything is timed, each
system has shown that it grants a name once and refuses it from then on, also in batches.
"""

_RUNNING = """\
## Running it

    make bench                       # three quarters of an hour; writes this page
    make bench ARGS=--quick          # two minutes; writes to build/benchmarks
    make bench ARGS="--workloads growth --preload 0,1000000,10000000 --output build/benchmarks"

It installs nothing but Python packages in its own environment; what is missing is named and left
out. On Debian all of it comes with

    apt install etcd-server etcd-client zookeeper default-jre-headless libslf4j-java \\
        postgresql-15 redis-server nghttp2-client

The services that these packages start are not used, and should be stopped while it runs. Data goes
below `/var/tmp` unless `--directory` says otherwise. `python -m benchmarks --help` has the rest;
`python -m benchmarks.etcd_million` is to etcd what `benchmarks/ten_million.py` is to namestore.
"""


def page(results: Results, images: Sequence[tuple[str, str]]) -> str:
    """The whole page.

    Args:
        results: Of the run.
        images: Title and path, relative to the page, of each plot.
    """
    sections = [
        _introduction(results),
        _ratios(results, images),
        _behind(results),
        _outage(results),
        _growth(results),
        _absolute(results),
        _systems(results),
        _failures(results),
        [_RUNNING.rstrip()],
    ]
    return "\n".join("\n".join(lines) + "\n" for lines in sections if lines)


def _introduction(results: Results) -> list[str]:
    rows = [[topic, text] for topic, text in (*results.machine.items(), *results.options.items())]
    lines = [_INTRODUCTION, *(f"**{warning}**\n" for warning in results.warnings)]
    return [*lines, "| | |", "|---|---|", *(f"| {topic} | {text} |" for topic, text in rows)]


def _ratios(results: Results, images: Sequence[tuple[str, str]]) -> list[str]:
    if not workloads_with(results, RATE):
        return []
    lines = [
        "## Ratios",
        "",
        "Names a second, namestore over the others: above 1, namestore does more.",
        "",
    ]
    lines += ratio_table(results, RATE)
    for figure, what in ((P50, "Median latency"), (P99, "99th percentile of latency")):
        lines += ["", f"{what}, the same way: below 1, namestore answers sooner.", ""]
        lines += ratio_table(results, figure)
    lines += ["", "Processor time for each name, the same way: below 1, namestore uses less.", ""]
    for figure, whose in ((SERVER_CPU, "All servers together:"), (CLIENT_CPU, "The callers:")):
        lines += ["", whose, "", *ratio_table(results, figure)]
    for title, path in images:
        lines += ["", f"![{title}]({path})"]
    return lines


def _behind(results: Results) -> list[str]:
    found = losses(results)
    if not found:
        return []
    head = "Workload, other system: namestore's figure over that system's, where that is a loss."
    return ["## Where namestore is behind", "", head, "", *(f"- {line}" for line in found)]


def _outage(results: Results) -> list[str]:
    workloads = workloads_with(results, OUTAGE)
    if not workloads:
        return []
    lines = ["## When the leader is killed", ""]
    for name in workloads:
        peers = peers_in(results, name)
        rows = [
            [
                peer,
                show(figure_of(results, name, peer, OUTAGE)),
                NOTHING if peer == OURS else show(ratio_of(results, name, peer, OUTAGE)),
            ]
            for peer in peers
        ]
        lines += [f"In {results.workloads[name]}, election timeouts equal.", ""]
        lines += table(["", "seconds", "namestore over it"], rows)
    return lines


def _growth(results: Results) -> list[str]:
    costs = [name for name in results.workloads if name.startswith("cost@")]
    sized = [name for name in results.workloads if "@" in name and name not in costs]
    if not sized:
        return []
    lines = ["## Names already there", ""]
    for name in costs:
        lines += [f"{_capital(results.workloads[name])}.", "", *_cost_table(results, name), ""]
    peers = list(dict.fromkeys(peer for name in sized for peer in peers_in(results, name)))
    rows = [
        [results.workloads[name], *(_sized_cell(results, name, peer) for peer in peers)]
        for name in sized
    ]
    lines += ["Names a second, and in brackets how much of that without names there is left.", ""]
    return lines + table(["", *peers], rows)


def _cost_table(results: Results, name: str) -> list[str]:
    figures = {
        MEMORY: "memory, bytes a name and node",
        DISK: "disk, bytes a name and node",
        SERVER_CPU: "servers' CPU to load it, µs a name",
        LOADING: "loaded, names/s",
    }
    peers = peers_in(results, name)
    rows = [[p, *(show(figure_of(results, name, p, figure)) for figure in figures)] for p in peers]
    rows += [
        [f"namestore over {p}", *(show(ratio_of(results, name, p, figure)) for figure in figures)]
        for p in peers
        if p != OURS
    ]
    return table(["", *figures.values()], rows)


def _sized_cell(results: Results, name: str, peer: str) -> str:
    kind, _, _ = name.partition("@")
    here, empty = (figure_of(results, each, peer, RATE) for each in (name, f"{kind}@0"))
    if here is None:
        return NOTHING
    left = f" [{number(here.median / empty.median)}]" if empty is not None else ""
    return show(here) + left


def _absolute(results: Results) -> list[str]:
    names = [name for name in results.workloads if "@" not in name and name != "outage"]
    lines = ["## Every figure"] if names else []
    for name in names:
        title = _capital(results.workloads[name])
        lines += ["", f"### {title}", "", *workload_table(results, name)]
    return lines


def _systems(results: Results) -> list[str]:
    rows: Iterable[Sequence[str]] = (
        [name, f"{note.title}, {note.version}", note.durable, note.client, note.batch, note.lookup]
        for name, note in results.peers.items()
    )
    heads = ["", "system", "acknowledges", "client", "batches", "look-ups"]
    lines = ["## Systems", "", f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    lines += ["", *(f"- {name} was left out: {why}" for name, why in results.skipped.items())]
    return lines if results.skipped else lines[:-1]


def _failures(results: Results) -> list[str]:
    failed = [sample for sample in results.samples if sample.error]
    if not failed:
        return []
    lines = ["## Rounds without a figure", ""]
    for sample in failed:
        title = results.workloads.get(sample.workload, sample.workload)
        lines.append(f"- {title}, {sample.peer}, round {sample.round + 1}: {sample.error}")
    return lines


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
