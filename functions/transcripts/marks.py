"""Where a job is filed beside its journal in the state bucket, so that it can be found without reading history.

- `open/{shard}/{hour}-{id}`: from receipt to publication, so that what hangs can be found without reading history;
  `.{until}.{priority}` (epoch seconds, 0 to 9) is added while it is not its turn, or nothing is left but to tell its
  tenant once more, so that it need not be read either;
- `at/...`: a mark for every recording `in/...` that has a job, with the same rest of the key, holding the ETag: both
  listings have the same order, so that a recording without a job is found by laying them side by side;
- `index/key/{hash}/{id}` and `index/call/{hash}/{id}`: for look-ups by place and by call.
"""

from __future__ import annotations

import hashlib
import math
from datetime import UTC, datetime
from typing import Final

from functions.transcripts.events import INPUT
from functions.transcripts.job import Generation, Job

KNOWN: Final = "at/"


def open_key(job: Job, generation: Generation | None = None) -> str:
    """The mark of an open job. The hour is when it was opened, so that the oldest job is the first of its shard."""
    hour = datetime.fromtimestamp((generation or job.latest).opened_at, UTC).strftime("%Y%m%dT%H")
    return f"open/{job.id[0]}/{hour}-{job.id}"


def waiting_key(job: Job) -> str | None:
    """The mark of an open job while it is not its turn; None where it never had to wait."""
    postponed = job.latest.postponed
    return None if postponed is None else f"{open_key(job)}.{math.ceil(postponed.until)}.{postponed.priority}"


def untold_key(job: Job) -> str | None:
    """The mark of a job of which nothing is left but to tell its webhook, later; None where that is not so.

    Of the lowest priority: the recordings of others come first.
    """
    nexts = [(each.notices[-1].until, each) for each in job.generations if each.untold and each.notices]
    if not nexts:
        return None
    until, generation = min(nexts, key=lambda one: (one[0], one[1].number))
    return f"{open_key(job, generation)}.{math.ceil(until)}.0"


def known_key(key: str) -> str:
    """The mark of a recording that has a job. As long as its key, which may be as long as a key can be."""
    return KNOWN + key.removeprefix(INPUT)


def known_as(etag: str) -> bytes:
    """What that mark holds."""
    return etag.encode()


def index_of_key(bucket: str, key: str) -> str:
    """Prefix of the jobs of all versions of one object. Hashed, because the key may be as long as a key can be."""
    return f"index/key/{_hash(bucket, key)}/"


def index_of_call(tenant: str, call_id: str) -> str:
    """Prefix of the jobs of one tenant's call."""
    return f"index/call/{_hash(tenant, call_id)}/"


def _hash(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
