"""A certificate authority of one's own, for trials, tests and small clusters.

It makes what `tls` asks for: one authority, and for each node a certificate whose URI names the
cluster and the node. Needs the `cryptography` package, which a running node does not. The
authority's key never has to be on a node. Invariant: private keys are created readable by their
owner only, and nothing that exists is overwritten but a node's own certificate and key.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from namestore.config import TlsConfig
from namestore.errors import ConfigError
from namestore.raft.transport.tls import node_uri

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

AUTHORITY_FILE = "authority.pem"
AUTHORITY_KEY_FILE = "authority.key"
_AUTHORITY_LIFE = dt.timedelta(days=3650)
_NODE_LIFE = dt.timedelta(days=365)
# Clocks of two machines differ a little; a certificate made just now must be valid on both.
_BACKDATED = dt.timedelta(minutes=5)


def make_authority(directory: Path) -> Path:
    """Makes an authority in `directory` unless there is one, and returns its certificate's path.

    Raises:
        ConfigError: `cryptography` is not installed, or only half of an authority is there.
    """
    require_cryptography()
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

    certificate_path, key_path = directory / AUTHORITY_FILE, directory / AUTHORITY_KEY_FILE
    if certificate_path.exists() and key_path.exists():
        return certificate_path
    if certificate_path.exists() or key_path.exists():
        raise ConfigError(
            f"{directory}: holds only one of {AUTHORITY_FILE} and {AUTHORITY_KEY_FILE}; restore "
            "the other one, or remove it and issue every certificate anew"
        )
    directory.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"namestore authority {x509.random_serial_number():x}"[:40])
    builder = (
        _dated(_AUTHORITY_LIFE, _now())
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    _write_key(key_path, key)
    _write_certificate(certificate_path, builder, key)
    return certificate_path


def issue_certificate(
    directory: Path,
    cluster_name: str,
    node_id: str,
    hosts: Sequence[str] = (),
    *,
    valid_from: dt.datetime | None = None,
    valid_for: dt.timedelta = _NODE_LIFE,
) -> TlsConfig:
    """Makes a node's certificate and key, signed by the authority in `directory`.

    Args:
        directory: Holds the authority; gets `<node_id>.pem` and `<node_id>.key`.
        cluster_name: As configured.
        node_id: As configured. A certificate it had before is replaced.
        hosts: Names and addresses to add for tools that look at them; peers do not.
        valid_from: Default: a few minutes ago.
        valid_for: From then on.

    Raises:
        ConfigError: There is no authority, the node's files would replace the authority's, or
            `cryptography` is not installed.
    """
    require_cryptography()
    from cryptography.hazmat.primitives.asymmetric import ec

    certificate_path, key_path = directory / f"{node_id}.pem", directory / f"{node_id}.key"
    if certificate_path.name == AUTHORITY_FILE:
        raise ConfigError(f"a node called {node_id} would get the authority's files: rename it")
    authority_key, authority = _load_authority(directory)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _dated(valid_for, valid_from or _now())
        .subject_name(_name(node_id[:64]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .add_extension(_alternative_names(cluster_name, node_id, hosts), critical=False)
    )
    _write_key(key_path, key)
    _write_certificate(certificate_path, _for_peers(builder, authority_key), authority_key)
    return TlsConfig(certificate_path, key_path, directory / AUTHORITY_FILE)


def _for_peers(
    builder: x509.CertificateBuilder, signer: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    """What a node's key may be used for: to speak on both ends of a connection, no more."""
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    uses = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    return (
        builder.add_extension(issuer, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
    )


def require_cryptography() -> None:
    """Raises `ConfigError`, saying how to get it, unless `cryptography` is installed."""
    try:
        import cryptography  # noqa: F401  (only whether it is there)
    except ImportError as error:
        raise ConfigError(
            "making certificates needs the `cryptography` package: pip install 'namestore[tls]'"
        ) from error


def _load_authority(directory: Path) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        certificate = x509.load_pem_x509_certificate((directory / AUTHORITY_FILE).read_bytes())
        key = serialization.load_pem_private_key(
            (directory / AUTHORITY_KEY_FILE).read_bytes(), password=None
        )
    except (OSError, ValueError) as error:
        raise ConfigError(f"{directory}: no usable authority in it ({error})") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ConfigError(f"{directory / AUTHORITY_KEY_FILE}: not a key that namestore made")
    return key, certificate


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC) - _BACKDATED


def _name(common_name: str) -> x509.Name:
    from cryptography import x509

    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])


def _dated(life: dt.timedelta, start: dt.datetime) -> x509.CertificateBuilder:
    from cryptography import x509

    return (
        x509.CertificateBuilder()
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + life)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative_names(
    cluster_name: str, node_id: str, hosts: Sequence[str]
) -> x509.SubjectAlternativeName:
    from cryptography import x509

    names: list[x509.GeneralName] = [
        x509.UniformResourceIdentifier(node_uri(cluster_name, node_id))
    ]
    for host in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    return x509.SubjectAlternativeName(names)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    from cryptography.hazmat.primitives import serialization

    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123  (a descriptor, not a path)
        file.write(pem)


def _write_certificate(
    path: Path, builder: x509.CertificateBuilder, signer: ec.EllipticCurvePrivateKey
) -> None:
    from cryptography.hazmat.primitives import hashes, serialization

    certificate = builder.sign(signer, hashes.SHA256())
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
