"""Clients that nobody here wrote, and servers that are none of ours."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from namestore import NameStore
from namestore.errors import ConfigError, Unreachable
from namestore.localcluster import LocalCluster
from namestore.localcluster.errors import NodeFailed
from tests.support.cluster import finish, role_ids, running_cluster
from tests.support.history import Ask, History, Said
from tests.support.servers import foreign_grpc_server, plain_tcp_server

pytestmark = pytest.mark.cluster

STOCK_CLIENT = Path(__file__).parents[1] / "support" / "stock_client.py"


def test_stock_reflection_client_registers_a_name(cluster: LocalCluster, history: History) -> None:
    """Reflection is enough: services are listed, a name registered, without a line of ours."""
    seen = [_ask_by_reflection(cluster.endpoint(n), "user:stock") for n in cluster.node_ids]

    assert {
        "namestore.v1.NameRegistry",
        "namestore.v1.Cluster",
        "namestore.v1.Namespaces",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    } <= set(seen[0]["services"])
    answer = seen[0]["answer"]
    assert answer["registered"] is True
    assert answer["record"]["name"] == "user:stock"
    assert all(each["answer"] == answer for each in seen), "one request_id, one answer"
    assert seen[0]["ours"] == []
    with history.call("stock", Ask.REGISTER, "user:stock", "stock", "1") as call:
        call.answer(Said.GRANTED, int(answer["revision"]))
    finish(cluster, history)


def _ask_by_reflection(endpoint: str, name: str) -> Any:
    # Isolated: neither the clone nor anything of the user's is on its path.
    run = subprocess.run(
        [sys.executable, "-I", str(STOCK_CLIENT), endpoint, name],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_node_whose_port_is_taken_does_not_start(tmp_path: Path) -> None:
    """Another kind of server on a node's port: it ends with a sentence that names the port."""
    with running_cluster(tmp_path / "cluster", nodes=1, start=False) as cluster:
        host, _, port = cluster.endpoint("n1").rpartition(":")
        with socket.create_server((host, int(port))):
            cluster.start("n1")
            with pytest.raises(NodeFailed) as failure:
                cluster.wait_until_serving("n1")

    assert "exit code 2" in failure.value.message
    assert port in failure.value.log_tail
    assert "Traceback" not in failure.value.log_tail


def test_client_meets_servers_of_other_kinds(cluster: LocalCluster) -> None:
    """Among foreign servers it finds the node; with nothing but them, it says what is wrong."""
    with (
        plain_tcp_server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as http,
        foreign_grpc_server() as foreign,
    ):
        with NameStore(f"{http},{foreign},{cluster.endpoint('n2')}", timeout=20) as store:
            assert store.register("user:found")
        with NameStore(f"{http},{foreign}", timeout=2) as store:
            with pytest.raises((Unreachable, ConfigError)):
                store.register("user:nowhere")


def test_node_of_another_cluster_is_not_let_in(tmp_path: Path) -> None:
    """Two clusters, one wrong port: the nodes refuse each other, and names stay apart."""
    with (
        running_cluster(tmp_path / "ours") as ours,
        running_cluster(tmp_path / "theirs", nodes=1) as theirs,
    ):
        wrong = theirs.config.node("n1")
        _, (misled, other) = role_ids(ours)
        ours.stop(misled)
        ours.set_addresses(misled, {other: (wrong.grpc, wrong.raft)})
        ours.start(misled)
        ours.wait_until_serving(misled)  # the leader is enough
        with NameStore(theirs.endpoints) as store:
            assert store.register("user:alice")
        with NameStore(ours.endpoint(misled)) as store:
            assert store.lookup("user:alice") is None
        ours.wait_until(lambda: "transport.refused" in _log(theirs, "n1"), "refused")


def _log(cluster: LocalCluster, node_id: str) -> str:
    return cluster.process(node_id).log_path.read_text()
