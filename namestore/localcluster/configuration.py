"""The `cluster.toml` of a local cluster: written once, kept after, and one file per node at need.

Responsible for the text. What it means and whether it is valid is `namestore.config`'s question.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path

from namestore.config import ClusterConfig, TlsConfig
from namestore.localcluster.errors import ClusterMismatch
from namestore.localcluster.pid_file import write_whole
from namestore.localcluster.ports import HOST, free_ports

NODES_DEFAULT = 3
BASE_PORT_DEFAULT = 7101
RAFT_PORT_OFFSET = 100

_SECURE_HEADER = (
    "# Written anew by every `namestore-local-cluster up --tls`: cluster.toml, and this node's\n"
    "# certificate. Change that one; or change this one and remove these lines, and it is kept.\n"
)

# Tables to add to the file: {"limits": {"request_timeout_ms": 2000}}.
Settings = Mapping[str, Mapping[str, int]]


def write_config(
    path: Path, nodes: int | None, base_port: int | None, settings: Settings | None = None
) -> None:
    """Writes the file of a new cluster: nodes n1, n2, … on the loopback interface.

    Args:
        path: The file; each node's data lies beside it, in a directory of the node's name.
        nodes: How many. Default 3.
        base_port: n1 serves gRPC there and Raft at 100 more, n2 at one more each, and so on; 0:
            free ports. Default 7101.
        settings: More tables, by name.
    """
    # A name of its own, so that a node of another local cluster on the same port is told apart.
    name = f"local-{secrets.token_hex(3)}"
    write_whole(path, _render(name, choose_addresses(nodes, base_port), settings or {}))


def choose_addresses(nodes: int | None, base_port: int | None) -> dict[str, tuple[str, str]]:
    """By node id, the gRPC and the Raft address in a new cluster; see `write_config`."""
    count = NODES_DEFAULT if nodes is None else nodes
    base = BASE_PORT_DEFAULT if base_port is None else base_port
    if base:
        grpc = [base + index for index in range(count)]
        raft = [port + RAFT_PORT_OFFSET for port in grpc]
    else:
        ports = free_ports(2 * count)
        grpc, raft = ports[:count], ports[count:]
    return {
        f"n{index + 1}": (f"{HOST}:{grpc[index]}", f"{HOST}:{raft[index]}")
        for index in range(count)
    }


def write_node_config(
    path: Path,
    config: ClusterConfig,
    addresses: Mapping[str, tuple[str, str]],
    settings: Settings,
    tls: TlsConfig | None = None,
) -> None:
    """Writes one node's own file: the same cluster, where other nodes have other addresses.

    Args:
        path: The file.
        config: The cluster's.
        addresses: By node id, the gRPC and the Raft address as this node is to see them.
        settings: The tables of the cluster's file: they are not read back from it.
        tls: This node's own files; None: it speaks in the clear.
    """
    merged = {node.id: addresses.get(node.id, (node.grpc, node.raft)) for node in config.nodes}
    write_whole(path, _render(config.name, merged, settings) + _tls_table(tls, path.parent))


def write_secure_config(path: Path, cluster_path: Path, tls: TlsConfig) -> None:
    """Gives a node a file of its own: the cluster's as it is now, and its certificate.

    A file that is there and does not begin as those written here do is somebody's own, and kept.
    """
    if not path.exists() or path.read_bytes().startswith(_SECURE_HEADER.encode()):
        write_whole(path, _SECURE_HEADER + cluster_path.read_text() + _tls_table(tls, path.parent))


def check_shape(
    path: Path, config: ClusterConfig, nodes: int | None, base_port: int | None
) -> None:
    """Raises `ClusterMismatch` when what was asked for in so many words is not what is there."""
    if nodes is not None and nodes != len(config.nodes):
        raise ClusterMismatch(
            f"{path} has {len(config.nodes)} nodes, not {nodes}: leave --nodes out, or remove that "
            "cluster with `namestore-local-cluster down --wipe`"
        )
    first = int(config.nodes[0].grpc.rpartition(":")[2])
    if base_port and base_port != first:
        raise ClusterMismatch(
            f"{path} has n1 on port {first}, not {base_port}: leave --base-port out, name another "
            "directory with --dir, or remove it with `namestore-local-cluster down --wipe`"
        )


def _render(name: str, addresses: Mapping[str, tuple[str, str]], settings: Settings) -> str:
    lines = [
        "# Written by `namestore-local-cluster up`, which from now on leaves it as it is.",
        "[cluster]",
        f"name = {_quoted(name)}",
    ]
    for node_id, (grpc, raft) in addresses.items():
        lines += ["", "[[nodes]]", f"id = {_quoted(node_id)}"]
        lines += [f"grpc = {_quoted(grpc)}", f"raft = {_quoted(raft)}"]
        lines += [f"data_dir = {_quoted(node_id)}", 'region = "local"']
    for table, values in settings.items():
        lines += ["", f"[{table}]", *(f"{key} = {value}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


def _tls_table(tls: TlsConfig | None, directory: Path) -> str:
    """Relative to the directory, so that it can be moved as a whole."""
    if tls is None:
        return ""
    files = {"certificate": tls.certificate, "key": tls.key, "authority": tls.authority}
    lines = [f"{key} = {_quoted(str(path.relative_to(directory)))}" for key, path in files.items()]
    return "\n".join(["", "[tls]", *lines, ""])


def _quoted(text: str) -> str:
    """A TOML basic string; JSON's escapes are among TOML's as long as non-ASCII stays as it is."""
    return json.dumps(text, ensure_ascii=False)
