"""The operations, one module per part of the API reference."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from localcloud.oss.call import Call
from localcloud.oss.handlers import batches, buckets, copies, reads, writes

HANDLERS: dict[str, Callable[[Call], Awaitable[web.StreamResponse]]] = {
    "AppendObject": writes.append_object,
    "CopyObject": copies.copy_object,
    "DeleteBucket": buckets.delete_bucket,
    "DeleteMultipleObjects": batches.delete_multiple_objects,
    "DeleteObject": writes.delete_object,
    "GetBucketAcl": buckets.get_bucket_acl,
    "GetBucketInfo": buckets.get_bucket_info,
    "GetBucketLocation": buckets.get_bucket_location,
    "GetObject": reads.get_object,
    "GetObjectMeta": reads.get_object_meta,
    "HeadBucket": buckets.head_bucket,
    "HeadObject": reads.head_object,
    "ListBuckets": buckets.list_buckets,
    "ListObjects": buckets.list_objects,
    "ListObjectsV2": buckets.list_objects_v2,
    "PutBucket": buckets.put_bucket,
    "PutObject": writes.put_object,
}
