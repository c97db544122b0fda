"""Power loss below the process, at a few places; `python -m tests.faults power` tries many."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.faults.disk import Naming, Write
from tests.faults.power_loss import Recorded, check_image, lose_power, record
from tests.faults.receiving import lose_power_while_receiving, record_receiver
from tests.faults.recording import disk_of
from tests.faults.trace import Call, escaped, unusable
from tests.support.linearizability import Violation

pytestmark = pytest.mark.cluster
needs_strace = pytest.mark.skipif(bool(unusable()), reason=unusable())


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """One run of the writer."""
    return record(tmp_path_factory.mktemp("recorded"), names=60)


@needs_strace
def test_power_loss_loses_no_acknowledged_name(recorded: Recorded, tmp_path: Path) -> None:
    """Writes lost, kept or torn since the last sync: it starts, and what was granted is there."""
    tally = lose_power(recorded, tmp_path, points=10, seed=2)

    assert tally.images == 30


@needs_strace
@pytest.mark.timeout(240)
def test_power_loss_while_a_snapshot_arrives(tmp_path: Path) -> None:
    """Before, while and after it is installed: the follower starts, and lacks no granted name."""
    received = record_receiver(tmp_path)
    (tmp_path / "images").mkdir()

    assert received.known(1 << 62), "no grant needed the follower"
    assert lose_power_while_receiving(received, tmp_path / "images", points=12, seed=4) == 36


@needs_strace
def test_syncs_that_did_nothing_are_found(recorded: Recorded, tmp_path: Path) -> None:
    """The images have teeth: on a disk whose syncs of the log are lies, names are lost."""
    disk = recorded.disk
    honest = list(disk.writes)
    begun: set[int] = set()
    for place, write in enumerate(honest):
        if write.syncs and write.file in begun:
            disk.writes[place] = replace(write, syncs=False)
        begun.add(write.file)
    assert disk.writes != honest
    try:
        disk.image(1 << 62, tmp_path / "image", lambda _: False)
        with pytest.raises(Violation):
            check_image(tmp_path / "image", recorded.known(1 << 62))
    finally:
        disk.writes = honest


def _call(name: str, arguments: str, result: int = 0, path: str = "", at: int = 0) -> Call:
    return Call(name, arguments.encode(), result, path, at, at)


def _escaped(text: str) -> str:
    return escaped(text).decode()


ROOT = "/disk"


def _file(name: str, number: int, at: int, flags: str = "O_CREAT") -> Call:
    path = f"{ROOT}/{name}".rstrip("/")
    return _call(
        "openat", f'AT_FDCWD<{_escaped("/")}>, "{_escaped(path)}", {flags}', number, path, at
    )


def _on(call: str, number: int, name: str, at: int, more: str = "", result: int = 0) -> Call:
    return _call(call, f"{number}<{_escaped(f'{ROOT}/{name}'.rstrip('/'))}>{more}", result, "", at)


def _decide(keep: bool, _: Write | Naming) -> bool:
    return keep


def _read(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_only_what_was_synced_must_be_there(tmp_path: Path) -> None:
    """A file needs two syncs: its own for the bytes, its directory's for the name."""
    wrote = f', "{_escaped("abc")}", 3'
    disk = disk_of(
        Path(ROOT),
        [
            _file("one", 3, 0),
            _on("write", 3, "one", 1, wrote, 3),
            _file("", 4, 2, "O_DIRECTORY"),
            _on("fsync", 4, "", 3),
            _on("fdatasync", 3, "one", 4),
            _on("write", 3, "one", 5, wrote, 3),
        ],
    )
    for point, expected in ((3, {}), (4, {"one": b""}), (5, {"one": b"abc"}), (6, {"one": b"abc"})):
        disk.image(point, tmp_path / str(point), lambda _: False)
        assert _read(tmp_path / str(point)) == expected
    disk.image(6, tmp_path / "kept", lambda _: True)
    assert _read(tmp_path / "kept") == {"one": b"abcabc"}


def test_torn_write_keeps_whole_sectors(tmp_path: Path) -> None:
    """A disk writes sectors of 512 bytes, each as a whole or not."""
    text = "x" * 1000
    disk = disk_of(
        Path(ROOT),
        [
            _file("one", 3, 0),
            _on("pwrite64", 3, "one", 1, f', "{_escaped(text)}", 1000, 100', 1000),
        ],
    )
    disk.image(
        2, tmp_path / "torn", lambda change: (getattr(change, "data", 0) and b"\0\1\0") or True
    )
    assert _read(tmp_path / "torn") == {"one": bytes(512) + b"x" * 512}


def test_rename_counts_once_its_directory_is_synced(tmp_path: Path) -> None:
    """Before that the old name may still be there, or the new one: never neither."""
    disk = disk_of(
        Path(ROOT),
        [
            _file("old", 3, 0),
            _file("", 4, 1, "O_DIRECTORY"),
            _on("fsync", 4, "", 2),
            _call("rename", f'"{_escaped(f"{ROOT}/old")}", "{_escaped(f"{ROOT}/new")}"', at=3),
            _on("fsync", 4, "", 4),
        ],
    )
    for point, keep, name in ((4, False, "old"), (4, True, "new"), (5, False, "new")):
        target = tmp_path / f"{point}-{keep}"
        disk.image(point, target, partial(_decide, keep))
        assert _read(target) == {name: b""}


def test_names_in_one_directory_become_durable_in_their_order(tmp_path: Path) -> None:
    """As a journal has it: what names a file is never there without the file it was made after."""
    disk = disk_of(
        Path(ROOT),
        [
            _file("manifest", 3, 0),
            _file("temporary", 4, 1),
            _call(
                "rename",
                f'"{_escaped(f"{ROOT}/temporary")}", "{_escaped(f"{ROOT}/current")}"',
                at=2,
            ),
        ],
    )
    names = {naming.to[1]: naming for naming in disk.namings if naming.to is not None}
    for lost, left in (("manifest", set()), ("temporary", {"manifest"})):
        target = tmp_path / lost
        disk.image(3, target, lambda change, lost=lost: change is not names[lost])
        assert set(_read(target)) == left


def test_calls_that_the_model_does_not_know_are_refused() -> None:
    """Better no verdict than a wrong one."""
    calls = [_file("one", 3, 0), _on("copy_file_range", 3, "one", 1)]
    with pytest.raises(NotImplementedError, match="copy_file_range"):
        disk_of(Path(ROOT), calls)
