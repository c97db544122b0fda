"""Copies that follow the registry while its leader changes, again and again, under load.

Callers register, release, change, rename and reserve names. Meanwhile followers keep copies by the
feed alone: from the first change on, from a picture taken on the way, of one prefix, squashed, and
in an event loop. At the end each copy must equal the registry, record for record.
`python -m tests.cluster.following` runs it for long, test_watch a few changes.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from namestore import NameStore, aio
from namestore.client.values import NameEvent, NameRecord
from namestore.errors import NamestoreError
from namestore.localcluster import LocalCluster
from tests.support.callers import Load
from tests.support.cluster import SERVE_SECONDS, finish, running_cluster
from tests.support.eventually import eventually
from tests.support.history import History

_SETTINGS = {"raft": {"snapshot_entries": 200}}
_ANSWERS_BETWEEN = 20
_ENDS = {"RELEASED", "EXPIRED", "RENAMED_AWAY"}


@dataclass
class Tally:
    """What a run did, for its summary."""

    leader_changes: int = 0
    how: dict[str, int] = field(default_factory=dict)
    names: int = 0
    revisions: int = 0
    events: int = 0
    followers: int = 0
    resumes: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        how = ", ".join(f"{count} by {way}" for way, count in sorted(self.how.items()))
        return (
            f"{self.leader_changes} leader changes ({how}): {self.revisions} revisions, "
            f"{self.events} events to {self.followers} followers, {self.resumes} feeds resumed, "
            f"{self.names} names at the end, {self.seconds:.0f} s; every copy equals the registry"
        )


class Copy:
    """A copy of the names under a prefix, kept by events alone.

    Attributes:
        whole: It is told every change, so that revisions follow each other without a gap.
    """

    def __init__(self, prefix: str, *, whole: bool, revision: int = 0) -> None:
        self.prefix = prefix
        self.whole = whole
        self.revision = revision
        self.events = 0
        self.resumes = 0
        self.records: dict[str, NameRecord] = {}

    def take(self, event: NameEvent) -> None:
        assert event.revision > self.revision, f"{event.revision} after {self.revision}"
        if self.whole:
            assert event.revision == self.revision + 1, f"a gap before {event.revision}"
        self.revision = event.revision
        self.events += 1
        if event.record is None:
            return
        assert event.record.name.startswith(self.prefix)
        if event.kind in _ENDS:
            # Squashed, it may never have been told that the name was taken.
            self.records.pop(event.record.name, None)
        else:
            self.records[event.record.name] = event.record


class Follower:
    """Keeps a copy in a thread until it is closed; what goes wrong there is raised by `close`."""

    def __init__(self, copy: Copy, endpoints: str, follow: Callable[[Follower], None]) -> None:
        self.copy = copy
        self.endpoints = endpoints
        self.ending = threading.Event()
        self.reached: Callable[[], int] = lambda: 0
        self.end: Callable[[], object] = lambda: None
        self.failure: BaseException | None = None
        self._follow = follow
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.ending.set()
        self.end()
        self._thread.join(SERVE_SECONDS)
        if self.failure is not None:
            raise self.failure
        assert not self._thread.is_alive(), "a follower hangs"

    def _run(self) -> None:
        try:
            self._follow(self)
        except BaseException as error:  # noqa: BLE001  # raised where the test can see it
            self.failure = error


def follow(follower: Follower) -> None:
    """Every change, from the first one that the copy lacks."""
    copy = follower.copy
    with (
        NameStore(follower.endpoints, timeout=SERVE_SECONDS) as store,
        store.watch(copy.prefix, from_revision=copy.revision + 1) as feed,
    ):
        follower.reached, follower.end = lambda: feed.revision, feed.close
        for event in feed:
            copy.take(event)
        copy.resumes += feed.resumes


def follow_from_a_picture(follower: Follower) -> None:
    """An export, and what changed since: as a cache or a search index does."""
    with NameStore(follower.endpoints, timeout=SERVE_SECONDS) as store:
        with store.export(follower.copy.prefix) as export:
            follower.copy.revision = export.revision
            follower.copy.records = {record.name: record for record in export}
    follow(follower)


def follow_squashed(follower: Follower) -> None:
    """One short feed after the other, each only told the latest of each name first."""
    copy = follower.copy
    with NameStore(follower.endpoints, timeout=SERVE_SECONDS) as store:
        while not follower.ending.is_set():
            first = copy.revision + 1
            with store.watch(copy.prefix, from_revision=first, squash=True) as feed:
                follower.end = feed.close
                follower.reached = lambda feed=feed: feed.revision  # type: ignore[misc]
                if follower.ending.is_set():
                    return
                for event in feed:
                    copy.take(event)
                    if copy.events % 40 == 0:
                        break
                copy.resumes += feed.resumes


def follow_in_a_loop(follower: Follower) -> None:
    """The asyncio flavour, with a caller who is impatient and loses nothing by it."""
    copy = follower.copy

    async def run() -> None:
        async with aio.NameStore(follower.endpoints, timeout=SERVE_SECONDS) as store:
            async with store.watch(copy.prefix, from_revision=1) as feed:
                follower.reached = lambda: feed.revision
                while not follower.ending.is_set():
                    try:
                        copy.take(await asyncio.wait_for(anext(feed), 0.2))
                    except TimeoutError:
                        continue
                copy.resumes += feed.resumes

    asyncio.run(run())


class Lives:
    """What `Load` does not do to names: changes, renames, reservations."""

    def __init__(self, endpoints: str) -> None:
        self._endpoints = endpoints
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Lives:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(SERVE_SECONDS)

    def _run(self) -> None:
        rng = Random(7)
        with NameStore(self._endpoints, timeout=4.0) as store:
            while not self._stop.is_set():
                try:
                    _live_on(store, rng)
                except NamestoreError:
                    continue  # refused, or not known: both are among what happens to names


def _live_on(store: NameStore, rng: Random) -> None:
    name, other = (f"post:{rng.randrange(40)}" for _ in range(2))
    match rng.randrange(6):
        case 0 | 1:
            store.register(name, "ann", rng.randbytes(8), ttl=rng.choice((None, 1.0)))
        case 2:
            store.update(name, "ann", payload=rng.randbytes(8))
        case 3:
            store.rename(name, other, "ann")
        case 4:
            store.confirm(name, "ann")
        case 5:
            store.release(name, "ann")


# -- leaders that change -----------------------------------------------------------------------


def _kill(cluster: LocalCluster, leader: str) -> None:
    cluster.kill(leader)


def _stop(cluster: LocalCluster, leader: str) -> None:
    cluster.stop(leader)


def _pause(cluster: LocalCluster, leader: str) -> None:
    cluster.pause(leader)


def _transfer(cluster: LocalCluster, leader: str) -> None:
    with NameStore(cluster.endpoint(leader), timeout=SERVE_SECONDS) as store:
        store.transfer_leadership()


_WAYS = {"kill": _kill, "transfer": _transfer, "pause": _pause, "stop": _stop}


def follow_through_changes(
    path: Path, changes: int, tell: Callable[[str], object] = lambda _: None
) -> Tally:
    """Changes the leader so often; see the module.

    Raises:
        AssertionError: A follower was told something twice, out of order or not at all, or a copy
            differs.
        Violation: The history of the callers cannot be that of one registry.
    """
    tally, began, history = Tally(), time.monotonic(), History(time.monotonic)
    with running_cluster(path / "cluster", settings=_SETTINGS) as cluster:
        place = cluster.endpoints
        followers = [
            Follower(Copy("", whole=True), place, follow),
            Follower(Copy("post:", whole=False), place, follow),
            Follower(Copy("", whole=False), place, follow_squashed),
            Follower(Copy("", whole=True), place, follow_in_a_loop),
        ]
        with Load(place, history) as load, Lives(place):
            for number in range(changes):
                load.wait_for_answers(_ANSWERS_BETWEEN)
                if number == changes // 2:
                    copy = Copy("", whole=True)
                    followers.append(Follower(copy, place, follow_from_a_picture))
                _change_leader(cluster, list(_WAYS)[number % len(_WAYS)], tally)
                tell(f"leader change {tally.leader_changes}; {_state_of(followers)}")
            load.wait_for_answers(_ANSWERS_BETWEEN)
        finish(cluster, history)
        _compare(cluster, followers, tally)
    tally.seconds = time.monotonic() - began
    return tally


def _change_leader(cluster: LocalCluster, way: str, tally: Tally) -> None:
    leader = cluster.wait_for_leader(timeout=SERVE_SECONDS)
    _WAYS[way](cluster, leader)
    cluster.wait_for_leader(other_than=leader, timeout=SERVE_SECONDS)
    tally.leader_changes += 1
    tally.how[way] = tally.how.get(way, 0) + 1
    if way == "pause":
        cluster.resume(leader)
    elif way in ("kill", "stop"):
        cluster.start(leader)
    cluster.wait_until_serving(timeout=SERVE_SECONDS)


def _state_of(followers: Iterable[Follower]) -> str:
    return ", ".join(str(follower.reached()) for follower in followers)


def _compare(cluster: LocalCluster, followers: list[Follower], tally: Tally) -> None:
    with NameStore(cluster.endpoints, timeout=SERVE_SECONDS) as store:

        def no_reservation_is_left() -> bool:
            with store.export() as export:
                return not any(record.expire_time for record in export)

        eventually(no_reservation_is_left, "every reservation has ended", SERVE_SECONDS)
        with store.export() as export:
            tally.revisions = export.revision
            records = {record.name: record for record in export}
    for follower in followers:
        eventually(
            lambda follower=follower: follower.failure or follower.reached() >= tally.revisions,  # type: ignore[misc]
            "a follower catches up",
            SERVE_SECONDS,
        )
        follower.close()
        copy = follower.copy
        expected = {
            name: record for name, record in records.items() if name.startswith(copy.prefix)
        }
        assert copy.records == expected
        tally.events += copy.events
        tally.resumes += copy.resumes
    tally.names, tally.followers = len(records), len(followers)


def _tell(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()


def main() -> None:
    """The long run."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.following", description=__doc__)
    parser.add_argument("--changes", type=int, default=50, help="of the leader")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="namestore-following-") as path:
        _tell(str(follow_through_changes(Path(path), arguments.changes, _tell)))


if __name__ == "__main__":
    main()
