"""`python -m namestore server|cli|local-cluster …`: the commands without their scripts."""

from __future__ import annotations

import sys
from importlib import import_module

import click

_COMMANDS = {
    "server": "namestore.server.main",
    "cli": "namestore.cli.main",
    "local-cluster": "namestore.localcluster.main",
}


def main() -> None:
    """Runs the command that the first argument names, with the rest of the arguments."""
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command not in _COMMANDS:
        sys.stderr.write(f"usage: python -m namestore {'|'.join(_COMMANDS)} [ARGUMENTS]\n")
        sys.exit(2)
    program = f"python -m namestore {command}"
    del sys.argv[1]
    entry = import_module(_COMMANDS[command]).main
    if isinstance(entry, click.Command):
        entry.main(prog_name=program)
    else:
        entry()


if __name__ == "__main__":
    main()
