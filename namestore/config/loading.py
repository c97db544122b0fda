"""cluster.toml -> `ClusterConfig`, or one sentence about what is wrong with it.

Reads a file and nothing else: whether this machine can serve what the file says is `check_node`'s
question, because a caller's tools read the same file. Unknown keys are refused: a misspelt limit
that is silently ignored is found on the day it was meant for.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from namestore.config.addresses import is_loopback, split_address
from namestore.config.model import (
    ClusterConfig,
    HistoryConfig,
    LimitsConfig,
    NodeConfig,
    RaftConfig,
    TlsConfig,
)
from namestore.config.table import Table
from namestore.core.limits import BATCH_REQUESTS_MAX
from namestore.errors import ConfigError

DEV_GRPC_ADDRESS = "127.0.0.1:7101"
NODES_MAX = 9

_NODE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def load(path: Path | str) -> ClusterConfig:
    """Reads and checks a configuration file.

    Args:
        path: The file; relative data directories and PEM files are taken from its directory.

    Raises:
        ConfigError: A sentence that names the key, its value and what would be right.
    """
    path = Path(path)
    values = _parse(path)
    if not values:
        raise ConfigError(f"{path} is empty; cluster.example.toml shows what belongs there")
    top = Table(values, f"{path}:", path.parent)
    cluster = top.table("cluster")
    if cluster is None:
        top.refuse("[cluster]", 'is missing; begin with [cluster] and name = "..."')
    name = cluster.text("name", remedy='write name = "..." under [cluster]')
    allow_insecure_network = cluster.boolean("allow_insecure_network", False)
    cluster.finish()
    nodes = _nodes(top)
    config = ClusterConfig(
        name=name,
        nodes=nodes,
        raft=_raft(top.table("raft")),
        limits=_limits(top.table("limits")),
        history=_history(top.table("history")),
        tls=_tls(top.table("tls")),
        allow_insecure_network=allow_insecure_network,
    )
    top.finish()
    return config


def dev_config(data_dir: Path | str, grpc: str = DEV_GRPC_ADDRESS) -> ClusterConfig:
    """One node named "dev" on loopback, for development and for embedded use.

    Args:
        data_dir: Where it keeps its data.
        grpc: host:port to serve at; port 0 takes a free one.

    Raises:
        ConfigError: `grpc` is not host:port.
    """
    split_address(grpc)
    # A cluster of one talks to nobody: its Raft address is never listened on.
    node = NodeConfig("dev", grpc, "127.0.0.1:0", Path(data_dir).expanduser().absolute())
    return ClusterConfig(name="dev", nodes=(node,))


def check_node(config: ClusterConfig, node_id: str) -> NodeConfig:
    """Returns the node, once it is sure that this machine may serve it as configured.

    Raises:
        ConfigError: No such node; it would serve in the clear on an open network; or a PEM file
            of [tls] cannot be read.
    """
    node = config.node(node_id)
    if config.tls is not None:
        for key in ("certificate", "key", "authority"):
            _check_pem(key, getattr(config.tls, key))
    exposed = {"grpc": node.grpc}
    if config.tls is None and len(config.nodes) > 1:
        exposed["raft"] = node.raft
    for key, address in exposed.items():
        if not config.allow_insecure_network and not is_loopback(split_address(address)[0]):
            raise ConfigError(
                f'{key} = "{address}" of node {node_id} is not loopback, and what is sent there '
                "would be neither encrypted nor authenticated; use a 127.0.0.1 address, or set "
                "allow_insecure_network = true under [cluster] if the network itself is private",
                field=key,
            )
    return node


def unusable_node_id(node_id: str) -> str | None:
    """Why no node can be called so; None: one can."""
    if _NODE_ID.fullmatch(node_id):
        return None
    return "must be 1 to 63 letters, digits, dots, dashes or underscores"


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode())
    except FileNotFoundError:
        raise ConfigError(
            f"{path} does not exist; copy cluster.example.toml, or give another file to --config"
        ) from None
    except IsADirectoryError:
        raise ConfigError(f"{path} is a directory; give the configuration file in it") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path} is not UTF-8 text (byte {error.start + 1}); save it as UTF-8"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{path} is not TOML: {error}; cluster.example.toml shows the form"
        ) from None


def _nodes(top: Table) -> tuple[NodeConfig, ...]:
    remedy = "write one section [[nodes]] for each node"
    tables = top.tables("nodes", remedy)
    if len(tables) > NODES_MAX:
        top.refuse("nodes", f"holds {len(tables)} nodes; at most {NODES_MAX} can form a cluster")
    nodes: list[NodeConfig] = []
    for table in tables:
        node = _node(table)
        for other in nodes:
            _check_apart(table, node, other)
        nodes.append(node)
    return tuple(nodes)


def _node(table: Table) -> NodeConfig:
    node_id = table.text("id", remedy='give the node a name, such as id = "n1"')
    if unusable := unusable_node_id(node_id):
        table.refuse("id", unusable)
    node = NodeConfig(
        id=node_id,
        grpc=table.address("grpc", 'write where callers reach it, such as "127.0.0.1:7101"'),
        raft=table.address("raft", 'write where the nodes reach it, such as "127.0.0.1:7201"'),
        data_dir=table.path("data_dir", 'name its directory, such as "./.namestore/n1"'),
        region=table.text("region", ""),
    )
    if _same_address(node.grpc, node.raft):
        table.refuse("raft", "is the address of grpc as well; give it a port of its own")
    table.finish()
    return node


def _check_apart(table: Table, node: NodeConfig, other: NodeConfig) -> None:
    """Refuses what two nodes cannot share. On two hosts they may share paths and ports."""
    if node.id == other.id:
        table.refuse("id", "is the id of another node as well; ids must differ")
    for key in ("grpc", "raft"):
        mine = getattr(node, key)
        for theirs_key in ("grpc", "raft"):
            if _same_address(mine, getattr(other, theirs_key)):
                table.refuse(key, f"is {theirs_key} of node {other.id} as well; use another port")
    if _host(node.raft) == _host(other.raft) and node.data_dir == other.data_dir:
        table.refuse("data_dir", f"is that of node {other.id} as well; each needs its own")


def _host(address: str) -> str:
    host = split_address(address)[0]
    return "127.0.0.1" if host == "localhost" else host


def _same_address(one: str, other: str) -> bool:
    return (_host(one), split_address(one)[1]) == (_host(other), split_address(other)[1])


def _raft(table: Table | None) -> RaftConfig:
    default = RaftConfig()
    if table is None:
        return default
    raft = RaftConfig(
        heartbeat_ms=table.integer("heartbeat_ms", default.heartbeat_ms, 5, 10_000),
        election_timeout_ms_min=table.integer(
            "election_timeout_ms_min", default.election_timeout_ms_min, 15, 60_000
        ),
        election_timeout_ms_max=table.integer(
            "election_timeout_ms_max", default.election_timeout_ms_max, 16, 120_000
        ),
        connect_retry_ms=table.integer("connect_retry_ms", default.connect_retry_ms, 10, 60_000),
        snapshot_entries=table.integer(
            "snapshot_entries", default.snapshot_entries, 10, 100_000_000
        ),
    )
    if raft.heartbeat_ms * 3 > raft.election_timeout_ms_min:
        table.refuse(
            "heartbeat_ms",
            f"{raft.heartbeat_ms} ms three times does not fit into election_timeout_ms_min "
            f"({raft.election_timeout_ms_min}); use at most {raft.election_timeout_ms_min // 3}",
        )
    if raft.election_timeout_ms_min >= raft.election_timeout_ms_max:
        table.refuse(
            "election_timeout_ms_max",
            f"{raft.election_timeout_ms_max} ms must be above election_timeout_ms_min "
            f"({raft.election_timeout_ms_min}); about twice as much is right",
        )
    table.finish()
    return raft


def _limits(table: Table | None) -> LimitsConfig:
    default = LimitsConfig()
    if table is None:
        return default
    kib, mib = 1024, 1024 * 1024
    limits = LimitsConfig(
        request_timeout_ms=table.integer(
            "request_timeout_ms", default.request_timeout_ms, 100, 600_000
        ),
        pending_commands_max=table.integer(
            "pending_commands_max", default.pending_commands_max, BATCH_REQUESTS_MAX, 1_000_000
        ),
        pending_bytes_max=table.integer(
            "pending_bytes_max", default.pending_bytes_max, 8 * mib, 4096 * mib
        ),
        entry_bytes_max=table.integer(
            "entry_bytes_max", default.entry_bytes_max, 64 * kib, 8 * mib
        ),
        drain_timeout_ms=table.integer("drain_timeout_ms", default.drain_timeout_ms, 500, 600_000),
        watchers_max=table.integer("watchers_max", default.watchers_max, 1, 10_000),
    )
    table.finish()
    return limits


def _history(table: Table | None) -> HistoryConfig | None:
    if table is None:
        return None
    default = HistoryConfig()
    history = HistoryConfig(
        events_max=table.integer("events_max", default.events_max, 1_000, 1_000_000_000),
        days_max=table.integer("days_max", default.days_max, 1, 36_500),
    )
    table.finish()
    return history


def _tls(table: Table | None) -> TlsConfig | None:
    if table is None:
        return None
    tls = TlsConfig(
        certificate=table.path("certificate", "name this node's certificate, a PEM file"),
        key=table.path("key", "name this node's private key, a PEM file"),
        authority=table.path("authority", "name the authority that signed the nodes' certificates"),
    )
    table.finish()
    return tls


def _check_pem(key: str, path: Path) -> None:
    try:
        found = b"-----BEGIN " in path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f'[tls] {key} = "{path}" cannot be read: {error.strerror or error}', field=key
        ) from None
    if not found:
        raise ConfigError(f'[tls] {key} = "{path}" is not a PEM file', field=key)
