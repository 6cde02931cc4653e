"""CopyObject."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import unquote

from aiohttp import web

from localcloud.oss import names, tags
from localcloud.oss.call import Call
from localcloud.oss.conditions import Conditions
from localcloud.oss.documents import document, iso_time
from localcloud.oss.errors import invalid_argument, not_implemented
from localcloud.oss.handlers.headers import version_headers
from localcloud.oss.handlers.writes import created, forbids_overwrite
from localcloud.oss.records import Attributes, StoredObject
from localcloud.oss.upload import attributes_of


async def copy_object(call: Call) -> web.Response:
    """Copy an object within the region; a copy onto itself replaces its metadata, whatever the directive says."""
    store, source, forbid = call.service.store, source_of(call), forbids_overwrite(call.headers)
    target = (call.bucket, call.key)
    replaces = _directive(call, "x-oss-metadata-directive") or source == (*target, "")
    retags = _directive(call, "x-oss-tagging-directive")
    given, given_tags = attributes_of(call.headers), tags.from_header(call.headers.get("x-oss-tagging"))

    def attributes(found: Attributes) -> Attributes:
        return replace(given if replaces else found, tags=given_tags if retags else found.tags)

    conditions = Conditions.of(call.headers, "x-oss-copy-source-")

    def write() -> tuple[StoredObject, int]:
        return store.copy(source, target, check=conditions.check, attributes=attributes, forbid_overwrite=forbid)

    stored, _ = await call.service.commit(write, lambda done: created(call, "CopyObject", done[0], done[1]))
    body = document("CopyObjectResult", [("ETag", f'"{stored.etag}"'), ("LastModified", iso_time(stored.modified_at))])
    headers = {"ETag": f'"{stored.etag}"', "x-oss-hash-crc64ecma": str(stored.crc64), **version_headers(stored)}
    if source[2]:
        headers["x-oss-copy-source-version-id"] = source[2]
    return web.Response(body=body, headers=headers, content_type="application/xml")


def source_of(call: Call) -> tuple[str, str, str]:
    """Bucket, key and version id ("" for the current version) of `x-oss-copy-source`."""
    text = call.headers["x-oss-copy-source"]
    path, question, query = text.partition("?")
    name, _, version_id = query.partition("=")
    if question and (name != "versionId" or not version_id):
        raise not_implemented(f"the parameter {name} of a copy's source")
    bucket, slash, key = unquote(path).removeprefix("/").partition("/")
    if not slash:
        raise invalid_argument("Copy Source must mention the source bucket and key.", "x-oss-copy-source", text)
    names.check_bucket_name(bucket)
    names.check_key(key)
    return bucket, key, unquote(version_id)


def _directive(call: Call, header: str) -> bool:
    text = call.headers.get(header, "COPY").upper()
    if text not in ("COPY", "REPLACE"):
        raise invalid_argument("The directive must be COPY or REPLACE.", header, text)
    return text == "REPLACE"
