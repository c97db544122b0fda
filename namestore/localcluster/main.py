"""The command `namestore-local-cluster`: words, colours and exit codes around `LocalCluster`.

Responsible for what a developer reads and what a script gets back. Decides nothing about processes
or directories itself.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
from rich.console import Console
from rich.status import Status

from namestore.errors import ConfigError, NamestoreError
from namestore.localcluster.bring_up import (
    bring_up,
    refuse_taken_base,
    refuse_taken_ports,
)
from namestore.localcluster.cluster import LocalCluster
from namestore.localcluster.configuration import BASE_PORT_DEFAULT, NODES_DEFAULT
from namestore.localcluster.directory import ClusterDirectory
from namestore.localcluster.errors import LocalClusterError, NodeFailed
from namestore.localcluster.interrupts import termination_interrupts
from namestore.localcluster.observe import Health, NodeView
from namestore.localcluster.table import all_serve, as_json, as_table, gather
from namestore.localcluster.telling import complain, say, tell_brought_up, tell_what_next
from namestore.streams import SafeGroup, emit, show_usage, tell

_DIRECTORY_DEFAULT = Path(".namestore")
_EXIT_NOT_ALL_WELL = 1
_EXIT_UNUSABLE = 2
_EXIT_OUTPUT_LOST = 5
_EXIT_INTERRUPTED = 130
_DOWN_SECONDS = 12.0

_EXIT_CODES = """\b
Exit codes:
  0    done; for `status`: every node serves
  1    a node failed, or did not serve or end in time, or a stranger has its data; for
       `status`: not every node serves
  2    bad usage: unknown node, a directory that is not this tool's, a broken cluster.toml
  3    a port is in use by something else
  4    another namestore-local-cluster is at work on the directory
  5    done, but standard output is closed or full
  130  interrupted; what `up` had started is ended again
  141  done, but nobody read the output any more
"""


class _Program(SafeGroup):
    LOST_CODE = _EXIT_OUTPUT_LOST


_out = Console(soft_wrap=True, highlight=False)
_err = Console(stderr=True, soft_wrap=True, highlight=False)
_Command = TypeVar("_Command", bound=Callable[..., Any])


def _in_directory(command: _Command) -> _Command:
    """Adds --dir, which every command has."""
    return click.option(
        "--dir",
        "directory",
        type=click.Path(path_type=Path, file_okay=False),
        default=_DIRECTORY_DEFAULT,
        show_default=True,
        help="Where the cluster's configuration, logs and data are.",
    )(command)


@click.group(
    cls=_Program,
    epilog=_EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="namestore")
def cli() -> None:
    """Runs a cluster of namestore nodes in the background on this machine.

    `up` starts three of them and tells what to try; `down` ends them.
    """


@cli.command(epilog=_EXIT_CODES)
@_in_directory
@click.option(
    "--nodes",
    type=click.IntRange(1, 9),
    help=f"How many nodes, in a new cluster.  [default: {NODES_DEFAULT}]",
)
@click.option(
    "--base-port",
    type=click.IntRange(0, 65_000),
    help="In a new cluster, n1 serves gRPC there and Raft at 100 more, n2 at one more each, and so "
    f"on. 0: free ports.  [default: {BASE_PORT_DEFAULT}]",
)
@click.option(
    "--tls",
    is_flag=True,
    help="The nodes prove to each other who they are, by certificates of an authority that is made "
    "for them, and encrypt what they say. Callers are served in the clear.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="Seconds for all nodes to serve.",
)
def up(
    directory: Path, nodes: int | None, base_port: int | None, tls: bool, timeout: float
) -> None:
    """Starts every node that does not run, and waits until all members serve.

    A cluster.toml that is there is kept, and so are certificates. When a node cannot be started,
    those that this call started are ended again.
    """
    place = ClusterDirectory.create(directory)
    with place.locked():
        refuse_taken_base(place, nodes, base_port)
        cluster = LocalCluster.prepare(place, nodes=nodes, base_port=base_port, tls=tls)
        with _err.status("starting …") as progress:
            done = bring_up(cluster, timeout, lambda views: _tell_progress(progress, views))
    tell_brought_up(cluster, done)
    tell_what_next(cluster, "" if directory == _DIRECTORY_DEFAULT else f" --dir {directory}")


@cli.command(epilog=_EXIT_CODES)
@_in_directory
@click.option("--json", "as_object", is_flag=True, help="One JSON object on standard output.")
def status(directory: Path, as_object: bool) -> None:
    """Shows each node's process, role, progress and health."""
    cluster = LocalCluster.open(directory)
    rows = gather(cluster)
    if as_object:
        emit(json.dumps(as_json(cluster, rows)))
    else:
        with _out.capture() as table:
            _out.print(as_table(rows))
        emit(table.get().rstrip("\n"))
    if not all_serve(rows):
        sys.exit(_EXIT_NOT_ALL_WELL)


