"""The cluster of a run: `LocalCluster`, whose nodes are started in their places.

Responsible for its configuration and for who ended by itself. Invariant: processes are started by
the main thread only, for they end with the thread that started them (`enter`).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Self

from namestore.localcluster import LocalCluster
from namestore.localcluster.configuration import Settings
from namestore.localcluster.directory import ClusterDirectory
from namestore.localcluster.node_process import NodeProcess
from tests.torture.grounds import Ground


@dataclass(frozen=True)
class Shape:
    """What a seed makes of the cluster."""

    nodes: int
    tls: bool
    small_disks: tuple[str, ...]
    snapshot_entries: int

    @classmethod
    def draw(cls, seed: int, nodes: int) -> Self:
        random = Random(f"{seed}/shape")
        node_ids = [f"n{number}" for number in range(1, nodes + 1)]
        return cls(
            nodes=nodes,
            tls=random.random() < 0.5,
            small_disks=tuple(sorted(random.sample(node_ids, random.randint(1, nodes)))),
            snapshot_entries=random.choice((200, 2_000, 100_000)),
        )

    @property
    def node_ids(self) -> tuple[str, ...]:
        return tuple(f"n{number}" for number in range(1, self.nodes + 1))

    @property
    def settings(self) -> Settings:
        return {
            "raft": {"snapshot_entries": self.snapshot_entries},
            "limits": {"request_timeout_ms": 3_000, "drain_timeout_ms": 5_000},
        }

    def __str__(self) -> str:
        tls = "with" if self.tls else "without"
        return f"{self.nodes} nodes, {tls} TLS, a snapshot every {self.snapshot_entries} entries"


class TortureCluster(LocalCluster):
    """Nodes in the places of a ground. Made by `found`."""

    ground: Ground
    module: tuple[str, ...]
    _mine: dict[str, NodeProcess]

    @classmethod
    def found(cls, path: Path, ground: Ground, shape: Shape, mutant: str | None = None) -> Self:
        """Makes the directory and all files of a new cluster; starts nothing.

        Args:
            path: The directory.
            ground: Has a place for each node.
            shape: What to make.
            mutant: The fault that is planted in every node.
        """
        directory = ClusterDirectory.create(path)
        with directory.locked():
            directory.config_path.write_text(_config_text(ground, shape))
            if shape.tls:
                directory.make_tls_path()
            cluster = cls.prepare(directory, settings=shape.settings)
        cluster.ground = ground
        cluster.module = ("tests.torture.mutated_node", mutant) if mutant else ("namestore",)
        cluster._mine = {}
        if not ground.open_network:
            for node_id in shape.node_ids:
                cluster.set_addresses(node_id, ground.seen_by(node_id))
        for node_id in ground.disks:
            ground.make_disk(node_id, cluster.data_path(node_id))
        return cluster

    def data_path(self, node_id: str) -> Path:
        return self.directory.path / self.node_id(node_id)

    def process(self, node_id: str) -> NodeProcess:
        known = self.node_id(node_id)
        if known not in self._mine:
            self._mine[known] = self._made(known)
        return self._mine[known]

    def start_anew(self, node_id: str, *options: str) -> None:
        """Starts a node that does not run with further options, this once."""
        process = self._made(node_id, *options)
        self._mine[node_id] = process
        process.start()

    def start_plainly(self, *node_ids: str) -> None:
        """As `start`, also after `start_anew`."""
        for node_id in node_ids or self.node_ids:
            if self.process(node_id).pid is None:
                self._mine[node_id] = self._made(node_id)
                self.start(node_id)

    def _made(self, node_id: str, *options: str) -> NodeProcess:
        command = (*self.ground.command(node_id), *self.module, "server", *options)
        return NodeProcess(node_id, self.directory.path, command)


def _config_text(ground: Ground, shape: Shape) -> str:
    lines = ["[cluster]", f'name = "torture-{secrets.token_hex(3)}"']
    lines += [f"allow_insecure_network = {json.dumps(ground.open_network)}"]
    for node_id, (grpc, raft) in ground.addresses().items():
        lines += ["", "[[nodes]]", f'id = "{node_id}"', f'grpc = "{grpc}"', f'raft = "{raft}"']
        lines += [f'data_dir = "{node_id}"', 'region = "local"']
    for table, values in shape.settings.items():
        lines += ["", f"[{table}]", *(f"{key} = {value}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


def others(node_ids: Sequence[str], *left_out: str) -> list[str]:
    """The nodes without these."""
    return [node_id for node_id in node_ids if node_id not in left_out]
