"""Faults of networks: ways that are cut, in every shape, and ways that are slow or lossy.

Each fault sets links when it is entered; when it is left, they are good again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import permutations
from random import Random

from tests.torture.grounds import CALLERS
from tests.torture.nodes import others
from tests.torture.stage import Stage
from tests.torture.wires import CUT, Link

Pairs = list[tuple[str, str]]


def between(some: Sequence[str], rest: Sequence[str]) -> Pairs:
    """Both directions between two groups."""
    return [pair for a in some for b in rest for pair in ((a, b), (b, a))]


def halves_of(nodes: Sequence[str]) -> tuple[list[str], list[str]]:
    """A minority and a majority."""
    minority = (len(nodes) - 1) // 2
    return list(nodes[:minority]), list(nodes[minority:])


def bridge_pairs(nodes: Sequence[str]) -> Pairs:
    """Two halves that see only the first node: each forms a majority with it."""
    rest = nodes[1:]
    return between(rest[: len(rest) // 2], rest[len(rest) // 2 :])


def ring_pairs(nodes: Sequence[str]) -> Pairs:
    """Each node speaks to the next one only, and hears the one before."""
    following = set(zip(nodes, [*nodes[1:], nodes[0]], strict=True))
    return [pair for pair in permutations(nodes, 2) if pair not in following]


def wide_ring_pairs(nodes: Sequence[str]) -> Pairs:
    """Each node speaks with its two neighbours only: every majority is another one."""
    following = set(zip(nodes, [*nodes[1:], nodes[0]], strict=True))
    both = following | {(b, a) for a, b in following}
    return [pair for pair in permutations(nodes, 2) if pair not in both]


@contextmanager
def reconnects(stage: Stage, random: Random) -> Iterator[None]:
    """Ways that break and come back within moments, again and again."""
    node = stage.leader(random) if random.random() < 0.5 else stage.any_node(random)
    pairs = between([node], others(stage.node_ids, node))
    for _ in range(random.randint(4, 12)):
        with stage.linked(pairs, CUT):
            time.sleep(random.uniform(0.02, 0.4))
        time.sleep(random.uniform(0.02, 0.4))
    yield


@contextmanager
def isolate_node(stage: Stage, random: Random) -> Iterator[None]:
    with _isolated(stage, random, stage.any_node(random)):
        yield


@contextmanager
def isolate_leader(stage: Stage, random: Random) -> Iterator[None]:
    with _isolated(stage, random, stage.leader(random)):
        yield


@contextmanager
def halves(stage: Stage, random: Random) -> Iterator[None]:
    """Callers of one group stay with the minority, the others with the majority."""
    minority, majority = halves_of(_shuffled(stage, random))
    pairs = between([*minority, CALLERS[0]], [*majority, CALLERS[1]])
    with stage.linked([pair for pair in pairs if not set(pair) <= set(CALLERS)], CUT):
        yield


@contextmanager
def bridge(stage: Stage, random: Random) -> Iterator[None]:
    with stage.linked(bridge_pairs(_shuffled(stage, random)), CUT):
        yield


@contextmanager
def ring(stage: Stage, random: Random) -> Iterator[None]:
    nodes = _shuffled(stage, random)
    wide = len(nodes) > 3 and random.random() < 0.7
    with stage.linked(wide_ring_pairs(nodes) if wide else ring_pairs(nodes), CUT):
        yield


@contextmanager
def one_way(stage: Stage, random: Random) -> Iterator[None]:
    """Some ways carry one direction only."""
    pairs = list(permutations(stage.node_ids, 2))
    chosen = random.sample(pairs, random.randint(1, len(pairs) // 2))
    with stage.linked(chosen, CUT):
        yield


@contextmanager
def mute_leader(stage: Stage, random: Random) -> Iterator[None]:
    """It hears the others, and is not heard."""
    leader = stage.leader(random)
    with stage.linked([(leader, node) for node in others(stage.node_ids, leader)], CUT):
        yield


@contextmanager
def deaf_leader(stage: Stage, random: Random) -> Iterator[None]:
    """The others hear it, and it does not hear them."""
    leader = stage.leader(random)
    with stage.linked([(node, leader) for node in others(stage.node_ids, leader)], CUT):
        yield


@contextmanager
def callers_cut_off(stage: Stage, random: Random) -> Iterator[None]:
    """Some callers reach some nodes only; the nodes reach each other."""
    unreached = random.sample(stage.node_ids, random.randint(1, len(stage.node_ids) - 1))
    with stage.linked(between([random.choice(CALLERS)], unreached), CUT):
        yield


@contextmanager
def slow(stage: Stage, random: Random) -> Iterator[None]:
    """As between far places: late, by changing times, at times overtaking."""
    delay = random.choice((0.005, 0.03, 0.1, 0.25))
    link = Link(delay=delay, jitter=delay * random.random(), reorder=random.choice((0, 0, 0.1)))
    with stage.linked(_some_ways(stage, random), link):
        yield


@contextmanager
def lossy(stage: Stage, random: Random) -> Iterator[None]:
    """Packets get lost, come twice, overtake each other."""
    link = Link(
        delay=random.choice((0.0, 0.01, 0.04)),
        jitter=random.choice((0.0, 0.01)),
        loss=random.choice((0.01, 0.05, 0.15, 0.3)),
        reorder=random.choice((0.0, 0.1, 0.3)),
        duplicate=random.choice((0.0, 0.05, 0.2)),
    )
    with stage.linked(_some_ways(stage, random), link):
        yield


@contextmanager
def _isolated(stage: Stage, random: Random, node: str) -> Iterator[None]:
    """From the other nodes; at times from callers as well."""
    callers = random.choice(((), CALLERS[:1], CALLERS))
    with stage.linked(between([node], [*others(stage.node_ids, node), *callers]), CUT):
        yield


def _shuffled(stage: Stage, random: Random) -> list[str]:
    """The leader is anywhere among them."""
    return random.sample(stage.node_ids, len(stage.node_ids))


def _some_ways(stage: Stage, random: Random) -> Pairs:
    """All ways of one node, all between nodes, or all there are."""
    match random.randrange(3):
        case 0:
            node = stage.any_node(random)
            return between([node], [*others(stage.node_ids, node), *CALLERS])
        case 1:
            return list(permutations(stage.node_ids, 2))
        case _:
            return [*permutations(stage.node_ids, 2), *between(stage.node_ids, CALLERS)]
