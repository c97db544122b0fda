"""Three nodes on this machine, shown at work: `make demo`, or `python examples/demo.py`.

Responsible for a reader who has never seen a consensus protocol: each step says what it does and
why, shows what came of it, and ends the demonstration with exit code 1 if it is not as promised.
Everything happens in one directory beside this clone's files, which is gone afterwards, also after
Ctrl-C and after a failure.
"""

from __future__ import annotations

import itertools
import os
import secrets
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sign_ups import Stream, in_threads

from namestore import NameStore
from namestore.errors import NamestoreError, NameTaken
from namestore.localcluster import LocalCluster
from namestore.localcluster.bring_up import bring_up
from namestore.localcluster.interrupts import interrupts_held, termination_interrupts
from namestore.localcluster.observe import names_digest
from namestore.streams import end_process

CLONE = Path(__file__).resolve().parents[1]
RACE_NAMES, RACE_CALLERS = 40, 24
STREAM_CALLERS, STREAM_SECONDS = 6, 2.0  # before the kill, and again after it
CALL_SECONDS = 20.0


class NotAsPromised(Exception):
    """What was shown is not what namestore promises."""


def main() -> int:
    """Runs the demonstration. Returns the exit code."""
    started = time.monotonic()
    try:
        with termination_interrupts(), demo_cluster() as cluster:
            with NameStore(cluster.endpoints, timeout=CALL_SECONDS) as names:
                race(cluster)
                taken_name(names)
                chosen_slug(names)
                anonymous_post(names)
                leader = kill_the_leader(cluster, names)
                bring_back(cluster, leader)
            end(cluster)
    except KeyboardInterrupt:
        say("\nInterrupted; everything is cleaned up.")
        return 130
    except (NotAsPromised, NamestoreError, TimeoutError) as error:
        say(f"\nNOT AS PROMISED: {error}")
        say(getattr(error, "log_tail", ""))
        return 1
    say(f"\nAll of it was as promised. {time.monotonic() - started:.0f} seconds; nothing is left.")
    return 0


# -- the steps ----------------------------------------------------------------------------------


@contextmanager
def demo_cluster() -> Iterator[LocalCluster]:
    """Three nodes in a directory of their own, which is removed whatever happens."""
    title(
        "Three nodes",
        "Each node is a process with its own disk. A name is granted once a majority of them, two "
        "of three, has it on disk; so any one of them may die at any moment.",
    )
    directory = CLONE / f".namestore-demo-{os.getpid()}-{secrets.token_hex(2)}"
    cluster = None
    try:
        with interrupts_held():  # there is nothing yet, or something that can be removed
            cluster = LocalCluster.create(directory, nodes=3, base_port=0)
        bring_up(cluster, timeout=60)
        leader = cluster.wait_for_leader()
        for node_id in cluster.node_ids:
            role = "leads: it orders the requests" if node_id == leader else "follows"
            pid = cluster.process(node_id).pid
            say(f"  {node_id}  {cluster.endpoint(node_id)}  process {pid}  {role}")
        yield cluster
    finally:
        # A second Ctrl-C must not leave processes behind.
        with interrupts_held():
            if cluster is not None:
                cluster.end()
                cluster.directory.wipe()


def race(cluster: LocalCluster) -> None:
    """Many callers want the same names at the same moment."""
    title(
        "A sign-up race",
        f"{RACE_CALLERS} callers, spread over the three nodes, all register the same "
        f"{RACE_NAMES} user names at once. A database that replicates later would give some of "
        "them away twice.",
    )
    wanted = [f"user:racer{number}" for number in range(RACE_NAMES)]
    winners: dict[str, list[str]] = {name: [] for name in wanted}
    start = threading.Barrier(RACE_CALLERS)
    endpoints = cluster.endpoints.split(",")

    def sign_up(number: int) -> None:
        first = number % len(endpoints)
        with NameStore(endpoints[first:] + endpoints[:first], timeout=CALL_SECONDS) as names:
            start.wait(CALL_SECONDS)
            for name in wanted:
                if names.register(name, owner=f"caller-{number}"):
                    winners[name].append(f"caller-{number}")

    in_threads(sign_up, RACE_CALLERS)
    asked = RACE_CALLERS * RACE_NAMES
    say(f"  {asked} requests, {sum(map(len, winners.values()))} granted.")
    promise(all(len(who) == 1 for who in winners.values()), "each name has exactly one winner")
    first, last = wanted[0], wanted[-1]
    say(f"  For example, {first} went to {winners[first][0]}, {last} to {winners[last][0]}.")


def taken_name(names: NameStore) -> None:
    """Being taken is an answer, with the record that stands in the way."""
    title("A name that is taken", "Alice signs up. Then somebody else wants to be alice.")
    alice = names.register("user:alice", owner="account-17")
    promise(bool(alice), "account-17 is granted user:alice")
    other = names.register("user:alice", owner="account-18")
    promise(not other, "account-18 is not")
    promise(
        other.record is not None and other.record.owner == "account-17",
        f"and hears why: {other.refusal and other.refusal.value}, held by account-17",
    )
    again = names.register("user:alice", owner="account-17", request_id=alice.request_id)
    promise(
        bool(again),
        "account-17 asks again with the same request_id, as if the answer had been lost: granted",
    )


