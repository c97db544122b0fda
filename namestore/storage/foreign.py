"""Whether a directory that is to hold a node's data holds somebody else's files.

Looks and never writes: a mistyped path must not leave anything in a directory that is not ours. It
does not say whose a node's data is, nor that it is whole; `directory` does.

Invariant: what namestore left half made, by a crash at any moment, is never taken for foreign. The
lock file comes first, and says that it is namestore's; its name is durable once the identity's is.
"""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path

from namestore.errors import StorageError

LOCK, IDENTITY = "LOCK", "identity"
LOCK_MARK = b"namestore"

# Made with a file system: an empty one, mounted for a node, has it.
_EMPTY_DISK = frozenset(("lost+found",))
_IDENTITY_MARK = b'"incarnation"'
_LOOK_BYTES = 4096
_NAMED = 3


def refuse_foreign(path: Path, made_here: Set[str]) -> None:
    """Returns if the directory is absent, empty, or namestore's, whole or not.

    Args:
        path: Where data is to be.
        made_here: The names of everything that namestore makes there.

    Raises:
        StorageError: It holds something, and nothing that says that it is namestore's.
        OSError: It cannot be read.
    """
    try:
        names = {entry.name for entry in path.iterdir()} - _EMPTY_DISK
    except FileNotFoundError:
        return
    if not names or _is_ours(path, names, made_here):
        return
    shown = ", ".join(sorted(names)[:_NAMED])
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    raise StorageError(
        f"{path}: not a namestore data directory, and not empty: it holds {shown}{more}; name an "
        "empty or a new directory",
        path=str(path),
    )


def _is_ours(path: Path, names: Set[str], made_here: Set[str]) -> bool:
    if LOCK in names and (names <= made_here or _says(path / LOCK, LOCK_MARK)):
        return True
    if names == {IDENTITY + ".new"}:
        return True  # the power failed before the lock's name was durable
    # Copied without the lock, from a backup say.
    return IDENTITY in names and _says(path / IDENTITY, _IDENTITY_MARK)


def _says(file: Path, mark: bytes) -> bool:
    if not file.is_file():
        return False
    with file.open("rb") as opened:
        return mark in opened.read(_LOOK_BYTES)
