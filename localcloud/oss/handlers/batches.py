"""DeleteMultipleObjects."""

from __future__ import annotations

import base64
import hashlib

from aiohttp import web

from localcloud.oss import names
from localcloud.oss.call import Call
from localcloud.oss.documents import Row, document, parse, url_encoded
from localcloud.oss.errors import OssError
from localcloud.oss.records import Deletion
from localcloud.oss.upload import read_small

MAX_KEYS = 1000
MAX_DOCUMENT_BYTES = 2 * 1024 * 1024


async def delete_multiple_objects(call: Call) -> web.Response:
    """Delete up to 1000 objects; keys that do not exist count as deleted."""
    declared = call.headers.get("content-md5")
    if declared is None:
        raise OssError("MissingArgument", fields={"ArgumentName": "Content-MD5"})
    body = await read_small(call, MAX_DOCUMENT_BYTES)
    if declared != base64.b64encode(hashlib.md5(body).digest()).decode():
        raise OssError("InvalidDigest", fields={"Content-MD5": declared})
    root = parse(body, "Delete")
    items: list[tuple[str, str]] = []
    for item in root.findall("Object"):
        items.append((item.findtext("Key") or "", item.findtext("VersionId") or ""))
        names.check_key(items[-1][0])
    if not 1 <= len(items) <= MAX_KEYS:
        raise OssError("MalformedXML")
    done = await call.service.threads.run(call.service.store.delete, call.bucket, items)
    if (root.findtext("Quiet") or "").lower() == "true":
        return web.Response()
    encode = call.target.first("encoding-type") == "url"
    rows: list[Row] = [("Deleted", _deleted(deletion, encode)) for deletion in done]
    head: list[Row] = [("EncodingType", "url")] if encode else []
    return web.Response(body=document("DeleteResult", [*head, *rows]), content_type="application/xml")


def _deleted(done: Deletion, encode: bool) -> list[Row]:
    rows: list[Row] = [("Key", url_encoded(done.key) if encode else done.key)]
    if done.requested_version:
        rows.append(("VersionId", done.requested_version))
    if done.marker:
        rows += [("DeleteMarker", True), ("DeleteMarkerVersionId", done.version_id)]
    return rows
