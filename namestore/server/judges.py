"""The judges of policies: made in threads, kept, and at hand where names are judged.

Making one takes milliseconds, and the first in a process loads the tables of Unicode, which takes a
tenth of a second: nobody else's call waits for that. Not responsible for which policies there are.

Invariant: a judge that `at_hand` gives judges at once, whatever the label.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from namestore.core.namespaces import read_policy
from namestore.policy import Judge

T = TypeVar("T")

# More than one request can need: it has 1000 names, and a namespace has two policies at most.
_KEPT_MAX = 4096
# What loads all that a judge may come to need, whichever its profile is; it may refuse them.
_PROBES = ("\u00e9", "\u00e9@ex\u00e4mple.org")

# By the encoded policy, the oldest first. Any thread: each step on it is one of the interpreter's.
_kept: dict[bytes, Judge] = {}


class NotAtHand(Exception):
    """Judges are to be made first; nothing was done yet. Never leaves the server package."""

    def __init__(self, policies: Iterable[bytes]) -> None:
        super().__init__("judges are to be made")
        self._policies = tuple(policies)

    def make(self) -> None:
        """Makes them. In a thread."""
        for policy in self._policies:
            judge_of(policy)


def at_hand(policy: bytes) -> Judge:
    """The judge of an encoded policy.

    Raises:
        NotAtHand: It was not made yet.
    """
    judge = _kept.get(policy)
    if judge is None:
        raise NotAtHand((policy,))
    return judge


def judge_of(policy: bytes) -> Judge:
    """The same, made if need be. Not on an event loop.

    Raises:
        InvalidRequest: It is no policy after all.
    """
    judge = _kept.get(policy)
    if judge is None:
        judge = Judge(read_policy(policy))
        for label in _PROBES:
            judge.judge(label)
        for oldest in list(_kept)[: max(0, len(_kept) + 1 - _KEPT_MAX)]:
            _kept.pop(oldest, None)
        _kept[policy] = judge
    return judge


async def with_judges(work: Callable[[], Awaitable[T]]) -> T:
    """What `work` gives, begun again each time that it had to stop for a judge that was not made.

    Args:
        work: Raises `NotAtHand` before it does anything.
    """
    while True:
        try:
            return await work()
        except NotAtHand as missing:
            await asyncio.to_thread(missing.make)
