"""Who breaks what, and when: drawn from the seed, one episode after the other.

Responsible for the order of things. How a fault works is `faults`'. Each round holds every fault
that the ground allows, in an order of its own, so that a run of some length has seen them all.
Invariant: an episode follows from seed and number alone, whatever became of those before; what the
nodes make of it, and when, does not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from random import Random

from tests.torture.faults import FAULTS, Fault
from tests.torture.grounds import Ground
from tests.torture.stage import Stage

_SECOND_FAULT = 0.4
_PATIENCE = 0.7  # the share of episodes after which everything is waited for
_CALM_SECONDS = (0.3, 2.5)
_HOLD_SECONDS = (0.8, 7.0)


@dataclass(frozen=True)
class Episode:
    """What is broken together.

    Attributes:
        faults: In the order in which they begin; those that take their own time come last.
        calm: Seconds before it.
        hold: Seconds until all of it is mended.
        patient: All nodes must serve again before the next one.
    """

    number: int
    faults: tuple[Fault, ...]
    calm: float
    hold: float
    patient: bool


def episodes(seed: int, ground: Ground) -> Iterator[Episode]:
    """Without end."""
    possible = [fault for fault in FAULTS if fault.possible(ground)]
    number = 0
    while True:
        order = [fault for fault in possible for _ in range(fault.weight)]
        Random(f"{seed}/round/{number}").shuffle(order)
        for fault in order:
            yield _draw(seed, number, fault, possible)
            number += 1


def _draw(seed: int, number: int, fault: Fault, possible: Sequence[Fault]) -> Episode:
    random = Random(f"{seed}/episode/{number}")
    faults = [fault]
    others = [each for each in possible if each.group != fault.group and not each.alone]
    if not fault.alone and random.random() < _SECOND_FAULT:
        faults.append(random.choice(others))
    return Episode(
        number=number,
        faults=tuple(sorted(faults, key=lambda each: each.held)),
        calm=random.uniform(*_CALM_SECONDS),
        hold=random.uniform(*_HOLD_SECONDS),
        patient=random.random() < _PATIENCE,
    )


class Nemesis:
    """Plays episodes on a stage. In the main thread."""

    def __init__(self, stage: Stage, seed: int, check: Callable[[], None]) -> None:
        self._stage = stage
        self._seed = seed
        self._check = check

    def run(self, until: float) -> int:
        """Until that moment on the monotonic clock, the last episode whole; gives their number.

        Raises:
            Violation: A node ended by itself, or nodes do not serve though nothing is broken.
        """
        played = 0
        for episode in episodes(self._seed, self._stage.ground):
            if time.monotonic() + episode.calm >= until:
                break
            time.sleep(episode.calm)
            self.play(episode)
            played += 1
        self._stage.wait_until_serving()
        self._check()
        return played

    def play(self, episode: Episode) -> None:
        """One episode."""
        random = Random(f"{self._seed}/play/{episode.number}")
        if any(fault.alone for fault in episode.faults):
            self._stage.wait_until_serving()
        with ExitStack() as broken:
            for fault in episode.faults:
                self._stage.diary.fault(fault.kind)
                broken.enter_context(fault.act(self._stage, random))
            if not all(fault.held for fault in episode.faults):
                time.sleep(episode.hold)
            self._check()
        if episode.patient:
            self._stage.wait_until_serving()
        self._check()
