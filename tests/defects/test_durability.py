"""Acknowledged names that the library loses to a crash: log, vote and snapshot on the disk."""

from __future__ import annotations

import gzip
import importlib
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from namestore.errors import InvariantViolation
from namestore.raft.settings import Bounds
from namestore.raft.transport.messages import decode, encode
from namestore.storage.interfaces import Checkpoint
from tests.defects.conftest import Make, MakePlain
from tests.defects.ours import OurCluster
from tests.defects.plain import PlainCluster

JOURNAL: Any = importlib.import_module("pysyncobj.journal")

# The library drops files without closing them.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


class Killed(BaseException):
    """The process ends here."""


def _kill(*_: Any) -> None:
    raise Killed


def _killed_between_dump_and_journal(cluster: PlainCluster, _: pytest.MonkeyPatch) -> None:
    cluster.turn("a")
    cluster.set_private("a", "tryLogCompaction", _kill)
    with pytest.raises(Killed):
        cluster.turn("a")


def _killed_while_the_journal_is_rewritten(
    cluster: PlainCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.turn("a")
    added, real = [0], JOURNAL.FileJournal.add

    def add(self: Any, *entry: Any) -> None:
        added[0] += 1
        if added[0] > 3:
            raise Killed
        real(self, *entry)

    with monkeypatch.context() as patched:
        patched.setattr(JOURNAL.FileJournal, "add", add)
        with pytest.raises(Killed):
            cluster.turn("a")


@pytest.mark.parametrize(
    "killed", (_killed_between_dump_and_journal, _killed_while_the_journal_is_rewritten)
)
def test_defect_03_a_kill_around_a_compaction_loses_the_log(
    killed: Callable[[PlainCluster, pytest.MonkeyPatch], None],
    make_plain: MakePlain,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The library renames the dump first and shortens the journal later, in place: killed between
    or within, it forgets entries behind the snapshot that were there."""
    cluster = make_plain("a")
    cluster.first_leader("a")
    for number in range(6):
        cluster.write("a", f"n:{number}", "u")
    cluster.settle()
    answers = {f"n:late{n}": cluster.write("a", f"n:late{n}", "u") for n in range(4)}
    cluster.set_private("a", "forceLogCompaction", True)
    killed(cluster, monkeypatch)
    granted = [name for name, answer in answers.items() if answer.granted]
    cluster.crash("a")
    cluster.restart("a")
    cluster.first_leader("a")
    assert granted
    assert [name for name in granted if cluster.owner("a", name) is None]


@pytest.mark.parametrize("turns", range(6))
def test_defect_03_a_kill_around_a_compaction_loses_nothing(turns: int) -> None:
    """Entries are dropped only once the state holds them durably, in the same atomic sync as
    everything else: whenever the power fails, what was acknowledged is there (paper, section 7)."""
    cluster = OurCluster("a", Bounds(log_entries=5, entry_names=1))
    cluster.start()
    cluster.first_leader("a")
    answers = {}
    for number in range(20):
        answers[f"n:{number}"] = cluster.write("a", f"n:{number}", "u")
        cluster.turn("a")
    cluster.hold_jobs = True  # the flush is under way for that many turns
    for _ in range(turns):
        cluster.hold_jobs = turns % 2 == 0
        cluster.turn("a")
    log = cluster.disks["a"].log
    assert log.first_index > 1
    granted = [name for name, answer in answers.items() if answer.granted]
    cluster.crash("a")
    cluster.restart("a")
    cluster.elect("a")
    assert granted
    assert [name for name in granted if cluster.owner("a", name) is None] == []


def test_defect_03_entries_behind_a_snapshot_are_kept() -> None:
    """A log that contains a snapshot's last entry keeps what follows it (paper, figure 13, 6)."""
    cluster = OurCluster("abc", Bounds(entry_names=1))
    cluster.start()
    cluster.first_leader("a")
    cluster.isolate("c")
    for number in range(8):
        if number == 4:
            checkpoint = cluster.disks["a"].state.checkpoint()
        cluster.write("a", f"n:{number}", "u")
        cluster.settle("ab", seconds=0.3)
    engine, log = cluster.engines["c"], cluster.disks["c"].log
    # c holds everything, and does not know yet that any of it is committed.
    log.append(cluster.disks["a"].log.entries(log.last_index + 1, 10**6))
    log.sync()
    covered, last = checkpoint.meta.applied_index, log.last_index
    assert engine.commit_index < covered < last
    cluster.heal("a", "c")
    cluster.hear("c", "a", encode(_offer(checkpoint, cluster.engines["a"].term)))
    for message in map(decode, cluster.take("c", "a")):
        if message["type"] == "snapshot_fetch":
            cluster.hear("c", "a", encode(_chunk(checkpoint, message)))
    cluster.turn("c")
    assert engine.applied_index == covered
    assert log.last_index == last
    assert log.entries(covered + 1, 1) == cluster.disks["a"].log.entries(covered + 1, 1)


def _offer(checkpoint: Checkpoint, term: int) -> dict[str, Any]:
    return {
        "type": "snapshot_offer",
        "term": term,
        "snapshot_id": b"by hand",
        "last_index": checkpoint.meta.applied_index,
        "last_term": checkpoint.meta.applied_term,
        "files": [tuple(file) for file in checkpoint.files()],
    }


def _chunk(checkpoint: Checkpoint, fetch: dict[str, Any]) -> dict[str, Any]:
    data = checkpoint.read(fetch["file"], fetch["offset"], fetch["length"])
    same = {key: fetch[key] for key in ("term", "snapshot_id", "file", "offset")}
    return {"type": "snapshot_chunk", **same, "data": data, "crc": zlib.crc32(data)}


def _lose_pages(path: Path, kept: int) -> None:
    """What a journal that was never synced can look like after a power failure."""
    with path.open("r+b") as file:
        offset = JOURNAL.FIRST_RECORD_OFFSET
        for _ in range(kept):
            file.seek(offset)
            offset += struct.unpack("<I", file.read(4))[0] + 8
        file.seek(JOURNAL.LAST_RECORD_OFFSET_OFFSET)
        file.write(struct.pack("<I", offset))


def test_defect_04_nothing_is_acknowledged_before_it_is_durable(make: Make) -> None:
    """Log and vote are on stable storage before any message that speaks for them (paper, figure 2),
    and the commit index is never beyond the log. The library syncs nothing: after a power failure a
    leader counts entries as committed that it alone has."""
    cluster = make("abc")
    cluster.first_leader("a")
    answers = {f"n:{n}": cluster.write("a", f"n:{n}", "u") for n in range(5)}
    cluster.settle()
    assert all(answer.granted for answer in answers.values())
    if isinstance(cluster, PlainCluster):
        for node in "abc":
            cluster.private(node, "raftLog").onOneSecondTimer()
    cluster.crash("a", "b", "c")
    if isinstance(cluster, PlainCluster):
        for node in "abc":
            _lose_pages(cluster.journal(node), 2)
    cluster.restart("a", "b", "c")
    cluster.elect("a", among="ab")
    cluster.isolate("a")
    alone = cluster.write("a", "n:alone", "mallory")
    cluster.turn("a")
    cluster.turn("a")
    assert alone.granted is cluster.plain
    lost = [name for name in answers if cluster.owner("a", name) is None]
    assert bool(lost) is cluster.plain


def test_defect_07_a_restarted_node_remembers_log_term_and_vote(
    make: Make, make_plain: MakePlain
) -> None:
    """Log, term and vote outlive the process (paper, figure 2, persistent state). The library's
    default keeps them in memory: one restart makes a committed name vanish."""
    cluster = make("abc")
    if cluster.plain:
        cluster = make_plain("abc", durable=False)  # its default
    cluster.first_leader("a")
    cluster.isolate("c")
    bob = cluster.write("a", "n:alice", "bob")
    cluster.settle("ab")
    assert bob.granted
    cluster.crash("b")
    cluster.restart("b")
    cluster.crash("a")
    cluster.heal("b", "c")
    leader = cluster.elect_any("cb")
    mallory = cluster.write(leader, "n:alice", "mallory")
    cluster.settle("bc")
    assert mallory.granted is cluster.plain


def test_defect_07_an_emptied_node_does_not_vote_under_its_identity() -> None:
    """A node that lost its disk could have voted before: every member refuses it, so it brings no
    majority together with a node that lags."""
    cluster = OurCluster("abc")
    cluster.start()
    cluster.first_leader("a")
    cluster.isolate("c")
    bob = cluster.write("a", "n:alice", "bob")
    cluster.settle("ab")
    assert bob.granted
    cluster.crash("a", "b")
    cluster.wipe("b")
    cluster.restart("b")
    cluster.heal("b", "c")
    assert not cluster.connected("b", "c")
    with pytest.raises(AssertionError, match="was elected"):
        cluster.elect_any("cb")


def test_defect_08_a_vote_is_not_forgotten(make_plain: MakePlain) -> None:
    """A meta file that a crash left empty reads as "no term, no vote" in the library: a second vote
    in one term, and two leaders. (namestore refuses a damaged log: see the tests of storage.)"""
    cluster = make_plain("abc")
    cluster.turn("a", campaign=True)
    cluster.deliver("a", "b")
    cluster.deliver("b", "a")
    cluster.take("a", "c")
    cluster.crash("b")
    Path(f"{cluster.journal('b')}.meta").write_bytes(b"")
    cluster.restart("b")
    cluster.cut("a", "c")
    cluster.turn("c", campaign=True)
    cluster.take("a", "b")
    cluster.deliver("c", "b")
    cluster.deliver("b", "c")
    leaders = [node for node in "abc" if cluster.leads(node)]
    assert leaders == ["a", "c"]
    assert cluster.private("a", "raftCurrentTerm") == cluster.private("c", "raftCurrentTerm")


def test_defect_08_a_vote_outlives_every_crash() -> None:
    """One vote per term, also across a crash (paper, 5.2): the vote leaves after its sync."""
    cluster = OurCluster("abc")
    cluster.start()
    cluster.turn("a", campaign=True)
    cluster.deliver("a", "b")  # pre-vote
    cluster.deliver("b", "a")
    cluster.deliver("a", "b")  # vote
    assert cluster.disks["b"].log.durable_vote == (1, "a")
    cluster.crash("b")
    cluster.restart("b")
    assert (cluster.engines["b"].term, cluster.engines["b"].voted_for) == (1, "a")
    engine, held = cluster.engines["b"], cluster.take("b", "c")
    assert held == []
    request = cluster.rewrite(
        _vote_request(), term=engine.term, last_log_index=9, last_log_term=engine.term
    )
    cluster.hear("b", "c", request)
    (answer,) = cluster.take("b", "c")
    assert decode(answer)["granted"] is False


def _vote_request() -> bytes:
    fields = {"last_log_index": 0, "last_log_term": 0, "pre_vote": False, "transfer": True}
    return encode({"type": "request_vote", "term": 1, **fields})


def _lagging(cluster: Any, divergent: bool) -> None:
    """c lags behind a snapshot of a, and may have a long tail of its own."""
    cluster.first_leader("a")
    for number in range(5):
        cluster.write("a", f"n:{number}", "u")
    cluster.settle()
    cluster.compact("c")
    if divergent:
        cluster.elect("c")
        cluster.settle()
        cluster.isolate("c")
        for number in range(200):
            cluster.write("c", f"n:ghost{number}", "u")
        cluster.turn("c")
        cluster.elect("a", among="ab")
    else:
        cluster.isolate("c")
    for number in range(30):
        cluster.write("a", f"n:more{number}", "u")
    cluster.settle("ab")
    cluster.compact("a")
    cluster.heal("a", "c")


@pytest.mark.parametrize("divergent", (False, True))
def test_defect_09_a_snapshot_with_a_gap_is_installed(
    divergent: bool, make_plain: MakePlain
) -> None:
    """The library joins the chunks that arrive, renames the broken file over its only good dump and
    reports success with its own last index; a leader that believes it commits alone."""
    cluster = make_plain("abc", logCompactionBatchSize=64)
    _lagging(cluster, divergent)
    cluster.pass_time()
    cluster.clock_step = 0.03
    cluster.turn("a")
    cluster.clock_step = 0.0
    cluster.deliver("a", "c", 1)
    cluster.cut("a", "c")
    cluster.heal("a", "c")
    cluster.pass_time()
    cluster.turn("a")
    cluster.deliver("a", "c")
    with gzip.open(cluster.dump("c")) as dump, pytest.raises((OSError, EOFError, zlib.error)):
        dump.read()
    cluster.deliver("c", "a")
    cluster.cut("a", "b")
    alone = cluster.write("a", "n:alice", "mallory")
    for _ in range(5):
        cluster.pass_time()
        cluster.turn("a")
        cluster.take("a", "c")
    assert alone.granted is divergent


@pytest.mark.parametrize("divergent", (False, True))
@pytest.mark.parametrize("harm", ("lost", "damaged", "restarted"))
def test_defect_09_a_snapshot_arrives_whole_or_not_at_all(harm: str, divergent: bool) -> None:
    """Every piece and every file has a checksum, the follower asks for what it lacks, and success
    names exactly what the snapshot covers (paper, figure 13)."""
    cluster = OurCluster("abc", Bounds(chunk_bytes=200, entry_names=1))
    cluster.start()
    _lagging(cluster, divergent)
    for _ in range(40):
        cluster.settle("ac", seconds=0.05)
        cluster.pass_time(0.7)
        cluster.turn("a")
        if _is_chunk(cluster.in_flight("a", "c")):
            break
        cluster.deliver("a", "c")
        cluster.deliver("c", "a")
        if _is_chunk(cluster.in_flight("a", "c")):
            break
    chunks = [m for m in cluster.take("a", "c") if decode(m)["type"] == "snapshot_chunk"]
    assert chunks
    if harm == "lost":
        cluster.cut("a", "c")
        cluster.heal("a", "c")
    elif harm == "damaged":
        cluster.put("a", "c", [cluster.rewrite(chunks[0], data=b"?" * 200)])
    else:
        cluster.crash("c")
        cluster.restart("c")
    alone = cluster.write("a", "n:alone", "u")
    cluster.cut("a", "b")
    cluster.turn("a")
    assert not alone.granted
    cluster.heal("a", "b")
    cluster.settle(seconds=12)
    assert [cluster.owner("c", f"n:more{n}") for n in range(30)] == ["u"] * 30
    assert cluster.owner("c", "n:ghost7") == cluster.owner("a", "n:ghost7")
    assert cluster.engines["c"].applied_index == cluster.engines["a"].applied_index


def _is_chunk(messages: list[bytes]) -> bool:
    return any(decode(message)["type"] == "snapshot_chunk" for message in messages)


def test_defect_10_an_older_snapshot_replaces_a_newer_one(make_plain: MakePlain) -> None:
    """The library's forked writer that ends late renames its older dump over the installed one; the
    next start clears the journal, and an acknowledged name is free again."""
    cluster = make_plain("abc")
    cluster.first_leader("a")
    for number in range(5):
        cluster.write("a", f"n:{number}", "u")
    cluster.settle()
    cluster.isolate("c")
    cluster.compact("c")
    late = cluster.directory / "late"
    shutil.move(cluster.dump("c"), late)
    for number in range(10):
        cluster.write("a", f"n:more{number}", "u")
    cluster.settle("ab")
    cluster.compact("a")
    cluster.rejoin("c")
    cluster.settle()
    cluster.cut("b", "a", "c")
    bob = cluster.write("a", "n:alice", "bob")
    cluster.settle("ac")
    assert bob.granted
    shutil.move(late, cluster.dump("c"))
    cluster.crash("a", "c")
    cluster.restart("c")
    cluster.heal("b", "c")
    leader = cluster.elect_any("cb")
    cluster.settle("bc")
    mallory = cluster.write(leader, "n:alice", "mallory")
    cluster.settle("bc")
    assert mallory.granted


def test_defect_10_snapshots_only_move_forward() -> None:
    """What is committed here is never replaced by an older snapshot: an offer that comes late is
    answered with what this node has, and the state's owner makes no older one either."""
    cluster = OurCluster("abc", Bounds(entry_names=1))
    cluster.start()
    cluster.first_leader("a")
    for number in range(5):
        cluster.write("a", f"n:{number}", "u")
    cluster.settle()
    state = cluster.disks["a"].state
    old = state.checkpoint()
    for number in range(5):
        cluster.write("a", f"n:more{number}", "u")
    cluster.settle()
    before = cluster.engines["c"].applied_index
    cluster.hear("c", "a", encode(_offer(old, cluster.engines["a"].term)))
    answers = [decode(message) for message in cluster.take("c", "a")]
    assert [a["last_index"] for a in answers if a["type"] == "snapshot_result"] == [before]
    assert cluster.engines["c"].applied_index == before
    assert cluster.owner("c", "n:more4") == "u"
    newer = state.checkpoint()
    assert newer.meta.applied_index > old.meta.applied_index
    state._table.meta = old.meta
    with pytest.raises(InvariantViolation):
        state.checkpoint()
