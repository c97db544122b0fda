"""A program that takes a node's arguments and does nothing, for tests of process control.

The environment variable STAND_IN says how: unset, it runs until a signal ends it; `deaf`, it
ignores SIGTERM; a number, it ends at once with that exit code.
"""

import os
import signal
import sys


def say(line: str) -> None:
    """To the log, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


how = os.environ.get("STAND_IN", "")
say("arguments: " + " ".join(sys.argv[1:]))
if how.isdigit():
    say("this is why it failed")
    sys.exit(int(how))
if how == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
say("ready")
while True:
    signal.pause()
