"""TLS files: what makes them unusable is said before a node starts, with file and remedy."""

from __future__ import annotations

import dataclasses
import datetime as dt
import ssl
import stat
from pathlib import Path

import pytest

from namestore.config import TlsConfig
from namestore.errors import ConfigError
from namestore.raft.authority import issue_certificate, make_authority
from namestore.raft.transport.tls import load_contexts, node_uri
from tests.support.certificates import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


def refusal(config: TlsConfig, cluster_name: str = "test", node_id: str = "n1") -> str:
    """Why the files are not taken."""
    with pytest.raises(ConfigError) as caught:
        load_contexts(config, cluster_name, node_id)
    return caught.value.message


def test_an_issued_certificate_is_taken(authority: Authority) -> None:
    """What the product's own authority makes, the product accepts, odd names included."""
    for cluster_name, node_id in (("test", "n1"), ("my cluster/ü", "n 1")):
        contexts = load_contexts(authority.issue(node_id, cluster_name), cluster_name, node_id)
        assert contexts.server.minimum_version == ssl.TLSVersion.TLSv1_3


@pytest.mark.parametrize("key", ("certificate", "key", "authority"))
def test_a_missing_file_is_named_with_its_key(
    authority: Authority, tmp_path: Path, key: str
) -> None:
    """The sentence holds the configuration key and the path."""
    config = dataclasses.replace(authority.issue("n1"), **{key: tmp_path / "nowhere.pem"})
    assert f"tls.{key} {tmp_path}/nowhere.pem: No such file" in refusal(config)


@pytest.mark.parametrize("key", ("certificate", "key", "authority"))
def test_a_file_that_is_not_pem_is_named(authority: Authority, tmp_path: Path, key: str) -> None:
    """Not a traceback of the TLS library."""
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("not pem")
    message = refusal(dataclasses.replace(authority.issue("n1"), **{key: wrong}))
    assert str(wrong) in message
    assert "PEM" in message


def test_a_key_of_another_certificate_is_refused(authority: Authority) -> None:
    """Two files that were not issued together."""
    config = dataclasses.replace(authority.issue("n1"), key=authority.issue("n2").key)
    assert "it is not the key of tls.certificate" in refusal(config)


def test_a_key_of_another_kind_is_refused(authority: Authority, tmp_path: Path) -> None:
    """OpenSSL has other words for it; ours are the same."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    other = tmp_path / "other.key"
    other.write_bytes(
        ed25519.Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    config = dataclasses.replace(authority.issue("n1"), key=other)
    assert "it is not the key of tls.certificate" in refusal(config)


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_a_password(
    authority: Authority,
) -> None:
    """A server must not wait for a terminal."""
    from cryptography.hazmat.primitives import serialization

    config = authority.issue("n1")
    key = serialization.load_pem_private_key(config.key.read_bytes(), None)
    config.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    assert "unencrypted PEM key" in refusal(config)


def test_certificates_out_of_their_time_are_refused(authority: Authority) -> None:
    """Better now than when the first peer is dialed."""
    now, day = dt.datetime.now(dt.UTC), dt.timedelta(days=1)
    for start, problem in ((now - 3 * day, "expired"), (now + day, "not yet valid")):
        config = issue_certificate(
            authority.directory, "test", "n1", valid_from=start, valid_for=day
        )
        assert problem in refusal(config)


def test_a_certificate_of_another_authority_is_refused(
    authority: Authority, tmp_path: Path
) -> None:
    """Its peers would refuse it as well."""
    other = Authority(tmp_path / "other")
    config = dataclasses.replace(authority.issue("n1"), authority=other.certificate)
    assert "would not accept it" in refusal(config)


def test_a_certificate_that_names_another_node_or_cluster_is_refused(authority: Authority) -> None:
    """The sentence holds the name that is there and the one that is needed."""
    message = refusal(authority.issue("n2"))
    assert "namestore://test/n2" in message
    assert "needs exactly namestore://test/n1" in message
    assert "namestore://other/n1" in refusal(authority.issue("n1", "other"))


def test_a_node_uri_escapes_what_separates() -> None:
    """No cluster and node can be named so that they look like two others."""
    assert node_uri("a/b", "c") == "namestore://a%2Fb/c"
    assert node_uri("a", "b/c") == "namestore://a/b%2Fc"


def test_private_keys_are_their_owners_only(authority: Authority) -> None:
    """From the moment they exist."""
    config = authority.issue("n1")
    for path in (config.key, authority.directory / "authority.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_authority_is_made_once(authority: Authority, tmp_path: Path) -> None:
    """Making it again keeps it; half of one, or none, is an error that says so."""
    before = authority.certificate.read_bytes()
    assert make_authority(authority.directory).read_bytes() == before
    (authority.directory / "authority.key").unlink()
    with pytest.raises(ConfigError, match="only one of"):
        make_authority(authority.directory)
    with pytest.raises(ConfigError, match="no usable authority"):
        issue_certificate(tmp_path, "test", "n1")
