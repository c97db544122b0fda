"""Whether a data directory may be removed so that its node can begin anew.

Careful on purpose: what is removed is gone. Only what is plainly this node's, or plainly
namestore's and too damaged to say whose, may go. Removing itself is `directory.wipe`.
"""

from __future__ import annotations

import json
from pathlib import Path

from namestore.errors import DiskDamaged, StorageError
from namestore.storage import directory
from namestore.storage.foreign import refuse_foreign


def check_wipeable(path: Path, cluster_name: str, node_id: str) -> str:
    """What would be removed there, in a few words; empty: nothing.

    Raises:
        DirectoryInUse: A process has the directory.
        StorageError: It is another node's, or nothing that namestore made.
    """
    if not path.exists():
        return ""
    if not path.is_dir():
        raise StorageError(f"{path}: not a directory; correct data_dir", path=str(path))
    refuse_foreign(path, directory.MADE_HERE)
    ours = {entry.name for entry in path.iterdir()} & directory.MADE_HERE
    if not ours:
        return ""
    directory.check_unused(path)
    _refuse_foreign(path / "identity", cluster_name, node_id)
    return ", ".join(sorted(ours - {"LOCK"}))


def _refuse_foreign(file: Path, cluster_name: str, node_id: str) -> None:
    """An identity that can be read, damaged or not, is believed."""
    try:
        body = json.loads(file.read_bytes())
        found = (str(body["cluster_name"]), str(body["node_id"]))
    except (OSError, ValueError, KeyError, TypeError):
        return  # lost or unreadable: damage, as far as anybody can tell
    if found != (cluster_name, node_id):
        raise DiskDamaged(
            f"{file}: this is the data of node {found[1]!r} of cluster {found[0]!r}, not of node "
            f"{node_id!r} of cluster {cluster_name!r}; correct data_dir in the configuration",
            path=str(file),
        )
