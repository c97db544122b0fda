"""Everything that the nemesis can do: the list of faults, each with what it needs.

A fault is a context manager: it breaks something when it is entered and mends it when it is left.
Those of one `group` exclude each other. How they work stands in `faults_of_processes`,
`faults_of_networks` and `faults_of_operation`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from random import Random

from tests.torture import faults_of_networks as networks
from tests.torture import faults_of_operation as operation
from tests.torture import faults_of_processes as processes
from tests.torture.grounds import Ground
from tests.torture.stage import Stage

Act = Callable[[Stage, Random], AbstractContextManager[None]]


def _always(ground: Ground) -> bool:
    return True


@dataclass(frozen=True)
class Fault:
    """A kind of fault.

    Attributes:
        group: What it acts on.
        weight: How often it comes in each round of all.
        alone: Nothing else is broken meanwhile, and all nodes serve before it begins.
        possible: Whether a ground has what it takes.
        held: Its own time passes while it is entered; it is mended at once.
    """

    kind: str
    group: str
    act: Act
    weight: int = 1
    alone: bool = False
    possible: Callable[[Ground], bool] = _always
    held: bool = False


FAULTS = (
    Fault("kill leader", "process", processes.kill_leader, weight=4, alone=True),
    Fault("kill node", "process", processes.kill_node, weight=2),
    Fault("kill leader's successor", "process", processes.kill_successor),
    Fault("kill all", "process", processes.kill_all),
    Fault("kill again and again", "process", processes.kill_again, held=True),
    Fault("pause node", "process", processes.pause_node),
    Fault("pause leader", "process", processes.pause_leader, weight=2),
    Fault("pause majority", "process", processes.pause_majority),
    Fault("short pauses", "process", processes.short_pauses, held=True),
    Fault("rolling restart", "process", processes.rolling_restart, held=True),
    Fault("quick reconnects", "network", networks.reconnects, held=True),
    Fault("isolate node", "network", networks.isolate_node),
    Fault("isolate leader", "network", networks.isolate_leader),
    Fault("majority and minority", "network", networks.halves),
    Fault("overlapping majorities", "network", networks.bridge),
    Fault("ring", "network", networks.ring, possible=lambda ground: ground.directed),
    Fault("one way", "network", networks.one_way, possible=lambda ground: ground.directed),
    Fault("mute leader", "network", networks.mute_leader, possible=lambda ground: ground.directed),
    Fault("deaf leader", "network", networks.deaf_leader, possible=lambda ground: ground.directed),
    Fault("callers cut off", "network", networks.callers_cut_off),
    Fault("slow network", "network", networks.slow, possible=lambda ground: ground.rough),
    Fault("lossy network", "network", networks.lossy, possible=lambda ground: ground.rough),
    # A node whose disk is full is not for others to start.
    Fault("full disk", "process", operation.full_disk, possible=lambda ground: bool(ground.disks)),
    Fault("clock step", "clock", operation.clock_step),
    Fault("clocks apart", "clock", operation.clocks_apart),
    Fault("transfer", "members", operation.transfer, held=True),
    Fault("remove and add", "members", operation.remove_and_add, alone=True),
    Fault("replace", "members", operation.replace, alone=True, held=True),
)
