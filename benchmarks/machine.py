"""What the benchmark runs on, in words, for the report."""

from __future__ import annotations

import datetime as dt
import os
import platform
import subprocess
import time
from pathlib import Path

from benchmarks.spreads import percentile

_SYNCS = 200
_SYNC_BYTES = 4096
_BUSY_SHARE = 0.1


def describe(directory: Path) -> dict[str, str]:
    """By topic. Writes a small file below the directory, to see what a sync costs there."""
    today = dt.datetime.now(tz=dt.UTC)
    return {
        "date": f"{today:%Y-%m-%d %H:%M} UTC",
        "processor": f"{_processor()}, {len(os.sched_getaffinity(0))} cores for everything",
        "memory": f"{_memory_bytes() / 2**30:.0f} GiB",
        "system": f"{_release()}, Linux {platform.release()}, Python {platform.python_version()}",
        "disk": f"{_filesystem(directory)}; {_sync_cost(directory)}",
        "commit": _commit(),
    }


def busy(stat: Path = Path("/proc/stat"), seconds: float = 2.0) -> str | None:
    """A sentence, if others use the machine as well. Looks on for a while.

    Not by the load average, which remembers what ended a minute ago.
    """
    before = _ticks(stat)
    time.sleep(seconds)
    used, idle = (now - then for now, then in zip(_ticks(stat), before, strict=True))
    share = used / max(1, used + idle)
    if share < _BUSY_SHARE:
        return None
    return (
        f"The machine was busy with other work ({share:.0%} of its processor time before the run): "
        "no figure stands, and ratios say little."
    )


def _ticks(stat: Path) -> tuple[int, int]:
    """What all cores together have used, and idled, since the system began."""
    fields = [int(field) for field in stat.read_text().splitlines()[0].split()[1:9]]
    idle = fields[3] + fields[4]  # waiting for a disk is idle, too
    return sum(fields) - idle, idle


def available_bytes() -> int:
    """Memory that could be used without swapping."""
    return _meminfo("MemAvailable")


def is_memory(directory: Path) -> bool:
    """The directory's file system keeps nothing on a disk: a sync there costs nothing."""
    return _filesystem(directory) in ("tmpfs", "ramfs")


def _memory_bytes() -> int:
    return _meminfo("MemTotal")


def _meminfo(field: str) -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return 0


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(": ")[2]
    return platform.machine()


def _release() -> str:
    return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")


def _filesystem(directory: Path) -> str:
    """Of the longest mount point above the directory."""
    path, best = directory.resolve(), ("", "unknown")
    for line in Path("/proc/mounts").read_text().splitlines():
        _, point, kind, *_ = line.split()
        if path.is_relative_to(point) and len(point) >= len(best[0]):
            best = (point, kind)
    return best[1]


def _sync_cost(directory: Path) -> str:
    """What a small append and its fdatasync take."""
    target = directory / "sync-cost"
    seconds = []
    with target.open("wb", buffering=0) as file:
        for _ in range(_SYNCS):
            began = time.perf_counter()
            file.write(bytes(_SYNC_BYTES))
            os.fdatasync(file.fileno())
            seconds.append(time.perf_counter() - began)
    target.unlink()
    half, most = (percentile(seconds, percent) * 1e3 for percent in (50, 99))
    return f"append of {_SYNC_BYTES} bytes and fdatasync: median {half:.2f} ms, p99 {most:.2f} ms"


def _commit() -> str:
    root = Path(__file__).resolve().parents[1]
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "--short", "HEAD"],  # noqa: S607 - from PATH
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
