"""What can go wrong with a local cluster, each with the exit code that tells it to a script.

    LocalClusterError
    ├── NodeFailed          exit 1: a node ended, or did not serve or stop in time
    ├── DataHeld            exit 1: a process that is not known to be ours has a node's data
    ├── DirectoryUnusable   exit 2: not a local cluster's directory, or it cannot be read
    ├── ClusterMismatch     exit 2: the directory holds a cluster of another shape
    ├── UnknownNode         exit 2: the cluster has no such node
    ├── PortTaken           exit 3: something else listens where a node should
    └── Busy                exit 4: another namestore-local-cluster works on the directory

None of them ever travels over a wire, which is why they are not in `namestore.errors`.
"""

from __future__ import annotations

from typing import ClassVar

from namestore.errors import NamestoreError


class LocalClusterError(NamestoreError):
    """Root of this package's errors."""

    EXIT_CODE: ClassVar[int] = 1


class NodeFailed(LocalClusterError):
    """A node ended, or did not do in time what was waited for.

    Attributes:
        log_tail: The last lines it logged since it was started; may be empty.
    """

    EXIT_CODE = 1

    def __init__(self, message: str, log_tail: str = "") -> None:
        super().__init__(message)
        self.log_tail = log_tail


class DataHeld(LocalClusterError):
    """A process that cannot be told to be the node has the node's data."""

    EXIT_CODE = 1


class DirectoryUnusable(LocalClusterError):
    """The directory is not this tool's, or it cannot be read or written."""

    EXIT_CODE = 2


class ClusterMismatch(LocalClusterError):
    """The directory holds a cluster, but not the one that was asked for."""

    EXIT_CODE = 2


class UnknownNode(LocalClusterError):
    """The cluster has no node of that id."""

    EXIT_CODE = 2


class PortTaken(LocalClusterError):
    """Something else listens on a node's port."""

    EXIT_CODE = 3


class Busy(LocalClusterError):
    """Another command is at work on the directory."""

    EXIT_CODE = 4
