"""Certificates for tests, made with the product's own authority."""

from __future__ import annotations

from pathlib import Path

from namestore.config import TlsConfig
from namestore.raft.authority import issue_certificate, make_authority


class Authority:
    """An authority in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.certificate = make_authority(directory)

    def issue(self, node_id: str, cluster_name: str = "test") -> TlsConfig:
        """The files of a node."""
        return issue_certificate(self.directory, cluster_name, node_id, ["localhost", "127.0.0.1"])
