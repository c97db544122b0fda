"""One run: a cluster in its places, callers, the nemesis, and the judgement at the end.

Responsible for the order of these, and for what is kept of a run that found something. Invariant:
whatever happens, every process is ended before the ground is taken from under it.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from namestore import NameStore
from namestore.localcluster.errors import LocalClusterError, NodeFailed
from namestore.localcluster.observe import names_digest
from tests.support.cluster import look_up_all
from tests.support.history import History, Operation
from tests.support.linearizability import Violation, check
from tests.torture.crews import Crews, tests_are_importable
from tests.torture.grounds import Ground, Loopback, Namespaces
from tests.torture.judging import check_batches, check_kept, check_stale, outages
from tests.torture.nemesis import Nemesis
from tests.torture.nodes import Shape, TortureCluster
from tests.torture.recording import Recorded
from tests.torture.report import Report
from tests.torture.stage import RECOVERY_SECONDS, Diary, Stage

_LOOK_UP_NAMES = 1_000
_PROGRESS_SECONDS = 10.0
_PAUSE_SECONDS = 0.04


@dataclass(frozen=True)
class Options:
    """What was asked for.

    Attributes:
        seconds: How long faults are made; judging takes its time after.
        keep: The directory stays although nothing was found.
        mutant: The fault that is planted in every node, for which a run should end in a violation.
        again: The command that does the same once more.
    """

    seconds: float
    seed: int
    nodes: int
    directory: Path
    isolated: bool
    keep: bool
    mutant: str | None
    again: str


class NeverServed(Exception):
    """The nodes of a planted fault did not come up: that is not what was looked for."""


def say(text: str) -> None:
    """Writes a line, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def torture(options: Options) -> int:
    """The whole run. Returns the exit code: 0, 1 when something was found, 2 when it broke down."""
    tests_are_importable()
    run = Run(options)
    try:
        report = run.play()
    except KeyboardInterrupt:
        run.remove()
        raise
    except Exception as error:  # noqa: BLE001  # whatever it is, it is told, and nothing is removed
        return _tell_failure(options, error)
    for line in report.lines():
        say(line)
    if options.keep:
        say(f"kept: {options.directory}")
    else:
        run.remove()
    say(f"{report.summary()} (seed {options.seed}, {options.nodes} nodes)")
    return 0


def _tell_failure(options: Options, error: Exception) -> int:
    found = isinstance(error, (Violation, LocalClusterError))
    say(f"\n{error}\n" if found else "".join(traceback.format_exception(error)))
    say(f"kept: {options.directory} (what callers recorded, the nodes' logs and their data)")
    say(f"again: {options.again}")
    first = (str(error).splitlines() or [repr(error)])[0][:200]
    say(f"{'VIOLATION' if found else 'BROKEN'} with seed {options.seed}: {first}")
    return 1 if found else 2


