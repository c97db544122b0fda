"""What of the engine and the core a simulation alone reaches: lines and branches, by file.

Measured in processes of their own, from the first import on. What is never reached is printed with
its line numbers, modules that are not even imported among it; docs/testing.md says why. Those that
the simulation replaces at its seams are counted in the whole, and once more left out.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from coverage import Coverage

ROOT = Path(__file__).resolve().parents[2]
MEASURED = ("namestore/raft", "namestore/core")
_TRANSPORT = Path("namestore/raft/transport")
_KEPT = ("__init__", "framing", "hello", "messages", "schema")
# Sockets, TLS and threads: the simulation has its own network, and runs the engine's turns itself.
REPLACED = (
    "namestore/raft/authority.py",
    "namestore/raft/configured.py",
    "namestore/raft/node.py",
    *(
        str(_TRANSPORT / path.name)
        for path in sorted((ROOT / _TRANSPORT).glob("*.py"))
        if path.stem not in _KEPT
    ),
)


def measure(first: int, seeds: int, jobs: int, say: Callable[[str], None]) -> bool:
    """Runs the seeds, prints the figures.

    Returns:
        Whether all of them ended well.
    """
    with tempfile.TemporaryDirectory(prefix="namestore-coverage-") as scratch:
        settings = Path(scratch, "settings")
        settings.write_text(f"[run]\nbranch = True\nsource = {','.join(MEASURED)}\n")
        running = [
            _begin(settings, Path(scratch, f"data.{job}"), first + job, seeds, jobs)
            for job in range(min(jobs, seeds))
        ]
        outputs = [process.communicate()[0] for process in running]
        say("\n".join(outputs).rstrip())
        combined = Coverage(data_file=str(Path(scratch, "data")), config_file=str(settings))
        combined.combine([scratch])
        for title, part, left_out in (
            ("all of it", "", ()),
            ("without what is replaced", "", REPLACED),
            ("the engine without what is replaced", MEASURED[0], REPLACED),
            ("the core", MEASURED[1], ()),
        ):
            say(f"\n{title}:")
            included = [f"{part}/*"] if part else None
            combined.report(
                file=sys.stdout,
                show_missing=not part and not left_out,
                skip_empty=True,
                include=included,
                omit=left_out,
            )
        sys.stdout.flush()
        return all(process.returncode == 0 for process in running)


def _begin(settings: Path, data: Path, first: int, seeds: int, jobs: int) -> subprocess.Popen[str]:
    """One process: every so many seeds from its first one on."""
    count = len(range(first, first + seeds, jobs))
    command = [sys.executable, "-m", "coverage", "run", f"--rcfile={settings}"]
    command += [f"--data-file={data}", "-m", "tests.simulation", "run", "--jobs", "1"]
    command += ["--first", str(first), "--seeds", str(count), "--step", str(jobs)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
