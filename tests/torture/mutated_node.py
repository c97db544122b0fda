"""`python -m tests.torture.mutated_node MUTANT server …`: a node that has a planted fault.

The faults are those of `tests.torture.planting`, in a real process: does a run find them, by what
callers hear?
"""

from __future__ import annotations

import runpy
import sys

from tests.torture.planting import NotForNodes, chosen, planted


def main() -> None:
    """Never returns normally: the node's end is the end."""
    try:
        mutant = chosen(sys.argv.pop(1))
    except NotForNodes as error:
        sys.exit(str(error))
    sys.argv[0] = "namestore"
    with planted(mutant):
        runpy.run_module("namestore", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
