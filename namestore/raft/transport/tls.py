"""TLS between nodes: contexts made from files, a node's name in its certificate, and a stream.

TLS 1.3 only, both sides show a certificate of the cluster's own authority, and the one identity
that counts is the certificate's URI `namestore://<cluster>/<node id>`: host names prove where a
peer is, not who it is. Sockets are not touched here: `TlsStream` turns bytes into bytes.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from namestore.config import TlsConfig
from namestore.errors import ConfigError

_SCHEME = "namestore://"
_READ_BYTES = 64 * 1024
# What OpenSSL says of a key that is not the certificate's: of the same kind, or of another.
_MISMATCHES = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")


def node_uri(cluster_name: str, node_id: str) -> str:
    """The name a node's certificate carries as its subject alternative name."""
    return f"{_SCHEME}{quote(cluster_name, safe='')}/{quote(node_id, safe='')}"


@dataclass(frozen=True, slots=True)
class TlsContexts:
    """What connections are made with: one context for each direction."""

    server: ssl.SSLContext
    client: ssl.SSLContext


def load_contexts(config: TlsConfig, cluster_name: str, node_id: str) -> TlsContexts:
    """Reads the files, and proves that they work by one handshake of this node with itself.

    Raises:
        ConfigError: A file is missing, unreadable or not PEM; key and certificate do not belong
            together; the certificate is expired, not yet valid, of another authority, or names
            another node. The message says which file and what to do.
    """
    for key in ("certificate", "key", "authority"):
        _require_readable(f"tls.{key}", getattr(config, key))
    contexts = TlsContexts(
        server=_context(config, ssl.PROTOCOL_TLS_SERVER),
        client=_context(config, ssl.PROTOCOL_TLS_CLIENT),
    )
    uris = _own_identity(config, contexts)
    expected = node_uri(cluster_name, node_id)
    if uris != [expected]:
        found = ", ".join(uris) or "no namestore:// URI"
        raise ConfigError(
            f"tls.certificate {config.certificate}: it names {found}, and this node needs exactly "
            f"{expected}; issue a certificate for cluster {cluster_name!r}, node {node_id!r}"
        )
    return contexts


def _require_readable(key: str, path: Path) -> None:
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise ConfigError(
            f"{key} {path}: {error.strerror}; give the path of a PEM file this process may read"
        ) from error


def _context(config: TlsConfig, protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # the URI is checked instead, after the handshake
    context.verify_mode = ssl.CERT_REQUIRED
    if protocol == ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0  # connections last; nothing is to be resumed
    try:
        context.load_verify_locations(cafile=config.authority)
    except ssl.SSLError as error:
        raise ConfigError(
            f"tls.authority {config.authority}: no PEM certificate could be read from it ({error})"
        ) from error
    try:
        # Without the callback OpenSSL would ask on the terminal for an encrypted key's password.
        context.load_cert_chain(config.certificate, config.key, password=lambda: "")
    except ssl.SSLError as error:
        raise ConfigError(_chain_message(config, error)) from error
    return context


def _chain_message(config: TlsConfig, error: ssl.SSLError) -> str:
    if error.reason in _MISMATCHES:
        return (
            f"tls.key {config.key}: it is not the key of tls.certificate {config.certificate}; "
            "name the two files that were issued together"
        )
    return (
        f"tls.certificate {config.certificate} or tls.key {config.key}: not a PEM certificate and "
        f"an unencrypted PEM key ({error})"
    )


def _own_identity(config: TlsConfig, contexts: TlsContexts) -> list[str]:
    """The node's name as a peer would see it, after a handshake in memory.

    Nothing else tells expiry, authority and purpose with the standard library, and it is exactly
    what the peers will do.
    """
    client, server = TlsStream(contexts.client, False), TlsStream(contexts.server, True)
    try:
        client.receive(b"")
        for _ in range(4):
            server.receive(client.take_sealed())
            client.receive(server.take_sealed())
    except TlsFailed as error:
        raise ConfigError(
            f"tls.certificate {config.certificate}: peers that trust tls.authority "
            f"{config.authority} would not accept it: {error}; issue a new one with that authority"
        ) from error
    return client.peer_uris()


class TlsFailed(Exception):
    """The peer broke TLS, or one side did not accept the other's certificate."""


class TlsStream:
    """One connection's TLS between memory buffers: sealed bytes on one side, clear on the other.

    Each call handles everything it is given, so what is held stays within what was passed in.

    Attributes:
        ready: The handshake is done; only now may `seal` be called.
        ended: The peer said that nothing more will come.
    """

    def __init__(self, context: ssl.SSLContext, server_side: bool) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server_side)
        self.ready = False
        self.ended = False

    def receive(self, sealed: bytes) -> bytes:
        """Takes what the socket gave; returns what is clear of it so far.

        Raises:
            TlsFailed: What `take_sealed` returns then is the alert for the peer.
        """
        self._incoming.write(sealed)
        clear = bytearray()
        try:
            if not self.ready:
                self._tls.do_handshake()
                self.ready = True
            while chunk := self._tls.read(_READ_BYTES):
                clear += chunk
            self.ended = True
        except ssl.SSLWantReadError:
            return bytes(clear)
        except ssl.SSLZeroReturnError:
            self.ended = True
        except ssl.SSLError as error:
            raise TlsFailed(_reason(error)) from error
        return bytes(clear)

    def seal(self, clear: bytes) -> None:
        """Encrypts; the result waits in `take_sealed`. Raises TlsFailed."""
        view = memoryview(clear)
        try:
            while view:
                view = view[self._tls.write(view) :]
        except ssl.SSLError as error:
            raise TlsFailed(_reason(error)) from error

    def take_sealed(self) -> bytes:
        """What is to be sent now: records, the handshake's parts, alerts."""
        return self._outgoing.read()

    def end(self) -> None:
        """Says to the peer that nothing more will come, if it still can be said."""
        try:
            self._tls.unwrap()
        except (ssl.SSLError, ValueError):
            # Expected: `unwrap` would also wait for the peer's own ending, which nobody needs.
            return

    def peer_uris(self) -> list[str]:
        """The namestore URIs of the peer's verified certificate; only once `ready`."""
        names = (self._tls.getpeercert() or {}).get("subjectAltName", ())
        uris = [str(entry[1]) for entry in names if entry[0] == "URI"]
        return [uri for uri in uris if uri.startswith(_SCHEME)]


def _reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the peer's certificate is not accepted: {error.verify_message}"
    return f"TLS failed: {(error.reason or str(error)).replace('_', ' ').lower()}"
