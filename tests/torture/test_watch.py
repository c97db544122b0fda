"""The watch over a run: what it finds, and that a run it did not watch is not called good."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from namestore.localcluster.observe import Health, NodeView
from namestore.v1 import cluster_pb2
from tests.support.eventually import eventually
from tests.support.linearizability import Violation
from tests.torture import run, watch
from tests.torture.grounds import Ground
from tests.torture.nodes import TortureCluster
from tests.torture.report import Report
from tests.torture.watch import LOOK_AGE_MAX_SECONDS, Down, Watch, WatchFailed

NODES = ("n1", "n2", "n3")
TOO_MANY_FILES = OSError(errno.EMFILE, "too many open files")
Views = Callable[..., Mapping[str, NodeView]]


class Processes:
    """Nodes as far as the watch asks for them."""

    def __init__(self) -> None:
        nodes = [SimpleNamespace(id=node, grpc=f"127.0.0.1:{place}") for place, node in
                 enumerate(NODES)]  # fmt: skip
        self.config = SimpleNamespace(nodes=nodes)
        self.pids: dict[str, int | None] = dict.fromkeys(NODES, 7)
        self.asked: Callable[[], None] = lambda: None

    def process(self, node_id: str) -> Any:
        self.asked()
        return SimpleNamespace(
            pid=self.pids[node_id], exit_code=1, log_tail=lambda lines: "its last words"
        )


def views(**leading: int) -> Views:
    """What nodes say: these lead, each in its term; the others follow."""

    def observe(endpoints: Mapping[str, str], timeout: float) -> Mapping[str, NodeView]:
        return {
            node: NodeView(
                Health.SERVING,
                cluster_pb2.StatusResponse(
                    role=cluster_pb2.LEADER if node in leading else cluster_pb2.FOLLOWER,
                    term=leading.get(node, 1),
                ),
            )
            for node in endpoints
        }

    return observe


def failing(endpoints: Mapping[str, str], timeout: float) -> Mapping[str, NodeView]:
    raise TOO_MANY_FILES


def looked(watching: Watch) -> None:
    """A look has begun and ended since."""
    before = watching.looks
    eventually(lambda: watching.looks > before + 1, "it looked", timeout=10)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_LOOK_SECONDS", 0.001)
    monkeypatch.setattr(watch, "observe", views(n1=1))


def made(processes: Processes, down: Down | None = None) -> Watch:
    return Watch(cast("TortureCluster", processes), down or Down())


def test_what_goes_well_is_counted() -> None:
    """Every look, every view that a node gave, and how old the last look was when it was left."""
    watching = made(Processes())
    with watching:
        eventually(lambda: watching.looks >= 3, "it looks", timeout=10)
        assert (watching.leader, watching.term) == ("n1", 1)
    watching.check()
    assert watching.answers == 3 * watching.looks
    assert 0 <= watching.age < LOOK_AGE_MAX_SECONDS


@pytest.mark.parametrize("error", (TOO_MANY_FILES, RuntimeError("can't start new thread")))
def test_a_watch_that_fails_is_told(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Whatever it failed of, while it is entered and after."""

    def fail(*arguments: Any, **options: Any) -> Any:
        raise error

    watching = made(Processes())
    with watching:
        monkeypatch.setattr(watch, "observe", fail)
        eventually(lambda: not watching._thread.is_alive(), "it ended", timeout=10)
        with pytest.raises(WatchFailed, match=str(error.args[-1])):
            watching.check()
    with pytest.raises(WatchFailed, match="looks, the last"):
        watching.check()


def test_a_watch_whose_thread_is_gone_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any exception: it just does not look any more."""
    monkeypatch.setattr(Watch, "_run", lambda self: None)
    watching = made(Processes())
    with watching:
        watching._thread.join()
        with pytest.raises(WatchFailed, match="nobody looks"):
            watching.check()


def test_a_watch_that_hangs_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread is there, and its last look is too old."""
    watching = made(Processes())
    with watching:
        eventually(lambda: watching.looks > 0, "it looks", timeout=10)
        monkeypatch.setattr(watch, "LOOK_AGE_MAX_SECONDS", -1.0)
        with pytest.raises(WatchFailed, match="hangs"):
            watching.check()


def test_a_run_whose_watch_fails_at_its_end_is_broken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It does not end as a run that found nothing, nor as one that found something."""
    options = run.Options(1.0, 7, 3, tmp_path, False, False, None, "the same command")
    monkeypatch.setattr(watch, "observe", failing)
    playing = run.Run(options)
    cluster, ground = cast("TortureCluster", Processes()), cast("Ground", None)
    with pytest.raises(WatchFailed) as failed:
        with playing._watched(cluster, ground) as stage:
            eventually(lambda: not stage.watch._thread.is_alive(), "it ended", timeout=10)
    assert run._tell_failure(options, failed.value) == 2
    assert "BROKEN with seed 7: looking at the nodes failed" in capsys.readouterr().out


def test_two_leaders_in_one_term_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen together or one after the other; in different terms they may be."""
    watching = made(Processes())
    with watching:
        for leading in (views(n1=1, n2=2), views(n3=3)):
            monkeypatch.setattr(watch, "observe", leading)
            looked(watching)
        watching.check()
        monkeypatch.setattr(watch, "observe", views(n2=3))
        eventually(lambda: bool(watching.found), "it is seen", timeout=10)
    with pytest.raises(Violation, match="n3 and n2 both led in term 3"):
        watching.check()


def test_a_node_that_ends_by_itself_is_found_once() -> None:
    """With its exit code and what it logged last; one that is down on purpose is not."""
    processes, down = Processes(), Down()
    down.add("n2")
    processes.pids |= {"n2": None, "n3": None}
    watching = made(processes, down)
    with watching:
        eventually(lambda: watching.looks >= 3, "it looks", timeout=10)
    assert watching.found == ["n3 ended by itself, exit 1\nits last words"]
    with pytest.raises(Violation, match="n3"):
        watching.check()


def test_a_node_brought_down_and_back_while_it_is_looked_at_did_not_end_by_itself() -> None:
    """It is noted as down first, and it is not noted any more once it was started again."""
    processes, down = Processes(), Down()
    watching = made(processes, down)

    def kill_and_bring_back() -> None:
        down.add("n1")
        down.discard("n1")

    processes.pids["n1"] = None  # as seen in between
    processes.asked = kill_and_bring_back
    with watching:
        eventually(lambda: watching.looks >= 3, "it looks", timeout=10)
    watching.check()


def test_a_report_tells_of_the_watch_and_of_each_figure_of_an_outage() -> None:
    """With how many kills these are of: of a few, the p99 is the maximum."""
    report = Report(looks=1_200, views=3_500, look_age=0.25, outages=[0.5, 2.0, 1.0])
    *_, watched, outage = report.lines()
    assert watched.endswith(
        "looked 1,200 times and got 3,500 views, the last look 0.2 s before its end"
    )
    assert outage.endswith(
        ": 3 kills of it alone, min 0.50 s, median 1.00 s, p99 2.00 s, max 2.00 s"
    )
    assert Report().lines()[-1].endswith(": 0 kills of it alone")
