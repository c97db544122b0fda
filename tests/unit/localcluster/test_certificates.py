"""Each node of a cluster that speaks TLS has its own certificate, and keeps it."""

from __future__ import annotations

import builtins
import stat
from pathlib import Path
from typing import Any

import pytest

from namestore.config import check_node, load
from namestore.errors import ConfigError
from namestore.localcluster import LocalCluster
from namestore.localcluster.errors import ClusterMismatch, DirectoryUnusable
from namestore.raft.authority import issue_certificate, make_authority
from namestore.raft.transport.tls import load_contexts


def _secured(path: Path, nodes: int = 2) -> LocalCluster:
    return LocalCluster.create(path, nodes=nodes, base_port=0, tls=True)


def _content(place: Path) -> dict[str, bytes]:
    return {entry.name: entry.read_bytes() for entry in place.iterdir()}


def test_each_node_is_given_what_proves_who_it_is(tmp_path: Path) -> None:
    """Its own file names its own certificate, which the node itself accepts; nobody reads keys."""
    cluster = _secured(tmp_path / "c")

    for node_id in cluster.node_ids:
        config = load(cluster.process(node_id).config_path)
        assert config.nodes == cluster.config.nodes
        assert config.tls is not None
        assert config.tls.certificate == cluster.directory.tls_path / f"{node_id}.pem"
        check_node(config, node_id)
        load_contexts(config.tls, config.name, node_id)
    keys = list(cluster.directory.tls_path.glob("*.key"))
    assert {key.stem for key in keys} == {"authority", "n1", "n2"}
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}
    assert stat.S_IMODE(cluster.directory.tls_path.stat().st_mode) == 0o700


def test_certificates_are_kept_and_missing_ones_are_made(tmp_path: Path) -> None:
    """A second time nothing changes; one that was removed is issued by the same authority."""
    cluster = _secured(tmp_path / "c")
    place = cluster.directory.tls_path
    before = _content(place)

    LocalCluster.create(tmp_path / "c", tls=True)
    LocalCluster.create(tmp_path / "c")
    assert _content(place) == before

    (place / "n2.pem").unlink()
    LocalCluster.create(tmp_path / "c", tls=True)
    after = _content(place)
    assert {name for name in after if after[name] != before[name]} == {"n2.pem", "n2.key"}


def test_a_lost_authority_is_followed_by_certificates_of_the_new_one(tmp_path: Path) -> None:
    """No node is left with a certificate that its peers would not accept."""
    cluster = _secured(tmp_path / "c")
    for name in ("authority.pem", "authority.key"):
        (cluster.directory.tls_path / name).unlink()
    again = LocalCluster.create(tmp_path / "c", tls=True)

    for node_id in again.node_ids:
        config = load(again.process(node_id).config_path)
        assert config.tls is not None
        load_contexts(config.tls, config.name, node_id)


def test_changes_of_the_cluster_s_file_reach_the_nodes(tmp_path: Path) -> None:
    """cluster.toml is the one to change; a node's file that somebody made his own is kept."""
    cluster = _secured(tmp_path / "c")
    own = cluster.directory.path / "n2.toml"
    own.write_text("# mine\n" + own.read_text().split("\n", 2)[2])
    mine = own.read_text()
    path = cluster.directory.config_path
    path.write_text(path.read_text() + "\n[limits]\nrequest_timeout_ms = 1234\n")
    again = LocalCluster.create(tmp_path / "c", tls=True)

    assert load(again.process("n1").config_path).limits.request_timeout_ms == 1234
    assert own.read_text() == mine


def test_other_addresses_do_not_take_the_certificate_away(tmp_path: Path) -> None:
    """A node that sees its peers elsewhere still proves who it is."""
    cluster = _secured(tmp_path / "c")
    before = load(cluster.process("n1").config_path)
    cluster.set_addresses("n1", {"n2": ("127.0.0.1:5001", "127.0.0.1:5002")})
    after = load(cluster.process("n1").config_path)

    assert after.node("n2").raft == "127.0.0.1:5002"
    assert after.tls == before.tls


