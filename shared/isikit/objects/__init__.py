"""Objects in OSS: what the functions need of a bucket, as a protocol, and `OssStore`, which is oss2 behind it.

Time is OSS's own. Every answer carries a `Date` header, and it is returned as `server_time` (whole seconds since the
epoch), because claims and expiry must not depend on the clock of one instance. An object that is missing has a time
too: `tail` answers it, where `get` and `head` answer None.

Errors are those of `isikit.errors`: `AlreadyExists` and `PositionConflict` where a condition was refused, and
`StorageError` for the rest; `retryable` there means that the call may or may not have taken effect.
"""

from __future__ import annotations

import functools

from isikit import config, credentials
from isikit.objects.oss import THREADS, OssStore
from isikit.objects.store import Entry, ObjectInfo, ObjectStore, Stores, Tail
from isikit.threads import BoundedThreads

__all__ = ["Entry", "ObjectInfo", "ObjectStore", "OssStore", "Stores", "Tail", "stores"]


@functools.cache
def stores() -> Stores:
    """The three buckets of the settings, on one limiter, with the credentials of the latest request."""
    settings = config.settings()
    threads = BoundedThreads("oss", THREADS)

    def store(bucket: str) -> OssStore:
        return OssStore(
            bucket,
            settings.oss_internal,
            settings.region,
            credentials.provider,
            threads=threads,
        )

    return Stores(store(settings.bucket_prompts), store(settings.bucket_recordings), store(settings.bucket_state))
