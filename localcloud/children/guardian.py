"""Kills every process group named on stdin (`+PGID`, `-PGID` a line) as soon as stdin closes.

Run as a script with `python -I -S` in a session of its own, so that Ctrl-C does not reach it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys


def main() -> None:
    """Read until the other end is gone, then kill what is left. SIGKILL reaches stopped processes too."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line[0] == "+":
            groups.add(group)
        else:
            groups.discard(group)
    for group in groups:
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGKILL)


main()
