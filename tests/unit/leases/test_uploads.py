"""`POST /v1/uploads`: what is asked for, and what is bound. That OSS holds to it is shown end to end."""

from __future__ import annotations

import base64
import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jsonschema
import pytest

from functions.leases.openapi import DOCUMENT
from functions.leases.recording import CONTENT_TYPES
from functions.transcripts import source
from isikit.credentials import Credentials
from isikit.objects.presign import Presigner

METADATA = {
    "call_id": "4f1-9@pbx",
    "agent": "王小明 100%",
    "queue": "售后",
    "direction": "inbound",
    "started_at": "2026-03-01T08:30:00.5+08:00",
}


def holds(document: Any, schema: str) -> bool:
    whole = {"$ref": f"#/components/schemas/{schema}", "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(whole).validate(document)
    return True


async def test_a_form_binds_key_type_size_metadata_and_that_nothing_is_overwritten(world: Any) -> None:
    answer = await world.upload({"extension": "wav", "metadata": METADATA})
    slot = answer.json()
    assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
    assert holds(slot, "Upload")
    assert re.fullmatch(r"in/acme/2023/11/14/[0-9a-f-]{36}\.wav", slot["key"])
    assert (slot["kind"], slot["method"], slot["url"]) == (
        "form",
        "POST",
        "https://recordings.oss-cn-beijing.aliyuncs.com/",
    )
    policy = json.loads(base64.b64decode(slot["fields"]["policy"]))
    assert policy["expiration"] == "2023-11-14T22:23:20.000Z"
    assert {"bucket": "recordings"} in policy["conditions"]
    assert ["content-length-range", 1, 256 * 1024 * 1024] in policy["conditions"]
    bound = {one[1][1:]: one[2] for one in policy["conditions"] if isinstance(one, list) and one[0] == "eq"}
    assert bound == {name: value for name, value in slot["fields"].items() if name not in ("policy", "x-oss-signature")}
    assert bound["x-oss-meta-agent"] == "%E7%8E%8B%E5%B0%8F%E6%98%8E 100%25"
    assert bound["x-oss-meta-segment"] == ""
    assert (bound["x-oss-forbid-overwrite"], bound["x-oss-object-acl"]) == ("true", "private")


async def test_a_put_signs_length_type_metadata_and_that_nothing_is_overwritten(world: Any) -> None:
    slot = (await world.upload({"kind": "put", "extension": "mp3", "size_bytes": 7, "metadata": METADATA})).json()
    assert holds(slot, "Upload")
    assert (slot["method"], slot["max_bytes"], slot["fields"]) == ("PUT", 7, {})
    assert slot["headers"]["Content-Type"] == "audio/mpeg"
    assert slot["headers"]["x-oss-forbid-overwrite"] == "true"
    assert slot["headers"]["x-oss-meta-queue"] == "%E5%94%AE%E5%90%8E"
    query = parse_qs(urlsplit(slot["url"]).query)
    assert (query["x-oss-additional-headers"], query["x-oss-expires"]) == (["content-length"], ["600"])


@pytest.mark.parametrize(
    ("given", "extension", "content_type"),
    [
        *(({"extension": name}, name, kind) for name, kind in CONTENT_TYPES.items()),
        ({"content_type": "audio/x-wav"}, "wav", "audio/wav"),
        ({"content_type": "Audio/OGG; codecs=opus"}, "ogg", "audio/ogg"),
        ({"content_type": "audio/mp4", "extension": "m4a"}, "m4a", "audio/mp4"),
    ],
)
async def test_extension_or_content_type_says_what_it_is(
    world: Any, given: Any, extension: str, content_type: str
) -> None:
    slot = (await world.upload(given)).json()
    assert (slot["key"].rpartition(".")[2], slot["content_type"]) == (extension, content_type)


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "extension", "missing"),
        ({"extension": "exe"}, "extension", "not_allowed"),
        ({"extension": "../wav"}, "extension", "not_allowed"),
        ({"extension": ["wav"]}, "extension", "not_allowed"),
        ({"content_type": "audio/webm"}, "content_type", "not_allowed"),
        ({"content_type": "text/html"}, "content_type", "not_allowed"),
        ({"content_type": 1}, "content_type", "not_allowed"),
        ({"extension": "wav", "content_type": "audio/mpeg"}, "content_type", "conflict"),
        ({"extension": "wav", "kind": "multipart"}, "kind", "not_allowed"),
        ({"extension": "wav", "kind": ["put"]}, "kind", "not_allowed"),
        ({"extension": "wav", "kind": "put"}, "size_bytes", "missing"),
        ({"extension": "wav", "size_bytes": 0}, "size_bytes", "range"),
        ({"extension": "wav", "size_bytes": 268_435_457}, "size_bytes", "range"),
        ({"extension": "wav", "size_bytes": True}, "size_bytes", "type"),
        ({"extension": "wav", "size_bytes": 7.0}, "size_bytes", "type"),
        ({"extension": "wav", "key": "in/other/x.wav"}, "key", "unknown"),
        ({"extension": "wav", "metadata": []}, "metadata", "type"),
        ({"extension": "wav", "metadata": {"colour": "red"}}, "metadata.colour", "unknown"),
        ({"extension": "wav", "metadata": {"agent": 7}}, "metadata.agent", "type"),
        ({"extension": "wav", "metadata": {"agent": ""}}, "metadata.agent", "range"),
        ({"extension": "wav", "metadata": {"agent": " x"}}, "metadata.agent", "range"),
        ({"extension": "wav", "metadata": {"agent": "x" * 129}}, "metadata.agent", "range"),
        ({"extension": "wav", "metadata": {"agent": "a\r\nx-oss-acl: b"}}, "metadata.agent", "not_allowed"),
        ({"extension": "wav", "metadata": {"agent": "\ud800"}}, "metadata.agent", "not_allowed"),
        ({"extension": "wav", "metadata": {"direction": "sideways"}}, "metadata.direction", "not_allowed"),
        ({"extension": "wav", "metadata": {"started_at": "2026-03-01T08:30:00"}}, "metadata.started_at", "not_allowed"),
        (
            {"extension": "wav", "metadata": {"started_at": "2026-13-01T08:30:00Z"}},
            "metadata.started_at",
            "not_allowed",
        ),
    ],
)
async def test_a_mistake_is_told_by_its_field(world: Any, body: Any, field: str, code: str) -> None:
    answer = await world.upload(json.dumps(body).encode())
    assert answer.status == 400
    assert [(one["field"], one["code"]) for one in answer.json()["errors"]] == [(field, code)]


