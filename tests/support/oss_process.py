"""`python -m support.oss_process ROOT KEY_ID KEY_SECRET`: OSS in a process of its own, which a test may kill.

Prints the port it listens on, then serves until it is killed.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from aiohttp import web

from localcloud import oss
from localcloud.account import AccessKey, Account
from localcloud.clock import Clock
from localcloud.faults import Faults


async def main(root: Path, key_id: str, secret: str) -> None:
    """Serve for ever."""
    clock = Clock()
    account = Account(clock, root=AccessKey(key_id, secret))
    app = oss.make_app(oss.FileStore(root, clock), account, Faults(), clock, lambda event: None)
    runner = web.AppRunner(app, handle_signals=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
