"""docs/pysyncobj.md names tests that exist, and every defect test has its row."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "pysyncobj.md").read_text(encoding="utf-8")
NAMED = set(re.findall(r"`(test_[a-z0-9_]+)(?:…)?`", PAGE))


def _tests() -> set[str]:
    trees = [
        ast.parse(path.read_text(encoding="utf-8"))
        for path in Path(__file__).parent.glob("*")
        if path.suffix == ".py"
    ]
    functions = [node for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {function.name for function in functions if function.name.startswith("test_")}


def test_every_test_on_the_page_exists() -> None:
    """A name there is a test's, or how several tests begin."""
    tests = _tests()
    assert [name for name in NAMED if not any(test.startswith(name) for test in tests)] == []


def test_every_defect_test_is_on_the_page() -> None:
    """Under its number."""
    tests = {test for test in _tests() if test.startswith("test_defect_")}
    assert [test for test in tests if not any(test.startswith(name) for name in NAMED)] == []


def test_every_place_on_the_page_exists() -> None:
    """Files and directories of tests and modules."""
    places = re.findall(r"`((?:tests|namestore|benchmarks)/[a-z0-9_./]*)`", PAGE)
    assert places
    assert [place for place in places if not (ROOT / place).exists()] == []
