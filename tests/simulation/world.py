"""Simulated time: one clock, one queue of what is to happen, one source of randomness."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable

# A hundred times what a long run takes: whoever gets there goes round in circles.
_EVENTS_MAX = 5_000_000


class EndlessError(AssertionError):
    """More happened than can be right."""


class World:
    """Everything that happens, in order. Two runs from one seed are the same run.

    Attributes:
        now: Simulated seconds.
        began: When time began.
        rng: The only randomness there is.
        events: How many things have happened.
    """

    def __init__(self, seed: int) -> None:
        self.now = self.began = 1000.0
        self.rng = random.Random(seed)
        self.events = 0
        self.trace: Callable[[str], None] | None = None
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._sequence = 0

    def at(self, when: float, what: Callable[[], None]) -> None:
        """Lets something happen at a moment, after everything planned for that moment before."""
        self._sequence += 1
        heapq.heappush(self._queue, (max(when, self.now), self._sequence, what))

    def after(self, delay: float, what: Callable[[], None]) -> None:
        """Lets something happen after a delay in seconds."""
        self._sequence += 1
        heapq.heappush(self._queue, (self.now + delay, self._sequence, what))

    def run(self, until: float, done: Callable[[], bool] | None = None) -> None:
        """Lets time pass until that moment, or until `done`.

        Raises:
            EndlessError: So much happens that it looks as if it never ended.
        """
        queue, pop = self._queue, heapq.heappop
        while queue and queue[0][0] <= until:
            if done is not None and done():
                return
            self.now, _, what = pop(queue)
            self.events += 1
            if self.events > _EVENTS_MAX:
                raise EndlessError(f"more than {_EVENTS_MAX} events by {self.now - self.began} s")
            what()
        if done is None or not done():
            self.now = max(self.now, until)

    def chance(self, probability: float) -> bool:
        """True that often."""
        return probability > 0 and self.rng.random() < probability

    def say(self, text: str) -> None:
        """Writes a line of the trace, when one is wanted."""
        if self.trace is not None:
            self.trace(f"{self.now - self.began:10.4f}  {text}")
