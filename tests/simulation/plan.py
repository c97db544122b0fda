"""What one run is made of: how large the cluster is, what is asked of it, how bad things get.

Swarm testing: a seed first draws a *scene*, a rough idea of what goes wrong (a leader cut off from
its followers only, messages that outlive elections, snapshots that never get through, power cuts),
then every number by itself, many of them "never". A plan is a value: it can be printed as the few
settings that differ from what its seed drew, so a shortened failure is replayed by one command.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

from namestore.raft.settings import Bounds

KINDS = (
    "kill",
    "kill_leader",
    "kill_all",
    "doom",
    "pause",
    "pause_leader",
    "cut",
    "flap",
    "isolate",
    "depose",
    "stall",
    "stall_answers",
    "transfer",
    "clock_jump",
    "disk_full",
    "comeback",
    "kill_voter",
)


@dataclass(frozen=True)
class LinkFaults:
    """How bad the links are. Probabilities per message; seconds.

    Attributes:
        slow_chance: A message takes up to `slow_max` longer.
        late_chance: A message arrives once more, up to `late_max` later.
        reorder: Messages of one direction may overtake each other.
        lame: One direction of one pair of nodes is slower by this much.
        notice_max: Until a node learns that its connection is broken.
    """

    delay_max: float = 0.005
    slow_chance: float = 0.0
    slow_max: float = 0.5
    loss: float = 0.0
    late_chance: float = 0.0
    late_max: float = 0.01
    reorder: bool = False
    lame: float = 0.0
    notice_max: float = 1.0


@dataclass(frozen=True)
class DiskFaults:
    """How bad the disks are. Seconds, and probabilities per operation."""

    sync_max: float = 0.003
    stall_chance: float = 0.0
    kill_chance: float = 0.0


@dataclass(frozen=True)
class Plan:
    """One run.

    Attributes:
        span: Seconds during which things go wrong.
        homes: Nodes that clients like to ask; client k likes the (k mod homes)-th.
        affinity: How often a client asks the node it likes, rather than any.
        registers: Share of the operations; the rest are look-ups.
        releases: As above.
        pause: Seconds between two operations of one client, at most.
        client_loss: Questions and answers lost between client and node.
        gives_up: How often "certainly not done" is taken for the answer.
        inbox: Messages a node hears in one turn, at most; 0: all.
        every: Kind of fault to the mean seconds between two; not in there: never.
    """

    seed: int
    scene: str = "mixed"
    size: int = 3
    span: float = 10.0
    clients: int = 3
    names: int = 3
    homes: int = 3
    affinity: float = 0.0
    registers: float = 0.5
    releases: float = 0.25
    pause: float = 0.2
    client_loss: float = 0.0
    gives_up: float = 0.0
    inbox: int = 0
    links: LinkFaults = field(default_factory=LinkFaults)
    disk: DiskFaults = field(default_factory=DiskFaults)
    bounds: Bounds = field(default_factory=Bounds)
    every: dict[str, float] = field(default_factory=dict)

    @staticmethod
    def draw(seed: int) -> Plan:
        """The plan of a seed."""
        from tests.simulation.scenes import draw  # scenes are made of plans

        return draw(seed)

    def changed(self, settings: dict[str, Any]) -> Plan:
        """With other values: `{"clients": 1, "links.loss": 0, "every.kill": None}`."""
        plan = self
        for path, value in settings.items():
            outer, _, inner = path.partition(".")
            if outer == "every":
                every = {k: v for k, v in plan.every.items() if k != inner}
                plan = replace(plan, every=every if value is None else {**every, inner: value})
            elif inner:
                plan = replace(plan, **{outer: replace(getattr(plan, outer), **{inner: value})})
            else:
                plan = replace(plan, **{outer: value})
        return plan

    def settings(self) -> dict[str, Any]:
        """Every number of the plan, by its path."""
        found: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if is_dataclass(value):
                found |= {f"{each.name}.{f.name}": getattr(value, f.name) for f in fields(value)}
            elif each.name == "every":
                found |= {f"every.{kind}": value.get(kind) for kind in KINDS}
            else:
                found[each.name] = value
        return found

    def arguments(self) -> str:
        """What the `replay` command needs to hear to make this plan again."""
        drawn = Plan.draw(self.seed).settings()
        changes = [(k, v) for k, v in self.settings().items() if drawn[k] != v]
        return " ".join([str(self.seed), *(f"--set {k}={json.dumps(v)}" for k, v in changes)])
