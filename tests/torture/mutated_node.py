"""`python -m tests.torture.mutated_node MUTANT server …`: a node whose engine has a planted fault.

The faults are the simulation's (`tests/simulation/mutants.py`), in a real process: does a run find
them, by what callers hear?
"""

from __future__ import annotations

import runpy
import sys

from namestore.raft import node
from tests.simulation.mutants import MUTANTS


def main() -> None:
    """Never returns normally: the node's end is the end."""
    name = sys.argv.pop(1)
    known = {mutant.__name__: mutant for mutant in MUTANTS}
    if name not in known:
        sys.exit(f"no mutant {name}: there are {', '.join(known)}")
    vars(node)["Engine"] = known[name]
    sys.argv[0] = "namestore"
    runpy.run_module("namestore", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
