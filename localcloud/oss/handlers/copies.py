"""CopyObject."""

from __future__ import annotations

from urllib.parse import unquote

from aiohttp import web

from localcloud.oss import names
from localcloud.oss.call import Call
from localcloud.oss.conditions import Conditions
from localcloud.oss.documents import document, iso_time
from localcloud.oss.errors import invalid_argument, not_implemented
from localcloud.oss.handlers.writes import created, forbids_overwrite
from localcloud.oss.records import StoredObject
from localcloud.oss.upload import attributes_of


async def copy_object(call: Call) -> web.Response:
    """Copy an object within the region; a copy onto itself replaces its metadata, whatever the directive says."""
    store, source, forbid = call.service.store, _source(call), forbids_overwrite(call)
    directive = call.headers.get("x-oss-metadata-directive", "COPY").upper()
    if directive not in ("COPY", "REPLACE"):
        raise invalid_argument("The directive must be COPY or REPLACE.", "x-oss-metadata-directive", directive)
    target = (call.bucket, call.key)
    attributes = attributes_of(call.headers) if directive == "REPLACE" or source == target else None
    conditions = Conditions.of(call.headers, "x-oss-copy-source-")

    def write() -> tuple[StoredObject, int]:
        return store.copy(source, target, check=conditions.check, attributes=attributes, forbid_overwrite=forbid)

    stored, _ = await call.service.commit(write, lambda done: created(call, "CopyObject", done[0], done[1]))
    body = document("CopyObjectResult", [("ETag", f'"{stored.etag}"'), ("LastModified", iso_time(stored.modified_at))])
    headers = {"ETag": f'"{stored.etag}"', "x-oss-hash-crc64ecma": str(stored.crc64)}
    return web.Response(body=body, headers=headers, content_type="application/xml")


def _source(call: Call) -> tuple[str, str]:
    text = call.headers["x-oss-copy-source"]
    path, question, _ = text.partition("?")
    if question:
        raise not_implemented("versions of a copy's source")
    bucket, slash, key = unquote(path).removeprefix("/").partition("/")
    if not slash:
        raise invalid_argument("Copy Source must mention the source bucket and key.", "x-oss-copy-source", text)
    names.check_bucket_name(bucket)
    names.check_key(key)
    return bucket, key
