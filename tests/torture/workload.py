"""What callers ask for, whatever they ask with.

Responsible for the mix of calls and for their names. Not for how a call is made (`official`,
`raw`). Names come in waves, so that many callers want the same few at a time and each name's
history stays short enough to be searched; some calls go back to the names of earlier waves.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from tests.torture.judging import BATCH_OWNER

Sleep = Callable[[float], Awaitable[None]]

WAVE_SECONDS = 8.0
_NAMES_IN_WAVE = 24
_BATCH_NAMES = 9
_OLD_NAMES = 0.12  # the share of calls that go back
_LOOK_AGAIN = 0.5  # the share of changes after which their caller looks


class Caller(Protocol):
    """One caller and its way of asking; every call is recorded. Called by one task."""

    name: str

    async def register(self, name: str) -> bool:
        """Asks for a name; True: granted."""

    async def release(self, name: str) -> None:
        """Asks to give back a name, granted to it or not."""

    async def lookup(self, name: str) -> None:
        """Asks who has a name now."""

    async def lookup_stale(self, name: str) -> None:
        """Asks one node who had it, when that node last heard."""

    async def register_each(self, names: Sequence[str]) -> list[str]:
        """Asks for several names, each for itself; gives the granted ones."""

    async def register_all(self, names: Sequence[str], owner: str) -> None:
        """Asks for several names, all or nothing."""


@dataclass(frozen=True)
class Names:
    """The names of the moment.

    Attributes:
        began: The start of the run, on the monotonic clock that all processes share.
    """

    began: float
    random: Random

    def one(self, kind: str = "w", count: int = _NAMES_IN_WAVE) -> str:
        """A name of this wave, at times of an earlier one."""
        wave = int((time.monotonic() - self.began) / WAVE_SECONDS)
        if self.random.random() < _OLD_NAMES:
            wave = self.random.randint(0, wave)
        return f"user:{kind}{wave}-{self.random.randrange(count)}"

    def several(self) -> list[str]:
        """A few different names."""
        return sorted({self.one() for _ in range(self.random.randint(2, 6))})

    def batch(self) -> list[str]:
        """A few different names that only batches ask for."""
        return sorted({self.one("b", _BATCH_NAMES) for _ in range(4)})


async def work(
    caller: Caller, names: Names, stop: threading.Event, pause: float, sleep: Sleep
) -> None:
    """Asks until told to stop, with pauses of that many seconds on average."""
    random, mine, batches = names.random, list[str](), 0
    while not stop.is_set():
        await sleep(random.expovariate(1 / pause))
        choice = random.random()
        if choice < 0.40:
            name = names.one()
            if await caller.register(name):
                mine.append(name)
                await _look_again(caller, name, random)
        elif choice < 0.51:
            await caller.lookup(names.one())
        elif choice < 0.60:
            await caller.lookup_stale(names.one())
        elif choice < 0.66:
            mine += await caller.register_each(names.several())
        elif choice < 0.72:
            batches += 1
            await caller.register_all(names.batch(), f"{BATCH_OWNER}{caller.name}/{batches}")
        elif choice < 0.77:
            # Mostly somebody else's: it must be refused, and is refused to nobody who holds it.
            await caller.release(names.one())
        else:
            await _give_back(caller, mine, random)


async def _give_back(caller: Caller, mine: list[str], random: Random) -> None:
    """One of its names; some are kept for good: they must be there at the end."""
    if not mine:
        return
    name = mine.pop(random.randrange(len(mine)))
    if random.random() < 0.85:
        await caller.release(name)
        await _look_again(caller, name, random)


async def _look_again(caller: Caller, name: str, random: Random) -> None:
    """At once, wherever the look-up goes: a node that answers from the past is caught so."""
    if random.random() < _LOOK_AGAIN:
        await caller.lookup(name)
