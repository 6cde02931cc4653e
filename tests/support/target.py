"""What the portable contract suite runs against: localcloud, or with `TARGET=cloud` a real account.

`TARGET=cloud` takes addresses and credentials from the `TARGET_*` variables (`ops.probe_target.VARIABLES`).
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from localcloud.cloud import Cloud
from ops import probe_clients, probe_target
from ops.probe_target import Target

BUCKET = "isi-contract"


def is_cloud() -> bool:
    """Whether the suite was asked to run on a real account."""
    wanted = os.environ.get("TARGET", "local")
    if wanted not in ("local", "cloud"):
        raise ValueError(f"TARGET is local or cloud, not {wanted!r}")
    return wanted == "cloud"


@contextmanager
def opened(out: Path) -> Iterator[Target]:
    """The account of the environment, or a localcloud with `tone` of our own that ends with the block."""
    if is_cloud():
        yield probe_target.from_environment(os.environ)
        return
    with _local(out) as target:
        probe_clients.bucket(target).create_bucket()
        yield target


@contextmanager
def _local(out: Path) -> Iterator[Target]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="test server", daemon=True)
    thread.start()

    async def start() -> tuple[Cloud, Target]:
        cloud = Cloud(out, "tone")
        there = await cloud.start()
        return cloud, Target(
            region=there.region,
            oss=there.oss,
            bucket=BUCKET,
            nls_rest=there.nls_rest,
            nls_websocket=there.nls_websocket,
            pop=there.pop,
            filetrans=there.pop,
            fc=there.fc,
            appkey=there.appkey,
            access_key_id=there.access_key_id,
            access_key_secret=there.access_key_secret,
        )

    try:
        cloud, target = asyncio.run_coroutine_threadsafe(start(), loop).result(30)
        try:
            yield target
        finally:
            asyncio.run_coroutine_threadsafe(cloud.close(), loop).result(30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()
