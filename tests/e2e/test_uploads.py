"""Recordings go to OSS by a browser's form or a PUT, and nothing that was allowed can be changed on the way."""

from __future__ import annotations

import json
import subprocess
import urllib.parse
from typing import Any

import pytest
import requests

from support.lease_tenants import FOREIGN_ORIGIN, ORIGIN, OTHER_ORIGIN, bucket_of, key_of
from support.local_cloud import Local
from support.node import NODE

pytestmark = pytest.mark.xdist_group("e2e")

AUDIO = b"RIFF\0\0\0\0WAVEfmt "
METADATA = {"call_id": "c-77@pbx", "agent": "王小明", "direction": "inbound"}


def slot(local: Local, **wish: Any) -> dict[str, Any]:
    answer = local.post("/v1/uploads", headers=key_of("web"), json={"extension": "wav", "metadata": METADATA, **wish})
    assert answer.status_code == 200, answer.text
    given: dict[str, Any] = answer.json()
    return given


def send_form(given: dict[str, Any], audio: bytes = AUDIO, **changes: str | None) -> requests.Response:
    fields = {name: value for name, value in {**given["fields"], **changes}.items() if value is not None}
    return requests.post(given["url"], data=fields, files={"file": ("call.wav", audio, "audio/wav")}, timeout=20)


def send_put(given: dict[str, Any], audio: bytes = AUDIO, **changes: str | None) -> requests.Response:
    headers = {name: value for name, value in {**given["headers"], **changes}.items() if value is not None}
    return requests.put(given["url"], data=audio, headers=headers, timeout=20)