class Run:
    """A run and its directory, which is there and empty."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._shape = Shape.draw(options.seed, options.nodes)
        self._path = options.directory
        self._report = Report()
        self._files: list[Path] = []

    def play(self) -> Report:
        """Raises `Violation` and `LocalClusterError` for what must not be."""
        ground = self._ground()
        say(f"seed {self._options.seed}: {self._shape}")
        disks = f", small disks: {', '.join(ground.disks)}" if ground.disks else ""
        say(f"on {ground.kind}{disks}; {self._options.seconds:.0f} s; {self._path}")
        with ground, self._cluster(ground) as cluster:
            with self._watched(cluster, ground) as stage:
                paths = self._ask_and_break(stage)
            recorded = Recorded()
            for path in paths:
                recorded.read(path)
            final = self._look_at_the_end(cluster, recorded.operations)
            self._report.packets = ground.packets
        self._judge(recorded, final, stage)
        return self._report

    def remove(self) -> None:
        """Removes what this run made, each by its name, and the directory if nothing is left."""
        cluster = self._path / "cluster"
        if cluster.exists():
            TortureCluster.open(cluster).directory.wipe()
        for path in self._files:
            path.unlink(missing_ok=True)
        if any(self._path.iterdir()):
            say(f"left in {self._path}: what this run did not make")
        else:
            self._path.rmdir()

    # -- the parts, in the order in which they are entered -----------------------------------------

    def _ground(self) -> Ground:
        self._files += [self._path / f"{node_id}.clock" for node_id in self._shape.node_ids]
        if not self._options.isolated:
            return Loopback(self._path, self._shape.node_ids)
        node_ids, disks = self._shape.node_ids, self._shape.small_disks
        return Namespaces(self._path, node_ids, self._options.seed, disks)

    @contextmanager
    def _cluster(self, ground: Ground) -> Iterator[TortureCluster]:
        cluster = TortureCluster.found(
            self._path / "cluster", ground, self._shape, self._options.mutant
        )
        try:
            with cluster:
                self._start(cluster)
                yield cluster
        except (Violation, LocalClusterError):
            self._keep_disks(cluster, ground)
            raise

    def _start(self, cluster: TortureCluster) -> None:
        """Nodes that never served have shown nothing of the fault that is planted in them."""
        try:
            cluster.start()
            cluster.wait_until_serving(timeout=RECOVERY_SECONDS)
        except LocalClusterError as error:
            if self._options.mutant is None:
                raise
            raise NeverServed(f"nodes with {self._options.mutant} do not start: {error}") from error

    @contextmanager
    def _watched(self, cluster: TortureCluster, ground: Ground) -> Iterator[Stage]:
        diary = Diary(self._path / "diary.jsonl")
        self._files.append(self._path / "diary.jsonl")
        try:
            stage = Stage(cluster, ground, diary)
            with stage.watch:
                yield stage
            stage.check()
        finally:
            diary.close()

    def _ask_and_break(self, stage: Stage) -> list[Path]:
        options = self._options
        crews = Crews(self._path, stage.ground, options.seed, _PAUSE_SECONDS)
        self._files += [*crews.paths, *crews.logs]
        with crews, self._progress(stage, crews):
            began = time.monotonic()

            def check_all() -> None:
                stage.check()
                crews.check()

            nemesis = Nemesis(stage, options.seed, check_all)
            self._report.episodes = nemesis.run(began + options.seconds)
            crews.finish()
            stage.check()
            self._report.seconds = time.monotonic() - began
        return crews.paths

    def _look_at_the_end(
        self, cluster: TortureCluster, operations: Iterable[Operation]
    ) -> list[Operation]:
        say("callers have ended: are all replicas equal, and is every name there?")
        _wait_until_equal(cluster)
        names = sorted({operation.name for operation in operations})
        self._report.names = len(names)
        history = History(time.monotonic)
        with NameStore(cluster.endpoints, timeout=RECOVERY_SECONDS) as store:
            for first in range(0, len(names), _LOOK_UP_NAMES):
                look_up_all(store, names[first : first + _LOOK_UP_NAMES], history)
        return history.operations

    def _judge(self, recorded: Recorded, final: list[Operation], stage: Stage) -> None:
        report, operations = self._report, recorded.operations
        report.count(operations)
        report.stale_reads = len(recorded.stale)
        report.faults = stage.diary.kinds
        report.elections, report.terms = len(stage.watch.leaders), stage.watch.term
        report.looks, report.views = stage.watch.looks, stage.watch.answers
        report.look_age = stage.watch.age
        report.outages = outages(operations, stage.diary.leader_kills)
        say(f"judging {len(operations):,} calls about {report.names:,} names")
        report.kept = check_kept(operations, final)
        everything = [*operations, *final]
        check(everything)
        check_stale(operations, recorded.stale)
        check_batches(everything)

    # -- beside it ---------------------------------------------------------------------------------

    @contextmanager
    def _progress(self, stage: Stage, crews: Crews) -> Iterator[None]:
        ended = threading.Event()
        thread = threading.Thread(target=_tell, args=(stage, crews, self._options.seconds, ended))
        with ExitStack() as stack:
            stack.callback(thread.join)
            stack.callback(ended.set)
            thread.start()
            yield

    def _keep_disks(self, cluster: TortureCluster, ground: Ground) -> None:
        """What is on small disks goes with them: a copy beside it stays."""
        cluster.end()
        for node_id in ground.disks:
            source, target = cluster.data_path(node_id), self._path / f"{node_id}.disk"
            command = ["cp", "--archive", "--sparse=always", str(source), str(target)]
            subprocess.run(command, check=False)


def _wait_until_equal(cluster: TortureCluster) -> None:
    """Raises `Violation`, with what each node says and holds."""
    try:
        cluster.wait_until_equal(timeout=RECOVERY_SECONDS)
    except NodeFailed as error:
        told = [error.message]
        for node_id, view in cluster.views().items():
            try:
                digest = names_digest(cluster.endpoint(node_id))
            except grpc.RpcError as failure:
                digest = repr(failure)
            told.append(f"{node_id} {view.health.value}, names {digest}, says {view.status}")
        raise Violation("\n".join(told)) from error


def _tell(stage: Stage, crews: Crews, seconds: float, ended: threading.Event) -> None:
    began = time.monotonic()
    while not ended.wait(_PROGRESS_SECONDS):
        say(
            f"{time.monotonic() - began:5.0f} of {seconds:.0f} s: {crews.answers():,} calls "
            f"answered, {sum(stage.diary.kinds.values())} faults, term {stage.watch.term}, "
            f"leader {stage.watch.leader or '?'}, now: {stage.diary.now[:70]}"
        )
