"""Planted faults of a run: each is really in the nodes, or is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from namestore.localcluster.errors import NodeFailed
from namestore.raft import node
from namestore.raft.engine import Engine
from tests.simulation import mutants_callers, mutants_feeds
from tests.simulation.mutants import MUTANTS, RARE
from tests.simulation.mutants_callers import Planted
from tests.torture import run
from tests.torture.nodes import TortureCluster
from tests.torture.planting import NotForNodes, chosen, planted, possible

ROOT = Path(__file__).resolve().parents[2]
OF_THE_CLIENT = {
    mutants_callers.RetriesAsAnother,
    mutants_callers.BelievesTheChannel,
    mutants_callers.ForgetsItsDoubt,
    mutants_callers.SaysUnsent,
    mutants_feeds.WatchSkipsOnResume,
    mutants_feeds.WatchRepeats,
}


def test_what_is_not_of_the_client_can_be_planted() -> None:
    """All that the simulation has, but for the library that callers use."""
    assert set(possible().values()) == {*MUTANTS, *RARE} - OF_THE_CLIENT


@pytest.mark.parametrize("name", sorted(possible()))
def test_what_is_planted_is_there(name: str) -> None:
    """The engine that a node makes is one, with the fault or as it was; a replaced part is what the
    fault has for it. All of it is taken out again."""
    mutant, real = chosen(name), vars(node)["Engine"]
    parts = mutant.replaced if issubclass(mutant, Planted) else ()
    before = [getattr(place, part) for place, part, _ in parts]
    with planted(mutant):
        assert issubclass(vars(node)["Engine"], Engine)
        assert (vars(node)["Engine"] is mutant) == issubclass(mutant, Engine)
        for place, part, value in parts:
            assert getattr(place, part) is value
    assert vars(node)["Engine"] is real
    assert [getattr(place, part) for place, part, _ in parts] == before


@pytest.mark.parametrize(
    ("name", "why"), (("SaysUnsent", "of the client's library"), ("Nonsense", "does not exist"))
)
def test_what_cannot_be_planted_is_refused_before_anything_starts(
    tmp_path: Path, name: str, why: str
) -> None:
    """With the names of those that can; nothing is left."""
    with pytest.raises(NotForNodes, match=why):
        chosen(name)
    asked = ["--loopback", "--directory", str(tmp_path), "--mutant", name]
    command = [sys.executable, "-m", "tests.torture", *asked]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert why in ended.stderr
    assert "DeniesHandedOn, " in ended.stderr
    assert "Traceback" not in ended.stderr
    assert list(tmp_path.iterdir()) == []


class NeverUp:
    """Nodes that die when they are started."""

    def start(self) -> None:
        raise NodeFailed("n1 ended at once")


@pytest.mark.parametrize(("mutant", "code"), ((None, 1), ("DeniesHandedOn", 2)))
def test_nodes_that_never_served_have_not_shown_their_fault(
    tmp_path: Path, mutant: str | None, code: int
) -> None:
    """It is no finding; without a planted fault, it is one."""
    options = run.Options(1.0, 7, 3, tmp_path, False, False, mutant, "the same command")
    with pytest.raises(Exception, match="n1 ended at once") as raised:
        run.Run(options)._start(cast("TortureCluster", cast("Any", NeverUp())))
    assert run._tell_failure(options, cast("Exception", raised.value)) == code
