"""`launch.py PARENT_PID COMMAND...`: become COMMAND, but die when the parent dies.

Run as a script with `python -I -S`, so it imports nothing of ours and its start costs 20 ms.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def _given_environment() -> dict[bytes, bytes]:
    """The environment as it was given; in a C locale Python adds LC_CTYPE to `os.environ` when it starts."""
    with open("/proc/self/environ", "rb") as file:  # noqa: PTH123
        pairs = [entry.partition(b"=") for entry in file.read().split(b"\0") if entry]
    return {name: value for name, _, value in pairs}


def main() -> None:
    """Set the death signal and execute the command; 127 and 126 mean what they mean to a shell."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:  # it died before the line above took effect
        os._exit(1)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and what is ignored stays so over exec
    try:
        os.execvpe(command[0], command, _given_environment())  # noqa: S606
    except PermissionError as error:
        status, reason = 126, error.strerror
    except OSError as error:
        status, reason = 127, error.strerror
    sys.stderr.write(f"cannot start {command[0]}: {reason}\n")
    sys.stderr.flush()
    os._exit(status)


main()
