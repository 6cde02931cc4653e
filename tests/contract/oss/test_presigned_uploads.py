"""Uploads that were signed for somebody: until they expire, and no longer than the credentials that signed them."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import parse_qs

import oss2
import pytest
import requests

from isikit.credentials import Credentials
from isikit.objects.presign import Presigner, SignedRequest

from .conftest import BUCKET, Server
from .test_signatures import answer

KEY, BODY = "in/acme/a.wav", b"RIFF"


def presigner(server: Server, life_seconds: float = 3600, clock: Callable[[], float] = time.time) -> Presigner:
    key = server.account.open_session("role/uploads", life_seconds)
    credentials = Credentials({})
    credentials.update(
        {
            "x-fc-access-key-id": key.access_key_id,
            "x-fc-access-key-secret": key.access_key_secret,
            "x-fc-security-token": key.security_token,
        }
    )
    return Presigner(BUCKET, server.endpoint, server.account.region, credentials, clock=clock)


def signed(presigner: Presigner, kind: str) -> SignedRequest:
    if kind == "put":
        return presigner.put(KEY, seconds=600, size_bytes=len(BODY), headers={"Content-Type": "audio/wav"})
    return presigner.form(KEY, seconds=600, least_bytes=1, most_bytes=9, fields={"x-oss-content-type": "audio/wav"})


def send(upload: SignedRequest) -> requests.Response:
    if upload.fields:
        return requests.post(upload.url, data=upload.fields, files={"file": ("a.wav", BODY)}, timeout=20)
    return requests.put(upload.url, data=BODY, headers=upload.headers, timeout=20)


@pytest.mark.parametrize("kind", ["form", "put"])
@pytest.mark.parametrize(("after", "allowed"), [(590, True), (610, False)])
def test_an_upload_may_be_begun_until_it_expires(
    server: Server, bucket: oss2.Bucket, kind: str, after: float, allowed: bool
) -> None:
    upload = signed(presigner(server), kind)
    server.clock.move(after)
    sent = send(upload)
    assert sent.ok if allowed else answer(sent) == (403, "AccessDenied")
    assert bucket.object_exists(KEY) == allowed


@pytest.mark.parametrize("kind", ["form", "put"])
def test_an_upload_dies_with_the_session_that_signed_it(server: Server, bucket: oss2.Bucket, kind: str) -> None:
    upload = signed(presigner(server, life_seconds=300), kind)
    server.clock.move(301)
    assert answer(send(upload)) == (403, "SecurityTokenExpired")
    assert not bucket.object_exists(KEY)


@pytest.mark.parametrize("key", ["in/acme/a.wav", "in/acme/\u4e2d\u6587 +&=%/~a.wav"])
@pytest.mark.parametrize("token", ["", "CAIS+/=="])
def test_urls_are_signed_exactly_as_oss2_would(monkeypatch: pytest.MonkeyPatch, key: str, token: str) -> None:
    class Now(datetime):
        @classmethod
        def utcnow(cls) -> datetime:
            return datetime(2026, 3, 1, 12, 30, 5)

    monkeypatch.setattr(oss2.auth, "datetime", Now)
    credentials = Credentials({})
    names = {"access-key-id": "STS.id", "access-key-secret": "secret", "security-token": token}
    credentials.update({f"x-fc-{name}": value for name, value in names.items()})
    moment = datetime(2026, 3, 1, 12, 30, 5, tzinfo=UTC).timestamp()
    endpoint = "https://oss-cn-beijing.aliyuncs.com"
    ours = Presigner("bucket", endpoint, "cn-beijing", credentials, clock=lambda: moment)
    theirs = oss2.Bucket(oss2.ProviderAuthV4(credentials), endpoint, "bucket", region="cn-beijing")
    headers = {"Content-Type": "audio/wav", "x-oss-meta-b": "%C3%A4", "x-oss-forbid-overwrite": "true"}
    put = theirs.sign_url(
        "PUT",
        key,
        600,
        headers={**headers, "Content-Length": "9"},
        slash_safe=True,
        additional_headers={"content-length"},
    )
    assert parts(ours.put(key, seconds=600, size_bytes=9, headers=headers).url) == parts(put)
    assert parts(ours.get(key, seconds=60)) == parts(theirs.sign_url("GET", key, 60, slash_safe=True))


def parts(url: str) -> tuple[str, dict[str, list[str]]]:
    address, _, query = url.partition("?")
    return address, parse_qs(query, strict_parsing=True)
