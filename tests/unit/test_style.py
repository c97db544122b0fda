"""What the house style asks and no linter checks.

The allow-lists shrink: an entry that is no longer needed fails its test.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULE_LINES_MAX = 300
FUNCTION_LINES_MAX = 40

# Functions that are longer, each with the reason why cutting them would not make them clearer.
LONG_FUNCTIONS: dict[str, str] = {}

_TEXT_SUFFIXES = {
    "",
    ".cfg",
    ".ini",
    ".md",
    ".proto",
    ".py",
    ".pyi",
    ".sh",
    ".toml",
    ".yaml",
    ".yml",
}
# Homes and scratch places of one machine. Examples of configuration may name /var, /etc and /srv.
_MACHINE_PATH = re.compile(r"(?<![\w.-])/(?:home|root|Users|work|tmp)/[A-Za-z0-9_.-]+")


def _modules(folder: str) -> list[Path]:
    """The Python files under a folder, the generated ones left out."""
    generated = ROOT / "namestore" / "v1"
    return [
        path
        for path in sorted((ROOT / folder).rglob("*.py"))
        if generated not in path.parents and "__pycache__" not in path.parts
    ]


NAMESTORE = _modules("namestore")
TESTS = [path for path in _modules("tests") if path.name.startswith("test_")]


def _label(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _long_functions(path: Path) -> set[str]:
    """Functions that are too long, not counting their docstrings."""
    found = set()
    for function in _functions(path):
        lines = (function.end_lineno or function.lineno) - function.lineno + 1
        if ast.get_docstring(function):
            docstring = function.body[0]
            lines -= (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1
        if lines > FUNCTION_LINES_MAX:
            found.add(f"{_label(path)}::{function.name}")
    return found


namestore_modules = pytest.mark.parametrize("path", NAMESTORE, ids=_label)


@namestore_modules
def test_module_is_short(path: Path) -> None:
    """A module that outgrows 300 lines has two responsibilities: give the second its own."""
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MODULE_LINES_MAX


@namestore_modules
def test_module_says_what_it_is_responsible_for(path: Path) -> None:
    """Every module begins with a docstring."""
    assert ast.get_docstring(_tree(path))


@namestore_modules
def test_module_has_no_assert(path: Path) -> None:
    """Checks in production survive `python -O`: they raise InvariantViolation."""
    asserts = [node.lineno for node in ast.walk(_tree(path)) if isinstance(node, ast.Assert)]
    assert asserts == []


@namestore_modules
def test_module_does_not_unpickle(path: Path) -> None:
    """Nothing that was read is ever executed."""
    imported: set[str] = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")
            imported.update(alias.name for alias in node.names)
    assert imported.isdisjoint({"pickle", "cPickle", "_pickle", "dill", "marshal", "shelve"})


def test_functions_are_short() -> None:
    """A function fits on a screen; the exceptions are listed, and the list only shrinks."""
    found: set[str] = set()
    for path in NAMESTORE:
        found |= _long_functions(path)
    assert found == LONG_FUNCTIONS.keys()


@pytest.mark.parametrize("path", TESTS, ids=_label)
def test_every_test_states_its_rule(path: Path) -> None:
    """The docstrings of the tests, read together, are the specification."""
    silent = [
        function.name
        for function in _functions(path)
        if function.name.startswith("test_") and not ast.get_docstring(function)
    ]
    assert silent == []


def _texts() -> list[Path]:
    folders = ("namestore", "protos", "tests", "docs", "examples", "benchmarks", "deploy", "tools")
    found = [path for path in ROOT.iterdir() if path.is_file()]
    for folder in folders:
        found += (ROOT / folder).rglob("*")
    return [
        path
        for path in sorted(found)
        if path.is_file()
        and path.suffix in _TEXT_SUFFIXES
        and "__pycache__" not in path.parts
        and not path.name.startswith(".")
    ]


def test_no_text_names_a_place_on_one_machine() -> None:
    """A clone means the same everywhere; no path of somebody's disk is in it."""
    found = [
        f"{_label(path)}:{number}: {match.group()}"
        for path in _texts()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for match in _MACHINE_PATH.finditer(line)
    ]
    assert found == []
