"""Long runs of what the tests here do in short: `python -m tests.faults --help`.

The exit code is 0 only if nothing acknowledged was lost and nothing was granted twice.
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.faults import kill_loop, power_loss, receiving, syncs


def _tell(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()


def _kills(path: Path, arguments: argparse.Namespace) -> object:
    return kill_loop.kill_in_a_loop(path, arguments.count, arguments.seed, _tell)


def _power(path: Path, arguments: argparse.Namespace) -> object:
    recorded = power_loss.record(path, arguments.names)
    _tell("recorded; now losing power")
    (path / "images").mkdir()
    return power_loss.lose_power(recorded, path / "images", arguments.points, arguments.seed, _tell)


def _receiving(path: Path, arguments: argparse.Namespace) -> object:
    received = receiving.record_receiver(path)
    _tell("recorded; now losing power")
    (path / "images").mkdir()
    images = receiving.lose_power_while_receiving(
        received, path / "images", arguments.points, arguments.seed
    )
    names = len(received.earlier) + len(received.grants)
    return f"{images} images, up to {names} acknowledged names: every image opens; 0 lost"


def _syncs(path: Path, arguments: argparse.Namespace) -> object:
    return syncs.count_syncs(path, arguments.nodes, arguments.callers, arguments.names)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    kills = commands.add_parser("kills", help="kill -9 of nodes in a loop, under load")
    kills.add_argument("--count", type=int, default=200, help="processes to kill")
    kills.set_defaults(run=_kills)
    power = commands.add_parser("power", help="power loss at many places of a recorded run")
    power.add_argument("--names", type=int, default=200, help="names to register")
    power.add_argument("--points", type=int, default=200, help="places; three images for each")
    power.set_defaults(run=_power)
    arriving = commands.add_parser("receiving", help="power loss while a snapshot arrives")
    arriving.add_argument("--points", type=int, default=200, help="places; three images for each")
    arriving.set_defaults(run=_receiving)
    counting = commands.add_parser("syncs", help="syncs of the disk, counted under load")
    counting.add_argument("--nodes", type=int, default=3)
    counting.add_argument("--callers", type=int, default=64, help="at the same time")
    counting.add_argument("--names", type=int, default=100, help="registered by each caller")
    counting.set_defaults(run=_syncs)
    for command in (kills, power, arriving, counting):
        command.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    return parser


def main() -> None:
    """Runs what the command line says."""
    arguments = _parser().parse_args()
    path = Path(tempfile.mkdtemp(prefix="namestore-faults-"))
    _tell(f"{arguments.command}: seed {arguments.seed}, in {path}")
    try:
        summary = arguments.run(path, arguments)
    except BaseException:
        _tell(f"FAILED; what was left is in {path}")
        raise
    shutil.rmtree(path)
    _tell(str(summary))


if __name__ == "__main__":
    main()
