"""What happens when an entry cannot be applied, means something else, or does not fit."""

from __future__ import annotations

import pytest

from namestore.core.commands import ENTRY_VERSION, Register, decode_command, decode_entry
from namestore.errors import InvariantViolation
from namestore.raft.following import KIND_COMMANDS
from namestore.storage.interfaces import LogEntry
from tests.defects.conftest import Make, MakePlain
from tests.defects.ours import OurCluster
from tests.defects.plain import PlainCluster, PlainRegistry, replicated

# The library drops files without closing them.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


class Poisonable(PlainRegistry):
    """With a method that cannot be applied."""

    @replicated  # type: ignore[untyped-decorator]
    def poison(self) -> None:
        self.applied += 1
        raise ValueError("bad input")


class Reserving(PlainRegistry):
    """The first release of an application."""

    @replicated  # type: ignore[untyped-decorator]
    def reserve(self, name: str) -> None:
        self.names[name] = "reserved"


class Deleting(Reserving):
    """The second: with one more method, which sorts before the others."""

    @replicated  # type: ignore[untyped-decorator]
    def delete(self, name: str) -> None:
        self.names[name] = "deleted"

    @replicated  # type: ignore[untyped-decorator]
    def prune(self, name: str) -> None:
        self.names[name] = "pruned"


class Counting(PlainRegistry):
    """The first version of another method."""

    @replicated  # type: ignore[untyped-decorator]
    def count(self) -> None:
        self.applied += 1


class Upgraded(Counting):
    """Knows a newer one."""

    @replicated(ver=1)  # type: ignore[untyped-decorator]
    def count(self) -> None:
        self.applied += 1


def test_defect_12_a_callback_that_raises_changes_nothing(make: Make) -> None:
    """Every replica applies every entry once: what a caller's callback does is its own affair. In
    the library the entry is applied again, on that node only."""
    cluster = make("abc")
    cluster.first_leader("a")
    cluster.write("a", "n:alice", "bob", fails=True)
    cluster.settle()
    other = cluster.write("a", "n:zoe", "zoe")
    cluster.settle()
    assert other.granted
    if isinstance(cluster, PlainCluster):
        assert [cluster.objects[node].applied for node in "abc"] == [3, 2, 2]
    elif isinstance(cluster, OurCluster):
        assert [cluster.disks[node].state.meta.revision for node in "abc"] == [2, 2, 2]
        assert cluster.owner("b", "n:alice") == "bob"


def test_defect_12_a_command_that_raises_stops_the_library_for_good(make_plain: MakePlain) -> None:
    """It is applied again each tick, and nothing behind it is ever answered, nor even sent."""
    cluster = make_plain("abc", registry=Poisonable)
    cluster.first_leader("a")
    cluster.objects["a"].poison()  # type: ignore[attr-defined]
    later = cluster.write("a", "n:alice", "bob")
    cluster.settle()
    assert later.heard == []
    assert cluster.objects["a"].applied > 5


def _leader_with(command: bytes) -> OurCluster:
    """A single node with this as its newest entry."""
    cluster = OurCluster("a")
    cluster.start()
    cluster.first_leader("a")
    log = cluster.disks["a"].log
    log.append([LogEntry(command, log.last_index + 1, log.term)])
    return cluster


@pytest.mark.parametrize(
    "command",
    (bytes((KIND_COMMANDS, ENTRY_VERSION + 1)) + b"\x90", b"\xff what a later version invents"),
    ids=("version", "kind"),
)
def test_defect_12_13_14_what_cannot_be_applied_stops_the_node(command: bytes) -> None:
    """An entry of an unknown kind or version is not skipped and not half applied: the node stops
    before anything of it, and stands there again after a restart."""
    cluster = _leader_with(command)
    meta = cluster.disks["a"].state.meta
    for _ in "two":
        with pytest.raises(InvariantViolation, match="start the node with the version"):
            cluster.turn("a")
        assert cluster.disks["a"].state.meta == meta


def test_defect_13_method_numbers_move_when_a_method_is_added(make_plain: MakePlain) -> None:
    """The library's journal names methods by position: after an upgrade an entry means another."""
    cluster = make_plain("a", registry=Reserving)
    cluster.first_leader("a")
    cluster.objects["a"].reserve("n:alice")  # type: ignore[attr-defined]
    cluster.settle()
    assert cluster.owner("a", "n:alice") == "reserved"
    cluster.crash("a")
    cluster.registry = Deleting
    cluster.restart("a")
    cluster.elect("a")
    cluster.settle()
    assert cluster.owner("a", "n:alice") != "reserved"


def test_defect_13_entries_name_what_they_mean() -> None:
    """One replicated entry point: the bytes of a command say its kind by a number that is never
    used again, and the entry says its version (tests/golden keeps such bytes)."""
    cluster = OurCluster("a")
    cluster.start()
    cluster.first_leader("a")
    cluster.write("a", "n:alice", "bob")
    cluster.turn("a")
    (entry,) = cluster.disks["a"].log.entries(cluster.disks["a"].log.last_index, 1)
    assert entry.command[:2] == bytes((KIND_COMMANDS, ENTRY_VERSION))
    (command,) = decode_entry(entry.command[1:]).commands
    assert isinstance(decode_command(command), Register)


def test_defect_14_an_entry_that_is_skipped_makes_later_ones_count_twice(
    make_plain: MakePlain,
) -> None:
    """The library skips a version it does not know without counting it. Its door to that is shut in
    namestore; an unknown version stops the node."""
    cluster = make_plain("abc", registry=Upgraded)
    cluster.crash("c")
    cluster.registry = Counting
    cluster.restart("c")
    cluster.first_leader("a")
    cluster.isolate("c")
    cluster.objects["a"].setCodeVersion(1)
    cluster.settle("ab")
    for number in range(3):
        cluster.write("a", f"n:{number}", "u")
    cluster.settle("ab")
    cluster.rejoin("c")
    cluster.settle()
    cluster.write("a", "n:3", "u")
    cluster.settle()
    assert [cluster.objects[node].applied for node in "ab"] == [4, 4]
    assert cluster.objects["c"].applied > 4

    engine = OurCluster("a")
    engine.start()
    with pytest.raises(InvariantViolation):
        engine.engines["a"].setCodeVersion(1)


def test_defect_15_entries_of_every_size_arrive(make: Make) -> None:
    """An entry travels in one message, or not at all: no size near a multiple of a batch is
    special."""
    cluster = make("ab", batch_bytes=1000)
    cluster.first_leader("a")
    sizes = range(1840, 1960, 6)
    for size in sizes:
        cluster.write("a", f"n:{size}", "x" * size)
        cluster.settle(seconds=0.5)
    arrived = [size for size in sizes if cluster.owner("b", f"n:{size}") is not None]
    assert bool(cluster.errors) is cluster.plain
    if not cluster.plain:
        assert arrived == list(sizes)
