"""What a run found, as plain values that go to JSON and back.

Invariant: a sample is one figure-bearing round of one workload on one peer; nothing in it was
averaged over rounds, so that a report can be written anew from the file.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

# The figures of a sample.
RATE = "names_per_s"
P50, P99 = "p50_ms", "p99_ms"
SERVER_CPU, CLIENT_CPU = "server_cpu_us_per_name", "client_cpu_us_per_name"
FAILED = "failed_calls_percent"
OUTAGE = "outage_s"
MEMORY, DISK = "memory_bytes_per_name_and_node", "disk_bytes_per_name_and_node"
LOADING = "loading_names_per_s"


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of one workload on one peer.

    Attributes:
        workload: Its name.
        peer: Its name.
        round: From 0; samples of one round were taken one after the other.
        values: By figure.
        error: Why there are none.
    """

    workload: str
    peer: str
    round: int
    values: dict[str, float] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True, slots=True)
class PeerNote:
    """What the report says of a peer: see `peers.interface.Facts`, and the version found."""

    title: str
    version: str
    durable: str
    client: str
    batch: str
    lookup: str


@dataclass(slots=True)
class Results:
    """A whole run.

    Attributes:
        machine: What it ran on, by topic, in words.
        options: The command line's, as far as they bear on the figures.
        peers: By name, those that took part.
        skipped: By name, why a peer did not.
        warnings: Why the figures do not stand, in whole sentences.
        workloads: By name, their titles, in the order of the report.
        samples: All.
    """

    machine: dict[str, str]
    options: dict[str, str]
    peers: dict[str, PeerNote] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    workloads: dict[str, str] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)

    def by_round(self, workload: str, peer: str, figure: str) -> dict[int, float]:
        """One figure of a peer in a workload, by round."""
        return {
            sample.round: sample.values[figure]
            for sample in self.samples
            if (sample.workload, sample.peer) == (workload, peer) and figure in sample.values
        }

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, path: Path) -> Results:
        raw = json.loads(path.read_text())
        peers = {name: PeerNote(**note) for name, note in raw.pop("peers").items()}
        samples = [Sample(**sample) for sample in raw.pop("samples")]
        return cls(**raw, peers=peers, samples=samples)


Record = Callable[[Sample], None]
