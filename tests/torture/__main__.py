"""`python -m tests.torture`: real nodes, real faults, and a judge; see docs/testing.md."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from tests.torture import isolation

_SEEDS = 1_000_000_000


def main() -> int:
    """Returns 0 when everything is as it should be, 1 when something was found, 2 when it could not
    be seen."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0, help="of faults (20)")
    parser.add_argument("--seed", type=int, help="what is drawn from; a new one unless given")
    parser.add_argument("--nodes", type=int, choices=(3, 5), default=3)
    parser.add_argument(
        "--directory", type=Path, default=Path(".torture"), help="where a run makes its own"
    )
    parser.add_argument("--keep", action="store_true", help="keep it although nothing was found")
    parser.add_argument(
        "--loopback", action="store_true", help="no namespaces, although they could be had"
    )
    parser.add_argument(
        "--mutant",
        metavar="NAME",
        help="plant a fault of tests/simulation/mutants.py in each node; those of the client's "
        "library are refused, and an unknown NAME lists the others",
    )
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else random.randrange(_SEEDS)
    obstacle = "not wanted" if arguments.loopback else isolation.obstacle()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    made = tempfile.mkdtemp(prefix=f"seed-{seed}-", dir=arguments.directory.absolute())

    def play() -> int:
        # Here and not above: what it imports starts threads, and a process with threads cannot
        # leave its namespaces.
        from tests.torture.planting import NotForNodes, chosen
        from tests.torture.run import Options, torture

        try:
            if arguments.mutant is not None:
                chosen(arguments.mutant)
        except NotForNodes as error:
            sys.stderr.write(f"{error}\n")
            return 2
        again = f"python -m tests.torture --minutes {arguments.minutes:g} --seed {seed}"
        again += f" --nodes {arguments.nodes}" + " --loopback" * arguments.loopback
        options = Options(
            seconds=arguments.minutes * 60,
            seed=seed,
            nodes=arguments.nodes,
            directory=Path(made),
            isolated=obstacle is None,
            keep=arguments.keep,
            mutant=arguments.mutant,
            again=again + (f" --mutant {arguments.mutant}" if arguments.mutant else ""),
        )
        return torture(options)

    if obstacle is not None:
        sys.stdout.write(
            f"no network namespaces here ({obstacle}): nodes run on loopback addresses, and what "
            "takes more than kills, pauses, clocks, members and cut connections is left out\n"
        )
    code = isolation.run_outside(play) if obstacle else isolation.run(play)
    with suppress(OSError):
        Path(made).rmdir()  # it is not empty when there is something to look at
    return code


if __name__ == "__main__":
    sys.exit(main())
