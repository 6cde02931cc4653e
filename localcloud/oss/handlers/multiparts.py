"""InitiateMultipartUpload, UploadPart, UploadPartCopy, CompleteMultipartUpload, AbortMultipartUpload, and lists."""

from __future__ import annotations

import re

from aiohttp import web

from localcloud.oss.call import Call
from localcloud.oss.conditions import Conditions, byte_range
from localcloud.oss.documents import Row, document, iso_time, parse, url_encoded
from localcloud.oss.errors import OssError, invalid_argument
from localcloud.oss.handlers.buckets import encoding_of
from localcloud.oss.handlers.copies import source_of
from localcloud.oss.handlers.headers import version_headers
from localcloud.oss.handlers.writes import created, forbids_overwrite
from localcloud.oss.listing import group
from localcloud.oss.multipart import MAX_PARTS, Multipart
from localcloud.oss.numbers import whole
from localcloud.oss.records import APPENDABLE, MULTIPART, Attributes, Part, StoredObject
from localcloud.oss.upload import Upload, attributes_of, read_small

MAX_DOCUMENT_BYTES = 2 * 1024 * 1024
_READ_BYTES = 1 << 20
_ETAG = re.compile(r'"?([0-9A-Fa-f]{32})"?')


async def initiate_multipart_upload(call: Call) -> web.Response:
    """Begin an upload in parts."""
    attributes, forbid, encode = attributes_of(call.headers), forbids_overwrite(call.headers), encoding_of(call)
    work = _multipart(call).initiate
    upload = await call.service.commit(
        lambda: work(call.bucket, call.key, attributes, forbid_overwrite=forbid),
        lambda _: created(call, "InitiateMultipartUpload", _as_object(call, None), 0),
    )
    rows: list[Row] = [
        ("Bucket", call.bucket),
        ("Key", url_encoded(call.key) if encode else call.key),
        ("UploadId", upload.upload_id),
        *([("EncodingType", "url")] if encode else []),
    ]
    return _xml("InitiateMultipartUploadResult", rows)


async def upload_part(call: Call) -> web.Response:
    """Store one part; a part of the same number is replaced."""
    number, upload_id, parts = _part_number(call), _upload_id(call), _multipart(call)
    await call.service.threads.run(parts.find, call.bucket, call.key, upload_id)  # before the body is asked for
    async with Upload(call.service) as upload:
        await upload.receive(call.request)

        def write() -> tuple[Part, str]:
            spool = upload.finish()
            part = parts.put_part(call.bucket, call.key, upload_id, number, spool)
            return part, upload.content_md5

        part, md5 = await call.service.commit(
            write, lambda done: created(call, "UploadPart", _as_object(call, done[0]), 0)
        )
    headers = {"ETag": f'"{part.etag}"', "x-oss-hash-crc64ecma": str(part.crc64), "Content-MD5": md5}
    return web.Response(headers=headers)


async def upload_part_copy(call: Call) -> web.Response:
    """Store a part with bytes of an object; a range that does not lie within it means all of it."""
    number, upload_id, parts, store = _part_number(call), _upload_id(call), _multipart(call), call.service.store
    source, conditions = source_of(call), Conditions.of(call.headers, "x-oss-copy-source-")
    given = call.headers.get("x-oss-copy-source-range", "")

    def write() -> Part:
        parts.find(call.bucket, call.key, upload_id)
        found, file = store.open(*source)
        with file:
            conditions.check(found)
            if found.object_type == APPENDABLE:
                raise OssError("OperationNotSupported", "Appendable objects can not be copied.")
            first, last = byte_range(given, found.size, standard=False) or (0, found.size - 1)
            spool, left = store.spool(), last - first + 1
            try:
                file.seek(first)
                while left:
                    data = file.read(min(left, _READ_BYTES))
                    spool.write(data)
                    left -= len(data)
                return parts.put_part(call.bucket, call.key, upload_id, number, spool)
            finally:
                spool.discard()

    part = await call.service.commit(write, lambda done: created(call, "UploadPartCopy", _as_object(call, done), 0))
    rows: list[Row] = [("LastModified", iso_time(part.modified_at)), ("ETag", f'"{part.etag}"')]
    answer = _xml("CopyPartResult", rows)
    answer.headers["ETag"] = f'"{part.etag}"'  # ali-oss takes it from here
    return answer


async def complete_multipart_upload(call: Call) -> web.Response:
    """Make one object of the parts that the document names, or of all (`x-oss-complete-all: yes`)."""
    upload_id, forbid, encode, parts = (
        _upload_id(call),
        forbids_overwrite(call.headers),
        encoding_of(call),
        _multipart(call),
    )
    everything = call.headers.get("x-oss-complete-all")
    if everything not in (None, "yes"):
        raise invalid_argument("The value must be yes.", "x-oss-complete-all", everything or "")
    body = await read_small(call, MAX_DOCUMENT_BYTES)
    if everything and body:
        raise invalid_argument("x-oss-complete-all takes no body.", "x-oss-complete-all", everything)
    wanted = None if everything else _wanted(body)

    def write() -> tuple[StoredObject, int]:
        return parts.complete(call.bucket, call.key, upload_id, wanted, forbid_overwrite=forbid)

    stored, _ = await call.service.commit(write, lambda done: created(call, "CompleteMultipartUpload", *done))
    rows: list[Row] = [
        *([("EncodingType", "url")] if encode else []),
        ("Location", f"http://{call.host}/{call.bucket}/{url_encoded(call.key)}"),
        ("Bucket", call.bucket),
        ("Key", url_encoded(call.key) if encode else call.key),
        ("ETag", f'"{stored.etag}"'),
    ]
    answer = _xml("CompleteMultipartUploadResult", rows)
    answer.headers.update({"ETag": f'"{stored.etag}"', "x-oss-hash-crc64ecma": str(stored.crc64)})
    answer.headers.update(version_headers(stored))
    return answer


