"""A stream of sign-ups for the demonstration: callers that ask without pause, and what they heard.

Not responsible for judging it. Invariant: a caller asks again only as the same request, so that
what it records as granted is what it would tell its user.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from namestore import NameStore
from namestore.errors import OutcomeUnknown, Unavailable


@dataclass
class Stream:
    """Callers that sign users up until they are told to stop.

    Attributes:
        callers: How many; each two of them want the same names.
        call_seconds: How long a call may take before its caller asks again.
        granted: Owner by name, of every name that was acknowledged.
        granted_twice: Names that two callers were granted.
        repeated: Calls whose outcome was unknown or that were not done, and asked again.
    """

    endpoints: str
    callers: int
    call_seconds: float
    granted: dict[str, str] = field(default_factory=dict)
    granted_twice: list[str] = field(default_factory=list)
    repeated: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopping: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Within, the callers are at work; afterwards, all of them were answered."""
        failures: list[BaseException] = []

        def work() -> None:
            try:
                in_threads(self._sign_up, self.callers)
            except BaseException as error:  # noqa: BLE001  # raised below, in the main thread
                failures.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            thread.join(2 * self.call_seconds)
        if thread.is_alive():
            raise TimeoutError("a caller still waits for its answer")
        if failures:
            raise failures[0]

    def _sign_up(self, number: int) -> None:
        # Callers 0 and 1 want the same names, as do 2 and 3, and so on.
        with NameStore(self.endpoints, timeout=self.call_seconds) as names:
            count = 0
            while not self._stopping.is_set():
                count += 1
                self._ask(names, f"user:stream{number // 2}-{count}", f"caller-{number}")

    def _ask(self, names: NameStore, name: str, owner: str) -> None:
        """Asks until there is an answer, always as the same request."""
        request_id = secrets.token_bytes(16)
        while True:
            try:
                result = names.register(name, owner=owner, request_id=request_id)
                break
            except (OutcomeUnknown, Unavailable):
                with self._lock:
                    self.repeated += 1
        if result:
            with self._lock:
                if name in self.granted:
                    self.granted_twice.append(name)
                self.granted[name] = owner


def in_threads(work: Callable[[int], None], count: int) -> None:
    """Runs `work(0)`, `work(1)`, … at the same time, and raises what any of them raised."""
    raised: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001  # raised below, in the caller's thread
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=(n,), daemon=True) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]