@pytest.mark.parametrize("tls", (True, False))
def test_the_other_kind_is_refused(tmp_path: Path, tls: bool) -> None:
    """Nodes in the clear and nodes with TLS do not meet; the sentence says what to do."""
    LocalCluster.create(tmp_path / "c", base_port=0, tls=tls)

    with pytest.raises(ClusterMismatch, match=r"--tls.*down --wipe"):
        LocalCluster.create(tmp_path / "c", tls=not tls)
    assert LocalCluster.create(tmp_path / "c").directory.tls is tls


def test_no_node_starts_in_the_clear(tmp_path: Path) -> None:
    """Without its own file it would read cluster.toml, which names no certificate."""
    cluster = _secured(tmp_path / "c")
    (cluster.directory.path / "n1.toml").unlink()

    with pytest.raises(ClusterMismatch, match="up --tls"):
        cluster.start("n1")
    assert cluster.running() == []


def test_a_table_for_all_nodes_is_refused(tmp_path: Path) -> None:
    """One certificate for all would prove nothing."""
    path = _secured(tmp_path / "c").directory.config_path
    path.write_text(path.read_text() + '\n[tls]\ncertificate = "a"\nkey = "b"\nauthority = "c"\n')

    with pytest.raises(ClusterMismatch, match=r"\[tls\]"):
        LocalCluster.create(tmp_path / "c", tls=True)


def test_wipe_removes_certificates_that_were_made_here(tmp_path: Path) -> None:
    """Keys do not outlive their cluster."""
    assert _secured(tmp_path / "c").directory.wipe() == []
    assert not (tmp_path / "c").exists()


def test_wipe_keeps_what_only_has_the_name(tmp_path: Path) -> None:
    """Beside nodes that speak in the clear, `tls` is somebody else's; a link is not followed."""
    elsewhere = tmp_path / "elsewhere"
    plain = LocalCluster.create(tmp_path / "plain", base_port=0)
    plain.directory.tls_path.mkdir()
    secured = _secured(tmp_path / "secured")
    secured.directory.tls_path.rename(elsewhere)
    secured.directory.tls_path.symlink_to(elsewhere)
    before = _content(elsewhere)

    assert plain.directory.wipe() == ["tls"]
    with pytest.raises(DirectoryUnusable, match="link"):
        LocalCluster.create(tmp_path / "secured", tls=True)
    assert secured.directory.wipe() == ["tls"]
    assert _content(elsewhere) == before


def test_a_place_that_holds_something_is_not_taken(tmp_path: Path) -> None:
    """Neither written to nor claimed, so that it is not removed later."""
    directory = LocalCluster.create(tmp_path / "c", base_port=0).directory
    directory.tls_path.mkdir()
    (directory.tls_path / "mine.pem").write_text("x")

    with pytest.raises(DirectoryUnusable, match="not made by this tool"):
        directory.make_tls_path()
    assert not directory.tls


def test_missing_package_is_named_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence can be typed; the directory can still be used for a cluster in the clear."""
    real_import = builtins.__import__

    def without_cryptography(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "cryptography":
            raise ImportError(name)
        return real_import(name, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(builtins, "__import__", without_cryptography)
        with pytest.raises(ConfigError, match=r"pip install 'namestore\[tls\]'"):
            _secured(tmp_path / "c")
    assert LocalCluster.create(tmp_path / "c", base_port=0, tls=False).directory.tls is False


def test_no_node_gets_the_authority_s_files(tmp_path: Path) -> None:
    """A node called as the authority's files are would replace them."""
    before = make_authority(tmp_path).read_bytes()

    with pytest.raises(ConfigError, match="rename"):
        issue_certificate(tmp_path, "test", "authority")
    assert (tmp_path / "authority.pem").read_bytes() == before
