"""Uploads that were signed for somebody: until they expire, and no longer than the credentials that signed them."""

from __future__ import annotations

import oss2
import pytest
import requests

from isikit.credentials import Credentials
from isikit.objects.presign import Presigner, SignedRequest

from .conftest import BUCKET, Server
from .test_signatures import answer

KEY, BODY = "in/acme/a.wav", b"RIFF"


def presigner(server: Server, life_seconds: float = 3600) -> Presigner:
    key = server.account.open_session("role/uploads", life_seconds)
    credentials = Credentials({})
    credentials.update(
        {
            "x-fc-access-key-id": key.access_key_id,
            "x-fc-access-key-secret": key.access_key_secret,
            "x-fc-security-token": key.security_token,
        }
    )
    return Presigner(BUCKET, server.endpoint, server.account.region, credentials)


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
