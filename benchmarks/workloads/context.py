"""What every workload is given: the peers that run, how long to measure, where samples go."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks import interruption
from benchmarks.fleet import Fleet
from benchmarks.peers.interface import BenchmarkError, failures_of_peers
from benchmarks.samples import Results, Sample

_ERROR_LENGTH_MAX = 200


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how often.

    Attributes:
        rounds: Of each workload.
        seconds: Each round of each peer.
        warm_seconds: Before each.
        processes: Of callers, for every peer.
        batch: Names at once.
        seen: Names that are there for look-ups.
        sizes: Names already there, in rising order, when growth is measured.
        election_ms: The least election timeout, where a leader is killed.
    """

    rounds: int = 5
    seconds: float = 5.0
    warm_seconds: float = 1.0
    processes: int = 1
    batch: int = 500
    seen: int = 10_000
    sizes: tuple[int, ...] = (0, 1_000_000)
    election_ms: int = 1000


@dataclass(frozen=True, slots=True)
class Context:
    """Of one run."""

    plan: Plan
    fleet: Fleet
    results: Results

    def take(
        self, workload: str, peer: str, number: int, measure: Callable[[], dict[str, float]]
    ) -> None:
        """Takes one sample; that a peer failed is a sample as well, with the reason."""
        interruption.check()
        try:
            with failures_of_peers():
                sample = Sample(workload, peer, number, measure())
            figures = ", ".join(f"{name} {value:,.3f}" for name, value in sample.values.items())
        except BenchmarkError as error:
            sample = Sample(
                workload, peer, number, error=" ".join(str(error).split())[-_ERROR_LENGTH_MAX:]
            )
            figures = f"FAILED: {error}"
        self.results.samples.append(sample)
        say(f"  {workload}, round {number + 1}, {peer}: {figures}")


def in_turn(peers: Sequence[str], number: int) -> list[str]:
    """The order of a round: another one begins each time, so that none always follows another."""
    start = number % len(peers) if peers else 0
    return [*peers[start:], *peers[:start]]


def say(line: str) -> None:
    """To the person who waits."""
    print(line, file=sys.stderr, flush=True)
