"""What is broken, and in which order: drawn from the seed, and all of it in every round."""

from __future__ import annotations

from itertools import islice, permutations
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tests.torture.faults import FAULTS
from tests.torture.faults_of_networks import (
    between,
    bridge_pairs,
    halves_of,
    ring_pairs,
    wide_ring_pairs,
)
from tests.torture.grounds import Ground, Loopback
from tests.torture.nemesis import episodes
from tests.torture.nodes import Shape
from tests.torture.wires import Link

EVERYTHING = cast("Ground", SimpleNamespace(directed=True, rough=True, disks={"n1": 1}))
FIVE = ["n1", "n2", "n3", "n4", "n5"]


def drawn(seed: int, ground: Ground = EVERYTHING) -> list[str]:
    """What a round breaks, in words."""
    count = sum(fault.weight for fault in FAULTS if fault.possible(ground))
    return [str(episode) for episode in islice(episodes(seed, ground), count)]


def test_a_seed_draws_the_same_episodes_again() -> None:
    """And another seed others."""
    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert Shape.draw(1, 3) == Shape.draw(1, 3)


def test_every_round_holds_every_fault() -> None:
    """A run that lasts for a round has seen all kinds."""
    round_ = list(islice(episodes(5, EVERYTHING), sum(fault.weight for fault in FAULTS)))
    assert {fault.kind for episode in round_ for fault in episode.faults} == {
        fault.kind for fault in FAULTS
    }


def test_faults_that_exclude_each_other_do_not_meet() -> None:
    """One of a group at a time, nothing beside one that wants to be alone, the slow one last."""
    for episode in islice(episodes(7, EVERYTHING), 500):
        groups = [fault.group for fault in episode.faults]
        assert len(set(groups)) == len(groups)
        assert len(groups) == 1 or not any(fault.alone for fault in episode.faults)
        held = [fault.held for fault in episode.faults]
        assert held == sorted(held)


def test_faults_differ() -> None:
    """No two names for the same thing."""
    assert len({fault.kind for fault in FAULTS}) == len(FAULTS)
    assert len({fault.act for fault in FAULTS}) == len(FAULTS)


def test_without_namespaces_the_part_that_works_is_drawn(tmp_path: Path) -> None:
    """Kills, pauses, partitions, clocks and members; not what a proxy cannot do."""
    ground = Loopback(tmp_path, ["n1", "n2", "n3"])
    kinds = {fault.kind for fault in FAULTS if fault.possible(ground)}
    assert {"kill leader", "pause leader", "isolate node", "clock step", "replace"} <= kinds
    assert kinds.isdisjoint({"one way", "slow network", "lossy network", "full disk", "ring"})
    with pytest.raises(ValueError, match="cut"):
        ground.set_links([("n1", "n2")], Link(loss=0.5))


@pytest.mark.parametrize("nodes", (FIVE[:3], FIVE))
def test_overlapping_majorities_share_one_node(nodes: list[str]) -> None:
    """Each half sees it and not the other half; with it, each has a majority."""
    cut = set(bridge_pairs(nodes))
    seen = {node: {other for other in nodes if (node, other) not in cut} for node in nodes}
    assert seen[nodes[0]] == set(nodes)
    for node in nodes[1:]:
        assert len(seen[node]) == len(nodes) // 2 + 1
        assert nodes[0] in seen[node]
    assert {(b, a) for a, b in cut} == cut


def test_rings() -> None:
    """Round one way, each hears one other; round both ways, each its two neighbours."""
    heard = set(permutations(FIVE, 2)) - set(ring_pairs(FIVE))
    assert sorted(target for _, target in heard) == FIVE
    assert all((b, a) not in heard for a, b in heard)
    both = set(permutations(FIVE, 2)) - set(wide_ring_pairs(FIVE))
    assert sorted(target for _, target in both) == sorted(FIVE * 2)


@pytest.mark.parametrize("nodes", (FIVE[:3], FIVE))
def test_halves_are_a_minority_and_a_majority(nodes: list[str]) -> None:
    """And cut in both directions."""
    minority, majority = halves_of(nodes)
    assert sorted(minority + majority) == nodes
    assert 0 < len(minority) < len(majority)
    assert len(between(minority, majority)) == 2 * len(minority) * len(majority)
