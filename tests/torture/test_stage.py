"""What faults do to the nodes: each mends what it broke, and nothing that another one broke."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from namestore.core.limits import OUTCOME_RETENTION_MS
from tests.torture import faults_of_operation
from tests.torture.grounds import Ground
from tests.torture.nodes import TortureCluster
from tests.torture.stage import Diary, Stage
from tests.torture.wires import CUT, Link

DOCS = Path(__file__).resolve().parents[2] / "docs"
SLOW = Link(delay=0.1)
AB, AC = ("a", "b"), ("a", "c")


class Place:
    """A cluster and its ground: which nodes are held, and which ways are set to what."""

    def __init__(self) -> None:
        self.node_ids = ("n1", "n2", "n3")
        self.ended: set[str] = set()
        self.held: set[str] = set()
        self.links: dict[tuple[str, str], Link] = {}

    def process(self, node_id: str) -> Any:
        return SimpleNamespace(pid=None if node_id in self.ended else 7)

    def pause(self, node_id: str) -> None:
        self.held.add(node_id)

    def resume(self, node_id: str) -> None:
        self.held.discard(node_id)

    def set_links(self, pairs: Sequence[tuple[str, str]], link: Link) -> None:
        self.links |= dict.fromkeys(pairs, link)

    def heal(self) -> None:
        self.links = {}


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.fixture
def stage(place: Place, tmp_path: Path) -> Iterator[Stage]:
    diary = Diary(tmp_path / "diary.jsonl")
    yield Stage(cast("TortureCluster", place), cast("Ground", place), diary)
    diary.close()


def test_the_end_of_a_short_pause_is_not_the_end_of_a_longer_one(
    stage: Stage, place: Place
) -> None:
    """Who is held twice goes on when both are over, in whichever order; who had ended is not."""
    place.ended = {"n3"}
    with ExitStack() as stack:
        longer, later = (stack.enter_context(ExitStack()) for _ in range(2))
        longer.enter_context(stage.paused(["n1", "n2", "n3"]))
        with stage.paused(["n2"]):
            assert place.held == {"n1", "n2"}
        assert place.held == {"n1", "n2"}
        later.enter_context(stage.paused(["n2"]))
        longer.close()
        assert place.held == {"n2"}
    assert place.held == set()


def test_a_pause_ends_however_its_fault_does(stage: Stage, place: Place) -> None:
    """By an exception as well."""
    with pytest.raises(RuntimeError, match="found"), stage.paused(["n1"]):
        raise RuntimeError("found")
    assert place.held == set()


def test_the_end_of_an_old_cut_is_not_the_end_of_a_newer_one(stage: Stage, place: Place) -> None:
    """Ways stay as others have set them, the newest first; with the last, all are good."""
    with ExitStack() as stack:
        old, new = (stack.enter_context(ExitStack()) for _ in range(2))
        old.enter_context(stage.linked([AB], CUT))
        new.enter_context(stage.linked([AB, AC], CUT))
        old.close()
        assert place.links == {AB: CUT, AC: CUT}
        with stage.linked([AC], SLOW):
            assert place.links == {AB: CUT, AC: SLOW}
        assert place.links == {AB: CUT, AC: CUT}
    assert place.links == {}


def test_two_cuts_that_are_alike_are_two(stage: Stage, place: Place) -> None:
    """The end of one is not taken for the end of both."""
    pairs = [AB]
    with stage.linked(pairs, CUT):
        with stage.linked(pairs, CUT):
            pass
        assert place.links == {AB: CUT}
    assert place.links == {}


def test_the_diary_tells_what_was_mended(stage: Stage, tmp_path: Path) -> None:
    """And what was not."""
    with stage.paused(["n1"]), stage.paused(["n1"]), stage.linked([AB], CUT):
        with stage.linked([AC], SLOW):
            pass
    lines = [json.loads(line) for line in (tmp_path / "diary.jsonl").read_text().splitlines()]
    assert [(line["event"], line.get("nodes", line.get("ways"))) for line in lines] == [
        ("SIGSTOP", ["n1"]),
        ("SIGSTOP", ["n1"]),
        ("cut", "a>b"),
        (str(SLOW), "a>c"),
        ("network broken as before", None),
        ("network healed", None),
        ("SIGCONT", []),
        ("SIGCONT", ["n1"]),
    ]


def test_clocks_step_by_less_than_outcomes_are_remembered() -> None:
    """From one end to the other, with an hour to spare at each; why is said where it says so."""
    step = faults_of_operation._CLOCK_STEP_MAX
    promised = 24 * 3_600
    assert 2 * (step + 3_600) <= promised < OUTCOME_RETENTION_MS / 1_000
    source = Path(faults_of_operation.__file__).read_text()
    cited = re.findall(r'"([A-Z][a-z]+ [a-z ]+)"', " ".join(source.split("# ")))
    assert len(cited) == 2
    guarantees = (DOCS / "guarantees.md").read_text()
    for heading in cited:
        assert f"- **{heading}.**" in guarantees
