"""Figures out of figures: percentiles, medians with their spread, ratios of what was side by side.

Pure. Invariant: a ratio is only ever taken between two figures of the same round, so that what
disturbs the whole machine for a while disturbs both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of several rounds, and how far they lie apart. low <= median <= high."""

    median: float
    low: float
    high: float
    rounds: int


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of the values that at least so many percent of them do not exceed.

    Args:
        values: At least one, in any order.
        percent: 0 < percent <= 100.
    """
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1]


def spread(values: Sequence[float]) -> Spread:
    """Of at least one value. The median of an even number lies between the middle two."""
    ordered, middle = sorted(values), len(values) // 2
    median = ordered[middle]
    if len(ordered) % 2 == 0:
        median = (ordered[middle - 1] + ordered[middle]) / 2
    return Spread(median, ordered[0], ordered[-1], len(ordered))


def ratio(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Spread | None:
    """Ours over theirs, round by round; None: there is no round in which both have a figure.

    Args:
        ours: By round.
        theirs: By round; what is zero there counts as no figure.
    """
    both = [each for each in ours if theirs.get(each)]
    return spread([ours[each] / theirs[each] for each in both]) if both else None
