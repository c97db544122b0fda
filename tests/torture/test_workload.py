"""What callers of a run ask for."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Sequence
from random import Random

from tests.torture.workload import Names, work

CALLS = 2_000


class EveryThird:
    """A caller that is granted every third name it asks for, and ends after some calls."""

    name = "caller"

    def __init__(self, stop: threading.Event) -> None:
        self.asked: Counter[str] = Counter()
        self.mine: list[str] = []
        self._stop = stop

    def _count(self, what: str) -> int:
        self.asked[what] += 1
        if self.asked.total() >= CALLS:
            self._stop.set()
        return self.asked[what]

    async def register(self, name: str) -> bool:
        granted = self._count("register") % 3 == 0
        self.mine += [name] * granted
        return granted

    async def release(self, name: str) -> None:
        self._count("release of its own" if name in self.mine else "release of another's")
        if name in self.mine:
            self.mine.remove(name)

    async def lookup(self, name: str) -> None:
        self._count("lookup")

    async def lookup_stale(self, name: str) -> None:
        self._count("stale")

    async def register_each(self, names: Sequence[str]) -> list[str]:
        self._count("each")
        return []

    async def register_all(self, names: Sequence[str], owner: str) -> None:
        self._count("all")


def test_callers_ask_for_everything_and_keep_something() -> None:
    """Names of others are asked back as well, which must be refused; some are never given back."""
    stop = threading.Event()
    caller = EveryThird(stop)

    async def no_pause(seconds: float) -> None:
        assert seconds >= 0

    asyncio.run(work(caller, Names(time.monotonic(), Random(1)), stop, 0.01, no_pause))
    assert set(caller.asked) == {
        "register", "lookup", "stale", "each", "all", "release of its own", "release of another's"
    }  # fmt: skip
    assert caller.asked["release of another's"] > CALLS / 50
    assert caller.mine
