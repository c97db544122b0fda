"""The benchmarks' page: what it shows of a run, losses as well as wins."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.report import page
from benchmarks.samples import (
    DISK,
    LOADING,
    MEMORY,
    OUTAGE,
    P50,
    P99,
    RATE,
    SERVER_CPU,
    PeerNote,
    Results,
    Sample,
)
from benchmarks.spreads import spread
from benchmarks.tables import losses, number, show


def _results() -> Results:
    note = PeerNote("a title", "1.2", "after a sync", "a client", "batches", "look-ups")
    results = Results(
        machine={"processor": "two cores"},
        options={"rounds": "2"},
        peers={"namestore": note, "etcd": note},
        skipped={"redis": "apt install redis-server"},
        workloads={
            "one": "one caller registers",
            "64": "64 callers register",
            "outage": "seconds without an answer",
            "cost@1000": "what each name costs",
            "64@0": "64 callers, 0 names there",
            "64@1000": "64 callers, 1,000 names there",
        },
    )
    add = results.samples.append
    for round_, (ours, theirs) in enumerate([(500.0, 1000.0), (100.0, 200.0)]):
        add(Sample("one", "namestore", round_, {RATE: ours, P50: 2.0, P99: 4.0}))
        add(Sample("one", "etcd", round_, {RATE: theirs, P50: 1.0, P99: 5.0}))
    add(Sample("64", "namestore", 0, {RATE: 9000.0, P50: 7.0, P99: 9.0}))
    add(Sample("64", "etcd", 0, {RATE: 3000.0, P50: 21.0, P99: 30.0}))
    add(Sample("64", "etcd", 1, error="no call ended"))
    add(Sample("outage", "namestore", 0, {OUTAGE: 1.5}))
    add(Sample("outage", "etcd", 0, {OUTAGE: 2.0}))
    cost = {MEMORY: 100.0, DISK: 50.0, SERVER_CPU: 9.0, LOADING: 5000.0}
    add(Sample("cost@1000", "namestore", 0, cost))
    add(Sample("cost@1000", "etcd", 0, {key: 4 * value for key, value in cost.items()}))
    add(Sample("64@0", "namestore", 0, {RATE: 8000.0}))
    add(Sample("64@1000", "namestore", 0, {RATE: 6000.0}))
    return results


def test_ratios_come_before_figures() -> None:
    """What was measured side by side is the first thing a reader sees."""
    text = page(_results(), [])
    assert "| one caller registers | 0.5 (0.5 to 0.5) |" in text
    assert "| 64 callers register | 3 |" in text
    assert text.index("## Ratios") < text.index("## Every figure")


def test_every_loss_is_listed() -> None:
    """Every median by which namestore is behind is named; nothing else is."""
    assert losses(_results()) == [
        "one caller registers, etcd: names/s 0.5 (0.5 to 0.5); p50 in ms 2 (2 to 2)"
    ]


def test_page_has_every_part_of_a_run() -> None:
    """Outages, cost, growth, systems, who was left out, and rounds that failed."""
    text = page(_results(), [("a plot", "images/a.svg")])
    assert "| etcd | 2 | 0.75 |" in text
    assert "| namestore over etcd | 0.25 | 0.25 | 0.25 | 0.25 |" in text
    assert "| 64 callers, 1,000 names there | 6,000 [0.75] |" in text
    assert "- redis was left out: apt install redis-server" in text
    assert "- 64 callers register, etcd, round 2: no call ended" in text
    assert "![a plot](images/a.svg)" in text


def test_what_spoils_a_run_is_said_first() -> None:
    """Nobody takes the figures of a minute for those of an hour."""
    results = _results()
    results.warnings.append("A quick run.")
    text = page(results, [])
    assert text.index("**A quick run.**") < text.index("## Ratios")


def test_results_come_back_from_their_file(tmp_path: Path) -> None:
    """A report can be written anew from the file."""
    results = _results()
    results.save(tmp_path / "benchmarks.json")
    assert Results.load(tmp_path / "benchmarks.json") == results


@pytest.mark.parametrize(
    ("value", "text"),
    ((0.0123, "0.012"), (0.5, "0.5"), (1.234, "1.23"), (56.78, "56.8"), (123456.7, "123,457")),
)
def test_numbers_show_what_counts(value: float, text: str) -> None:
    """Two or three digits, except where more are whole."""
    assert number(value) == text


def test_a_single_round_has_no_spread() -> None:
    """Brackets would claim more rounds than there were."""
    assert show(spread([2.0])) == "2"
    assert show(spread([1.0, 3.0])) == "2 (1 to 3)"
    assert show(None) == ""
