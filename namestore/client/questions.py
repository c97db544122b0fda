"""One question under way is enough: callers who ask an endpoint the same join those who asked it.

For questions without content, such as a node's status: before a first call, and after a failure,
each of thousands of callers wants to know whether a node is there. Any thread may use it.

Invariant: a caller is answered once, by its own deadline: it joins only what ends before that.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message

from namestore.client.methods import Method
from namestore.client.network import Done, Failure, Network, NoAnswer
from namestore.errors import ClientMisuse


@dataclass(slots=True, eq=False)
class _Question:
    """What is under way, until when at most, and who waits for it."""

    deadline: float
    waiting: dict[object, Done] = field(default_factory=dict)


class Questions:
    """What is asked of each endpoint just now.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, network: Network, clock: Callable[[], float]) -> None:
        self._network = network
        self._clock = clock
        self._lock = threading.Lock()
        self._under_way: dict[tuple[str, str], _Question] = {}

    def ask(
        self,
        endpoint: str,
        method: Method[Any, Any],
        request: Message,
        timeout: float,
        done: Done,
    ) -> Callable[[], None]:
        """As `Network.submit`; `request` must be empty."""
        place, token = (endpoint, method.path), object()
        deadline = self._clock() + timeout
        with self._lock:
            question = self._under_way.get(place)
            joined = question is not None and question.deadline <= deadline
            if question is None or not joined:
                question = self._under_way[place] = _Question(deadline)
            question.waiting[token] = done
        if not joined:
            self._send(place, question, method, request, timeout)

        def leave() -> None:
            with self._lock:
                question.waiting.pop(token, None)

        return leave

    def _send(
        self,
        place: tuple[str, str],
        question: _Question,
        method: Method[Any, Any],
        request: Message,
        timeout: float,
    ) -> None:
        def answered(answer: Message | Failure) -> None:
            for done in self._end(place, question):
                done(_own(answer))

        try:
            self._network.submit(place[0], method, request, timeout, answered)
        except ClientMisuse as error:  # closed: everybody who waits is told
            answered(error)

    def _end(self, place: tuple[str, str], question: _Question) -> list[Done]:
        with self._lock:
            if self._under_way.get(place) is question:
                del self._under_way[place]
            waiting = list(question.waiting.values())
            question.waiting.clear()
        return waiting


def _own(answer: Message | Failure) -> Message | Failure:
    """A failure is raised by each who hears it, and must be each one's own."""
    if isinstance(answer, NoAnswer):
        return NoAnswer(answer.endpoint, answer.silence, answer.detail)
    return answer if isinstance(answer, Message) else copy.copy(answer)