def code_of(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.text.partition("<Code>")[2].partition("</Code>")[0]


@pytest.mark.parametrize("kind", ["form", "put"])
def test_a_recording_is_uploaded_once_with_its_type_and_metadata(local: Local, kind: str) -> None:
    given = slot(local, kind=kind, size_bytes=len(AUDIO))
    send = send_form if kind == "form" else send_put
    first, second = send(given), send(given, AUDIO[::-1])
    assert first.status_code == (201 if kind == "form" else 200), first.text
    assert code_of(second) == (409, "FileAlreadyExists")
    found = bucket_of(local, given["bucket"]).get_object(given["key"])
    assert (found.read(), found.content_type) == (AUDIO, "audio/wav")
    assert given["key"].startswith("in/web/")
    kept = {name: urllib.parse.unquote(found.headers[f"x-oss-meta-{name}"]) for name in ("call-id", "agent")}
    assert kept == {"call-id": "c-77@pbx", "agent": "王小明"}


FORM_CHANGES = {
    "key": "in/desk/2026/01/01/x.wav",
    "x-oss-content-type": "text/html",
    "x-oss-forbid-overwrite": "false",
    "x-oss-object-acl": "default",
    "success_action_status": "200",
    "x-oss-meta-call-id": "other",
    "x-oss-meta-agent": "other",
    "x-oss-meta-direction": "outbound",
    "x-oss-meta-segment": "never said",
    "x-oss-date": "20260101T000000Z",
}


@pytest.mark.parametrize("name", FORM_CHANGES)
def test_no_field_of_a_form_can_be_changed(local: Local, name: str) -> None:
    given = slot(local)
    assert name in given["fields"]
    assert code_of(send_form(given, **{name: FORM_CHANGES[name]}))[0] == 403
    assert not bucket_of(local, given["bucket"]).object_exists(given["key"])
    assert send_form(given).status_code == 201


@pytest.mark.parametrize(
    "name", ["x-oss-forbid-overwrite", "x-oss-content-type", "x-oss-meta-agent", "x-oss-signature"]
)
def test_no_field_of_a_form_can_be_left_out(local: Local, name: str) -> None:
    assert send_form(slot(local), **{name: None}).status_code in (400, 403)


def test_a_form_s_policy_cannot_be_rewritten(local: Local) -> None:
    import base64

    given = slot(local)
    policy = json.loads(base64.b64decode(given["fields"]["policy"]))
    policy["conditions"] = [{"bucket": given["bucket"]}]
    forged = base64.b64encode(json.dumps(policy).encode()).decode()
    assert code_of(send_form(given, policy=forged)) == (403, "SignatureDoesNotMatch")


@pytest.mark.parametrize(
    ("size", "audio", "code"),
    [(None, b"", "EntityTooSmall"), (4, b"12345", "EntityTooLarge"), (6, b"12345", "EntityTooSmall")],
)
def test_the_size_of_a_form_s_file_is_bound(local: Local, size: int | None, audio: bytes, code: str) -> None:
    wish = {} if size is None else {"size_bytes": size}
    assert code_of(send_form(slot(local, **wish), audio)) == (400, code)


@pytest.mark.parametrize(
    "change",
    [
        {"Content-Type": "text/html"},
        {"x-oss-forbid-overwrite": "false"},
        {"x-oss-forbid-overwrite": None},
        {"x-oss-meta-agent": "other"},
        {"x-oss-meta-agent": None},
        {"x-oss-meta-queue": "never said"},
        {"x-oss-object-acl": "public-read"},
        {"x-oss-storage-class": "Archive"},
    ],
    ids=lambda change: "-".join(f"{name}={value}" for name, value in change.items()),
)
def test_no_header_of_a_put_can_be_changed_left_out_or_added(local: Local, change: dict[str, str | None]) -> None:
    given = slot(local, kind="put", size_bytes=len(AUDIO))
    assert code_of(send_put(given, **change)) == (403, "SignatureDoesNotMatch")
    assert send_put(given).status_code == 200


@pytest.mark.parametrize("audio", [b"", AUDIO[:-1], AUDIO + b"1"])
def test_the_length_of_a_put_is_bound_to_the_byte(local: Local, audio: bytes) -> None:
    given = slot(local, kind="put", size_bytes=len(AUDIO))
    assert code_of(send_put(given, audio)) == (403, "SignatureDoesNotMatch")


def test_the_key_and_the_time_of_a_put_are_bound(local: Local) -> None:
    given = slot(local, kind="put", size_bytes=len(AUDIO))
    for url in (
        given["url"].replace("in/web/", "in/desk/"),
        given["url"].replace("x-oss-expires=600", "x-oss-expires=6000"),
    ):
        assert url != given["url"]
        assert code_of(send_put({**given, "url": url})) == (403, "SignatureDoesNotMatch")
    assert requests.delete(given["url"], timeout=20).status_code == 403


def test_a_browser_of_the_tenant_s_page_uploads_a_form(local: Local) -> None:
    given = slot(local)
    script = """
        const slot = JSON.parse(process.argv[1]);
        const form = new FormData();
        for (const [name, value] of Object.entries(slot.fields)) form.append(name, value);
        form.append("file", new Blob(["RIFF"], {type: "audio/wav"}), "录音.wav");
        const answer = await fetch(slot.url, {method: slot.method, body: form, headers: {Origin: process.argv[2]}});
        console.log(answer.status, answer.headers.get("access-control-allow-origin"));
    """
    command = [NODE, "--input-type=module", "--eval", script, json.dumps(given), ORIGIN]
    said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.split()
    assert said == ["201", ORIGIN]
    assert bucket_of(local, given["bucket"]).get_object(given["key"]).read() == b"RIFF"


@pytest.mark.parametrize(
    ("origin", "method", "headers", "status"),
    [
        (ORIGIN, "POST", "", 200),
        (ORIGIN, "PUT", "content-type,x-oss-forbid-overwrite,x-oss-meta-agent", 200),
        (OTHER_ORIGIN, "POST", "", 200),
        (FOREIGN_ORIGIN, "POST", "", 403),
        (ORIGIN, "DELETE", "", 403),
        (ORIGIN, "GET", "", 403),
        (ORIGIN, "PUT", "x-oss-object-acl", 403),
    ],
)
def test_the_bucket_lets_pages_of_listed_origins_upload_and_do_nothing_else(
    local: Local, origin: str, method: str, headers: str, status: int
) -> None:
    asked = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    answer = requests.options(slot(local)["url"] + "in/x.wav", headers=asked, timeout=20)
    assert answer.status_code == status
    assert answer.headers.get("Access-Control-Allow-Origin") == (origin if status == 200 else None)


def test_the_quota_of_a_day_is_held(local: Local) -> None:
    wish = {"extension": "wav"}
    first, second = [local.post("/v1/uploads", headers=key_of("limited"), json=wish) for _ in range(2)]
    assert (first.status_code, second.status_code) == (200, 429)
    assert second.json()["code"] == "limit.quota"
