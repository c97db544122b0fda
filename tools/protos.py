"""Writes namestore/v1/ from protos/, or checks that what is committed is what protos/ gives.

usage: python tools/protos.py write | check
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path("namestore/v1")


def generate(target: Path) -> None:
    """Runs protoc with its four outputs into `target`."""
    sources = sorted((ROOT / "protos" / PACKAGE).glob("*.proto"))
    # The mypy plugins are programs that protoc looks for beside the Python that runs this.
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    subprocess.run(
        [
            sys.executable,
            "-m",
            "grpc_tools.protoc",
            "-Iprotos",
            f"--python_out={target}",
            f"--grpc_python_out={target}",
            f"--mypy_out=quiet:{target}",
            f"--mypy_grpc_out=quiet:{target}",
            *(str(source.relative_to(ROOT)) for source in sources),
        ],
        cwd=ROOT,
        env={**os.environ, "PATH": path},
        check=True,
    )


def generated_files(root: Path) -> dict[str, bytes]:
    """Every generated file under `root`, by name."""
    return {path.name: path.read_bytes() for path in sorted((root / PACKAGE).glob("*_pb2*.py*"))}


def check() -> int:
    """Compares; says what differs and what to run."""
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        fresh = generated_files(Path(scratch))
    committed = generated_files(ROOT)
    stale = sorted(
        name for name in fresh.keys() | committed.keys() if fresh.get(name) != committed.get(name)
    )
    if not stale:
        return 0
    print(f"not what protos/ gives: {', '.join(f'{PACKAGE}/{name}' for name in stale)}")
    print("run `make protos` and commit what it writes")
    return 1


def main(arguments: list[str]) -> int:
    """The two verbs."""
    match arguments:
        case ["write"]:
            generate(ROOT)
            return 0
        case ["check"]:
            return check()
        case _:
            print(__doc__, file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
