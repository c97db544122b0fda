"""Certificates for a local cluster whose nodes speak TLS to each other.

Responsible for which are there and which node's file names which; how they are made is
`namestore.raft.authority`'s. Invariant: a certificate that is there is kept, and a node of such a
cluster is never started without one.
"""

from __future__ import annotations

from namestore.config import ClusterConfig, TlsConfig
from namestore.localcluster.configuration import write_secure_config
from namestore.localcluster.directory import ClusterDirectory
from namestore.localcluster.errors import ClusterMismatch, DirectoryUnusable
from namestore.localcluster.ports import HOST
from namestore.raft.authority import (
    AUTHORITY_FILE,
    issue_certificate,
    make_authority,
    require_cryptography,
)


def decide_tls(directory: ClusterDirectory, tls: bool | None) -> bool:
    """Whether the directory's nodes speak TLS; a cluster that is not there yet does as asked.

    Args:
        directory: Its lock is held by the caller.
        tls: What was asked for; None: as the cluster is, a new one in the clear.

    Raises:
        ClusterMismatch: The cluster that is there does otherwise.
        ConfigError: A new one is to speak TLS, and nothing is there to make certificates with.
    """
    if tls and not directory.tls and not directory.config_path.exists():
        require_cryptography()  # first, so that nothing is made in vain
        directory.make_tls_path()
    if tls is False and directory.tls:
        raise ClusterMismatch(
            f"the nodes in {directory.path} speak TLS to each other: say --tls as well, or remove "
            "that cluster with `namestore-local-cluster down --wipe`"
        )
    if tls and not directory.tls:
        raise ClusterMismatch(
            f"the nodes in {directory.path} speak in the clear to each other: leave --tls out, "
            "name another directory with --dir, or remove that cluster with "
            "`namestore-local-cluster down --wipe`"
        )
    return directory.tls


def secure(directory: ClusterDirectory, config: ClusterConfig) -> None:
    """Makes the authority, certificates and nodes' files that are missing.

    Args:
        directory: Of a cluster that speaks TLS, its nodes remembered; the caller holds its lock.
        config: The cluster's.

    Raises:
        ClusterMismatch: cluster.toml has a [tls] table, which would be the same for all nodes.
        DirectoryUnusable: Something cannot be written.
        ConfigError: `cryptography` is not installed and a certificate is missing, or the
            authority is damaged.
    """
    if config.tls is not None:
        raise ClusterMismatch(
            f"{directory.config_path} has a [tls] table: remove it, for here each node has its own"
        )
    if directory.tls_path.is_symlink():
        raise DirectoryUnusable(
            f"{directory.tls_path} is a link now: nothing is written through it"
        )
    try:
        all_anew = not (directory.tls_path / AUTHORITY_FILE).exists()
        if all_anew:
            make_authority(directory.tls_path)
        for node in config.nodes:
            files = tls_files(directory, node.id)
            if all_anew or not (files.certificate.exists() and files.key.exists()):
                issue_certificate(directory.tls_path, config.name, node.id, [HOST])
            own = directory.path / f"{node.id}.toml"
            write_secure_config(own, directory.config_path, files)
    except OSError as error:
        raise DirectoryUnusable(f"cannot use {error.filename}: {error.strerror}") from error


def tls_files(directory: ClusterDirectory, node_id: str) -> TlsConfig:
    """Where a node's files are, there or not."""
    place = directory.tls_path
    return TlsConfig(place / f"{node_id}.pem", place / f"{node_id}.key", place / AUTHORITY_FILE)


def require_own_config(directory: ClusterDirectory, node_id: str) -> None:
    """Raises `ClusterMismatch` if a node of a cluster that speaks TLS would start without it."""
    own = directory.path / f"{node_id}.toml"
    if directory.tls and not own.exists():
        raise ClusterMismatch(
            f"{own} is gone, which says where the certificate of {node_id} is: "
            "`namestore-local-cluster up --tls` writes it anew"
        )
