"""What the documents say exists: links, tests, paths, commands, code, errors."""

from __future__ import annotations

import ast
import re
import shlex
from functools import cache
from importlib import import_module
from pathlib import Path

import click
import pytest

from namestore.cli.main import cli
from namestore.errors import OutcomeUnknown
from namestore.localcluster.main import cli as local_cluster
from namestore.rpc.status import STATUS_OF_ERROR
from namestore.server.main import main as server

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]
COMMANDS: dict[str, click.Command] = {
    "namestore-cli": cli,
    "namestore-local-cluster": local_cluster,
    "namestore-server": server,
}

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_PLACE = re.compile(
    r"(?:namestore|tests|docs|protos|examples|benchmarks|tools)/[\w./*-]*"
    r"|(?:core|storage|raft|rpc|server|client)/\w+\.py"  # in short, of namestore
)
_SHOWN = re.compile(r"^(?:\$ | {4})(namestore-[a-z-]+(?: .*)?)$", re.MULTILINE)
# What stands for several commands at once is a synopsis, not a command.
_SYNOPSIS = re.compile(r"[\[|…]")
_MADE = re.compile(r"(?:`|^ {4}|\| )make ([a-z-]+)((?: [A-Z_]+=[\w.-]*)*)", re.MULTILINE)
_RUN = re.compile(r"python -m ((?:tests|benchmarks)[\w.]*)((?: +[\w./=-]+)*)")
_ERROR_ROW = re.compile(r"^\| `([A-Z_]+)` \| ([A-Z_]+) \| (\w+) \|", re.MULTILINE)

each_document = pytest.mark.parametrize(
    "path", DOCUMENTS, ids=[str(path.relative_to(ROOT)) for path in DOCUMENTS]
)


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _anchors(path: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(_text(path)))
    return {heading.replace(" ", "-") for heading in plain}


@each_document
def test_links_resolve(path: Path) -> None:
    """A relative link leads to a file that is there, and to a heading that is in it."""
    broken = []
    for link in _LINK.findall(_text(path)):
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = link.partition("#")
        target = (path.parent / place).resolve() if place else path
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert broken == []


@each_document
def test_paths_and_tests_exist(path: Path) -> None:
    """A path in code quotes is one of this tree; a test named behind it is in that file."""
    missing = []
    for span in _SPAN.findall(_text(path)):
        place, _, test = span.partition("::")
        if not _PLACE.fullmatch(place):
            continue
        found = [*ROOT.glob(place.rstrip("/")), *ROOT.glob(f"namestore/{place.rstrip('/')}")]
        if not found or (test and f"def {test}(" not in _text(found[0])):
            missing.append(span)
    assert missing == []


@each_document
def test_python_examples_parse_and_import(path: Path) -> None:
    """Python in the documents is Python, and what it imports of namestore is there."""
    for language, code in _FENCED.findall(_text(path)):
        if language != "python":
            continue
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("namestore"):
                module = import_module(str(node.module))
                assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    import_module(alias.name)


def test_readme_shows_python_for_each_flow() -> None:
    """The README has examples at all, so that the test above has something to look at."""
    code = [code for language, code in _FENCED.findall(_text(ROOT / "README.md")) if language]
    assert any("names.register(" in each for each in code)
    assert sum("names.register_slug(" in each for each in code) == 2


def _shown_commands() -> list[str]:
    found = [command for path in DOCUMENTS for command in _SHOWN.findall(_text(path))]
    return sorted({command.split(" #")[0].rstrip() for command in found})


def _check(command: click.Command, arguments: list[str]) -> None:
    """Raises `click.UsageError` for a subcommand or an option that does not exist."""
    context = click.Context(command, info_name=command.name)
    _, rest, _ = command.make_parser(context).parse_args(arguments)
    if isinstance(command, click.Group) and rest:
        subcommand = command.get_command(context, rest[0])
        if subcommand is None:
            raise click.UsageError(f"no command {rest[0]}")
        _check(subcommand, rest[1:])


@pytest.mark.parametrize(
    "shown", [command for command in _shown_commands() if not _SYNOPSIS.search(command)]
)
def test_shown_commands_exist(shown: str) -> None:
    """A command in a document has the subcommands and options that it is shown with."""
    program, *arguments = shlex.split(shown.split(" > ")[0])
    _check(COMMANDS[program], arguments)


def test_commands_are_found_and_misspelt_ones_refused() -> None:
    """The test above has something to look at, and teeth."""
    assert len(_shown_commands()) >= 10
    for wrong in (["registre", "user:a"], ["register", "--ower", "x"], ["--jsn", "lookup"]):
        with pytest.raises(click.UsageError):
            _check(cli, wrong)


def _targets() -> tuple[set[str], set[str]]:
    """What can be made, and the variables that are looked at."""
    makefile = _text(ROOT / "Makefile")
    return set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE)), set(
        re.findall(r"\$\((?:if \$\()?([A-Z_]+)\)", makefile)
    )


@each_document
def test_what_is_to_be_made_exists(path: Path) -> None:
    """`make` in a document has the targets and variables that it is shown with."""
    targets, variables = _targets()
    for target, settings in _MADE.findall(_text(path)):
        assert target in targets
        assert {setting.partition("=")[0] for setting in settings.split()} <= variables


def _source_of(module: str) -> str:
    """All that a module, or the package that it is, says."""
    place = ROOT / module.replace(".", "/")
    parts = sorted(place.glob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
    return "".join(map(_text, parts))


@each_document
def test_modules_that_are_to_be_run_take_what_they_are_given(path: Path) -> None:
    """A module in a document is there, and knows the words and options that it is shown with."""
    for module, given in _RUN.findall(_text(path)):
        words = [word.partition("=")[0] for word in given.split()]
        known = words[:1] + [word for word in words[1:] if word.startswith("--")]
        source = _source_of(module) + '"--help"'
        assert [word for word in known if f'"{word}"' not in source] == []


def test_modules_and_targets_are_found_in_documents() -> None:
    """The tests above have something to look at."""
    text = _text(ROOT / "docs" / "testing.md")
    assert {"simulate", "torture", "test"} <= {target for target, _ in _MADE.findall(text)}
    assert ("tests.simulation", " crashes --count 1000") in _RUN.findall(text)
    assert {"SEEDS", "MINUTES", "NODES", "SEED", "ARGS"} <= _targets()[1]


def test_table_of_errors_is_that_of_the_code() -> None:
    """docs/guarantees.md lists every reason with its status, and whether it was applied."""
    rows = _ERROR_ROW.findall(_text(ROOT / "docs" / "guarantees.md"))
    assert sorted(rows) == sorted(
        (kind.REASON, status.name, "perhaps" if kind is OutcomeUnknown else "no")
        for kind, status in STATUS_OF_ERROR.items()
    )


def test_every_decision_is_listed() -> None:
    """The list of decisions has them all, and their numbers differ."""
    folder = ROOT / "docs" / "decisions"
    records = sorted(path.name for path in folder.glob("[0-9]*.md"))
    listed = _LINK.findall(_text(folder / "README.md"))
    assert listed == records
    assert len({name[:4] for name in records}) == len(records)
