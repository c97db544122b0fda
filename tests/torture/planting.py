"""The planted faults of the simulation (`tests/simulation/mutants.py`) that a real node can have.

Those are the engine with a rule broken, and what replaces parts of modules that a node runs. What
breaks the client's library is not for a node. Not responsible for whether a run finds them.

Invariant: while a fault is planted, it is what the node uses; what cannot be is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from inspect import ismodule
from typing import Any

from namestore.raft import node
from namestore.raft.engine import Engine
from tests.simulation.mutants import MUTANTS, RARE
from tests.simulation.mutants_callers import Planted

Mutant = type[Engine] | type[Planted]

_NODE_PACKAGES = tuple(
    f"namestore.{part}." for part in ("core", "raft", "rpc", "server", "storage")
)


class NotForNodes(Exception):
    """There is no such fault, or it is not one of a node. The message lists those there are."""


def possible() -> dict[str, Mutant]:
    """All that can be planted in a node, by name."""
    return {mutant.__name__: mutant for mutant in (*MUTANTS, *RARE) if _concerns_nodes(mutant)}


def chosen(name: str) -> Mutant:
    """The fault of that name. Raises `NotForNodes`."""
    known = possible()
    if name not in known:
        others = {mutant.__name__ for mutant in (*MUTANTS, *RARE)}
        why = "is of the client's library, not of a node" if name in others else "does not exist"
        raise NotForNodes(f"the mutant {name} {why}; there are: {', '.join(sorted(known))}")
    return known[name]


@contextmanager
def planted(mutant: Mutant) -> Iterator[None]:
    """The fault is in this process while it is entered."""
    with ExitStack() as stack:
        if issubclass(mutant, Engine):
            real = vars(node)["Engine"]
            stack.callback(vars(node).__setitem__, "Engine", real)
            vars(node)["Engine"] = mutant
        else:
            stack.enter_context(mutant.planted())
        yield


def _concerns_nodes(mutant: Mutant) -> bool:
    if issubclass(mutant, Engine):
        return True
    return all(_home(place).startswith(_NODE_PACKAGES) for place, _, _ in mutant.replaced)


def _home(place: Any) -> str:
    """The module in which something is replaced."""
    home: str = place.__name__ if ismodule(place) else place.__module__
    return home
