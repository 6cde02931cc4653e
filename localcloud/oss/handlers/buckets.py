"""Buckets and their listings."""

from __future__ import annotations

import base64
import binascii

from aiohttp import web

from localcloud.oss.call import Call
from localcloud.oss.documents import Row, document, iso_time, parse, url_encoded
from localcloud.oss.errors import invalid_argument, not_implemented
from localcloud.oss.listing import Page, page
from localcloud.oss.numbers import whole
from localcloud.oss.records import Bucket, StoredObject
from localcloud.oss.upload import read_small

MAX_KEYS = 1000
DEFAULT_KEYS = 100


async def put_bucket(call: Call) -> web.Response:
    """Create a private bucket of the Standard class."""
    body = await read_small(call, 64 * 1024)
    if body.strip():
        for element in parse(body, "CreateBucketConfiguration"):
            name, value = element.tag.rpartition("}")[2], element.text or ""
            if (name, value) not in (("StorageClass", "Standard"), ("DataRedundancyType", "LRS")):
                raise not_implemented(f"{name} {value} of a bucket")
    await call.service.threads.run(call.service.store.create_bucket, call.bucket)
    return web.Response(headers={"Location": f"/{call.bucket}"})


async def delete_bucket(call: Call) -> web.Response:
    """Delete an empty bucket."""
    await call.service.threads.run(call.service.store.delete_bucket, call.bucket)
    return web.Response(status=204)


async def head_bucket(call: Call) -> web.Response:
    """Whether a bucket exists."""
    await call.service.threads.run(call.service.store.bucket, call.bucket)
    return web.Response(headers={"x-oss-bucket-region": call.service.account.region})


async def get_bucket_info(call: Call) -> web.Response:
    """What a bucket is."""
    bucket = await call.service.threads.run(call.service.store.bucket, call.bucket)
    rows: list[Row] = [
        *_bucket_rows(call, bucket),
        ("Owner", owner_of(call)),
        ("AccessControlList", [("Grant", "private")]),
        ("DataRedundancyType", "LRS"),
    ]
    if bucket.versioning:
        rows.append(("Versioning", bucket.versioning))
    return _xml("BucketInfo", [("Bucket", rows)])


async def get_bucket_location(call: Call) -> web.Response:
    """Where a bucket is."""
    await call.service.threads.run(call.service.store.bucket, call.bucket)
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<LocationConstraint>{_location(call)}</LocationConstraint>\n'
    return web.Response(body=body.encode(), content_type="application/xml")


async def get_bucket_acl(call: Call) -> web.Response:
    """`private`: there are no other buckets here."""
    await call.service.threads.run(call.service.store.bucket, call.bucket)
    return _xml("AccessControlPolicy", [("Owner", owner_of(call)), ("AccessControlList", [("Grant", "private")])])


async def list_buckets(call: Call) -> web.Response:
    """All buckets of the account, by name."""
    prefix, marker = call.target.first("prefix") or "", call.target.first("marker") or ""
    limit = limit_of(call)
    found = [
        bucket
        for bucket in await call.service.threads.run(call.service.store.buckets)
        if bucket.name.startswith(prefix) and bucket.name > marker
    ]
    shown, more = found[:limit], len(found) > limit
    rows: list[Row] = [("Prefix", prefix), ("Marker", marker), ("MaxKeys", limit), ("IsTruncated", more)]
    if more:
        rows.append(("NextMarker", shown[-1].name))
    rows += [("Owner", owner_of(call)), ("Buckets", [("Bucket", _bucket_rows(call, bucket)) for bucket in shown])]
    return _xml("ListAllMyBucketsResult", rows)


async def list_objects(call: Call) -> web.Response:
    """A page of objects after `marker`."""
    first = call.target.first
    prefix, marker, delimiter = first("prefix") or "", first("marker") or "", first("delimiter") or ""
    limit, encode = limit_of(call), encoding_of(call)
    found = await _page(call, prefix, delimiter, marker, limit)
    rows: list[Row] = [
        ("Name", call.bucket),
        ("Prefix", text_of(prefix, encode)),
        ("Marker", text_of(marker, encode)),
        ("MaxKeys", limit),
        ("Delimiter", text_of(delimiter, encode)),
        *([("EncodingType", "url")] if encode else []),
        ("IsTruncated", bool(found.next_marker)),
    ]
    if found.next_marker:
        rows.append(("NextMarker", text_of(found.next_marker, encode)))
    return _xml("ListBucketResult", rows + _contents(call, found, encode, owner=True))


