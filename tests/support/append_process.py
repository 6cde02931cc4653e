"""`python -m support.append_process ENDPOINT BUCKET KEY NAME COUNT`: a process that appends to a journal.

The key's id and secret come in on stdin. Prints the positions that it won, one a line.
"""

from __future__ import annotations

import asyncio
import sys

from isikit.credentials import Credentials
from isikit.errors import PositionConflict
from isikit.journal import Journal
from isikit.objects import OssStore


async def main(endpoint: str, bucket: str, key: str, name: str, count: int) -> None:
    """Append `count` records."""
    provider = Credentials({})
    key_id, secret = sys.stdin.read().split()
    provider.update({"x-fc-access-key-id": key_id, "x-fc-access-key-secret": secret})
    journal = Journal(OssStore(bucket, endpoint, "cn-beijing", provider), key)
    snapshot = await journal.read()
    for number in range(count):
        while True:
            try:
                after = await journal.append({"by": name, "n": number}, snapshot)
            except PositionConflict:
                snapshot = await journal.read()
            else:
                sys.stdout.write(f"{snapshot.position}\n")
                snapshot = after
                break


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:5], int(sys.argv[5])))
