"""PutObject, AppendObject, DeleteObject."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from localcloud.oss.call import Call
from localcloud.oss.errors import OssError, invalid_argument
from localcloud.oss.events import object_created
from localcloud.oss.handlers.headers import deletion_headers, version_headers
from localcloud.oss.numbers import whole
from localcloud.oss.records import StoredObject
from localcloud.oss.signatures import Headers
from localcloud.oss.upload import Upload, attributes_of


async def put_object(call: Call) -> web.Response:
    """Create or overwrite a Normal object; with `x-oss-forbid-overwrite: true` only create."""
    store, attributes, forbid = call.service.store, attributes_of(call.headers), forbids_overwrite(call.headers)
    await call.service.threads.run(store.bucket, call.bucket)  # before the body is asked for
    async with Upload(call.service) as upload:
        await upload.receive(call.request)

        def write() -> tuple[StoredObject, int]:
            return store.put(call.bucket, call.key, upload.finish(), attributes, forbid_overwrite=forbid)

        stored, _ = await call.service.commit(write, lambda done: created(call, "PutObject", done[0], done[1]))
    headers = {
        "ETag": f'"{stored.etag}"',
        "x-oss-hash-crc64ecma": str(stored.crc64),
        "Content-MD5": stored.content_md5,
        **version_headers(stored),
    }
    return web.Response(headers=headers)


async def append_object(call: Call) -> web.Response:
    """Append at `position`, which must be the object's length; 0 creates it."""
    store, attributes, forbid = call.service.store, attributes_of(call.headers), forbids_overwrite(call.headers)
    position = _position(call)
    await call.service.threads.run(store.bucket, call.bucket)
    async with Upload(call.service) as upload:
        await upload.receive(call.request)

        def write() -> StoredObject:
            spool = upload.finish()
            try:
                return store.append(call.bucket, call.key, position, spool, attributes, forbid_overwrite=forbid)
            finally:
                spool.discard()

        def event_of(done: StoredObject) -> dict[str, Any]:
            return created(call, "AppendObject", done, position, position)

        stored = await call.service.commit(write, event_of)
    headers = {
        "ETag": f'"{stored.etag}"',
        "x-oss-hash-crc64ecma": str(stored.crc64),
        "x-oss-next-append-position": str(stored.size),
        **version_headers(stored),
    }
    return web.Response(headers=headers)


async def delete_object(call: Call) -> web.Response:
    """Delete an object or one version of it; 204 whether or not there was one."""
    item = (call.key, call.target.first("versionId") or "")
    (done,) = await call.service.threads.run(call.service.store.delete, call.bucket, [item])
    return web.Response(status=204, headers=deletion_headers(done))


def forbids_overwrite(headers: Headers) -> bool:
    """The value of `x-oss-forbid-overwrite`, absent meaning false."""
    value = headers.get("x-oss-forbid-overwrite", "false").lower()
    if value not in ("true", "false"):
        raise invalid_argument("The value must be true or false.", "x-oss-forbid-overwrite", value)
    return value == "true"


def created(
    call: Call, operation: str, stored: StoredObject, replaced_bytes: int, position: int | None = None
) -> dict[str, Any]:
    """The event of an object-created commit that replaced (or continued) `replaced_bytes`."""
    account = call.service.account
    principal = account.account_id
    if call.caller is not None and call.caller.key.principal != "root":
        principal = call.caller.key.principal
    return object_created(
        operation,
        stored,
        region=account.region,
        account_id=account.account_id,
        request_id=call.request_id,
        source_ip=call.request.remote or "",
        principal_id=principal,
        delta_bytes=stored.size - replaced_bytes,
        position=position,
    )


def _position(call: Call) -> int:
    text = call.target.first("position")
    if text is None:
        raise OssError("MissingArgument", fields={"ArgumentName": "position"}, ec="0016-00000501")
    position = whole(text)
    if position is None:
        raise invalid_argument("The position is not a valid number.", "position", text, "0016-00000502")
    return position
