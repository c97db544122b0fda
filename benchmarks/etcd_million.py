"""What many names cost three nodes of etcd: the counterpart of `ten_million.py`.

    python -m benchmarks.etcd_million [--names 1000000] [--batch 500] [--directory DIR]

Memory, disk, restart, snapshots, and rebuilding a member that lost its data. The directory should
be on the disk that is to hold the data, with 3 KB for each name to spare.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import itertools
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.peers.etcd import SERVERS, Etcd
from benchmarks.peers.etcd_client import EtcdClient
from benchmarks.peers.interface import BenchmarkError
from benchmarks.processes import disk_bytes

_LONG_SECONDS = 1800.0


def add(what: str, value: str) -> None:
    print(f"{what:<60} {value:>28}", flush=True)


def name_of(number: int) -> str:
    """Names in no order, the same as for namestore."""
    return f"user:{hashlib.sha1(b'%d' % number, usedforsecurity=False).hexdigest()[:16]}"


async def fill(peer: Etcd, names: int, batch: int, callers: int) -> None:
    client = await EtcdClient.connect(peer.address())
    starts = itertools.count(0, batch)
    began = time.monotonic()

    async def caller() -> None:
        for start in starts:
            if start >= names:
                return
            chosen = [name_of(number) for number in range(start, min(start + batch, names))]
            granted = await client.register_each(chosen)
            if granted != len(chosen):
                raise SystemExit(f"{granted} of {len(chosen)} names were granted")
            if start // batch % 500 == 0:
                rate = start / (time.monotonic() - began)
                print(f"  {start:,} names, {rate:,.0f} a second", file=sys.stderr, flush=True)

    await asyncio.gather(*(caller() for _ in range(callers)))
    seconds = time.monotonic() - began
    await client.close()
    add(f"import, {callers} callers, transactions of {batch}", f"{names / seconds:,.0f} names/s")
    add("import", f"{seconds:,.1f} s")


def report_memory(peer: Etcd, when: str) -> None:
    for server, pids in peer.pids().items():
        status = Path(f"/proc/{pids[0]}/status").read_text()
        fields = {k: int(v) / 1024 for k, v in re.findall(r"(\w+):\s+(\d+) kB", status)}
        add(
            f"resident memory {when}, {server} (anonymous, highest)",
            f"{fields['VmRSS']:,.0f} ({fields['RssAnon']:,.0f}, {fields['VmHWM']:,.0f}) MiB",
        )


def report_disk(peer: Etcd, names: int) -> None:
    for server, directory in peer.data().items():
        for part in ("wal", "snap"):
            used = disk_bytes(directory / "member" / part)
            add(f"disk, {server}, {part}", f"{used / 2**20:,.0f} MiB, {used / names:,.0f} B/name")
        size, in_use = peer.db_bytes(server)
        add(
            f"database file, {server}: size, in use",
            f"{size / 2**20:,.0f}, {in_use / 2**20:,.0f} MiB",
        )


def seconds_of(action: Callable[[], object]) -> str:
    began = time.monotonic()
    action()
    return f"{time.monotonic() - began:,.3f} s"


def follower_of(peer: Etcd) -> str:
    leader = peer.leader()
    return next(server for server in SERVERS if server != leader)


def restart(peer: Etcd) -> None:
    follower = follower_of(peer)
    peer.kill(follower)
    add(
        "a follower after kill -9: process start to serving",
        seconds_of(lambda: peer.restart(follower)),
    )
    for server in SERVERS:
        peer.end(server)
    add("all three after SIGTERM: process start to serving", seconds_of(peer.restart_all))


def snapshot(peer: Etcd, directory: Path) -> None:
    target = directory / "saved.db"
    leader = peer.leader()
    add(
        "etcdctl snapshot save",
        seconds_of(lambda: peer.etcdctl(leader, "snapshot", "save", str(target))),
    )
    add("size of the snapshot", f"{target.stat().st_size / 2**20:,.0f} MiB")
    target.unlink()


def rebuild(peer: Etcd) -> None:
    """As etcd's documentation has it: remove the member, empty its directory, add it again."""
    lost, leader = follower_of(peer), peer.leader()
    members = peer.etcdctl(leader, "member", "list").splitlines()
    identity = next(line.split(",")[0] for line in members if f" {lost}," in line)
    peer.kill(lost)
    goal = peer.applied_index(leader)
    shutil.rmtree(peer.data()[lost])
    began = time.monotonic()
    peer.etcdctl(leader, "member", "remove", identity)
    # A new leader counts its members as unhealthy for a while, and then refuses to add one.
    peer.wait_until(lambda: _added(peer, leader, lost), f"{lost} added", _LONG_SECONDS)
    started = time.monotonic()
    peer.restart(lost)
    peer.wait_until(lambda: peer.applied_index(lost) >= goal, f"{lost} rebuilt", _LONG_SECONDS)
    ended = time.monotonic()
    add("rebuilding an emptied member, from process start", f"{ended - started:,.3f} s")
    add("the same, with member remove and member add", f"{ended - began:,.3f} s")


def _added(peer: Etcd, leader: str, lost: str) -> bool:
    try:
        peer.etcdctl(leader, "member", "add", lost, f"--peer-urls={peer.peer_url(lost)}")
    except BenchmarkError as error:
        if "unhealthy" not in str(error):
            raise
        return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--names", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--callers", type=int, default=8)
    parser.add_argument("--directory", type=Path, help="where the data goes [default: temporary]")
    arguments = parser.parse_args()
    path = Path(tempfile.mkdtemp(prefix="namestore-benchmark-", dir=arguments.directory))
    peer = Etcd()
    try:
        (path / "etcd").mkdir()
        peer.start(path / "etcd")
        add("etcd", peer.version())
        add("names", f"{arguments.names:,}")
        report_memory(peer, "empty")
        asyncio.run(fill(peer, arguments.names, arguments.batch, arguments.callers))
        report_memory(peer, "after the import")
        report_disk(peer, arguments.names)
        restart(peer)
        report_memory(peer, "after a restart")
        snapshot(peer, path)
        rebuild(peer)
        report_memory(peer, "at the end")
    finally:
        peer.stop()
        shutil.rmtree(path)


if __name__ == "__main__":
    main()
