"""How long followers hear nothing from their leader, under full load and on slow disks.

    python benchmarks/heartbeats.py [--seconds 20] [--sync-ms 0,5,25] [--callers 4] [--tasks 64]

Three nodes and the callers are processes of this machine. A preloaded library makes each fsync and
fdatasync, and each write to a file opened with O_DSYNC, take that much longer (it needs a C
compiler). An election begins after 600 ms of silence at the earliest; a leader says something every
100 ms. What is printed is the silence between two signs of life as sampled, which is never less
than the true one.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from pathlib import Path

from namestore import NameStore, aio
from namestore.errors import NamestoreError
from namestore.localcluster import LocalCluster

_SAMPLE_S = 0.005
_SLOW_SYNC = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

static void wait_a_while(void) {
    const char *text = getenv("BENCHMARK_SYNC_US");
    if (text) usleep((useconds_t)atoi(text));
}
int fsync(int fd) {
    static int (*real)(int);
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    wait_a_while();
    return real(fd);
}
int fdatasync(int fd) {
    static int (*real)(int);
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    wait_a_while();
    return real(fd);
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    static ssize_t (*real)(int, const void *, size_t, off_t);
    if (!real) real = (ssize_t (*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite");
    if (fcntl(fd, F_GETFL) & O_DSYNC) wait_a_while();
    return real(fd, data, size, at);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off_t at) {
    return pwrite(fd, data, size, at);
}
"""


def make_library(directory: Path) -> Path:
    """Compiles the library that slows syncs."""
    source, library = directory / "slow_sync.c", directory / "slow_sync.so"
    source.write_text(_SLOW_SYNC)
    compiler = shutil.which("cc")
    if compiler is None:
        sys.exit("no C compiler (cc) is here; install one, for example Debian's gcc")
    options = ("-shared", "-fPIC", "-O1", "-o")
    subprocess.run([compiler, *options, library, source, "-ldl"], check=True, timeout=60)
    return library


def load(endpoints: str, seconds: float, tasks: int) -> int:
    """Registers names, one at a time in each task; how many were granted."""

    async def one(store: aio.NameStore, number: int, until: float) -> int:
        granted = 0
        for count in itertools.count():
            if time.monotonic() > until:
                return granted
            try:
                granted += bool(await store.register(f"user:{os.getpid()}-{number}-{count}"))
            except NamestoreError:
                await asyncio.sleep(0.05)
        raise AssertionError("unreachable")

    async def everybody() -> int:
        until = time.monotonic() + seconds
        async with aio.NameStore(endpoints) as store:
            return sum(await asyncio.gather(*(one(store, n, until) for n in range(tasks))))

    return asyncio.run(everybody())


def silences(endpoint: str, seconds: float) -> list[float]:
    """The gaps, in ms, between the signs of life that a follower heard, as far as sampled."""
    heard: list[datetime] = []
    until = time.monotonic() + seconds
    with NameStore(endpoint) as store:
        while time.monotonic() < until:
            (view,) = store.status()
            last = None if view.node is None else view.node.last_heartbeat
            if last is not None and [last] != heard[-1:]:
                heard.append(last)
            time.sleep(_SAMPLE_S)
    return [1e3 * (b - a).total_seconds() for a, b in itertools.pairwise(heard)]


def measure(directory: Path, library: Path, sync_ms: float, options: argparse.Namespace) -> None:
    os.environ["BENCHMARK_SYNC_US"] = str(int(sync_ms * 1000))
    os.environ["LD_PRELOAD"] = str(library)
    with LocalCluster.create(directory, nodes=3, base_port=0) as cluster:
        cluster.start()
        del os.environ["LD_PRELOAD"]  # the callers' own disks are as they are
        cluster.wait_until_serving(timeout=60)
        leader = cluster.wait_for_leader(timeout=60)
        followers = [node_id for node_id in cluster.node_ids if node_id != leader]
        terms = [view.status.term for view in cluster.views().values() if view.status]
        context = multiprocessing.get_context("spawn")  # nothing forks where gRPC runs
        with ProcessPoolExecutor(options.callers + 2, context) as pool:
            callers = [
                pool.submit(load, cluster.endpoints, options.seconds, options.tasks)
                for _ in range(options.callers)
            ]
            watching = [
                pool.submit(silences, cluster.endpoint(node_id), options.seconds)
                for node_id in followers
            ]
            granted = sum(caller.result() for caller in callers)
            gaps = sorted(gap for each in watching for gap in each.result())
        after = [view.status.term for view in cluster.views().values() if view.status]
    print(
        f"| {sync_ms:g} | {granted / options.seconds:,.0f} | {gaps[len(gaps) // 2]:.0f} "
        f"| {gaps[int(len(gaps) * 0.99)]:.0f} | {gaps[-1]:.0f} | {max(after) - max(terms)} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--sync-ms", default="0,5,25", help="added to each sync; a list")
    parser.add_argument("--callers", type=int, default=4, help="processes that register")
    parser.add_argument("--tasks", type=int, default=64, help="callers in each of them")
    parser.add_argument("--directory", type=Path, help="where the data goes [default: temporary]")
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="namestore-benchmark-", dir=options.directory))
    try:
        library = make_library(home)
        print("| ms added to a sync | names/s | silence, ms: median | p99 | longest | elections |")
        print("|---|---|---|---|---|---|")
        for text in options.sync_ms.split(","):
            measure(home / f"sync-{text}", library, float(text), options)
    finally:
        shutil.rmtree(home)


if __name__ == "__main__":
    main()