def chosen_slug(names: NameStore) -> None:
    """A slug that an author chose is never replaced by another one."""
    title(
        "A post with a chosen slug",
        "Two authors choose the same permalink. The second one has to pick another: a slug that a "
        "person chose is refused, never changed behind their back.",
    )
    first = names.register_slug("post:", slug="hello", owner="account-17")
    promise(first.name == "post:hello", f"the first author's post is {first.name}")
    try:
        names.register_slug("post:", slug="hello", owner="account-18")
    except NameTaken as refused:
        promise(True, f"the second one is refused: {refused}")
    else:
        promise(False, "the second author must be refused")


def anonymous_post(names: NameStore) -> None:
    """A SHA that is taken is generated anew."""
    title(
        "An anonymous post",
        "Nobody chose a slug, so the client draws a SHA, as git does. A collision is next to "
        "impossible, so this one is forced: a second post begins with the SHA of the first.",
    )
    first = names.register_slug("post:", owner="anonymous")
    sha = first.name.removeprefix("post:")
    say(f"  first post:  {first.name}")
    second = names.register_slug("post:", slug=sha, owner="anonymous")
    say(f"  second post: {second.name}")
    promise(second.name != first.name, "the SHA was refused, and another one was generated")
    kept = names.lookup(first.name)
    promise(kept == first, "the first post kept its own")


def kill_the_leader(cluster: LocalCluster, names: NameStore) -> str:
    """kill -9 in the middle of sign-ups; returns who it was."""
    leader = cluster.wait_for_leader()
    title(
        "The leader dies",
        f"{STREAM_CALLERS} callers sign users up without pause; every name is asked for by two of "
        f"them. In the middle of it the leader, {leader}, is killed with kill -9.",
    )
    stream = Stream(cluster.endpoints, STREAM_CALLERS, CALL_SECONDS)
    with stream.running():
        time.sleep(STREAM_SECONDS)
        before = len(stream.granted)
        killed_at = time.monotonic()
        cluster.kill(leader)
        say(f"  {before} names were granted so far; {leader} is dead.")
        successor = cluster.wait_for_leader(other_than=leader)
        say(f"  {time.monotonic() - killed_at:.1f} s later {successor} leads.")
        time.sleep(STREAM_SECONDS)
    after = len(stream.granted) - before
    say(f"  {after} more names were granted since.")
    say(
        f"  {stream.repeated} calls got no certain answer and were asked again as the same request."
    )
    promise(after > 0, "sign-ups went on without the old leader")
    promise(not stream.granted_twice, "no name was granted twice")
    records = names.lookup_many(list(stream.granted), timeout=60)
    held = {record.name: record.owner for record in records if record is not None}
    lost = [name for name, owner in stream.granted.items() if held.get(name) != owner]
    promise(not lost, f"all {len(stream.granted)} names that were granted are held by the winner")
    return leader


def bring_back(cluster: LocalCluster, node_id: str) -> None:
    """The dead node returns, and gets what it missed."""
    title(
        "It comes back",
        f"{node_id} is started again. It finds on its disk what it had acknowledged, and gets the "
        "rest from the others. Then every node is asked for all it holds, by itself alone.",
    )
    cluster.start(node_id)
    cluster.wait_until_serving(timeout=60)
    cluster.wait_until_equal(timeout=60)
    digests = {}
    for each in cluster.node_ids:
        digests[each] = names_digest(cluster.endpoint(each))
        status = cluster.views([each])[each].status
        count = "?" if status is None else status.name_count
        say(f"  {each}  {count} names  checksum {digests[each][:16]}")
    promise(len(set(digests.values())) == 1, "all three hold the same names, to the last byte")


def end(cluster: LocalCluster) -> None:
    """Every node is asked to end, and does."""
    title("The end", "Each node finishes what it is doing, and ends when it is asked to.")
    for node_id in cluster.node_ids:
        cluster.terminate(node_id)
    for node_id in cluster.node_ids:
        process = cluster.process(node_id)
        promise(
            process.wait_gone(cluster.drain_timeout()) and process.exit_code == 0,
            f"{node_id} ended by itself, with exit code 0",
        )


# -- words --------------------------------------------------------------------------------------

_steps = itertools.count(1)


def title(what: str, why: str) -> None:
    """Begins a step."""
    say(f"\n{next(_steps)}. {what}")
    for line in textwrap.wrap(why, 92):
        say(f"   {line}")


def promise(kept: bool, what: str) -> None:
    """Shows that it is so, or ends the demonstration."""
    if not kept:
        raise NotAsPromised(what)
    say(f"  [ok] {what}")


def say(text: str) -> None:
    """At once, also into a pipe."""
    print(text, flush=True)


if __name__ == "__main__":
    # What was interrupted may have left threads, which the interpreter's own end would trip over.
    end_process(main())
