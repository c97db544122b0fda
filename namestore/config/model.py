"""What a cluster.toml says, as frozen dataclasses.

Plain values: how they are read and what is refused stands in `namestore.config.loading`. Every
value that came through there keeps the ranges given beside its field.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from namestore.core.limits import EVENTS_KEPT_MAX, EVENTS_KEPT_MS
from namestore.errors import ConfigError

DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """One node as this file has it. Its `id` is its identity; addresses may differ per file.

    Attributes:
        grpc: host:port where callers reach it.
        raft: host:port where the other nodes reach it.
        data_dir: Relative paths are taken from the configuration file's directory.
        region: Free text, shown in the status.
    """

    id: str
    grpc: str
    raft: str
    data_dir: Path
    region: str = ""


@dataclass(frozen=True, slots=True)
class RaftConfig:
    """Timings of the consensus protocol, in milliseconds.

    heartbeat_ms * 3 <= election_timeout_ms_min < election_timeout_ms_max.

    Attributes:
        connect_retry_ms: Between two attempts to reach another node.
        snapshot_entries: Kept in the log for nodes that lag; beyond it they get a snapshot.
    """

    heartbeat_ms: int = 100
    election_timeout_ms_min: int = 600
    election_timeout_ms_max: int = 1200
    connect_retry_ms: int = 200
    snapshot_entries: int = 100_000


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """PEM files: this node's certificate and key, and the authority that signs the peers'."""

    certificate: Path
    key: Path
    authority: Path


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """What a node lets wait, and for how long.

    Attributes:
        request_timeout_ms: No call waits longer, whatever deadline the caller sets.
        pending_commands_max: Names asked for and not yet answered; beyond it, OVERLOADED.
        pending_bytes_max: The same in bytes; entry_bytes_max <= pending_bytes_max.
        entry_bytes_max: Commands in one log entry, unless a single command is larger.
        drain_timeout_ms: From SIGTERM to the end of the process.
        watchers_max: Callers who follow the changes of names at one node; beyond it, OVERLOADED.
    """

    request_timeout_ms: int = 5_000
    pending_commands_max: int = 20_000
    pending_bytes_max: int = 64 * 1024 * 1024
    entry_bytes_max: int = 1024 * 1024
    drain_timeout_ms: int = 10_000
    watchers_max: int = 500


@dataclass(frozen=True, slots=True)
class HistoryConfig:
    """How far back the cluster remembers what happened: whichever bound is met first.

    Attributes:
        events_max: Changes of names; somewhat more are kept.
        days_max: Days of log time.
    """

    events_max: int = EVENTS_KEPT_MAX
    days_max: int = EVENTS_KEPT_MS // DAY_MS


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    """A whole cluster.toml.

    Attributes:
        nodes: At least one; ids and, on one host, addresses and data directories differ.
        history: None: as it was last set in this cluster.
        tls: None: nodes and callers talk in the clear.
        allow_insecure_network: Serve in the clear on an address that is not loopback.
    """

    name: str
    nodes: tuple[NodeConfig, ...]
    raft: RaftConfig = field(default_factory=RaftConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    history: HistoryConfig | None = None
    tls: TlsConfig | None = None
    allow_insecure_network: bool = False

    def node(self, node_id: str) -> NodeConfig:
        """The node of that id.

        Raises:
            ConfigError: There is none; the message names those there are.
        """
        for node in self.nodes:
            if node.id == node_id:
                return node
        known = ", ".join(node.id for node in self.nodes)
        raise ConfigError(f"no node has the id {node_id!a}; the configuration knows {known}")
