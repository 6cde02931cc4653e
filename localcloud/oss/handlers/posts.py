"""PostObject: an upload by an HTML form, allowed by a signed policy."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

from aiohttp import web

from localcloud.oss import names
from localcloud.oss.call import Call
from localcloud.oss.documents import document
from localcloud.oss.errors import OssError, not_implemented
from localcloud.oss.forms import MAX_FIELDS, FieldHead, Form
from localcloud.oss.handlers.headers import version_headers
from localcloud.oss.handlers.writes import created, forbids_overwrite
from localcloud.oss.policies import Policy
from localcloud.oss.records import Attributes, StoredObject
from localcloud.oss.upload import Upload, attributes_of, pieces, send_continue

_SIGNING = frozenset(("policy", "ossaccesskeyid", "signature", "x-oss-security-token")) | {
    f"x-oss-{name}" for name in ("signature-version", "credential", "date", "signature")
}
_SERVED = frozenset(["x-oss-forbid-overwrite", "x-oss-content-type", "x-oss-tagging"])
_ONLY_VALUES = {"x-oss-object-acl": ("default", "private"), "x-oss-storage-class": ("Standard",)}
_VALUE_BREAK = re.compile(r"[\r\n]")


async def post_object(call: Call) -> web.Response:
    """Create an object from a form whose last field is `file`; what follows it is ignored, as OSS does."""
    service, store = call.service, call.service.store
    if call.caller is not None:
        raise OssError("InvalidArgument", "Only one auth mechanism allowed.")
    await service.threads.run(store.bucket, call.bucket)
    form = Form(call.headers.get("content-type", ""), pieces(call.request, service.stall_seconds))
    await send_continue(call.request)
    fields, head = await _fields(form)
    policy = _authorise(call, fields)
    key = fields["key"].replace("${filename}", re.split(r"[/\\]", head.filename)[-1])
    names.check_key(key)
    fields["key"] = key
    policy.check({**fields, "bucket": call.bucket}, service.clock.now())
    attributes, forbid = _attributes(fields, head), forbids_overwrite(fields)
    async with Upload(service) as upload:
        upload.expect_md5(fields.get("content-md5"))
        async for piece in form.data():
            policy.check_size(upload.size + len(piece), complete=False)
            await upload.add(piece)
        policy.check_size(upload.size, complete=True)
        while await form.head() is not None:  # to the end of the form: half of one is no upload
            async for _ in form.data():
                pass

        def write() -> tuple[StoredObject, int]:
            return store.put(call.bucket, key, upload.finish(), attributes, forbid_overwrite=forbid)

        stored, _ = await service.commit(write, lambda done: created(call, "PostObject", *done))
    return _answer(call, stored, fields)


async def _fields(form: Form) -> tuple[dict[str, str], FieldHead]:
    fields: dict[str, str] = {}
    await form.begin()
    while (head := await form.head()) is not None:
        name = head.name.lower()
        if name == "file":
            if not fields.get("key"):
                raise OssError("InvalidArgument", "Bucket POST must contain a field named 'key'.")
            return fields, head
        if len(fields) == MAX_FIELDS:
            raise OssError("MalformedPOSTRequest")
        fields[name] = await form.value()
    raise OssError("InvalidArgument", "POST requires exactly one file upload per request.")


def _authorise(call: Call, fields: dict[str, str]) -> Policy:
    if not fields.keys() & _SIGNING:
        raise OssError("AccessDenied", "You have no right to access this object because of bucket acl.")
    call.caller = call.service.authenticator.identify_form(fields)
    for name, value in fields.items():
        if name in _ONLY_VALUES and value not in _ONLY_VALUES[name]:
            raise not_implemented(f"the value {value} of {name}")
        known = name in _SIGNING or name in _SERVED or name in _ONLY_VALUES or name.startswith("x-oss-meta-")
        if not known and (name.startswith("x-oss-") or name in ("callback", "callback-var")):
            raise not_implemented(f"the form field {name}")
    policy = Policy.of(fields["policy"])
    if "x-oss-signature" in fields:  # V4 wants its fields under the signature
        named = {condition.field for condition in policy.conditions if condition.operator == "eq"}
        for name in ("x-oss-signature-version", "x-oss-credential", "x-oss-date"):
            if name not in named:
                raise OssError("InvalidPolicyDocument", f"Invalid Policy: a condition on {name} is missing.")
    return policy


def _attributes(fields: dict[str, str], head: FieldHead) -> Attributes:
    headers = {name: value for name, value in fields.items() if not _VALUE_BREAK.search(value)}
    content_type = fields.get("x-oss-content-type") or head.content_type or fields.get("content-type") or ""
    return attributes_of({**headers, "content-type": content_type})


def _answer(call: Call, stored: StoredObject, fields: dict[str, str]) -> web.Response:
    headers = {
        "ETag": f'"{stored.etag}"',
        "x-oss-hash-crc64ecma": str(stored.crc64),
        "Content-MD5": stored.content_md5,
        **version_headers(stored),
    }
    redirect = fields.get("success_action_redirect", "")
    if urlsplit(redirect).scheme in ("http", "https") and redirect.isprintable() and redirect.isascii():
        return web.Response(status=303, headers={**headers, "Location": redirect})
    status = fields.get("success_action_status", "")
    if status == "201":
        location = f"http://{call.host}/{call.bucket}/{quote(stored.key)}"
        rows = [("Bucket", stored.bucket), ("ETag", f'"{stored.etag}"'), ("Key", stored.key), ("Location", location)]
        body = document("PostResponse", list(rows))
        return web.Response(status=201, body=body, headers=headers, content_type="application/xml")
    return web.Response(status=200 if status == "200" else 204, headers=headers)
