"""The command `namestore-server`: its options, and what its exit codes mean.

| code    | meaning                                                                    |
|---------|----------------------------------------------------------------------------|
| 0       | ended as it was told to (SIGTERM, SIGINT), calls answered                  |
| 1       | something unexpected, or draining took longer than `drain_timeout_ms`;      |
|         | or `--wipe-and-rejoin` could not be begun; or standard output was lost      |
| 2       | bad usage or configuration, or the port is taken                           |
| 3       | the data directory cannot be used as it is; the message names the remedy   |
| 4       | the node was removed from its cluster; its data stays                      |
| 70      | a promise could no longer be kept (disk failure, broken invariant)         |
| 130,143 | a second SIGINT, SIGTERM: ended at once                                    |
| 141     | nobody read the output any more                                            |
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from functools import partial
from pathlib import Path
from typing import cast

import click

from namestore import __version__, logs
from namestore.config import (
    DEV_GRPC_ADDRESS,
    ClusterConfig,
    check_node,
    dev_config,
    load,
)
from namestore.errors import ConfigError, NamestoreError, StorageError
from namestore.server.node import EXIT_FAILED, Beside, Node, OpenReplica
from namestore.streams import SafeCommand, emit, tell

EXIT_USAGE = 2
EXIT_STORAGE = 3

_DEV_DATA_DIR = Path(".namestore/dev")
# The Raft thread and the event loop share one interpreter lock. At Python's own 5 ms a durable
# write waits ten times longer for the lock than for the disk.
_SWITCH_INTERVAL_S = 0.0005
# Every call makes objects by the dozen that end with it. At Python's own thresholds the collector
# would look for rings among them many times for one frame, and find none.
_GC_THRESHOLDS = (20_000, 20, 100)

# \b keeps click from filling the lines.
_EXAMPLES = """\b
Examples:
  namestore-server --dev
  namestore-server --config cluster.toml --node n1
  namestore-server --config cluster.toml --node n2 --wipe-and-rejoin
"""

_log = logs.get_logger(__name__)


class _Program(SafeCommand):
    LOST_CODE = EXIT_FAILED


@click.command(
    cls=_Program, context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EXAMPLES
)
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path), help="The cluster's cluster.toml."
)
@click.option("--node", "node_id", help="Which of its nodes to be: an id.")
@click.option("--dev", is_flag=True, help="One node on loopback, without a configuration.")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help=f"With --dev: where to keep the data. [default: {_DEV_DATA_DIR}]",
)
@click.option(
    "--grpc",
    "grpc_address",
    help=f"With --dev: where to serve; port 0 takes a free one. [default: {DEV_GRPC_ADDRESS}]",
)
@click.option(
    "--wipe-and-rejoin",
    is_flag=True,
    help="For a node whose data is damaged or lost: have the others remove it, remove its data, "
    "and join again as a new member. Safe to run again.",
)
@click.option("--yes", is_flag=True, help="With --wipe-and-rejoin: do not ask.")
@click.option("--check-config", is_flag=True, help="Check the configuration and end.")
@click.option("--log-level", type=click.Choice(logs.LOG_LEVELS), default="info", show_default=True)
@click.option(
    "--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True
)
@click.version_option(__version__, prog_name="namestore-server")
def main(
    config_file: Path | None,
    node_id: str | None,
    dev: bool,
    data_dir: Path | None,
    grpc_address: str | None,
    wipe_and_rejoin: bool,
    yes: bool,
    check_config: bool,
    log_level: str,
    log_format: str,
) -> None:
    """Runs one node of a namestore cluster."""
    logs.configure(log_level, cast("logs.LogFormat", log_format))
    try:
        if dev:
            config = _dev(config_file, node_id, data_dir, grpc_address)
            node_id = config.nodes[0].id
        else:
            config, node_id = _configured(config_file, node_id, data_dir or grpc_address)
        check_node(config, node_id)
        if check_config:
            emit(f"node {node_id} of cluster {config.name} can start as configured")
            return
        if wipe_and_rejoin:
            sys.exit(_rejoin(config, node_id, dev=dev, yes=yes))
        sys.exit(serve(config, node_id))
    except ConfigError as error:
        sys.exit(_complain(error, EXIT_USAGE, log_format))
    except StorageError as error:
        sys.exit(_complain(error, EXIT_STORAGE, log_format))
    except NamestoreError as error:
        sys.exit(_complain(error, EXIT_FAILED, log_format))


def _rejoin(config: ClusterConfig, node_id: str, *, dev: bool, yes: bool) -> int:
    if dev:
        raise click.UsageError("--dev has no cluster to rejoin; remove its data directory instead")
    # Here and not above: the client need not be loaded for --help.
    from namestore.server.rejoin import join, leave_and_wipe

    def confirm(what: str) -> bool:
        if yes or not sys.stdin.isatty():
            tell(what)
        if not yes and not sys.stdin.isatty():
            raise click.UsageError("nobody can be asked here; say --yes if that is what you want")
        return yes or click.confirm(f"{what}. Go on?", err=True)

    if not leave_and_wipe(config, node_id, confirm):
        tell("nothing was done")
        return EXIT_FAILED
    return serve(config, node_id, beside=partial(join, config, node_id))


def serve(
    config: ClusterConfig,
    node_id: str,
    open_replica: OpenReplica | None = None,
    beside: Beside | None = None,
) -> int:
    """Runs a node in this process until it is told to end; returns the exit code.

    Args:
        config: Checked for this node.
        node_id: Which of its nodes to be.
        open_replica: Makes the replica; the real one unless given.
        beside: Runs beside the calls, from when the node can be reached.

    Raises:
        ConfigError: It cannot serve where it is told to.
        StorageError: Its data directory cannot be used as it is.
    """
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    try:
        node = Node(config, node_id, open_replica or _raft_replica(), beside=beside)
        return asyncio.run(node.run())
    except KeyboardInterrupt:
        return 128 + signal.SIGINT  # before the node listened to signals: nothing was served
    except (ConfigError, StorageError):
        raise
    except Exception:  # noqa: BLE001  # the last frame: logged with its traceback, then the end
        _log.exception("server.failed", node=node_id)
        return EXIT_FAILED


def _raft_replica() -> OpenReplica:
    # Here and not above: the stores and the engine need not be loaded for --help.
    from namestore.raft.node import open_replica

    return open_replica


def _dev(
    config_file: Path | None, node_id: str | None, data_dir: Path | None, grpc_address: str | None
) -> ClusterConfig:
    if config_file or node_id:
        raise click.UsageError("--dev is one node by itself: leave out --config and --node")
    return dev_config(data_dir or _DEV_DATA_DIR, grpc_address or DEV_GRPC_ADDRESS)


def _configured(
    config_file: Path | None, node_id: str | None, dev_only: Path | str | None
) -> tuple[ClusterConfig, str]:
    if dev_only:
        raise click.UsageError("--data-dir and --grpc go with --dev only")
    if config_file is None:
        raise click.UsageError("say --config FILE --node ID, or --dev; --help tells more")
    config = load(config_file)
    if node_id is None:
        known = ", ".join(node.id for node in config.nodes)
        raise click.UsageError(f"say which node to be: --node with one of {known}")
    return config, node_id


def _complain(error: NamestoreError, code: int, log_format: str) -> int:
    """Says why the node does not start: a sentence for people, an event for machines."""
    if log_format == "json":
        _log.error("server.not_started", reason=error.message)
    else:
        tell(f"namestore-server: {error.message}")
    return code
