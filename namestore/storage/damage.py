"""What a node says when it cannot trust its disk, and when its disk fails.

One place for the words, so that every finding names the file, what was found, and the command that
mends it. It decides nothing: whoever finds something wrong raises what is made here.
"""

from __future__ import annotations

import errno
from pathlib import Path

from namestore.errors import DiskDamaged, DiskFailed, StorageError

REMEDY = (
    "If the disk itself is sound, let the node start anew from the other nodes of the cluster: "
    "namestore-server --config CONFIG --node NODE --wipe-and-rejoin. A node that runs alone has no "
    "others: put back a copy of its directory"
)
NEWER_REMEDY = "start the node with the version of namestore that wrote it, or a newer one"

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def damaged(path: Path, finding: str) -> DiskDamaged:
    """The error for a file that does not hold what was written to it."""
    return DiskDamaged(f"{path}: {finding}. {REMEDY}", path=str(path))


def newer(path: Path, found: object, known: int) -> DiskDamaged:
    """The error for a file whose format this program does not know."""
    return DiskDamaged(
        f"{path}: written in format {found}, and this version of namestore knows formats up to "
        f"{known}; {NEWER_REMEDY}",
        path=str(path),
    )


def failed(path: Path, doing: str, cause: Exception) -> DiskFailed:
    """The error for a write or sync that failed; nothing more may be done with the files."""
    return DiskFailed(
        f"{path}: {doing} failed: {_reason(cause)}. The node must stop, because what "
        "reached the disk is not known",
        path=str(path),
    )


def unusable(path: Path, doing: str, cause: Exception) -> StorageError:
    """The error for a directory that cannot be used as it is, and holds nothing wrong."""
    return StorageError(f"{path}: cannot {doing}: {_reason(cause)}", path=str(path))


def _reason(cause: Exception) -> str:
    """What went wrong, in words that do not need the C library's vocabulary."""
    code = getattr(cause, "errno", None)
    text = str(cause)
    if code in _DISK_FULL or "No space left" in text or "File too large" in text:
        return f"the disk is full ({text})"
    if code in (errno.EEXIST, errno.ENOTDIR):
        return f"a file stands where a directory is needed ({text})"
    if code == errno.EROFS or "Read-only file system" in text:
        return f"the file system is read-only ({text})"
    if code in (errno.EACCES, errno.EPERM) or "Permission denied" in text:
        return f"this user may not ({text})"
    if code == errno.EIO or "Input/output error" in text:
        return f"the disk reported an error ({text})"
    return text or type(cause).__name__
