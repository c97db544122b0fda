"""Callers through each peer's Python client, side by side: all peers run, called in turn."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial

from benchmarks.generating import generate
from benchmarks.load import Task
from benchmarks.peers.interface import Peer, renew
from benchmarks.processes import cpu_seconds
from benchmarks.workloads.context import Context, in_turn, say


@dataclass(frozen=True, slots=True)
class Calls:
    """One workload. `batched`: each call is for a whole batch of names."""

    name: str
    title: str
    kind: str
    callers: int
    batched: bool = False

    def task(self, peer: Peer, *, seconds: float, batch: int, prefix: str, seen: int = 0) -> Task:
        """It, for a peer that runs; the arguments are as in `Task`."""
        return Task(
            peer=peer.name,
            address=peer.address(),
            kind=self.kind,
            callers=self.callers,
            batch=batch if self.batched else 1,
            seconds=seconds,
            prefix=prefix,
            seen=seen,
        )


WORKLOADS = (
    Calls("one", "one caller registers", "register", 1),
    Calls("64", "64 callers register", "register", 64),
    Calls("256", "256 callers register", "register", 256),
    Calls("batch", "8 callers register batches, each name for itself", "each", 8, batched=True),
    Calls("batch-all", "8 callers register batches, all or none", "all", 8, batched=True),
    Calls("lookup", "256 callers look up, linearizable", "lookup", 256),
    Calls("mix", "256 callers: 90 % look-ups, 10 % registrations", "mix", 256),
)
IDLE, IDLE_CPU = "idle", "server_cpu_percent_of_a_core"
IDLE_TITLE = "nobody calls"
_IDLE_SECONDS = 3.0


def run(context: Context, workload: Calls) -> None:
    """All rounds of one workload."""
    plan = context.plan
    renew(context.fleet.running.values())
    for number in range(plan.rounds):
        for name in in_turn(list(context.fleet.running), number):
            peer = context.fleet.running[name]
            task = workload.task(
                peer,
                seconds=plan.seconds,
                batch=plan.batch,
                prefix=f"{workload.name}/{number}",
                seen=plan.seen,
            )
            context.take(
                workload.name,
                name,
                number,
                partial(generate, peer, task, plan.processes, plan.warm_seconds),
            )


def run_idle(context: Context) -> None:
    """What each peer uses while nobody calls: that much of the machine is not for the others."""
    before = {name: _used(context, name) for name in context.fleet.running}
    say(f"nobody calls, for {_IDLE_SECONDS:g} s")
    time.sleep(_IDLE_SECONDS)
    for name, seconds in before.items():
        used = (_used(context, name) - seconds) / _IDLE_SECONDS * 100
        context.take(IDLE, name, 0, partial(dict, {IDLE_CPU: used}))


def _used(context: Context, name: str) -> float:
    pids = context.fleet.running[name].pids().values()
    return cpu_seconds([pid for each in pids for pid in each])
