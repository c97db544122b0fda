"""Plots of a run, as SVG: the same bytes for the same results."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.samples import P50, P99, RATE, Results
from benchmarks.tables import OURS, figure_of, workloads_with

_COLOURS = ("#0b6e4f", "#4c78a8", "#9d755d", "#72b7b2", "#b279a2", "#e45756", "#999999")
_PLOTS = (
    (RATE, "benchmarks-names.svg", "names a second (more is better)"),
    (P50, "benchmarks-p50.svg", "median latency in milliseconds (less is better)"),
    (P99, "benchmarks-p99.svg", "99th percentile of latency in milliseconds (less is better)"),
)


def draw(results: Results, directory: Path) -> list[tuple[str, Path]]:
    """Draws a plot for each figure; title and file of each. None: matplotlib is not installed."""
    try:
        matplotlib: Any = importlib.import_module("matplotlib")
    except ModuleNotFoundError:
        return []
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "namestore", "font.size": 9})
    directory.mkdir(parents=True, exist_ok=True)
    drawn = []
    for figure, name, title in _PLOTS:
        workloads = [each for each in workloads_with(results, figure) if "unary" not in each]
        if workloads:
            _bars(results, workloads, figure, title, directory / name)
            drawn.append((title, directory / name))
    return drawn


def _bars(
    results: Results, workloads: Sequence[str], figure: str, title: str, target: Path
) -> None:
    """Groups of bars, one group for each workload, with the spread of the rounds on each bar."""
    pyplot: Any = importlib.import_module("matplotlib.pyplot")
    peers = sorted(results.peers, key=lambda name: name != OURS)
    picture, axes = pyplot.subplots(figsize=(10, 4.2), layout="constrained")
    width = 0.8 / max(len(peers), 1)
    for index, peer in enumerate(peers):
        places, medians, below, above = [], [], [], []
        for group, workload in enumerate(workloads):
            found = figure_of(results, workload, peer, figure)
            if found is None:
                continue
            places.append(group + (index - (len(peers) - 1) / 2) * width)
            medians.append(found.median)
            below.append(found.median - found.low)
            above.append(found.high - found.median)
        axes.bar(
            places,
            medians,
            width,
            yerr=[below, above],
            label=peer,
            color=_COLOURS[index % len(_COLOURS)],
            error_kw={"elinewidth": 0.8},
        )
    axes.set_yscale("log")
    axes.set_xticks(range(len(workloads)), workloads)
    axes.set_title(title)
    axes.grid(axis="y", linewidth=0.3)
    axes.set_axisbelow(True)
    axes.legend(ncols=len(peers), fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.08))
    picture.savefig(target, format="svg", metadata={"Date": None})
    pyplot.close(picture)
