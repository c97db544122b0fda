"""The command `namestore-server`: usage, exit codes, and what it says when it does not start."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from namestore import __version__
from namestore.config import ClusterConfig
from namestore.errors import ConfigError, DirectoryInUse, DiskDamaged, InvariantViolation
from namestore.server import main as server_main

EXAMPLE = Path(__file__).parents[3] / "cluster.example.toml"


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """Runs the command; a node that would start says which one it would be."""

    def serve(config: ClusterConfig, node_id: str) -> int:
        click.echo(f"serving {node_id} of {config.name} in {config.node(node_id).data_dir}")
        return 0

    monkeypatch.setattr(server_main, "serve", serve)

    def invoke(*arguments: object) -> tuple[int, str]:
        result = CliRunner().invoke(server_main.main, [str(argument) for argument in arguments])
        return result.exit_code, result.output

    return invoke


def test_main_starts_the_node_it_is_told_to(
    run: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    """A node of a file, or one for development."""
    code, output = run("--config", EXAMPLE, "--node", "n2")
    assert (code, "serving n2 of example" in output) == (0, True)
    code, output = run("--dev", "--data-dir", tmp_path / "d")
    assert (code, output) == (0, f"serving dev of dev in {tmp_path / 'd'}\n")
    code, output = run("--config", EXAMPLE, "--node", "n2", "--check-config")
    assert (code, output) == (0, "node n2 of cluster example can start as configured\n")
    assert run("--version")[1] == f"namestore-server, version {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    (
        ((), "--help tells more"),
        (("--dev", "--node", "n1"), "leave out --config and --node"),
        (("--config", EXAMPLE), "one of n1, n2, n3"),
        (("--config", EXAMPLE, "--node", "n1", "--data-dir", "x"), "go with --dev only"),
        (("--config", "none.toml", "--node", "n1"), "none.toml does not exist"),
        (("--config", EXAMPLE, "--node", "n9"), "no node has the id 'n9'"),
        (("--dev", "--grpc", "0.0.0.0:1"), "not loopback"),
        (("--dev", "--grpc", "7101"), "host:port"),
    ),
)
def test_main_refuses_with_exit_code_two(
    run: Callable[..., tuple[int, str]], arguments: tuple[object, ...], words: str
) -> None:
    """Bad usage and bad configuration: one sentence, no traceback."""
    code, output = run(*arguments)
    assert code == 2
    assert words in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("error", "code"),
    ((ConfigError("the port"), 2), (DirectoryInUse("the lock"), 3), (DiskDamaged("the log"), 3)),
)
def test_main_tells_why_a_node_does_not_start(
    run: Callable[..., tuple[int, str]],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    code: int,
) -> None:
    """A sentence for people; one JSON object for machines."""

    def serve(config: ClusterConfig, node_id: str) -> int:
        raise error

    monkeypatch.setattr(server_main, "serve", serve)
    assert run("--dev") == (code, f"namestore-server: {error}\n")
    exit_code, output = run("--dev", "--log-format", "json")
    event = json.loads(output)
    assert (exit_code, event["event"], event["reason"]) == (code, "server.not_started", str(error))


def test_serve_logs_what_nobody_foresaw(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Exit code 1, and the traceback in the log; storage errors are the caller's to tell."""
    config = server_main.dev_config("unused", "127.0.0.1:0")
    monkeypatch.setattr(server_main.sys, "setswitchinterval", lambda _: None)

    def failing(error: Exception) -> Callable[..., None]:
        def run(_: object) -> None:
            raise error

        return run

    monkeypatch.setattr(server_main.Node, "run", failing(InvariantViolation("surprise")))
    assert server_main.serve(config, "dev", lambda *_, **__: None) == 1
    assert "surprise" in caplog.text
    monkeypatch.setattr(server_main.Node, "run", failing(DirectoryInUse("lock")))
    with pytest.raises(DirectoryInUse):
        server_main.serve(config, "dev", lambda *_, **__: None)
