"""`python -m tests.torture.enter NET CLOCK PARENT MODULE …`: runs a module in a place of the run.

NET is the file of a network namespace, CLOCK a file that says how far the wall clock is off; `-`
for either leaves it as it is. PARENT is the id of the process that starts it. The module's process
is this very process, and it ends with the thread that started it. Invariant: only the wall clock is
moved (`time.time`, `time.time_ns`), as a step of the system's clock would; time that is measured
goes on as it does, and gRPC, whose deadlines are points in time that its C core reads from the
system, sees the system's.
"""

from __future__ import annotations

import mmap
import os
import runpy
import struct
import sys
import time
from pathlib import Path
from types import SimpleNamespace

from tests.torture import kernel

CLOCK_FORMAT = "<q"  # nanoseconds
UNCHANGED = "-"


def main() -> None:
    """Never returns normally: the module's end is the end."""
    net, clock, parent, module, *arguments = sys.argv[1:]
    kernel.die_with_parent()
    if os.getppid() != int(parent):
        sys.exit("who started this is gone already")
    if net != UNCHANGED:
        kernel.enter_net(net)
    if clock != UNCHANGED:
        _move_clock(Path(clock))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _move_clock(path: Path) -> None:
    size = struct.calcsize(CLOCK_FORMAT)
    with path.open("rb") as file:
        offset = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
    time_ns = time.time_ns
    unmoved = SimpleNamespace(**vars(time))
    # All of gRPC that looks at the clock; some of it is loaded late.
    import grpc._channel
    import grpc._server
    import grpc.aio

    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == grpc.__name__ and getattr(module, "time", None) is time:
            vars(module)["time"] = unmoved

    def moved_ns() -> int:
        (step,) = struct.unpack(CLOCK_FORMAT, offset[:size])
        return time_ns() + int(step)

    time.time_ns = moved_ns
    time.time = lambda: moved_ns() / 1e9


if __name__ == "__main__":
    main()
