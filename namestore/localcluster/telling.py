"""What `namestore-local-cluster` says to people, in sentences. Decides nothing."""

from __future__ import annotations

import click

from namestore.errors import NamestoreError
from namestore.localcluster.bring_up import BroughtUp
from namestore.localcluster.cluster import LocalCluster
from namestore.localcluster.errors import NodeFailed
from namestore.streams import emit, tell


def tell_brought_up(cluster: LocalCluster, done: BroughtUp) -> None:
    """What `up` found and did, and where the nodes are."""
    for node_id in done.stale:
        say(f"{node_id} had been killed or had crashed: started again")
    if not done.started:
        say(f"already running: {', '.join(done.running)}")
    elif done.running:
        say(f"ran already: {', '.join(done.running)}; started: {', '.join(done.started)}")
    else:
        say(f"started: {', '.join(done.started)}")
    for node_id in cluster.node_ids:
        say(f"  {node_id}  {cluster.endpoint(node_id)}  pid {cluster.process(node_id).pid}")
    for node_id in done.outside:
        node = cluster.config.node(node_id)
        say(
            f"{node_id} runs, and is no member: add it with `namestore-cli members add {node_id} "
            f"--raft {node.raft} --grpc {node.grpc}`, or stop it"
        )


def tell_what_next(cluster: LocalCluster, where: str) -> None:
    """What to try now; `where` is the option that finds this cluster again."""
    say(f"\nendpoints: {cluster.endpoints}\n\nTry:")
    for line in (
        f"export NAMESTORE_ENDPOINTS={cluster.endpoints}",
        "namestore-cli register user:alice --owner account-17",
        "namestore-cli register user:alice --owner account-18     # taken",
        f"namestore-local-cluster status{where}",
        f"namestore-local-cluster kill {cluster.node_ids[0]}{where}",
        f"namestore-local-cluster down{where}",
    ):
        say(f"  {line}")


def say(text: str) -> None:
    """A result, on standard output."""
    emit(text)


def complain(error: NamestoreError) -> None:
    """Why it did not come true, on standard error."""
    tell(f"{click.style('error:', fg='red')} {error.message}")
    if isinstance(error, NodeFailed) and error.log_tail:
        tell(f"its log ended so:\n{error.log_tail}")
