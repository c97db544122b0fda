"""Power loss below the process: every system call of a registry is recorded with its answers, and
the disk is rebuilt as it may be after a power loss at any place of that record.

Each image is opened with the real stores. It must start, hold every name that was acknowledged by
then, and grant a new one. `python -m tests.faults power` tries many images, test_power_loss a few.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from namestore import embedded
from namestore.errors import NamestoreError
from tests.faults.disk import Disk, Keep, keep_some
from tests.faults.recorded_writer import OWNER
from tests.faults.recording import CALLS, disk_of
from tests.faults.trace import Call, read_calls, strace_command
from tests.support.linearizability import Violation

_ROOT = Path(__file__).resolve().parents[2]
_RECORD_SECONDS = 300
# More than any single write has.
STRING_BYTES_MAX = str(1 << 26)


@dataclass
class Known:
    """What was acknowledged at a place of the trace."""

    held: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)

    def hear(self, mark: str) -> None:
        """One line of the writer's marks."""
        word, name = mark.split()
        self.held.discard(name)
        if word != "leaving":
            (self.held if word == "held" else self.gone).add(name)


@dataclass(frozen=True, slots=True)
class Recorded:
    """One run of the writer.

    Attributes:
        marks: Its marks, with the place of the trace where each was about to be written.
    """

    disk: Disk
    marks: list[tuple[int, str]]

    def known(self, point: int) -> Known:
        """What was acknowledged by then."""
        known = Known()
        for place, mark in self.marks:
            if place < point:
                known.hear(mark)
        return known


@dataclass
class Tally:
    """What was tried, for a summary."""

    images: int = 0
    points: int = 0
    of_points: int = 0
    names: int = 0
    syncs: int = 0

    def __str__(self) -> str:
        return (
            f"{self.images} images at {self.points} of {self.of_points} places of a record with "
            f"{self.names} acknowledged names and {self.syncs} syncs: every image starts; 0 "
            "acknowledged names lost"
        )


def record(path: Path, names: int) -> Recorded:
    """Runs the writer under strace; `path` is an existing, empty directory.

    Raises:
        AssertionError: The writer failed, or the record does not explain what it left.
    """
    path = path.resolve()
    data, marks, trace = path / "data", path / "marks", path / "trace"
    data.mkdir()
    command = [sys.executable, "-m", "tests.faults.recorded_writer"]
    command += [str(data), str(marks), str(names)]
    subprocess.run(
        [*strace_command(trace, CALLS, "-s", STRING_BYTES_MAX), *command],
        cwd=_ROOT,
        timeout=_RECORD_SECONDS,
        check=True,
        stderr=subprocess.DEVNULL,
    )
    calls = read_calls(trace)
    recorded = Recorded(disk_of(data, calls), list(_marks(marks, calls)))
    recorded.disk.image(1 << 62, path / "all", lambda _: True)
    assert contents(path / "all") == contents(data), "the record does not explain the directory"
    assert len(recorded.marks) >= names
    return recorded


def _marks(path: Path, calls: list[Call]) -> list[tuple[int, str]]:
    found = []
    for call in calls:
        if call.name == "write" and call.descriptor()[1] == str(path):
            found += [(call.began, line) for line in call.strings()[0].decode().splitlines()]
    return found


def contents(directory: Path) -> dict[str, bytes | None]:
    """Files by path with what is in them; None: a directory."""
    return {
        str(path.relative_to(directory)): None if path.is_dir() else path.read_bytes()
        for path in directory.rglob("*")
    }


def lose_power(
    recorded: Recorded,
    path: Path,
    points: int,
    seed: int,
    tell: Callable[[str], object] = lambda _: None,
) -> Tally:
    """Tries three images at each of so many places: nothing, all and some of the rest kept.

    Raises:
        Violation: An image does not start, or lacks an acknowledged name. It is left in `path`.
    """
    disk = recorded.disk
    every = disk.points()
    chosen = sorted(Random(seed).sample(every, min(points, len(every))))
    tally = Tally(0, len(chosen), len(every), syncs=len(disk.syncs))
    tally.names = len([mark for _, mark in recorded.marks if mark.startswith("held")])
    for number, point in enumerate(chosen):
        ways: dict[str, Keep] = {
            "nothing": lambda _: False,
            "everything": lambda _: True,
            "some": keep_some(Random(f"{seed}/{point}")),
        }
        for way, keep in ways.items():
            image = path / f"image-{point}-{way}"
            disk.image(point, image, keep)
            check_image(image, recorded.known(point))
            shutil.rmtree(image)
            tally.images += 1
        if number % 25 == 24:
            tell(f"{tally.images} images of {3 * len(chosen)}: all start, nothing is missing")
    return tally


def check_image(image: Path, known: Known) -> None:
    """Opens an image. Raises `Violation`."""
    try:
        with embedded.open(image, timeout=30) as store:
            held, gone = sorted(known.held), sorted(known.gone)
            found = (
                {
                    record.name: record.owner
                    for record in store.lookup_many([*held, *gone])
                    if record
                }
                if held or gone
                else {}
            )
            if lost := [name for name in held if found.get(name) != OWNER]:
                raise Violation(f"{image}: {len(lost)} acknowledged names are lost: {lost[:5]}")
            if back := [name for name in gone if name in found]:
                raise Violation(f"{image}: released names are held again: {back[:5]}")
            if not store.register("user:after-the-power-loss", "tester"):
                raise Violation(f"{image}: a name that nobody asked for is held")
    except NamestoreError as error:
        raise Violation(f"{image} does not start or serve: {error}") from error
