"""Where a run's results go: JSON, the page, and its plots."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.plots import draw
from benchmarks.report import page
from benchmarks.samples import Results


def publish(results: Results, output: Path) -> Iterator[Path]:
    """Writes everything below a directory; each path once it is written."""
    data = output / "benchmarks.json"
    results.save(data)
    yield data
    drawn = draw(results, output / "images")
    for _, path in drawn:
        yield path
    text = output / "benchmarks.md"
    images = [(title, path.relative_to(output).as_posix()) for title, path in drawn]
    text.write_text(page(results, images))
    yield text
