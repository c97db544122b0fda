"""What a configuration file means to the engine."""

from __future__ import annotations

from namestore.config import ClusterConfig
from namestore.raft.membership import Member, Membership
from namestore.raft.settings import Bounds, Timing


def initial_membership(config: ClusterConfig) -> Membership:
    """The nodes of the file, all of them voters, until a log says who belongs."""
    ordered = sorted(config.nodes, key=lambda node: node.id)
    return Membership(tuple(Member(node.id, node.raft, node.grpc) for node in ordered))


def timing(config: ClusterConfig) -> Timing:
    """Its `[raft]`, in seconds."""
    raft = config.raft
    return Timing(
        raft.heartbeat_ms / 1000,
        raft.election_timeout_ms_min / 1000,
        raft.election_timeout_ms_max / 1000,
    )


def bounds(config: ClusterConfig) -> Bounds:
    """Its `[limits]`, and how long the log may grow."""
    limits = config.limits
    return Bounds(
        entry_bytes=limits.entry_bytes_max,
        pending_commands=limits.pending_commands_max,
        pending_bytes=limits.pending_bytes_max,
        log_entries=config.raft.snapshot_entries,
    )
