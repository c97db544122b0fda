"""What one run is made of: how large the cluster is, what is asked of it, how bad things get.

Swarm testing: a seed first gets a *scene*, a rough idea of what goes wrong (a leader cut off from
its followers only, messages that outlive elections, snapshots that never get through, power cuts),
then draws every number by itself, many of them "never". A plan is a value: it can be printed as the
few settings that differ from what its seed drew, so a shortened failure is replayed by one command.
"""

from __future__ import annotations

import json
import shlex
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
# Changes of who belongs to the cluster, and of what is on its disks.
CHANGES = ("grow", "shrink", "replace", "move", "meddle")
DAMAGES = ("rot", "rot_arrival", "empty")
ENDS = ("drain",)
ALL = (*KINDS, *CHANGES, *DAMAGES, *ENDS)


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
class LineFaults:
    """How bad things are between callers and nodes. Probabilities per request; seconds.

    Attributes:
        slow_chance: A request or an answer takes up to `slow_max` longer.
        late_chance: A write arrives once more, up to `late_max` later.
        break_chance: The connection breaks under a request, which arrived or did not.
        silent_every: Mean between two times that nobody reaches some node; 0: never.
        lag_max: Until a node's event loop runs once something woke it.
        request_timeout: No call waits longer on a node.
        call_timeout: What the client library is given for a call.
    """

    delay_max: float = 0.002
    slow_chance: float = 0.0
    slow_max: float = 1.0
    late_chance: float = 0.0
    late_max: float = 2.0
    break_chance: float = 0.0
    silent_every: float = 0.0
    lag_max: float = 0.0005
    request_timeout: float = 5.0
    call_timeout: float = 5.0


@dataclass(frozen=True)
class DiskFaults:
    """How bad the disks are. Seconds, and probabilities per operation.

    Attributes:
        tail_bytes: Of the log in memory; what is older is read from the disk.
    """

    sync_max: float = 0.003
    stall_chance: float = 0.0
    kill_chance: float = 0.0
    tail_bytes: int = 32 * 1024 * 1024


@dataclass(frozen=True)
class Lives:
    """Callers of the whole API, on names of their own; without them nodes keep no house.

    Attributes:
        callers: How many.
        labels: Of each namespace, that they ask about.
        policy: Which of `names_wishes.POLICIES` the namespaces get at first; below 0: none.
        policies: Share of their calls that is about policies.
        events: Changes that history reaches back, at least; 0: as many as it likes.
        watchers: How many follow what changes.
        signups: Applications that reserve and confirm, and die in the middle of it.
    """

    callers: int = 0
    labels: int = 4
    policy: int = -1
    policies: float = 0.0
    events: int = 0
    watchers: int = 0
    signups: int = 0

    @property
    def any(self) -> bool:
        """There are such callers."""
        return self.callers + self.watchers + self.signups > 0


@dataclass(frozen=True)
class Plan:
    """One run.

    Attributes:
        size: Nodes that begin the cluster.
        spares: Machines beside them, of which nodes can be made.
        span: Seconds during which things go wrong.
        homes: Nodes that clients like to ask; client k likes the (k mod homes)-th.
        affinity: How often a client asks the node it likes, rather than any.
        registers: Share of the operations; the rest are look-ups.
        releases: As above.
        pause: Seconds between two operations of one client, at most.
        calm_pause: The same once the faults are over, if that is longer.
        client_loss: Questions and answers lost between client and node.
        gives_up: How often "certainly not done" is taken for the answer.
        official: Share of the callers that use the client library; the others speak by themselves.
        sessions: How many clients of the library these share.
        shares: Calls of one such client share round trips.
        many: How often they ask about many names at once.
        inbox: Messages a node hears in one turn, at most; 0: all.
        every: Kind of fault to the mean seconds between two; not in there: never.
    """

    seed: int
    scene: str = "mixed"
    size: int = 3
    spares: int = 0
    span: float = 10.0
    clients: int = 3
    names: int = 3
    homes: int = 3
    affinity: float = 0.0
    registers: float = 0.5
    releases: float = 0.25
    pause: float = 0.2
    calm_pause: float = 0.4
    client_loss: float = 0.0
    gives_up: float = 0.0
    official: float = 0.5
    sessions: int = 1
    shares: bool = True
    many: float = 0.1
    inbox: int = 0
    lines: LineFaults = field(default_factory=LineFaults)
    links: LinkFaults = field(default_factory=LinkFaults)
    disk: DiskFaults = field(default_factory=DiskFaults)
    lives: Lives = field(default_factory=Lives)
    bounds: Bounds = field(default_factory=Bounds)
    every: dict[str, float] = field(default_factory=dict)

    @staticmethod
    def draw(seed: int) -> Plan:
        """The plan of a seed."""
        from tests.simulation.scenes import draw  # scenes are made of plans

        return draw(seed)

    def unchanging(self) -> Plan:
        """The same, with the nodes and the disks that it begins with."""
        every = {k: v for k, v in self.every.items() if k in KINDS + ENDS}
        return replace(self, every=every, spares=0)

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
                found |= {f"every.{kind}": value.get(kind) for kind in ALL}
            else:
                found[each.name] = value
        return found

    def arguments(self) -> str:
        """What the `replay` command needs to hear to make this plan again."""
        drawn = Plan.draw(self.seed).settings()
        changes = [(k, v) for k, v in self.settings().items() if drawn[k] != v]
        sets = [f"--set {shlex.quote(f'{k}={json.dumps(v)}')}" for k, v in changes]
        return " ".join([str(self.seed), *sets])
