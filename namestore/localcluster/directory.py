"""The directory of a local cluster: what in it is ours to write, and ours to remove.

Responsible for the marker, the lock and `cluster.toml`. Not for processes. Invariant: nothing is
ever written into or removed from a directory that this tool did not mark, and `wipe` removes only
what the marker says this tool put there.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from namestore.localcluster.data_lock import DataHolder, data_holder
from namestore.localcluster.errors import Busy, DataHeld, DirectoryUnusable
from namestore.localcluster.pid_file import write_whole

MARKER = ".namestore-local-cluster"
_LOCK = ".lock"
_CONFIG = "cluster.toml"
_TLS = "tls"
_DEV = "dev"  # what `namestore-server --dev` keeps in the same place
_FORMAT = 1
# As `namestore.config` has node ids: never empty, no separator, no leading dot.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class ClusterDirectory:
    """A directory that holds one local cluster; `path` is absolute.

    Use `create` or `open`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.config_path = self.path / _CONFIG
        self.tls_path = self.path / _TLS
        self._marker_path = self.path / MARKER

    @classmethod
    def open(cls, path: Path) -> ClusterDirectory:
        """A directory that has been marked before.

        Raises:
            DirectoryUnusable: It is absent, unreadable, or not a local cluster's.
        """
        directory = cls(path)
        directory._read_marker()
        return directory

    @classmethod
    def create(cls, path: Path) -> ClusterDirectory:
        """The same, made and marked if it is absent or empty.

        Raises:
            DirectoryUnusable: It holds something else, or cannot be written.
        """
        directory = cls(path)
        try:
            made = not directory.path.exists()
            directory.path.mkdir(parents=True, exist_ok=True)
            if not directory._marker_path.exists():
                _refuse_foreign(directory.path)
                directory._mark({"format": _FORMAT, "made_directory": made, "nodes": []})
        except OSError as error:
            raise DirectoryUnusable(f"cannot use {path}: {error.strerror}") from error
        directory._read_marker()
        return directory

    @property
    def node_ids(self) -> tuple[str, ...]:
        """The nodes that this tool ever started here. Known even while cluster.toml is broken."""
        return tuple(self._read_marker()["nodes"])

    def remember_nodes(self, node_ids: Sequence[str]) -> None:
        """Notes that their files are from now on this tool's to remove.

        Raises:
            DirectoryUnusable: An id that is no plain file name.
        """
        for node in node_ids:
            if not _PLAIN_NAME.fullmatch(node):
                raise DirectoryUnusable(f"{node!r} cannot be a node's name: it leads elsewhere")
        marker = self._read_marker()
        known = [*marker["nodes"], *(node for node in node_ids if node not in marker["nodes"])]
        if known != marker["nodes"]:
            write_whole(self._marker_path, json.dumps({**marker, "nodes": known}) + "\n")

    @property
    def tls(self) -> bool:
        """The nodes speak TLS to each other; what is at `tls_path` is this tool's."""
        return bool(self._read_marker().get("tls", False))

    def make_tls_path(self) -> None:
        """Makes the place for keys and certificates, and notes that it is this tool's to remove.

        Raises:
            DirectoryUnusable: Something is there already that this tool did not put there.
        """
        if self.tls:
            return
        try:
            self.tls_path.mkdir(mode=0o700, exist_ok=True)
            # Empty, it may be what an earlier call made that was interrupted.
            if self.tls_path.is_symlink() or any(self.tls_path.iterdir()):
                raise DirectoryUnusable(
                    f"{self.tls_path} was not made by this tool: move it away, or name another "
                    "directory with --dir"
                )
        except OSError as error:
            raise DirectoryUnusable(f"cannot make {self.tls_path}: {error.strerror}") from error
        write_whole(self._marker_path, json.dumps({**self._read_marker(), "tls": True}) + "\n")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps every other command that changes something out of the directory.

        Raises:
            Busy: One is at work already.
        """
        lock_path = self.path / _LOCK
        try:
            descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise DirectoryUnusable(f"cannot write {lock_path}: {error.strerror}") from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # A wipe may have removed the file between our open and our lock.
                if not os.path.samestat(os.fstat(descriptor), lock_path.stat()):
                    raise BlockingIOError
            except (BlockingIOError, FileNotFoundError) as error:
                holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
                raise Busy(
                    f"another namestore-local-cluster (pid {holder}) is at work on {self.path}: "
                    "wait until it is done"
                ) from error
            os.ftruncate(descriptor, 0)
            os.write(descriptor, str(os.getpid()).encode())
            yield
        finally:
            os.close(descriptor)

    def wipe(self) -> list[str]:
        """Removes what this tool made, and the directory if it made that and nothing else is left.

        No node may be running. What belongs to somebody else stays, and so do links.

        Returns:
            The names of what was left there.

        Raises:
            DataHeld: A process has a node's data. Nothing was removed.
            DirectoryUnusable: Something cannot be removed.
        """
        marker = self._read_marker()
        try:
            entries = self._entries_of(marker["nodes"], tls=marker.get("tls", False))
            _refuse_held(self.path, entries)
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    (self.path / entry.name).unlink()
            for name in (_CONFIG, _LOCK, MARKER):
                (self.path / name).unlink(missing_ok=True)
            left = sorted(entry.name for entry in self.path.iterdir())
            if marker["made_directory"] and not left:
                self.path.rmdir()
        except OSError as error:
            raise DirectoryUnusable(f"cannot remove {error.filename}: {error.strerror}") from error
        return left

    def _entries_of(self, node_ids: Sequence[str], *, tls: bool) -> list[os.DirEntry[str]]:
        """What the nodes left here, and their certificates.

        Chosen from what this directory lists, never by joining a name from the marker to a path:
        an entry of a directory cannot lie outside of it.
        """
        ours = {f"{node}{suffix}" for node in node_ids for suffix in ("", ".log", ".pid", ".toml")}
        if tls:
            ours.add(_TLS)
        with os.scandir(self.path) as entries:
            return [entry for entry in entries if entry.name in ours - {_CONFIG}]

    def _mark(self, marker: dict[str, Any]) -> None:
        """Writes the marker unless somebody else just did: whoever made the directory wins."""
        aside = self.path / f"{MARKER}.{secrets.token_hex(4)}"
        try:
            aside.write_text(json.dumps(marker) + "\n")
            os.link(aside, self._marker_path)
        except FileExistsError:
            return
        finally:
            aside.unlink(missing_ok=True)

    def _read_marker(self) -> dict[str, Any]:
        try:
            marker = json.loads(self._marker_path.read_text())
            known = marker["format"] == _FORMAT
            nodes, _ = list(marker["nodes"]), bool(marker["made_directory"])
            if not all(_PLAIN_NAME.fullmatch(node) for node in nodes):
                raise ValueError("a node's name leads elsewhere")
        except FileNotFoundError as error:
            raise DirectoryUnusable(_no_cluster(self.path)) from error
        except NotADirectoryError as error:
            raise DirectoryUnusable(f"{self.path} is not a directory") from error
        except OSError as error:
            raise DirectoryUnusable(f"cannot read {self._marker_path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise DirectoryUnusable(
                f"{self._marker_path} is damaged: remove {self.path} by hand"
            ) from error
        if not known:
            raise DirectoryUnusable(
                f"{self.path} was made by a newer namestore-local-cluster: use that one"
            )
        return dict(marker)


def data_held(path: Path, holders: Mapping[str, DataHolder]) -> DataHeld:
    """What to say of nodes whose data somebody has, and what to do."""
    who = ", ".join(f"{node_id} by {holder}" for node_id, holder in holders.items())
    pids = " ".join(str(holder.pid) for holder in holders.values() if holder.pid is not None)
    remedy = f"look at it and end it (`kill {pids}`)" if pids else "find it and end it"
    return DataHeld(
        f"data in {path} is in use by a process that is not known to be its node: {who}. No data "
        f"is removed then: {remedy}, and try again"
    )


def _refuse_held(path: Path, entries: Sequence[os.DirEntry[str]]) -> None:
    """Raises `DataHeld` if a process has one of these, as far as they are nodes' data."""
    places = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
    holders = {entry.name: data_holder(Path(entry.path)) for entry in places}
    held = {name: holder for name, holder in holders.items() if holder is not None}
    if held:
        raise data_held(path, held)


def _no_cluster(path: Path) -> str:
    if not path.exists():
        return f"no local cluster in {path}: `namestore-local-cluster up` makes one"
    return f"{path} is not a local cluster's directory: it was not made by namestore-local-cluster"


def _refuse_foreign(path: Path) -> None:
    """Raises unless nothing is there but what another `up` may be writing just now, or `--dev`."""
    names = [entry.name for entry in path.iterdir()]
    if MARKER in names:
        return
    foreign = sorted(name for name in names if not name.startswith(MARKER) and name != _DEV)
    if foreign:
        raise DirectoryUnusable(
            f"{path} holds other things ({', '.join(foreign[:3])}"
            f"{', …' if len(foreign) > 3 else ''}): name an empty or new directory with --dir"
        )
