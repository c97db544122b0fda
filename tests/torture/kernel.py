"""What is asked of the Linux kernel: namespaces, mounts, and network devices that are a file.

Each function is one request. Nothing here decides anything, and nothing acts on the namespaces
that the caller was started in: who calls has left them before (`isolation`).
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import struct
from pathlib import Path

NEW_MOUNTS, NEW_USERS, NEW_PIDS, NEW_NET = 0x00020000, 0x10000000, 0x20000000, 0x40000000

_TUN_DEVICE = "/dev/net/tun"
_MOUNT_RECURSIVE, _MOUNT_PRIVATE = 0x4000, 0x40000
_UNMOUNT_DETACH = 2
_PARENT_DEATH_SIGNAL = 1
# From linux/if_tun.h and linux/sockios.h.
_SET_TUN, _TUN_WITHOUT_HEADER = 0x400454CA, 0x1001  # IFF_TUN | IFF_NO_PI
_SET_FLAGS, _SET_ADDRESS, _SET_MASK = 0x8914, 0x8916, 0x891C
_UP_AND_RUNNING = 0x41

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Leaves the caller's namespaces of these kinds for new ones. Raises OSError."""
    _checked(_libc.unshare(flags), "unshare")


def enter_net(path: str) -> None:
    """Enters the network namespace that a file stands for. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _checked(_libc.setns(descriptor, NEW_NET), f"setns {path}")
    finally:
        os.close(descriptor)


def keep_mounts_private() -> None:
    """What is mounted from now on is seen in this mount namespace only. Raises OSError."""
    flags = _MOUNT_RECURSIVE | _MOUNT_PRIVATE
    _checked(_libc.mount(b"none", b"/", None, flags, None), "mount --make-rprivate /")


def mount(kind: str, place: Path, options: str = "") -> None:
    """Mounts a file system that has no device, such as proc or tmpfs. Raises OSError."""
    name = kind.encode()
    code = _libc.mount(name, os.fsencode(place), name, 0, options.encode() or None)
    _checked(code, f"mount -t {kind} {place}")


def unmount(place: Path) -> None:
    """Takes a mount away at once, in use or not. Raises OSError."""
    _checked(_libc.umount2(os.fsencode(place), _UNMOUNT_DETACH), f"umount {place}")


def die_with_parent() -> None:
    """SIGKILL for this process as soon as the thread that started it is gone. Raises OSError."""
    _checked(_libc.prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0), "prctl")


def open_tunnel(name: str) -> int:
    """A network device of the current namespace whose packets are read from and written to a
    file; it lives as long as the file is open. Does not block. Raises OSError."""
    descriptor = os.open(_TUN_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(
            descriptor, _SET_TUN, struct.pack("16sH22x", name.encode(), _TUN_WITHOUT_HEADER)
        )
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def bring_up(name: str, address: str | None = None) -> None:
    """Gives a device of the current namespace an address of a /24 network, and starts it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        if address is not None:
            fcntl.ioctl(control, _SET_ADDRESS, _with_address(name, address))
            fcntl.ioctl(control, _SET_MASK, _with_address(name, "255.255.255.0"))
        request = struct.pack("16sH22x", name.encode(), _UP_AND_RUNNING)
        fcntl.ioctl(control, _SET_FLAGS, request)


def _with_address(name: str, address: str) -> bytes:
    return struct.pack("16sHH4s16x", name.encode(), socket.AF_INET, 0, socket.inet_aton(address))


def _checked(code: int, what: str) -> None:
    if code != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
