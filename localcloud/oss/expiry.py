"""Carrying out the lifecycle rules of all buckets, as OSS does once a day."""

from __future__ import annotations

from itertools import groupby

from localcloud.oss import lifecycle
from localcloud.oss.documents import parse
from localcloud.oss.errors import OssError
from localcloud.oss.lifecycle import Rule
from localcloud.oss.multipart import Multipart
from localcloud.oss.records import StoredObject, Version
from localcloud.oss.store import FileStore

_BATCH = 500


def expire(store: FileStore, now: float) -> int:
    """Carry out what is due at `now` (epoch seconds); returns how many objects, versions and uploads went.

    Blocks. An object that is overwritten meanwhile stays: each is looked at again in the transaction that removes it.
    """
    gone = 0
    for bucket in store.buckets():
        document = store.index.setting(bucket.name, lifecycle.SETTING)
        if document is not None:
            rules = lifecycle.rules_of(parse(document.encode(), "LifecycleConfiguration"))
            gone += _abort(store, bucket.name, rules, now) + _expire(store, bucket.name, rules, now)
    return gone


def _expire(store: FileStore, bucket: str, rules: list[Rule], now: float) -> int:
    gone, start, inclusive = 0, "", True
    while batch := store.index.versions(bucket, start, _BATCH, inclusive=inclusive):
        groups = [(key, list(found)) for key, found in groupby(batch, lambda version: version.stored.key)]
        if len(batch) == _BATCH:
            # The last key may go on in the next batch; one with more versions than a batch is taken in one piece.
            last = groups.pop()[0] if len(groups) > 1 else None
            if last is None:
                key = groups[0][0]
                groups = [(key, [v for v in store.index.versions(bucket, key, 1 << 30) if v.stored.key == key])]
        for key, versions in groups:
            for version, for_good in lifecycle.judge(rules, versions, now):
                gone += _remove(store, version, for_good=for_good)
            start, inclusive = key, False
    return gone


def _remove(store: FileStore, version: Version, *, for_good: bool) -> int:
    stored = version.stored

    def unchanged(found: StoredObject) -> None:
        if (found.blob, found.modified_at) != (stored.blob, stored.modified_at):
            raise OssError("PreconditionFailed")

    item = (stored.key, stored.version_id if for_good else "")
    try:
        store.delete(stored.bucket, [item], unless=None if version.marker else unchanged)
    except OssError:
        return 0
    return 1


def _abort(store: FileStore, bucket: str, rules: list[Rule], now: float) -> int:
    gone, parts = 0, Multipart(store)
    for upload in store.uploads.of_bucket(bucket):
        mine = [rule for rule in rules if rule.enabled and rule.covers(upload.key, None)]
        if any(rule.abort and rule.abort.is_past(upload.initiated_at, now) for rule in mine):
            try:
                parts.abort(bucket, upload.key, upload.upload_id)
            except OssError:  # completed or aborted meanwhile
                continue
            gone += 1
    return gone
