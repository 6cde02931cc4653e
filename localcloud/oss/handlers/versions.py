"""ListObjectVersions."""

from __future__ import annotations

from aiohttp import web

from localcloud.oss.call import Call
from localcloud.oss.documents import Row, document, iso_time
from localcloud.oss.errors import invalid_argument
from localcloud.oss.handlers import buckets
from localcloud.oss.listing import group
from localcloud.oss.records import Version


async def list_object_versions(call: Call) -> web.Response:
    """A page of a bucket's versions and delete markers: keys ascending, of a key the newest first."""
    first = call.target.first
    prefix, delimiter = first("prefix") or "", first("delimiter") or ""
    key_marker, id_marker = first("key-marker") or "", first("version-id-marker") or ""
    if id_marker and not key_marker:
        raise invalid_argument("version-id-marker needs key-marker.", "version-id-marker", id_marker)
    limit, encode = buckets.limit_of(call), buckets.encoding_of(call)
    found = await call.service.threads.run(_after, call, prefix, key_marker, id_marker)
    shown, prefixes, more = group(found, lambda one: one.stored.key, prefix, delimiter, key_marker, limit)

    def text(value: str) -> str:
        return buckets.text_of(value, encode)

    last = shown[-1].stored if shown else None
    by_version = last is not None and (not prefixes or last.key > prefixes[-1])
    next_key = (last.key if by_version and last else prefixes[-1] if prefixes else "") if more else ""
    rows: list[Row] = [
        ("Name", call.bucket),
        ("Prefix", text(prefix)),
        ("KeyMarker", text(key_marker)),
        ("VersionIdMarker", id_marker),
        ("MaxKeys", limit),
        ("Delimiter", text(delimiter)),
        *([("EncodingType", "url")] if encode else []),
        ("IsTruncated", more),
    ]
    if more:
        rows += [
            ("NextKeyMarker", text(next_key)),
            ("NextVersionIdMarker", last.version_id if by_version and last else ""),
        ]
    for version in shown:
        rows.append(("DeleteMarker" if version.marker else "Version", _rows(call, version, text(version.stored.key))))
    rows += [("CommonPrefixes", [("Prefix", text(one))]) for one in prefixes]
    return web.Response(body=document("ListVersionsResult", rows), content_type="application/xml")


def _after(call: Call, prefix: str, key_marker: str, id_marker: str) -> list[Version]:
    store = call.service.store
    store.bucket(call.bucket)
    start = max(prefix, key_marker)
    found = [
        version
        for version in store.index.versions(call.bucket, start, 1 << 30)
        if version.stored.key.startswith(prefix)
    ]
    if not key_marker:
        return found
    ids = [version.stored.version_id for version in found if version.stored.key == key_marker]
    skipped = ids.index(id_marker) + 1 if id_marker in ids else len(ids) if not id_marker else 0
    return found[skipped:] if ids else found


def _rows(call: Call, version: Version, key: str) -> list[Row]:
    stored = version.stored
    rows: list[Row] = [
        ("Key", key),
        ("VersionId", stored.version_id),
        ("IsLatest", version.latest),
        ("LastModified", iso_time(stored.modified_at)),
    ]
    if not version.marker:
        rows += [
            ("ETag", f'"{stored.etag}"'),
            ("Type", stored.object_type),
            ("Size", stored.size),
            ("StorageClass", "Standard"),
        ]
    return [*rows, ("Owner", buckets.owner_of(call))]
