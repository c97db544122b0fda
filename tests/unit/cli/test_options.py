"""Which registry a command talks to, and how it was told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from namestore.cli.options import Target
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_store import FakeStore


def test_default_is_the_first_local_node(run: Run, store: FakeStore) -> None:
    """A node started on this machine needs no option."""
    run("list")
    assert store.targets == [Target(endpoints="127.0.0.1:7101")]


def test_environment_names_the_endpoints(run: Run, store: FakeStore) -> None:
    """An option prevails over the variable."""
    env = {"NAMESTORE_ENDPOINTS": "a:1,b:2"}
    run("list", env=env)
    run("--endpoints", "c:3", "list", env=env)
    assert [target.endpoints for target in store.targets] == ["a:1,b:2", "c:3"]


def test_directory_prevails_over_the_environment(
    run: Run, store: FakeStore, tmp_path: Path
) -> None:
    """The variable is a default, and no second address."""
    run("--data-dir", str(tmp_path), "list", env={"NAMESTORE_ENDPOINTS": "a:1"})
    assert store.targets == [Target(data_dir=tmp_path)]


def test_empty_directory_name_is_bad_usage(run: Run, store: FakeStore) -> None:
    """An unset variable of a script must not make a registry of the working directory."""
    for arguments in (("--data-dir", "", "list"), ("list", "--data-dir=")):
        result = run(*arguments)
        assert result.exit_code == 2
        assert "an empty path" in result.stderr
    assert store.targets == []


@pytest.mark.parametrize("order", ((0, 1), (1, 0)))
def test_addresses_exclude_each_other_wherever_they_stand(
    run: Run, store: FakeStore, tmp_path: Path, order: tuple[int, int]
) -> None:
    """Two registries are never meant at once."""
    options = (("--endpoints", "a:1"), ("--data-dir", str(tmp_path)))
    result = run(*options[order[0]], "list", *options[order[1]])
    assert result.exit_code == 2
    assert "exclude each other" in result.stderr
    assert store.targets == []


def test_options_stand_before_or_after_the_command(run: Run, store: FakeStore) -> None:
    """The later one prevails."""
    first = run("--json", "--owner", "o1", "register", "user:a")
    second = run("--owner", "o1", "register", "user:b", "--json", "--owner", "o2")
    assert json.loads(first.stdout)["record"]["owner"] == "o1"
    assert json.loads(second.stdout)["record"]["owner"] == "o2"


def test_timeout_reaches_the_registry(run: Run, store: FakeStore) -> None:
    """In seconds, and above zero."""
    run("--timeout", "2.5", "list")
    assert store.timeouts == [2.5]
    assert run("--timeout", "0", "list").exit_code == 2


def test_registry_is_closed_even_when_a_command_fails(run: Run, store: FakeStore) -> None:
    """An embedded registry keeps its directory locked until then."""
    run("release", "user:nobody")
    assert store.closed


def test_missing_configuration_is_bad_usage(run: Run) -> None:
    """Said in one line, with the path."""
    result = run("--config", "/nowhere/cluster.toml", "list")
    assert result.exit_code == 2
    assert "/nowhere/cluster.toml" in result.stderr


def test_unknown_command_is_bad_usage(run: Run) -> None:
    """With --json the error is an object as well."""
    result = run("--json", "registr", "user:a")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"] == "USAGE"
    assert "registr" in result.stderr


@pytest.mark.parametrize("shell", ("bash", "zsh", "fish"))
def test_completion_script_says_how_to_install_it(run: Run, shell: str) -> None:
    """The script calls the program by its name."""
    result = run("completion", shell)
    assert result.exit_code == 0
    assert result.stdout.startswith("# To install:")
    assert "_NAMESTORE_CLI_COMPLETE" in result.stdout


def test_help_of_every_command_needs_no_registry(run: Run, store: FakeStore) -> None:
    """And says what the exit codes mean."""
    result = run("--help")
    assert "Exit codes" in result.stdout
    for command in ("register", "lookup", "release", "slug", "list", "import", "export", "status"):
        assert command in result.stdout
        assert run(command, "--help").exit_code == 0
    assert store.targets == []


@pytest.mark.parametrize("seconds", ("nan", "inf", "-inf", "1e999", "0"))
def test_timeout_that_never_ends_is_bad_usage(run: Run, store: FakeStore, seconds: str) -> None:
    """No deadline can be reckoned from it, so nothing is opened."""
    result = run("--timeout", seconds, "list")
    assert result.exit_code == 2
    assert "--timeout" in result.stderr
    assert store.targets == []
