"""Three node processes that speak TLS to each other, and strangers at their doors."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from namestore.config import TlsConfig
from namestore.localcluster import LocalCluster
from namestore.localcluster.certificates import tls_files
from namestore.raft.transport.hello import PROTOCOL_VERSION, Hello, hello_frame
from tests.support.callers import Load
from tests.support.certificates import Authority
from tests.support.cluster import finish, role_ids, running_cluster
from tests.support.history import History

pytestmark = pytest.mark.cluster

# How a record begins that says no more than why TLS ends here.
ALERT = b"\x15\x03"


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[LocalCluster]:
    """Three nodes with certificates, which serve."""
    with running_cluster(tmp_path / "cluster", tls=True) as made:
        yield made


def test_names_are_granted_and_strangers_get_nowhere(
    secured: LocalCluster, history: History, tmp_path: Path
) -> None:
    """Under load: a killed leader is followed, and whoever cannot prove who he is hears nothing."""
    leader, (claimed, other) = role_ids(secured)
    name = secured.config.name
    theirs = Authority(tmp_path / "theirs").issue(claimed, name)
    ours = tls_files(secured.directory, claimed)
    with Load(secured.endpoints, history) as load:
        load.wait_for_answers(40)
        for node_id in secured.node_ids:
            assert _told(secured, node_id, claimed, _context(None)) == b""
            assert _told(secured, node_id, claimed, _context(theirs)) == b""
            in_the_clear = _told(secured, node_id, claimed, None)
            assert in_the_clear[:2] in (b"", ALERT), in_the_clear
        # The same call by one that has a certificate is answered: it is of no such cluster.
        answer = _told(secured, other, claimed, _context(ours), cluster_name="another")
        assert b"cluster 'another' there" in answer
        load.wait_for_answers(40)

        secured.kill(leader)
        secured.wait_for_leader(other_than=leader)
        load.wait_for_answers(40)
        secured.start(leader)
        secured.wait_until_serving(leader)
        load.wait_for_answers(20)

    finish(secured, history)


def _context(files: TlsConfig | None) -> ssl.SSLContext:
    """For one who believes everybody, and shows this certificate or none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if files is not None:
        context.load_cert_chain(files.certificate, files.key)
    return context


def _told(
    cluster: LocalCluster,
    node_id: str,
    claimed: str,
    context: ssl.SSLContext | None,
    cluster_name: str | None = None,
) -> bytes:
    """What a node's Raft port says to somebody who introduces himself; no context: in the clear.

    The end of the connection must come from the node, or the socket's timeout fails the test.
    """
    name = cluster.config.name if cluster_name is None else cluster_name
    hello = hello_frame(Hello(PROTOCOL_VERSION, name, "", claimed, "aa", True))
    host, _, port = cluster.config.node(node_id).raft.rpartition(":")
    told = b""
    with socket.create_connection((host, int(port)), timeout=30) as plain:
        try:
            sock = plain if context is None else context.wrap_socket(plain)
            with sock:
                sock.sendall(hello)
                while chunk := sock.recv(4096):
                    told += chunk
        except (ssl.SSLError, ConnectionError):
            pass  # an alert, or cut off
    return told
