"""One child process in a process group of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from localcloud.children.guardian_client import Guardian

_LAUNCH = Path(__file__).with_name("launch.py")


class Child:
    """A running command, signalled as a group.

    The process is reaped by the event loop's thread alone, when its pidfd says so: until then its number cannot be
    given to somebody else, so a signal to the group never hits a stranger.
    """

    def __init__(self, process: subprocess.Popen[bytes], guardian: Guardian) -> None:
        self.pid = process.pid
        self.returncode: int | None = None
        self._process = process
        self._guardian = guardian
        self._loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[int] = self._loop.create_future()
        self._pidfd = os.pidfd_open(process.pid)
        self._loop.add_reader(self._pidfd, self._reap)
        guardian.watch(process.pid)

    @classmethod
    def spawn(
        cls,
        command: Sequence[str],
        guardian: Guardian,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        output: int | None = None,
    ) -> Child:
        """Start `command`.

        Call it in the thread that lives as long as the process (the event loop's): the kernel sends the death signal
        when the *thread* that forked ends.

        Parameters
        ----------
        env
            The whole environment; `None` inherits. The command is found by its PATH.
        output
            A file descriptor for stdout and stderr; `None` inherits.
        """
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_LAUNCH), str(os.getpid()), *command],
            env=None if env is None else dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        return cls(process, guardian)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the whole group; nothing happens when the leader is gone and reaped."""
        if self.returncode is None:
            os.killpg(self.pid, number)

    def kill(self) -> None:
        """End the whole group at once."""
        self.send(signal.SIGKILL)

    async def wait(self) -> int:
        """Wait for the end and return the exit status (negative: the signal's number)."""
        return await asyncio.shield(self.exited)

    def _reap(self) -> None:
        # The leader is a zombie here: its number, and so the group's, is still ours. Take the rest of the group along.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self.returncode = self._process.wait()
        self._guardian.forget(self.pid)
        if not self.exited.done():
            self.exited.set_result(self.returncode)
