"""Rights that are signed on an instance whose clock is ten minutes off: as good as any, and for as long."""

from __future__ import annotations

import time

import oss2
import pytest

from isikit.objects.oss import OssStore
from isikit.tenants import Tenants

from .conftest import BUCKET, Server
from .test_presigned_uploads import KEY, presigner, send, signed
from .test_signatures import answer


async def wrong_by(server: Server, bucket: oss2.Bucket, off_seconds: float) -> Tenants:
    """An instance's tenants, once read."""
    bucket.put_object("config/tenants.json", b'{"version": 1, "tenants": []}')
    credentials = presigner(server)._provider
    store = OssStore(BUCKET, server.endpoint, server.account.region, credentials)
    tenants = Tenants(store, clock=lambda: time.time() + off_seconds)
    await tenants.current()
    return tenants


@pytest.mark.parametrize("kind", ["form", "put"])
@pytest.mark.parametrize("off_seconds", [-600.0, 600.0])
@pytest.mark.parametrize(("after", "allowed"), [(0, True), (590, True), (610, False)])
async def test_an_upload_may_be_begun_for_as_long_as_was_said(
    server: Server, bucket: oss2.Bucket, kind: str, off_seconds: float, after: float, allowed: bool
) -> None:
    tenants = await wrong_by(server, bucket, off_seconds)
    upload = signed(presigner(server, clock=tenants.now), kind)
    server.clock.move(after)
    sent = send(upload)
    assert sent.ok if allowed else answer(sent) == (403, "AccessDenied")
    assert bucket.object_exists(KEY) == allowed
