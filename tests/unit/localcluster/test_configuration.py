"""The file that is written is one that a node accepts, and one that is there is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from namestore.config import load
from namestore.errors import ConfigError
from namestore.localcluster import LocalCluster
from namestore.localcluster.configuration import write_config
from namestore.localcluster.errors import ClusterMismatch


def test_default_ports_and_places(tmp_path: Path) -> None:
    """7101 to 7103 for callers, 7201 to 7203 between nodes, data beside the file."""
    write_config(tmp_path / "cluster.toml", None, None)
    nodes = load(tmp_path / "cluster.toml").nodes

    assert [node.id for node in nodes] == ["n1", "n2", "n3"]
    assert [node.grpc for node in nodes] == [f"127.0.0.1:{port}" for port in (7101, 7102, 7103)]
    assert [node.raft for node in nodes] == [f"127.0.0.1:{port}" for port in (7201, 7202, 7203)]
    assert [node.data_dir for node in nodes] == [tmp_path / node.id for node in nodes]


def test_two_clusters_have_different_names(tmp_path: Path) -> None:
    """A node of another local cluster on the same port is told apart by its cluster's name."""
    for name in ("a", "b"):
        write_config(tmp_path / name, 3, 0)

    assert load(tmp_path / "a").name != load(tmp_path / "b").name


def test_settings_reach_the_file(tmp_path: Path) -> None:
    """Tests shorten timings by the same file that a node reads."""
    write_config(tmp_path / "cluster.toml", 1, 0, {"limits": {"request_timeout_ms": 1234}})

    assert load(tmp_path / "cluster.toml").limits.request_timeout_ms == 1234


def test_existing_file_is_kept(tmp_path: Path) -> None:
    """Ports once chosen stay, or data would be found under other addresses."""
    first = LocalCluster.create(tmp_path / "c", nodes=2, base_port=0)
    again = LocalCluster.create(tmp_path / "c", base_port=0)

    assert again.endpoints == first.endpoints
    assert again.node_ids == ("n1", "n2")


@pytest.mark.parametrize(("nodes", "base_port"), ((5, None), (None, 7000)))
def test_existing_file_of_another_shape_is_refused(
    tmp_path: Path, nodes: int | None, base_port: int | None
) -> None:
    """What was asked for in so many words is not silently dropped."""
    LocalCluster.create(tmp_path / "c", nodes=3, base_port=0)

    with pytest.raises(ClusterMismatch, match="down --wipe"):
        LocalCluster.create(tmp_path / "c", nodes=nodes, base_port=base_port)


def test_broken_file_is_named_and_does_not_hinder_the_end(tmp_path: Path) -> None:
    """The error says which file; ending and wiping do not need it."""
    cluster = LocalCluster.create(tmp_path / "c", base_port=0)
    cluster.directory.config_path.write_text("nonsense = 1\n")

    with pytest.raises(ConfigError, match=r"cluster\.toml"):
        LocalCluster.create(tmp_path / "c")
    broken = LocalCluster.open(tmp_path / "c")
    assert broken.end() == []
    assert broken.directory.wipe() == []


def test_node_sees_others_under_its_own_addresses(tmp_path: Path) -> None:
    """Ids agree between two nodes' files, addresses need not; settings are the same."""
    settings = {"limits": {"request_timeout_ms": 1234}}
    cluster = LocalCluster.create(tmp_path / "c", base_port=0, settings=settings)
    cluster.set_addresses("n1", {"n2": ("127.0.0.1:5001", "127.0.0.1:5002")})
    own = load(cluster.process("n1").config_path)

    assert (own.node("n2").grpc, own.node("n2").raft) == ("127.0.0.1:5001", "127.0.0.1:5002")
    assert own.node("n3") == cluster.config.node("n3")
    assert own.name == cluster.config.name
    assert own.limits.request_timeout_ms == 1234