async def list_objects_v2(call: Call) -> web.Response:
    """A page of objects after a continuation token or `start-after`."""
    first = call.target.first
    prefix, delimiter, start_after = first("prefix") or "", first("delimiter") or "", first("start-after") or ""
    limit, encode = limit_of(call), encoding_of(call)
    token = first("continuation-token") or ""  # oss2 always sends one, empty on the first page
    after = _after(token) if token else start_after
    found = await _page(call, prefix, delimiter, after, limit)
    rows: list[Row] = [
        ("Name", call.bucket),
        ("Prefix", text_of(prefix, encode)),
        *([("StartAfter", text_of(start_after, encode))] if start_after else []),
        *([("ContinuationToken", token)] if token else []),
        ("MaxKeys", limit),
        ("Delimiter", text_of(delimiter, encode)),
        *([("EncodingType", "url")] if encode else []),
        ("IsTruncated", bool(found.next_marker)),
        ("KeyCount", len(found.objects) + len(found.prefixes)),
    ]
    if found.next_marker:
        rows.append(("NextContinuationToken", base64.urlsafe_b64encode(found.next_marker.encode()).decode()))
    owner = (first("fetch-owner") or "").lower() == "true"
    return _xml("ListBucketResult", rows + _contents(call, found, encode, owner=owner))


async def _page(call: Call, prefix: str, delimiter: str, after: str, limit: int) -> Page:
    store = call.service.store
    return await call.service.threads.run(
        page, store, call.bucket, prefix=prefix, delimiter=delimiter, after=after, limit=limit
    )


def _contents(call: Call, found: Page, encode: bool, *, owner: bool) -> list[Row]:
    rows: list[Row] = [("Contents", _object_rows(call, stored, encode, owner)) for stored in found.objects]
    return rows + [("CommonPrefixes", [("Prefix", text_of(prefix, encode))]) for prefix in found.prefixes]


def _object_rows(call: Call, stored: StoredObject, encode: bool, owner: bool) -> list[Row]:
    rows: list[Row] = [
        ("Key", text_of(stored.key, encode)),
        ("LastModified", iso_time(stored.modified_at)),
        ("ETag", f'"{stored.etag}"'),
        ("Type", stored.object_type),
        ("Size", stored.size),
        ("StorageClass", "Standard"),
    ]
    return [*rows, ("Owner", owner_of(call))] if owner else rows


def _bucket_rows(call: Call, bucket: Bucket) -> list[Row]:
    region = call.service.account.region
    return [
        ("Name", bucket.name),
        ("Location", _location(call)),
        ("Region", region),
        ("CreationDate", iso_time(bucket.created_at)),
        ("ExtranetEndpoint", f"oss-{region}.aliyuncs.com"),
        ("IntranetEndpoint", f"oss-{region}-internal.aliyuncs.com"),
        ("StorageClass", "Standard"),
    ]


def owner_of(call: Call) -> list[Row]:
    """The account, as documents name it."""
    return [("ID", call.service.account.account_id), ("DisplayName", call.service.account.account_id)]


def _location(call: Call) -> str:
    return f"oss-{call.service.account.region}"


def limit_of(call: Call) -> int:
    """`max-keys`; `InvalidArgument`."""
    text = call.target.first("max-keys")
    if text is None or text == "":
        return DEFAULT_KEYS
    limit = whole(text)
    if limit is None or not 1 <= limit <= MAX_KEYS:
        raise invalid_argument("Argument max-keys must be an integer between 1 and 1000.", "max-keys", text)
    return limit


def encoding_of(call: Call) -> bool:
    """Whether names are to be URL-encoded; `InvalidArgument`."""
    text = call.target.first("encoding-type")
    if text not in (None, "", "url"):
        raise invalid_argument("Invalid Encoding Method specified in Request", "encoding-type", str(text))
    return text == "url"


def _after(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as exc:
        raise invalid_argument("The continuation token is not valid.", "continuation-token", token) from exc


def text_of(text: str, encode: bool) -> str:
    """A name in a document."""
    return url_encoded(text) if encode else text


def _xml(root: str, rows: list[Row]) -> web.Response:
    return web.Response(body=document(root, rows), content_type="application/xml")
