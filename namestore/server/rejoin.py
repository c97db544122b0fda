"""`--wipe-and-rejoin`: a node whose disk cannot be trusted begins anew, as a new member.

First the cluster removes the old member, whose votes nobody may count any more; then the data
directory goes; then the node starts and has itself added. Interrupted anywhere, it is run again
from the beginning. Invariant: nothing is removed from the disk before the cluster let go of the
member.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from namestore import NameStore
from namestore.client.values import EndpointStatus, NodeStatus
from namestore.config import ClusterConfig
from namestore.errors import ConfigError, NamestoreError, NoQuorum
from namestore.logs import get_logger
from namestore.storage.directory import wipe
from namestore.storage.wiping import check_wipeable

_STATUS_SECONDS = 3.0
_REMOVE_SECONDS = 60.0
_ADD_SECONDS = 600.0
_RETRY_SECONDS = 2.0
# An election takes about a second, and longer on a machine that is busy. Whoever is told to begin
# anew was often killed a moment before, and may have led.
_LEADER_SECONDS = 20.0
_LOOK_EVERY_SECONDS = 0.5

_log = get_logger(__name__)

# Asked with a sentence; False: nothing is done.
Confirm = Callable[[str], bool]


def leave_and_wipe(
    config: ClusterConfig,
    node_id: str,
    confirm: Confirm,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Has the cluster remove the node, and removes the node's data. Blocks; it must not run.

    Args:
        config: Names the other nodes, too.
        node_id: Which one begins anew.
        confirm: Asks whoever started this.
        clock: Monotonic seconds.
        sleep: For so many seconds.

    Returns:
        False: it was not confirmed, and nothing was done.

    Raises:
        ConfigError: The file names no other node, or its endpoints are another cluster's.
        StorageError: The directory is in use, or not this node's.
        Unavailable: The other nodes could not go on without it, or do not answer.
        OutcomeUnknown: The member may have been removed; run it again.
    """
    node = config.node(node_id)
    content = check_wipeable(node.data_dir, config.name, node_id)
    with NameStore(_others(config, node_id), timeout=_STATUS_SECONDS) as store:
        _await_quorum(store, config, node_id, clock, sleep)
        if not confirm(
            f"{node_id} leaves cluster {config.name}, everything namestore keeps in "
            f"{node.data_dir} is removed ({content or 'nothing is there'}), and {node_id} joins "
            "again as a new member"
        ):
            return False
        store.remove_member(node_id, timeout=_REMOVE_SECONDS)
        _log.info("rejoin.removed", node=node_id)
    wipe(node.data_dir)
    _log.info("rejoin.wiped", node=node_id, data_dir=str(node.data_dir))
    return True


async def join(config: ClusterConfig, node_id: str) -> None:
    """Has the running node added, again and again until it is a member. Cancel it to give up."""
    node = config.node(node_id)
    while True:
        try:
            await asyncio.to_thread(_add, config, node_id, node.raft, node.grpc)
        except NamestoreError as error:
            _log.warning("rejoin.not_added_yet", node=node_id, reason=error.message)
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            _log.info("rejoin.complete", node=node_id)
            return


def _add(config: ClusterConfig, node_id: str, raft: str, grpc: str) -> None:
    with NameStore(_others(config, node_id), timeout=_STATUS_SECONDS) as store:
        store.add_member(node_id, raft, grpc, timeout=_ADD_SECONDS)


def _await_quorum(
    store: NameStore,
    config: ClusterConfig,
    node_id: str,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> None:
    """Returns once the other nodes can go on without this one.

    Raises:
        ConfigError: Another cluster answers.
        NoQuorum: They cannot, for longer than it takes to elect a leader.
    """
    deadline, said = clock() + _LEADER_SECONDS, False
    while True:
        try:
            leader = _leader(config, store.status(timeout=_STATUS_SECONDS))
            _check_quorum_without(node_id, leader)
        except NoQuorum as error:
            if clock() >= deadline:
                raise
            if not said:
                _log.info("rejoin.waiting", node=node_id, reason=error.message)
            said = True
            sleep(_LOOK_EVERY_SECONDS)
        else:
            return


def _others(config: ClusterConfig, node_id: str) -> list[str]:
    others = [node.grpc for node in config.nodes if node.id != node_id]
    if not others:
        raise ConfigError(
            f"the configuration names no node but {node_id}: there is nothing to rejoin; restore "
            "its data directory from a backup"
        )
    return others


def _leader(config: ClusterConfig, answers: Sequence[EndpointStatus]) -> NodeStatus:
    """The status of the node that leads.

    Raises:
        ConfigError: Another cluster answers.
        NoQuorum: Nobody leads.
    """
    nodes = [answer.node for answer in answers if answer.node is not None]
    for node in nodes:
        if node.cluster_name != config.name:
            raise ConfigError(
                f"cluster {node.cluster_name!r} answers at an address of the configuration, not "
                f"{config.name!r}; correct the grpc addresses"
            )
    leading = [node for node in nodes if node.leader_id == node.node_id and node.has_quorum]
    if not leading:
        raise NoQuorum(
            "no other node of the configuration leads: the others reach no majority, and without "
            "one no member can be removed; start them first, then run this again"
        )
    return max(leading, key=lambda node: node.term)


def _check_quorum_without(node_id: str, leader: NodeStatus) -> None:
    remaining = {m.node_id for m in leader.members if m.voter} - {node_id}
    alive = {peer.node_id for peer in leader.peers if peer.connected} | {leader.node_id}
    if len(remaining & alive) * 2 <= len(remaining):
        raise NoQuorum(
            f"without {node_id}, the members are {', '.join(sorted(remaining))}, and only "
            f"{', '.join(sorted(remaining & alive))} are connected: no majority; start the others "
            "first, then run this again"
        )
