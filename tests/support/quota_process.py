"""`python -m support.quota_process ENDPOINT BUCKET QUOTA AMOUNT`: an instance that spends until it is refused.

The key's id and secret come in on the first line of stdin. Prints `granted AMOUNT` after every grant, among its log, so
that a process that is killed has printed at most what it spent.
"""

from __future__ import annotations

import asyncio
import sys

from isikit.credentials import Credentials
from isikit.errors import LimitError
from isikit.limits import quotas
from isikit.objects import OssStore


async def main(endpoint: str, bucket: str, quota: int, amount: int) -> None:
    """Spend `amount` at a time."""
    provider = Credentials({})
    key_id, secret = sys.stdin.readline().split()
    provider.update({"x-fc-access-key-id": key_id, "x-fc-access-key-secret": secret})
    quotas.WAIT_SECONDS = 60.0  # type: ignore[misc] # how busy the machine is shall not decide
    instance = quotas.Quotas(OssStore(bucket, endpoint, "cn-beijing", provider), "closed")
    while True:
        try:
            await instance.spend("acme", "leases", quota, amount)
        except LimitError:
            break
        sys.stdout.write(f"granted {amount}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