async def test_all_mistakes_are_told_at_once(world: Any) -> None:
    answer = await world.upload({"kind": "x", "extension": "exe", "size_bytes": -1, "metadata": {"x": "y"}, "y": 1})
    assert len(answer.json()["errors"]) == 5


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("https://recordings.example.com", "https://recordings.example.com/"),
        ("https://oss-accelerate.aliyuncs.com", "https://bucket.oss-accelerate.aliyuncs.com/"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000/bucket/"),
    ],
)
def test_a_custom_domain_stands_for_its_bucket_and_an_endpoint_does_not(endpoint: str, url: str) -> None:
    credentials = Credentials({"ALIBABA_CLOUD_ACCESS_KEY_ID": "id", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "secret"})
    presigner = Presigner("bucket", endpoint, "cn-beijing", credentials)
    form = presigner.form("in/a.wav", seconds=60, least_bytes=1, most_bytes=9, fields={})
    put = presigner.put("in/a.wav", seconds=60, size_bytes=9, headers={"Content-Type": "audio/wav"})
    assert form.url == url
    assert put.url.startswith(url + "in/a.wav?")
    assert "x-oss-security-token" not in form.fields
    assert "secret" not in repr(form) + repr(put)


@pytest.mark.parametrize("metadata", [{}, {"call_id": "c-1"}])
async def test_a_form_binds_every_word_about_a_call_that_transcripts_would_believe(
    world: Any, metadata: dict[str, str]
) -> None:
    form = (await world.upload({"extension": "wav", "metadata": metadata})).json()["fields"]
    policy = json.loads(base64.b64decode(form["policy"]))
    said = {name: metadata.get(name, "") for name in source.KINDS}
    for name, value in said.items():
        assert ["eq", f"$x-oss-meta-{name.replace('_', '-')}", value] in policy["conditions"]
