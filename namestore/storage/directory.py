"""A node's data directory: whose it is, that it is whole, and that one process has it.

    LOCK        locked while a process has the directory; holds its pid, and whose it is
    identity    format, cluster name, node id, incarnation, cluster id; with a checksum
    log/        see `namestore.storage.log`
    state/      see `namestore.storage.state`
    snapshots/  copies of the state for other nodes; removed at start
    incoming/   a snapshot from another node while it arrives

An emptied or foreign directory must not pass for this node's: it may have voted. So the identity is
written before anything else, marked unfinished, and finished once log and state are there: from
then on, anything missing is damage. Where others keep their files nothing is made at all: see
`namestore.storage.foreign`.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import zlib
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from namestore.errors import DirectoryInUse, DiskDamaged, InvariantViolation
from namestore.storage.damage import damaged, failed, newer, unusable
from namestore.storage.files import write_atomically
from namestore.storage.foreign import IDENTITY, LOCK, LOCK_MARK, refuse_foreign
from namestore.storage.log import WalLog
from namestore.storage.reconcile import reconcile
from namestore.storage.rocks import StateLimits
from namestore.storage.state import RocksState

__all__ = ["MADE_HERE", "DataDirectory", "check_unused", "reconcile", "wipe"]

IDENTITY_FORMAT = 1

_LOG, _STATE, _SNAPSHOTS = "log", "state", "snapshots"
# Everything namestore makes in a data directory but the lock.
_OURS = (
    _LOG,
    _LOG + ".making",
    _STATE,
    _STATE + ".making",
    _SNAPSHOTS,
    "incoming",
    IDENTITY + ".new",
    IDENTITY,
)

MADE_HERE = frozenset((LOCK, *_OURS))

# The line with the pid in the lock file; of one length, so that the mark after it stays in place.
_PID_BYTES = 32


@dataclass(frozen=True, slots=True)
class _Identity:
    """The content of the identity file. `finished`: log and state were made."""

    cluster_name: str
    node_id: str
    incarnation: str
    cluster_id: str = ""
    finished: bool = False


class DataDirectory:
    """One node's data directory, held by this process until `close`.

    Attributes:
        path: Where it is.
        incarnation: Hexadecimal, drawn when the directory was made: a node that lost its disk is
            told by it from the node it was.
    """

    def __init__(self, path: Path, lock: int, identity: _Identity, made_now: bool) -> None:
        self.path = path
        self.incarnation = identity.incarnation
        self._lock: int | None = lock
        self._identity = identity
        self._fresh = made_now
        self._log: WalLog | None = None
        self._state: RocksState | None = None

    @classmethod
    def open(cls, path: Path, cluster_name: str, node_id: str) -> Self:
        """Takes the directory, making it and its parents if there is none.

        Raises:
            DirectoryInUse: Another process has it.
            DiskDamaged: It is not this node's, or is of a newer version, or is not whole.
            StorageError: It cannot be used: not a directory, read-only, full, or full of files that
                are not namestore's.
        """
        try:
            refuse_foreign(path, MADE_HERE)
        except OSError as error:
            raise unusable(path, "be used as a data directory", error) from error
        lock = _take_lock(path, make=True)
        try:
            identity, made_now = _identify(path, cluster_name, node_id)
            return cls(path, lock, identity, made_now)
        except OSError as error:
            os.close(lock)
            raise unusable(path, "make the data directory", error) from error
        except BaseException:
            os.close(lock)
            raise

    @property
    def fresh(self) -> bool:
        """It was made just now or, once `open_log` was called, never took part in anything."""
        return self._fresh

    @property
    def cluster_id(self) -> str:
        """As told to `set_cluster_id`; empty: not yet."""
        return self._identity.cluster_id

    def set_cluster_id(self, cluster_id: str) -> None:
        """Remembers durably which cluster, of all with that name, this directory belongs to.

        Raises:
            InvariantViolation: It belongs to another one.
            DiskFailed: It could not be written.
        """
        if self.cluster_id == cluster_id:
            return
        if self.cluster_id:
            raise InvariantViolation(
                f"{self.path} belongs to cluster {self.cluster_id}, not to {cluster_id}"
            )
        identity = replace(self._identity, cluster_id=cluster_id)
        try:
            _write_identity(self.path, identity)
        except OSError as error:
            raise failed(self.path / IDENTITY, "writing the identity", error) from error
        self._identity = identity

    def open_log(self) -> WalLog:
        """The log, checked; see `WalLog.open`. Once."""
        self._log = log = WalLog.open(self.path / _LOG)
        self._fresh = self._fresh or (log.term == 0 and log.last_index == 0)
        return log

    def open_state(self, limits: StateLimits | None = None) -> RocksState:
        """The state; see `RocksState.open`. Once."""
        self._state = RocksState.open(self.path / _STATE, self.path / _SNAPSHOTS, limits)
        return self._state

    def close(self) -> None:
        """Closes what was opened and lets another process have the directory. Idempotent."""
        lock, self._lock = self._lock, None
        if lock is None:
            return
        with ExitStack() as closing:
            closing.callback(os.close, lock)
            if self._state is not None:
                closing.callback(self._state.close)
            if self._log is not None:
                closing.callback(self._log.close)


def check_unused(path: Path) -> None:
    """Raises `DirectoryInUse` while a process has the directory."""
    os.close(_take_lock(path, make=False))


def wipe(path: Path) -> None:
    """Removes the node's data, for good, so that it can begin anew. What else is there stays.

    Raises:
        DirectoryInUse: A process has the directory.
        StorageError: It cannot be removed.
    """
    if not path.exists():
        return
    lock = _take_lock(path, make=False)
    try:
        for name in _OURS:
            ours = path / name
            if ours.is_dir():
                shutil.rmtree(ours)
            else:
                ours.unlink(missing_ok=True)
    except OSError as error:
        raise unusable(path, "remove the node's data", error) from error
    finally:
        os.close(lock)


def _take_lock(path: Path, make: bool) -> int:
    """Locks the directory; the lock goes with the descriptor, or with the process."""
    try:
        if make:
            path.mkdir(parents=True, exist_ok=True)
        lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise unusable(path, "be used as a data directory", error) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        text = f"{os.getpid():<{_PID_BYTES - 1}}\n".encode() + LOCK_MARK + b"\n"
        os.ftruncate(lock, os.pwrite(lock, text, 0))
    except BlockingIOError as error:
        holder = os.pread(lock, _PID_BYTES, 0).decode(errors="replace").strip() or "unknown"
        os.close(lock)
        raise DirectoryInUse(
            f"{path}: process {holder} has this data directory open; stop it first, or give this "
            "node a directory of its own",
            pid=holder,
        ) from error
    except OSError as error:
        os.close(lock)
        raise unusable(path, "be used as a data directory", error) from error
    return lock


def _identify(path: Path, cluster_name: str, node_id: str) -> tuple[_Identity, bool]:
    file = path / IDENTITY
    if file.exists():
        identity = _read_identity(file)
        if (identity.cluster_name, identity.node_id) != (cluster_name, node_id):
            raise DiskDamaged(
                f"{file}: this is the data of node {identity.node_id!r} of cluster "
                f"{identity.cluster_name!r}, not of node {node_id!r} of cluster "
                f"{cluster_name!r}; correct data_dir in the configuration, or remove the "
                "directory if that data is not needed any more",
                path=str(file),
            )
        if identity.finished:
            return identity, False
    elif (path / _LOG).exists() or (path / _STATE).exists():
        raise damaged(file, "there is a log or a state, but nothing says whose they are")
    return _make(path, _Identity(cluster_name, node_id, secrets.token_hex(8))), True


def _make(path: Path, identity: _Identity) -> _Identity:
    """Makes log and state, again if an earlier attempt was cut short."""
    _write_identity(path, identity)
    for name in (_LOG, _STATE):
        if (path / name).exists():
            shutil.rmtree(path / name)
    WalLog.create(path / _LOG)
    RocksState.create(path / _STATE)
    finished = replace(identity, finished=True)
    _write_identity(path, finished)
    return finished


def _write_identity(path: Path, identity: _Identity) -> None:
    body = {"format": IDENTITY_FORMAT, **asdict(identity)}
    text = json.dumps({**body, "checksum": _checksum(body)}, indent=1)
    write_atomically(path / IDENTITY, text.encode() + b"\n")


def _read_identity(file: Path) -> _Identity:
    try:
        body: dict[str, Any] = json.loads(file.read_bytes())
        if body.pop("checksum") != _checksum(body):
            raise damaged(file, "does not match its checksum")
        if body.pop("format") != IDENTITY_FORMAT:
            raise newer(file, json.loads(file.read_bytes())["format"], IDENTITY_FORMAT)
        return _Identity(**body)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise damaged(file, f"cannot be read ({error})") from error


def _checksum(body: dict[str, Any]) -> str:
    return f"{zlib.crc32(json.dumps(body, sort_keys=True).encode()):08x}"
