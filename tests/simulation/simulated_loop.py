"""An asyncio event loop on simulated time: what it does, and when, is the world's.

Just enough of a loop for a node's server-side code. There is no thread and no selector: callbacks
run when the world says so, and what would run in a thread runs at a later moment. While its process
is paused nothing runs; when the process dies the loop dies with it, with everything that waits.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Any

from tests.simulation.world import World

# What a thread takes for a job; and a bound that only an endless chain of callbacks reaches.
_JOB_MAX_S = 0.02
_CALLBACKS_MAX = 100_000


class SimulatedLoop:
    """One thread of one process that runs an event loop.

    Args:
        clock: Of the process; its other threads may be ahead of the world.
        paused_until: When the process goes on; in the past: it runs.
        lag_max: Seconds until the thread gets to run once something woke it, at most.

    Attributes:
        failures: Exceptions that nobody caught.
        held: Seconds by which callbacks were late so far, all together.
    """

    def __init__(
        self,
        world: World,
        clock: Callable[[], float],
        paused_until: Callable[[], float],
        lag_max: float,
    ) -> None:
        # As asyncio sees it: a loop lacks what nobody here asks of it, such as sockets.
        self._loop: Any = self
        self._world, self._process_clock, self._lag_max = world, clock, lag_max
        self._paused_until = paused_until
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._made = 0
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._wake_at = float("inf")
        self._running = self._closed = False
        self.failures: list[BaseException] = []
        self.held = 0.0

    # -- running ----------------------------------------------------------------------------

    def _wake(self, when: float) -> None:
        """Has the loop turn no later than that."""
        if self._running or self._closed or when >= self._wake_at:
            return
        self._wake_at = when
        self._world.at(when, lambda: self._turn(when))

    def _turn(self, planned: float) -> None:
        if self._closed or planned != self._wake_at:
            return
        self._wake_at = float("inf")
        resumes = self._paused_until()
        if self._world.now < resumes:
            self.held += resumes - self._world.now
            # Which of the process's threads runs first is anybody's guess.
            self._wake(resumes + (self._lag() if self._world.rng.random() < 0.5 else 0.0))
            return
        self.run_ready()

    def run_ready(self) -> None:
        """Runs whatever can run now."""
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(self._loop)
        self._running = True
        try:
            for _ in range(_CALLBACKS_MAX):
                self._move_due_timers()
                if not self._ready:
                    break
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()
            else:
                raise RuntimeError("the callbacks of this loop never end")
        finally:
            self._running = False
            asyncio._set_running_loop(before)
        if self._timers and not self._closed:
            self._wake(self._timers[0][0] + self._lag())

    def _move_due_timers(self) -> None:
        now, timers = self._world.now, self._timers
        while timers and (timers[0][0] <= now or timers[0][2].cancelled()):
            when, _, timer = heapq.heappop(timers)
            if not timer.cancelled():
                self.held += now - when
                self._ready.append(timer)

    def _lag(self) -> float:
        return 0.0 if self._closed else self._lag_max * self._world.rng.random()

    def close(self) -> None:
        """The process died: nothing runs any more, but what its tasks do as they are ended."""
        self._closed = True
        self._ready.clear()
        self._timers.clear()
        for task in list(self._tasks):
            task.cancel()
        self.run_ready()
        self._ready.clear()
        self._timers.clear()

    def is_closed(self) -> bool:
        return self._closed

    def is_running(self) -> bool:
        return self._running

    # -- what asyncio asks of a loop --------------------------------------------------------

    def time(self) -> float:
        return self._world.now

    def call_soon(
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self._loop, context)
        self._ready.append(handle)
        self._wake(self._world.now)
        return handle

    def call_soon_threadsafe(
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Another thread wakes this one, at a moment of that other thread's clock."""
        if self._closed and not self._running:
            raise RuntimeError("the loop is closed")
        handle = asyncio.Handle(callback, args, self._loop, context)
        self._ready.append(handle)
        self._wake(self._process_clock() + self._lag())
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._world.now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self._loop, context)
        self._made += 1
        heapq.heappush(self._timers, (when, self._made, timer))
        self._wake(when)
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It is dropped when its time comes."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self._loop)

    def create_task(
        self, coro: Any, *, name: object = None, context: Context | None = None
    ) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=self._loop, name="simulated", context=context)
        self._tasks[task] = None
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)

    def run_in_executor(
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """A thread does it after a while, and wakes the loop when it is done."""
        future = self.create_future()

        def settle(result: Any, error: Exception | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        def work() -> None:
            if self._closed:
                return
            if self._world.now < self._paused_until():
                self._world.at(self._paused_until(), work)
                return
            result: Any = None
            failure: Exception | None = None
            try:
                result = func(*args)
            except Exception as error:  # noqa: BLE001  # as an executor does
                failure = error
            self.call_soon_threadsafe(settle, result, failure)

        self._world.after(_JOB_MAX_S * self._world.rng.random(), work)
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keeps what nobody caught; a task that died with its process is nothing to speak of."""
        error = context.get("exception")
        if isinstance(error, BaseException) and not self._closed:
            self.failures.append(error)

    def get_debug(self) -> bool:
        return False
