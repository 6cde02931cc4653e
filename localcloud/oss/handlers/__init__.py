"""The operations, one module per part of the API reference."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from localcloud.oss.call import Call
from localcloud.oss.handlers import (
    batches,
    buckets,
    copies,
    multiparts,
    posts,
    reads,
    settings,
    tagging,
    versions,
    writes,
)

HANDLERS: dict[str, Callable[[Call], Awaitable[web.StreamResponse]]] = {
    "AbortMultipartUpload": multiparts.abort_multipart_upload,
    "AppendObject": writes.append_object,
    "CompleteMultipartUpload": multiparts.complete_multipart_upload,
    "CopyObject": copies.copy_object,
    "DeleteBucket": buckets.delete_bucket,
    "DeleteBucketCors": settings.delete_bucket_cors,
    "DeleteBucketLifecycle": settings.delete_bucket_lifecycle,
    "DeleteMultipleObjects": batches.delete_multiple_objects,
    "DeleteObject": writes.delete_object,
    "DeleteObjectTagging": tagging.delete_object_tagging,
    "GetBucketAcl": buckets.get_bucket_acl,
    "GetBucketCors": settings.get_bucket_cors,
    "GetBucketInfo": buckets.get_bucket_info,
    "GetBucketLifecycle": settings.get_bucket_lifecycle,
    "GetBucketLocation": buckets.get_bucket_location,
    "GetBucketVersioning": settings.get_bucket_versioning,
    "GetObject": reads.get_object,
    "GetObjectMeta": reads.get_object_meta,
    "GetObjectTagging": tagging.get_object_tagging,
    "HeadBucket": buckets.head_bucket,
    "HeadObject": reads.head_object,
    "InitiateMultipartUpload": multiparts.initiate_multipart_upload,
    "ListBuckets": buckets.list_buckets,
    "ListMultipartUploads": multiparts.list_multipart_uploads,
    "ListObjectVersions": versions.list_object_versions,
    "ListObjects": buckets.list_objects,
    "ListObjectsV2": buckets.list_objects_v2,
    "ListParts": multiparts.list_parts,
    "OptionObject": settings.option_object,
    "PostObject": posts.post_object,
    "PutBucket": buckets.put_bucket,
    "PutBucketCors": settings.put_bucket_cors,
    "PutBucketLifecycle": settings.put_bucket_lifecycle,
    "PutBucketVersioning": settings.put_bucket_versioning,
    "PutObject": writes.put_object,
    "PutObjectTagging": tagging.put_object_tagging,
    "UploadPart": multiparts.upload_part,
    "UploadPartCopy": multiparts.upload_part_copy,
}
