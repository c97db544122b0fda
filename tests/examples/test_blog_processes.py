"""The blog of examples/ as it is run: two uvicorns, three nodes, and processes that are killed."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from namestore.localcluster import LocalCluster
from namestore.localcluster.ports import free_ports
from tests.support.cluster import SERVE_SECONDS, running_cluster
from tests.support.eventually import eventually

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]


class Instance:
    """One process of the blog."""

    def __init__(self, database: Path, endpoints: str) -> None:
        self.database = database
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self._command = [sys.executable, "-m", "uvicorn", "--factory", "--port", str(port)]
        self._environment = {
            **os.environ,
            "BLOG_DATABASE_URL": f"sqlite:///{database}",
            "BLOG_HEAL_SECONDS": "0.2",
            "NAMESTORE_ENDPOINTS": endpoints,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [*self._command, "examples.blog.app:create_app"], cwd=ROOT, env=self._environment
        )
        eventually(self._answers, f"{self.url} answers", SERVE_SECONDS)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def post_until_decided(self, client: httpx.Client, username: str, key: str) -> int:
        """Signs up as a client should: on 503, the same again under the same key."""

        def status() -> int | None:
            answer = client.post(
                f"{self.url}/users",
                json={"username": username},
                headers={"Idempotency-Key": key},
                timeout=SERVE_SECONDS,
            )
            return None if answer.status_code == 503 else answer.status_code

        return eventually(status, f"{username} is granted or refused", SERVE_SECONDS) or 0

    def has_user(self, username: str) -> bool:
        return httpx.get(f"{self.url}/users/{username}").status_code == 200

    def pending(self) -> int:
        with closing(sqlite3.connect(self.database)) as connection:
            counted = connection.execute("SELECT count(*) FROM requests WHERE status IS NULL")
            return int(counted.fetchone()[0])

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/users/nobody").status_code == 404
        except httpx.TransportError:
            return False


@contextmanager
def running_instances(path: Path, endpoints: str) -> Iterator[list[Instance]]:
    instances = [Instance(path / f"blog-{number}.db", endpoints) for number in (1, 2)]
    try:
        for instance in instances:
            instance.start()
        yield instances
    finally:
        for instance in instances:
            instance.kill()


def test_sign_ups_stay_unique_and_whole_when_processes_are_killed(tmp_path: Path) -> None:
    """The leader dies in a race; then, without a quorum, an instance dies in the midst of one."""
    with (
        running_cluster(tmp_path / "cluster") as cluster,
        running_instances(tmp_path, cluster.endpoints) as instances,
    ):
        _race_while_the_leader_dies(cluster, instances)
        _die_between_asking_and_answering(cluster, instances[0])


def _race_while_the_leader_dies(cluster: LocalCluster, instances: list[Instance]) -> None:
    """Both instances want each of twenty usernames: one gets it, whatever happens meanwhile."""
    usernames = [f"user-{number}" for number in range(20)]
    leader = cluster.wait_for_leader(timeout=SERVE_SECONDS)
    with httpx.Client() as client, ThreadPoolExecutor(8) as callers:
        calls = {
            (username, place): callers.submit(
                instance.post_until_decided, client, username, f"{username} at {place}"
            )
            for username in usernames
            for place, instance in enumerate(instances)
        }
        eventually(lambda: any(call.done() for call in calls.values()), "the race is on")
        cluster.kill(leader)
        for username in usernames:
            statuses = [calls[username, place].result() for place in (0, 1)]
            assert sorted(statuses) == [201, 409], username
            assert [i.has_user(username) for i in instances] == [s == 201 for s in statuses]
    cluster.start(leader)
    cluster.wait_until_serving(timeout=SERVE_SECONDS)


def _die_between_asking_and_answering(cluster: LocalCluster, instance: Instance) -> None:
    """The client never comes back; the instance does, and finishes what was begun."""
    leader = cluster.wait_for_leader(timeout=SERVE_SECONDS)
    followers = [node_id for node_id in cluster.node_ids if node_id != leader]
    for node_id in followers:
        cluster.kill(node_id)
    with ThreadPoolExecutor(1) as caller:
        call = caller.submit(httpx.post, f"{instance.url}/users", json={"username": "dave"})
        eventually(lambda: instance.pending() == 1, "the request is stored")
        instance.kill()
        with pytest.raises(httpx.TransportError):
            call.result()
    for node_id in followers:
        cluster.start(node_id)
    cluster.wait_until_serving(timeout=SERVE_SECONDS)
    instance.start()
    eventually(lambda: instance.has_user("dave"), "dave is there")
    assert instance.pending() == 0