@cli.command(epilog=_EXIT_CODES)
@_in_directory
@click.argument("node")
def kill(directory: Path, node: str) -> None:
    """Ends NODE (n2, or 2 for short) at once, with SIGKILL, as a crash would."""
    with _locked(directory) as cluster:
        node_id = cluster.node_id(node)
        killed = cluster.kill(node_id)
    say(f"{node_id} killed" if killed else f"{node_id} does not run")


@cli.command(epilog=_EXIT_CODES)
@_in_directory
@click.argument("node")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    help="Seconds to wait for it.  [default: its drain timeout and 5 more]",
)
def stop(directory: Path, node: str, timeout: float | None) -> None:
    """Has NODE finish what it is doing, hand leadership over, and end (SIGTERM)."""
    with _locked(directory) as cluster:
        node_id = cluster.node_id(node)
        try:
            stopped = cluster.stop(node_id, timeout)
        except NodeFailed as error:
            raise NodeFailed(
                f"{error.message}: `namestore-local-cluster kill {node_id}` ends it at once"
            ) from error
    say(f"{node_id} stopped" if stopped else f"{node_id} does not run")


@cli.command(epilog=_EXIT_CODES)
@_in_directory
@click.argument("node")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="Seconds for it to answer.",
)
def start(directory: Path, node: str, timeout: float) -> None:
    """Starts NODE and waits until it answers.

    It serves as soon as it and others make a majority; `status` tells.
    """
    with _locked(directory) as cluster:
        node_id = cluster.node_id(node)
        if node_id in cluster.running():
            say(f"{node_id} runs already (pid {cluster.process(node_id).pid})")
            return
        refuse_taken_ports(cluster, node_id)
        with _err.status(f"starting {node_id} …"):
            try:
                cluster.start(node_id)
                view = cluster.wait_until_answering(node_id, timeout)
            except BaseException:
                cluster.end_nodes([node_id], timeout=5.0)
                raise
    note = "" if view.health is Health.SERVING else "; it does not serve yet, see: status"
    say(f"{node_id} started (pid {cluster.process(node_id).pid}){note}")


@cli.command(epilog=_EXIT_CODES)
@_in_directory
@click.option(
    "--wipe",
    is_flag=True,
    help="Remove configuration, logs and data too, as far as this tool made them.",
)
def down(directory: Path, wipe: bool) -> None:
    """Ends every node: SIGTERM, and SIGKILL for those that linger. Asks nothing."""
    left: list[str] = []
    with _locked(directory) as cluster:
        running = cluster.running()
        with _err.status("ending …"):
            killed = cluster.end(_DOWN_SECONDS)
        if wipe:
            left = cluster.directory.wipe()
    say(f"ended: {', '.join(running)}" if running else "no node ran")
    if killed:
        say(f"killed, because still running after {_DOWN_SECONDS:g} s: {', '.join(killed)}")
    if wipe:
        say(f"removed the cluster in {directory}")
    if left:
        say(f"left in {directory}, not made by this tool: {', '.join(left)}")


def main() -> NoReturn:
    """Runs the command line and ends the process with its exit code."""
    try:
        with termination_interrupts():
            cli.main(standalone_mode=False)
    except click.ClickException as error:
        show_usage(error)
        sys.exit(error.exit_code)
    except LocalClusterError as error:
        complain(error)
        sys.exit(error.EXIT_CODE)
    except NamestoreError as error:
        complain(error)
        sys.exit(_EXIT_UNUSABLE if isinstance(error, ConfigError) else _EXIT_NOT_ALL_WELL)
    except (click.Abort, KeyboardInterrupt):
        tell("interrupted")
        sys.exit(_EXIT_INTERRUPTED)
    sys.exit(0)


@contextmanager
def _locked(directory: Path) -> Iterator[LocalCluster]:
    cluster = LocalCluster.open(directory)
    with cluster.directory.locked():
        for node_id, pid in cluster.adopt().items():
            tell(f"the pid file of {node_id} was lost: it is pid {pid}, by its data's lock")
        yield cluster


def _tell_progress(progress: Status, views: dict[str, NodeView]) -> None:
    states = [f"{node_id} {view.health.value}" for node_id, view in views.items()]
    progress.update("waiting: " + ", ".join(states))
