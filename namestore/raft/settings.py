"""What the engine is told when it is made: its seams, and its numbers."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from namestore.raft.membership import Membership
from namestore.storage.interfaces import IncomingSnapshot, LogStore, StateStore

Background = Callable[[Callable[[], Any], Callable[[Any], None]], None]


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. heartbeat * 3 <= election_min < election_max."""

    heartbeat: float = 0.1
    election_min: float = 0.6
    election_max: float = 1.2


@dataclass(frozen=True, slots=True)
class Bounds:
    """A limit on everything that could grow.

    Attributes:
        message_bytes: Entries in one append message, unless a single entry is larger.
        window_bytes: Sent to one follower and not yet acknowledged.
        window_messages: As above, counted in messages.
        entry_bytes: Commands in one log entry.
        entry_names: Names that they ask for, unless a single proposal's are more. An entry is
            applied in one go, heartbeats waiting.
        uncommitted_entries: In a leader's log, before it puts in more for callers: what comes
            meanwhile gathers for the next, or is told in time that it was not applied.
        pending_commands: Names asked for, waiting or under way on this node.
        pending_bytes: As above, in bytes.
        apply_bytes: Applied before the engine looks at the network again.
        log_entries: When so many were applied since the log was last shortened, it is again.
        log_bytes: As above, in bytes of commands.
        chunk_bytes: Of a snapshot in one message.
    """

    message_bytes: int = 512 * 1024
    window_bytes: int = 8 * 1024 * 1024
    window_messages: int = 64
    entry_bytes: int = 1024 * 1024
    entry_names: int = 1000
    uncommitted_entries: int = 32
    pending_commands: int = 20_000
    pending_bytes: int = 64 * 1024 * 1024
    apply_bytes: int = 4 * 1024 * 1024
    log_entries: int = 100_000
    log_bytes: int = 256 * 1024 * 1024
    chunk_bytes: int = 512 * 1024


@dataclass(frozen=True, slots=True)
class Seams:
    """Everything that reaches the engine from outside: replaced, one by one, in simulation.

    Attributes:
        clock: Monotonic seconds.
        wall_clock_ms: Milliseconds since the epoch; may jump, the log's time will not.
        rng: Randomness of the election timeouts and of identifiers.
        log: The durable Raft log, open.
        state: The registry's state, open.
        background: Runs a job away from the engine's thread and, on the engine's thread, gives
            its result or exception to the second argument.
        incoming: Where a snapshot from another node arrives.
    """

    log: LogStore
    state: StateStore
    clock: Callable[[], float]
    wall_clock_ms: Callable[[], int]
    rng: random.Random
    background: Background
    incoming: IncomingSnapshot


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this node is, and the cluster it was told to be part of.

    Attributes:
        node_id: Its name in the cluster, for ever.
        incarnation: Drawn when its data directory was made: a node that lost its disk has another.
        initial: The members of the configuration file, used until the log says who they are.
    """

    node_id: str
    incarnation: str
    initial: Membership


@dataclass(frozen=True, slots=True)
class Settings:
    """All of it."""

    identity: Identity
    seams: Seams
    timing: Timing = field(default_factory=Timing)
    bounds: Bounds = field(default_factory=Bounds)
