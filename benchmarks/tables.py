"""Markdown tables of a run's figures. Pure: results in, lines out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.samples import CLIENT_CPU, FAILED, P50, P99, RATE, SERVER_CPU, Results
from benchmarks.spreads import Spread, ratio, spread

OURS = "namestore"
NOTHING = ""
_COLUMNS = {
    RATE: "names/s",
    P50: "p50 in ms",
    P99: "p99 in ms",
    SERVER_CPU: "servers' CPU in µs a name",
    CLIENT_CPU: "callers' CPU in µs a name",
    FAILED: "calls that failed in %",
}


def number(value: float) -> str:
    """Three digits that count, and thousands apart."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.2g}" if value < 1 else f"{value:.3g}"


def show(found: Spread | None) -> str:
    """The median, and the lowest and highest of several rounds."""
    if found is None:
        return NOTHING
    if found.rounds == 1:
        return number(found.median)
    return f"{number(found.median)} ({number(found.low)} to {number(found.high)})"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The first column to the left, the others to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def figure_of(results: Results, workload: str, peer: str, figure: str) -> Spread | None:
    """One cell over its rounds; None: there is no such figure."""
    values = list(results.by_round(workload, peer, figure).values())
    return spread(values) if values else None


def ratio_of(results: Results, workload: str, peer: str, figure: str) -> Spread | None:
    """Ours over theirs, round by round."""
    ours, theirs = (results.by_round(workload, name, figure) for name in (OURS, peer))
    return ratio(ours, theirs)


def peers_in(results: Results, workload: str) -> list[str]:
    """Those that have any figure there, in the order of the report."""
    seen = {sample.peer for sample in results.samples if sample.workload == workload}
    listed = [name for name in results.peers if name in seen]
    return [*listed, *sorted(seen - set(listed))]


def workloads_with(results: Results, figure: str) -> list[str]:
    """Of those that ran side by side, in the order of the report."""
    found = {sample.workload for sample in results.samples if figure in sample.values}
    return [name for name in results.workloads if name in found and "@" not in name]


def ratio_table(results: Results, figure: str) -> list[str]:
    """Workloads down, other peers across: namestore's figure over theirs."""
    workloads = workloads_with(results, figure)
    peers = {peer for name in workloads for peer in peers_in(results, name)} - {OURS}
    across = [name for name in results.peers if name in peers]
    across += sorted(peers - set(across))
    rows = [
        [results.workloads[name], *(show(ratio_of(results, name, peer, figure)) for peer in across)]
        for name in workloads
    ]
    return table(["namestore over", *across], rows)


def workload_table(results: Results, workload: str) -> list[str]:
    """Peers down, figures across."""
    peers = peers_in(results, workload)
    figures = {
        figure
        for sample in results.samples
        if sample.workload == workload
        for figure in sample.values
    }
    across = [figure for figure in _COLUMNS if figure in figures]
    across += sorted(figures - set(across))
    rows = []
    for peer in peers:
        cells = [show(figure_of(results, workload, peer, figure)) for figure in across]
        rows.append([peer, *cells])
    heads = [_COLUMNS.get(figure, figure.replace("_", " ")) for figure in across]
    return table(["", *heads], rows)


def losses(results: Results) -> list[str]:
    """Workload by workload and peer by peer, every median by which namestore is behind."""
    lines = []
    for workload in workloads_with(results, RATE):
        for peer in peers_in(results, workload):
            behind = [] if peer == OURS else _behind(results, workload, peer)
            if behind:
                lines.append(f"{results.workloads[workload]}, {peer}: {'; '.join(behind)}")
    return lines


def _behind(results: Results, workload: str, peer: str) -> list[str]:
    found = []
    for figure, name in _COLUMNS.items():
        ours = ratio_of(results, workload, peer, figure)
        if ours is not None and (ours.median < 1 if figure == RATE else ours.median > 1):
            found.append(f"{name} {show(ours)}")
    return found
