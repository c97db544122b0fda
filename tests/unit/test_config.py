"""Which configurations are taken, and with which sentence the others are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from namestore.config import (
    HistoryConfig,
    LimitsConfig,
    RaftConfig,
    check_node,
    dev_config,
    is_loopback,
    load,
    split_address,
)
from namestore.errors import ConfigError

EXAMPLE = Path(__file__).parents[2] / "cluster.example.toml"

NODE = """
[[nodes]]
id = "n{0}"
grpc = "127.0.0.1:710{0}"
raft = "127.0.0.1:720{0}"
data_dir = "data/n{0}"
"""
GOOD = '[cluster]\nname = "test"\n' + NODE.format(1) + NODE.format(2)


def write(directory: Path, text: str | bytes) -> Path:
    path = directory / "cluster.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refusal(directory: Path, text: str | bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        load(write(directory, text))
    return caught.value.message


def test_example_runs_as_it_stands_for_each_node() -> None:
    """cluster.example.toml is a cluster of three on loopback, and writes out the defaults."""
    config = load(EXAMPLE)
    assert [node.id for node in config.nodes] == ["n1", "n2", "n3"]
    for number, node in enumerate(config.nodes, 1):
        assert check_node(config, node.id) is node
        assert (node.grpc, node.raft) == (f"127.0.0.1:710{number}", f"127.0.0.1:720{number}")
        assert node.data_dir == EXAMPLE.parent / ".namestore" / node.id
    assert (config.raft, config.limits) == (RaftConfig(), LimitsConfig())
    assert config.history == HistoryConfig() == HistoryConfig(5_000_000, 90)


def test_history_is_left_as_it_is_where_nothing_is_said(tmp_path: Path) -> None:
    """A file without the section must not undo what another one set."""
    assert load(write(tmp_path, GOOD)).history is None
    assert load(write(tmp_path, GOOD + "[history]\ndays_max = 7\n")).history == HistoryConfig(
        days_max=7
    )


def test_load_takes_relative_paths_from_the_files_directory(tmp_path: Path) -> None:
    """Where the process was started from changes nothing."""
    config = load(write(tmp_path, GOOD))
    assert config.node("n2").data_dir == tmp_path / "data" / "n2"


def test_load_lets_nodes_on_two_hosts_share_ports_and_paths(tmp_path: Path) -> None:
    """One file for machines that are set up alike."""
    text = '[cluster]\nname = "far"\n'
    for number in (1, 2):
        text += (
            f'[[nodes]]\nid = "n{number}"\ngrpc = "10.0.0.{number}:7101"\n'
            f'raft = "10.0.0.{number}:7201"\ndata_dir = "/var/lib/namestore"\n'
        )
    assert len(load(write(tmp_path, text)).nodes) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    (
        ("", ["is empty", "cluster.example.toml"]),
        ("# nothing\n", ["is empty"]),
        ("[cluster\n", ["is not TOML", "line 1"]),
        (b'[cluster]\nname = "\xff"\n', ["is not UTF-8", "byte 19"]),
        (NODE.format(1), ["[cluster]", "is missing"]),
        ("cluster = 3", ["cluster = 3", "must be a table"]),
        ("[cluster]\n" + NODE.format(1), ["[cluster] name", "is missing"]),
        ('[cluster]\nname = ""\n' + NODE.format(1), ["name", "must not be empty"]),
        ('[cluster]\nname = "a\\u0007"\n' + NODE.format(1), ["control characters"]),
        ('[cluster]\nname = "x"\n', ["nodes", "is missing", "[[nodes]]"]),
        ('nodes = []\n[cluster]\nname = "x"\n', ["nodes", "[[nodes]]"]),
        ('nodes = [1]\n[cluster]\nname = "x"\n', ["nodes", "[[nodes]]"]),
        (GOOD.replace("[cluster]", "[cluster]\nnmae = 1"), ["nmae = 1", "did you mean name?"]),
        (GOOD + "[rfat]\n", ["rfat", "did you mean raft?"]),
        (GOOD + "port = 1\n", ["[[nodes]] number 2", "port = 1", "is not known"]),
        (GOOD.replace('"n2"', '"n1"', 1), ['id = "n1"', "another node", "must differ"]),
        (GOOD.replace('"n2"', '"n 2"', 1), ['id = "n 2"', "letters, digits"]),
        (GOOD.replace("7202", "7102"), ["raft", "grpc as well"]),
        (GOOD.replace("7102", "7101"), ['grpc = "127.0.0.1:7101"', "grpc of node n1"]),
        (GOOD.replace("7202", "7101"), ['raft = "127.0.0.1:7101"', "grpc of node n1"]),
        (GOOD.replace("127.0.0.1:7202", "localhost:7201"), ["raft of node n1"]),
        (GOOD.replace("data/n2", "data/n1"), ["data_dir", "that of node n1"]),
        (GOOD.replace("data/n2", "./data/../data/n1"), ["data_dir", "that of node n1"]),
        (GOOD.replace("127.0.0.1:7102", "127.0.0.1"), ["grpc", "is not host:port"]),
        (GOOD.replace("127.0.0.1:7102", "h:70000"), ["grpc", "is not host:port"]),
        (GOOD.replace("127.0.0.1:7102", "h:0"), ["grpc", "has port 0"]),
        (GOOD.replace('"127.0.0.1:7102"', "7102"), ["grpc = 7102", "must be a text"]),
        (GOOD.replace('data_dir = "data/n2"\n', ""), ["data_dir", "is missing"]),
        (GOOD + "[raft]\nheartbeat_ms = 1.5\n", ["heartbeat_ms = 1.5", "whole number"]),
        (GOOD + "[raft]\nheartbeat_ms = true\n", ["heartbeat_ms = true", "whole number"]),
        (GOOD + "[raft]\nheartbeat_ms = 0\n", ["heartbeat_ms = 0", "5 to 10000"]),
        (GOOD + "[raft]\nheartbeat_ms = 300\n", ["heartbeat_ms = 300", "at most 200"]),
        (
            GOOD + "[raft]\nelection_timeout_ms_max = 600\n",
            ["election_timeout_ms_max = 600", "above election_timeout_ms_min (600)"],
        ),
        (GOOD + "[limits]\nrequest_timeout_ms = 1\n", ["request_timeout_ms = 1", "100 to"]),
        (GOOD + "[limits]\npending_commands_max = 10\n", ["pending_commands_max", "1000 to"]),
        (GOOD + "[history]\nevents_max = 0\n", ["events_max = 0", "1000 to"]),
        (GOOD + "[history]\ndays_max = 0\n", ["days_max = 0", "1 to"]),
        (GOOD + "[history]\ndays = 9\n", ["days = 9", "did you mean days_max?"]),
        (GOOD + '[tls]\ncertificate = "c.pem"\nkey = "k.pem"\n', ["[tls] authority", "missing"]),
        (
            GOOD.replace("[cluster]", '[cluster]\nallow_insecure_network = "yes"'),
            ['allow_insecure_network = "yes"', "true or false"],
        ),
        (
            '[cluster]\nname = "x"\n' + "".join(NODE.format(n) for n in range(10)),
            ["10 nodes", "at most 9"],
        ),
    ),
)
def test_load_refuses_with_key_value_and_remedy(
    tmp_path: Path, text: str | bytes, words: list[str]
) -> None:
    """Each mistake gets a sentence that names the key, its value and what would be right."""
    message = refusal(tmp_path, text)
    assert "cluster.toml" in message
    for word in words:
        assert word in message


def test_load_refuses_what_is_no_file(tmp_path: Path) -> None:
    """A missing file and a directory are told apart."""
    with pytest.raises(ConfigError, match="does not exist"):
        load(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="is a directory"):
        load(tmp_path)


def test_check_node_refuses_an_unknown_id(tmp_path: Path) -> None:
    """The message names the ids there are."""
    with pytest.raises(ConfigError, match=r"'n7'.*n1, n2"):
        check_node(load(write(tmp_path, GOOD)), "n7")


@pytest.mark.parametrize("key", ("grpc", "raft"))
def test_check_node_refuses_to_serve_in_the_clear_on_an_open_network(
    tmp_path: Path, key: str
) -> None:
    """Not loopback and no TLS: only if the operator says so."""
    port = {"grpc": "7102", "raft": "7202"}[key]
    text = GOOD.replace(f"127.0.0.1:{port}", f"0.0.0.0:{port}")
    config = load(write(tmp_path, text))
    assert check_node(config, "n1").id == "n1"
    with pytest.raises(ConfigError, match=f'{key} = "0.0.0.0:{port}".*allow_insecure_network'):
        check_node(config, "n2")
    allowed = text.replace("[cluster]", "[cluster]\nallow_insecure_network = true")
    assert check_node(load(write(tmp_path, allowed)), "n2").id == "n2"


def test_check_node_reads_the_pem_files(tmp_path: Path) -> None:
    """[tls] that names no PEM file is found before the node starts."""
    text = GOOD + '[tls]\ncertificate = "c.pem"\nkey = "k.pem"\nauthority = "a.pem"\n'
    config = load(write(tmp_path, text))
    with pytest.raises(ConfigError, match=r"certificate.*cannot be read"):
        check_node(config, "n1")
    (tmp_path / "c.pem").write_text("hello")
    with pytest.raises(ConfigError, match=r"certificate.*not a PEM file"):
        check_node(config, "n1")
    for name in ("c", "k", "a"):
        (tmp_path / f"{name}.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    assert check_node(config, "n1").id == "n1"


def test_dev_config_is_one_node_on_loopback(tmp_path: Path) -> None:
    """Development needs no file."""
    config = dev_config(tmp_path / "d")
    assert check_node(config, "dev").grpc == "127.0.0.1:7101"
    assert config.node("dev").data_dir == tmp_path / "d"
    with pytest.raises(ConfigError, match="host:port"):
        dev_config(tmp_path, "7101")


def test_addresses_are_taken_apart() -> None:
    """IPv6 stands in brackets; only localhost and loopback literals are loopback."""
    assert split_address("[::1]:7101") == ("::1", 7101)
    assert split_address("db-1.example.org:1") == ("db-1.example.org", 1)
    assert [is_loopback(h) for h in ("::1", "127.9.0.1", "localhost")] == [True] * 3
    assert [is_loopback(h) for h in ("0.0.0.0", "::", "10.0.0.1", "example.org")] == [False] * 4
