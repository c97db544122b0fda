"""cluster.toml: what it says (`model`), how it is read and what is refused (`loading`)."""

from namestore.config.addresses import is_loopback, split_address
from namestore.config.loading import (
    DEV_GRPC_ADDRESS,
    NODES_MAX,
    check_node,
    dev_config,
    load,
    unusable_node_id,
)
from namestore.config.model import (
    ClusterConfig,
    HistoryConfig,
    LimitsConfig,
    NodeConfig,
    RaftConfig,
    TlsConfig,
)

__all__ = [
    "DEV_GRPC_ADDRESS",
    "NODES_MAX",
    "ClusterConfig",
    "HistoryConfig",
    "LimitsConfig",
    "NodeConfig",
    "RaftConfig",
    "TlsConfig",
    "check_node",
    "dev_config",
    "is_loopback",
    "load",
    "split_address",
    "unusable_node_id",
]
