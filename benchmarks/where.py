"""Where a name's microseconds go: processor time by thread, and by part of namestore.

    python -m benchmarks.where [--workload 256] [--seconds 10] [--flames DIR]

Three nodes, and the callers of one process, on this machine. The time of each thread is the
kernel's count, taken while nobody looks on; how a thread's time is shared among the parts is
sampled after that (py-spy, where it has the interpreter lock), in a second run of the same load.
With `--flames` a third run is drawn as flame graphs. Ratios between parts are what to take from it:
the microseconds are this machine's.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.generating import Generator
from benchmarks.load import Outcome
from benchmarks.peers.interface import BenchmarkError
from benchmarks.peers.namestore import Namestore
from benchmarks.processes import find_program
from benchmarks.workloads.calls import WORKLOADS
from benchmarks.workloads.loading import load_names

_TICK_US = 10_000
_BATCH = 500
_SEEN = 10_000  # names that are there for look-ups
_WARM_SECONDS = 2.0
_RATE = 250
# Below this share of everything a thread or a part is not worth a line.
_SHARE_MIN = 0.005
# Where a callback of an event loop begins: what is above it on the stack is the same for all.
_LOOP = re.compile(r"asyncio/(events|base_events|runners)\.py")
_PART = re.compile(r"\((?:[^()]*/)?namestore/([a-z0-9_/]+)\.py:")
_THREAD = re.compile(r"thread \((\d+)\): ([^;]+)")

# Process, and id of the thread, 0 for the main one (a client has another id in each run); and its
# name and the ticks it used.
Threads = dict[tuple[str, int], tuple[str, int]]


def main() -> None:
    arguments = _arguments()
    directory = Path(tempfile.mkdtemp(prefix="namestore-where-", dir=arguments.directory))
    peer = Namestore()
    try:
        peer.start(directory)
        leader = peer.leader()
        asyncio.run(load_names(peer, _SEEN, _BATCH))
        with _calling(peer, arguments.workload, arguments.seconds) as caller:
            processes = {
                ("leader" if node == leader else f"follower {node}"): pids[0]
                for node, pids in peer.pids().items()
            } | {"client": caller.pid}
            before = _threads(processes)
            time.sleep(arguments.seconds)
            after = _threads(processes)
            outcome = _outcome(caller)
        spent = _spent(before, after)
        with _calling(peer, arguments.workload, arguments.seconds) as caller:
            processes["client"] = caller.pid
            shares = _sampled(processes, arguments.seconds, directory)
            _outcome(caller)
        if arguments.flames is not None:
            with _calling(peer, arguments.workload, arguments.seconds) as caller:
                processes["client"] = caller.pid
                _draw(processes, arguments.seconds, arguments.flames)
                _outcome(caller)
        _print(arguments.workload, outcome, spent, shares)
    except BenchmarkError as error:
        sys.exit(f"{error}")
    finally:
        peer.stop()
        shutil.rmtree(directory)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    names = [workload.name for workload in WORKLOADS]
    parser.add_argument("--workload", choices=names, default="256", help="[%(default)s]")
    parser.add_argument("--seconds", type=int, default=10, help="of each run [%(default)s]")
    parser.add_argument("--flames", type=Path, help="where flame graphs go; none unless given")
    parser.add_argument(
        "--directory", type=Path, default=Path(tempfile.gettempdir()), help="[%(default)s]"
    )
    arguments = parser.parse_args()
    if find_program("py-spy") is None:
        parser.error("py-spy is not installed: pip install py-spy")
    return arguments


# -- the load ---------------------------------------------------------------------------------


@contextmanager
def _calling(peer: Namestore, name: str, seconds: int) -> Iterator[Generator]:
    """A process of callers, warm by now; it counts for that long."""
    workload = next(each for each in WORKLOADS if each.name == name)
    prefix = f"where/{time.monotonic_ns()}"
    caller = Generator(
        workload.task(peer, seconds=seconds, batch=_BATCH, prefix=prefix, seen=_SEEN)
    )
    try:
        caller.wait_ready()
        caller.begin(time.monotonic() + _WARM_SECONDS)
        time.sleep(_WARM_SECONDS)
        yield caller
    finally:
        caller.end()


def _outcome(caller: Generator) -> Outcome:
    """What came of the calls, once they have ended."""
    caller.let_go()
    found = caller.outcome()
    if found.failed or not found.names:
        raise BenchmarkError(f"{found.failed} calls failed: {found.failure}")
    return found


# -- what the kernel counts -------------------------------------------------------------------


def _threads(processes: Mapping[str, int]) -> Threads:
    found: Threads = {}
    for name, pid in processes.items():
        for task in Path(f"/proc/{pid}/task").iterdir():
            try:
                fields = (task / "stat").read_text().rpartition(")")[2].split()
                comm = (task / "comm").read_text().strip()
            except OSError:
                continue  # it has just ended
            label = "main" if int(task.name) == pid else comm
            thread = 0 if label == "main" else int(task.name)
            found[name, thread] = label, int(fields[11]) + int(fields[12])
    return found


def _spent(before: Threads, after: Threads) -> Threads:
    return {
        key: (label, ticks - before.get(key, ("", 0))[1]) for key, (label, ticks) in after.items()
    }


# -- what is sampled --------------------------------------------------------------------------


def _record(pid: int, seconds: int, output: Path, *options: str) -> subprocess.Popen[bytes]:
    command = ["py-spy", "record", "-d", str(seconds), "-r", str(_RATE), "-o", str(output)]
    return subprocess.Popen(
        [*command, *options, "-p", str(pid)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _sampled(
    processes: Mapping[str, int], seconds: int, directory: Path
) -> dict[tuple[str, int], Counter[str]]:
    """By process and thread: in which part of namestore samples were."""
    files = {name: directory / f"{name}.raw" for name in processes}
    running = [
        _record(pid, seconds, files[name], "--gil", "--threads", "--format", "raw")
        for name, pid in processes.items()
    ]
    if any(each.wait() for each in running):
        raise BenchmarkError("py-spy may not look at processes here (it needs ptrace)")
    shares: dict[tuple[str, int], Counter[str]] = {}
    for name, file in files.items():
        for line in file.read_text().splitlines():
            stack, _, count = line.rpartition(" ")
            thread = _THREAD.match(stack)
            if thread is not None:
                key = name, 0 if thread[2] == "MainThread" else int(thread[1])
                shares.setdefault(key, Counter())[part_of(stack.split(";")[1:])] += int(count)
    return shares


def part_of(frames: Sequence[str]) -> str:
    """The part of namestore that a stack is in: that of its innermost function there.

    Args:
        frames: As py-spy writes them, the outermost first.
    """
    for frame in reversed(frames):
        if _LOOP.search(frame):
            break
        part = _PART.search(frame)
        if part is not None:
            path = part[1].split("/")
            return "/".join(path[:2] if path[:2] == ["raft", "transport"] else path[:1])
    return "asyncio, grpcio"


def _draw(processes: Mapping[str, int], seconds: int, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    wanted = {"leader": "leader", "client": "client"}
    wanted |= {next(name for name in processes if name.startswith("follower")): "follower"}
    running = [
        _record(processes[name], seconds, directory / f"flame-{drawn}.svg", "--gil", "--threads")
        for name, drawn in wanted.items()
    ]
    for each in running:
        each.wait()


# -- what is said -----------------------------------------------------------------------------


def _print(
    workload: str,
    outcome: Outcome,
    spent: Threads,
    shares: Mapping[tuple[str, int], Counter[str]],
) -> None:
    names, total = outcome.names, sum(ticks for _, ticks in spent.values())
    everything = total * _TICK_US / names
    print(f"{workload}: {names / outcome.seconds:,.0f} names/s, {everything:.1f} us of processor")
    print("time a name, over all processes\n")
    print("| process | thread | us a name | of which |")
    print("|---|---|---:|---|")
    rows = sorted(spent.items(), key=lambda row: (row[0][0], -row[1][1]))
    for (process, thread), (label, ticks) in rows:
        if ticks < _SHARE_MIN * total:
            continue
        micros = ticks * _TICK_US / names
        parts = shares.get((process, thread), Counter())
        count = sum(parts.values())
        detail = ", ".join(
            f"{part} {micros * found / count:.1f}"
            for part, found in parts.most_common()
            if found > 0.02 * count
        )
        print(f"| {process} | {_named(label, detail)} | {micros:.1f} | {detail} |")


def _named(label: str, detail: str) -> str:
    if label.startswith("python"):
        return "raft" if "raft" in detail else "other"
    return label


if __name__ == "__main__":
    main()
