"""Versioning, lifecycle and CORS of a bucket."""

from __future__ import annotations

from aiohttp import web

from localcloud.oss import cors, lifecycle
from localcloud.oss.call import Call
from localcloud.oss.documents import Row, document, parse
from localcloud.oss.errors import OssError
from localcloud.oss.records import ENABLED, SUSPENDED
from localcloud.oss.upload import read_small

MAX_DOCUMENT_BYTES = 1024 * 1024


async def put_bucket_versioning(call: Call) -> web.Response:
    """`Enabled` or `Suspended`; what a bucket never configured has cannot be restored."""
    root = parse(await read_small(call, MAX_DOCUMENT_BYTES), "VersioningConfiguration")
    status = root.findtext("Status") or ""
    if status not in (ENABLED, SUSPENDED):
        raise OssError("MalformedXML")
    await call.service.threads.run(call.service.store.set_versioning, call.bucket, status)
    return web.Response()


async def get_bucket_versioning(call: Call) -> web.Response:
    """The status, an empty document if it was never configured."""
    bucket = await call.service.threads.run(call.service.store.bucket, call.bucket)
    return _xml("VersioningConfiguration", [("Status", bucket.versioning)] if bucket.versioning else [])


async def put_bucket_lifecycle(call: Call) -> web.Response:
    """Replace the rules; `localcloud.oss.expiry` carries them out."""
    root = parse(await read_small(call, MAX_DOCUMENT_BYTES), "LifecycleConfiguration")
    rows = lifecycle.rows_of(lifecycle.rules_of(root))
    await _configure(call, lifecycle.SETTING, document("LifecycleConfiguration", rows))
    return web.Response()


async def get_bucket_lifecycle(call: Call) -> web.Response:
    """The rules; `NoSuchLifecycle`."""
    return await _setting(call, lifecycle.SETTING, "NoSuchLifecycle")


async def delete_bucket_lifecycle(call: Call) -> web.Response:
    """Remove all rules; 204 whether or not there were any."""
    await _configure(call, lifecycle.SETTING, None)
    return web.Response(status=204)


async def put_bucket_cors(call: Call) -> web.Response:
    """Replace the rules."""
    root = parse(await read_small(call, MAX_DOCUMENT_BYTES), "CORSConfiguration")
    await _configure(call, cors.SETTING, document("CORSConfiguration", cors.rows_of(cors.rules_of(root))))
    return web.Response()


async def get_bucket_cors(call: Call) -> web.Response:
    """The rules; `NoSuchCORSConfiguration`."""
    return await _setting(call, cors.SETTING, "NoSuchCORSConfiguration")


async def delete_bucket_cors(call: Call) -> web.Response:
    """Remove all rules; 204 whether or not there were any."""
    await _configure(call, cors.SETTING, None)
    return web.Response(status=204)


async def option_object(call: Call) -> web.Response:
    """A browser's preflight: what the bucket's rules allow, or `AccessForbidden`."""
    wanted = call.headers.get("access-control-request-method", "")
    if not call.headers.get("origin") or not wanted:
        raise OssError("MissingArgument", fields={"ArgumentName": "Origin, Access-Control-Request-Method"})
    asked = [name.strip().lower() for name in call.headers.get("access-control-request-headers", "").split(",")]
    rules = await _cors_rules(call)
    allowed = cors.allow(rules, call.headers["origin"], wanted, [name for name in asked if name])
    if allowed is None:
        raise OssError("AccessForbidden")
    return web.Response(headers=allowed)


async def allow_origin(call: Call) -> dict[str, str]:
    """The CORS headers of the answer to a request that carries an Origin; none when no rule matches."""
    if not call.bucket or "origin" not in call.headers or call.target.method == "OPTIONS":
        return {}
    try:
        rules = await _cors_rules(call)
    except OssError:
        return {}
    return cors.allow(rules, call.headers["origin"], call.target.method, []) or {}


async def _cors_rules(call: Call) -> list[cors.Rule]:
    text = await call.service.threads.run(call.service.store.setting, call.bucket, cors.SETTING)
    return cors.rules_of(parse(text.encode(), "CORSConfiguration")) if text else []


async def _configure(call: Call, name: str, content: bytes | None) -> None:
    text = content.decode() if content is not None else None
    await call.service.threads.run(call.service.store.configure, call.bucket, name, text)


async def _setting(call: Call, name: str, missing: str) -> web.Response:
    text = await call.service.threads.run(call.service.store.setting, call.bucket, name)
    if text is None:
        raise OssError(missing, fields={"BucketName": call.bucket})
    return web.Response(body=text.encode(), content_type="application/xml")


def _xml(root: str, rows: list[Row]) -> web.Response:
    return web.Response(body=document(root, rows), content_type="application/xml")
