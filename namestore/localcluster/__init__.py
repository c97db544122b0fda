"""Clusters of real node processes on this machine, for developers, the demo and the tests.

`LocalCluster` keeps one directory's nodes as background processes; `namestore-local-cluster`
(`main`) is the same for people. Nothing here runs in a node: nodes are processes, reached by
signals and by gRPC only.
"""

from namestore.localcluster.cluster import LocalCluster
from namestore.localcluster.errors import LocalClusterError

__all__ = ["LocalCluster", "LocalClusterError"]
