"""PutObjectTagging, GetObjectTagging, DeleteObjectTagging."""

from __future__ import annotations

from aiohttp import web

from localcloud.oss import tags
from localcloud.oss.call import Call
from localcloud.oss.documents import document, parse
from localcloud.oss.handlers.headers import version_headers
from localcloud.oss.upload import read_small

MAX_DOCUMENT_BYTES = 64 * 1024


async def put_object_tagging(call: Call) -> web.Response:
    """Replace all tags of an object or of one of its versions."""
    given = tags.from_document(parse(await read_small(call, MAX_DOCUMENT_BYTES), "Tagging"))
    return await _retag(call, given, 200)


async def delete_object_tagging(call: Call) -> web.Response:
    """Remove all tags."""
    return await _retag(call, {}, 204)


async def get_object_tagging(call: Call) -> web.Response:
    """The tags, possibly none."""
    version = call.target.first("versionId") or ""
    stored = await call.service.threads.run(call.service.store.head, call.bucket, call.key, version)
    body = document("Tagging", tags.rows(stored.attributes.tags))
    return web.Response(body=body, headers=version_headers(stored), content_type="application/xml")


async def _retag(call: Call, given: dict[str, str], status: int) -> web.Response:
    store, version = call.service.store, call.target.first("versionId") or ""
    stored = await call.service.threads.run(store.retag, call.bucket, call.key, version, given)
    return web.Response(status=status, headers=version_headers(stored))