async def abort_multipart_upload(call: Call) -> web.Response:
    """Forget an upload with its parts."""
    await call.service.threads.run(_multipart(call).abort, call.bucket, call.key, _upload_id(call))
    return web.Response(status=204)


async def list_parts(call: Call) -> web.Response:
    """A page of an upload's parts by number."""
    upload_id, encode = _upload_id(call), encoding_of(call)
    limit, marker = _number(call, "max-parts", 1000, 1, 1000), _number(call, "part-number-marker", 0, 0, 2**31)
    found = await call.service.threads.run(_multipart(call).parts, call.bucket, call.key, upload_id)
    after = [part for part in found if part.number > marker]
    shown = after[:limit]
    rows: list[Row] = [
        *([("EncodingType", "url")] if encode else []),
        ("Bucket", call.bucket),
        ("Key", url_encoded(call.key) if encode else call.key),
        ("UploadId", upload_id),
        ("StorageClass", "Standard"),
        ("PartNumberMarker", marker),
        ("NextPartNumberMarker", shown[-1].number if shown else 0),
        ("MaxParts", limit),
        ("IsTruncated", len(after) > limit),
    ]
    return _xml("ListPartsResult", rows + [("Part", _part_rows(part)) for part in shown])


async def list_multipart_uploads(call: Call) -> web.Response:
    """A page of a bucket's uploads under way."""
    first, encode = call.target.first, encoding_of(call)
    prefix, delimiter = first("prefix") or "", first("delimiter") or ""
    key_marker, id_marker = first("key-marker") or "", first("upload-id-marker") or ""
    limit = _number(call, "max-uploads", 1000, 1, 1000)
    found = await call.service.threads.run(_multipart(call).uploads, call.bucket, prefix)

    def comes_after(key: str, upload_id: str) -> bool:
        return key > key_marker or (bool(id_marker) and key == key_marker and upload_id > id_marker)

    after = [upload for upload in found if not key_marker or comes_after(upload.key, upload.upload_id)]
    shown, prefixes, more = group(after, lambda upload: upload.key, prefix, delimiter, key_marker, limit)

    def text(value: str) -> str:
        return url_encoded(value) if encode else value

    last = shown[-1] if shown else None
    rows: list[Row] = [
        *([("EncodingType", "url")] if encode else []),
        ("Bucket", call.bucket),
        ("KeyMarker", text(key_marker)),
        ("UploadIdMarker", id_marker),
        ("NextKeyMarker", text(max(last.key if last else "", prefixes[-1] if prefixes else "")) if more else ""),
        ("NextUploadIdMarker", last.upload_id if more and last and (not prefixes or last.key > prefixes[-1]) else ""),
        ("Delimiter", text(delimiter)),
        ("Prefix", text(prefix)),
        ("MaxUploads", limit),
        ("IsTruncated", more),
    ]
    for upload in shown:
        fields: list[Row] = [
            ("Key", text(upload.key)),
            ("UploadId", upload.upload_id),
            ("StorageClass", "Standard"),
            ("Initiated", iso_time(upload.initiated_at)),
        ]
        rows.append(("Upload", fields))
    return _xml("ListMultipartUploadsResult", rows + [("CommonPrefixes", [("Prefix", text(one))]) for one in prefixes])


def _as_object(call: Call, part: Part | None) -> StoredObject:
    """What the event of a part tells of: a trigger on `ObjectCreated:*` is invoked for every step of an upload."""
    size, etag, crc64 = (part.size, part.etag, part.crc64) if part else (0, "", 0)
    now = call.service.clock.now()
    return StoredObject(call.bucket, call.key, "", size, etag, crc64, "", MULTIPART, now, Attributes(""))


def _multipart(call: Call) -> Multipart:
    return Multipart(call.service.store)


def _wanted(body: bytes) -> list[tuple[int, str]]:
    wanted = []
    for part in parse(body, "CompleteMultipartUpload").findall("Part"):
        number, etag = part.findtext("PartNumber") or "", _ETAG.fullmatch((part.findtext("ETag") or "").strip())
        if not (number.isascii() and number.isdigit()):
            raise OssError("MalformedXML")
        wanted.append((_numbered(number), etag[1] if etag else ""))
    if not wanted:
        raise OssError("MalformedXML")
    return wanted


def _part_rows(part: Part) -> list[Row]:
    return [
        ("PartNumber", part.number),
        ("LastModified", iso_time(part.modified_at)),
        ("ETag", f'"{part.etag}"'),
        ("HashCrc64ecma", str(part.crc64)),
        ("Size", part.size),
    ]


def _part_number(call: Call) -> int:
    return _numbered(call.target.first("partNumber") or "")


def _numbered(text: str) -> int:
    number = whole(text)
    if number is None or not 1 <= number <= MAX_PARTS:
        complaint = "Part number must be an integer between 1 and 10000, inclusive."
        raise invalid_argument(complaint, "partNumber", text[:32])
    return number


def _upload_id(call: Call) -> str:
    text = call.target.first("uploadId")
    if not text:
        raise OssError("MissingArgument", fields={"ArgumentName": "uploadId"})
    return text


def _number(call: Call, name: str, default: int, least: int, most: int) -> int:
    text = call.target.first(name)
    if not text:
        return default
    number = whole(text)
    if number is None or not least <= number <= most:
        raise invalid_argument(f"Argument {name} must be an integer between {least} and {most}.", name, text[:32])
    return number


def _xml(root: str, rows: list[Row]) -> web.Response:
    return web.Response(body=document(root, rows), content_type="application/xml")
