"""What a body asks for is remembered: for one version of one tenant, and not for ever."""

from __future__ import annotations

from typing import Any

import pytest

from functions.leases.audit import Audit
from functions.leases.lease import KNOWN_BODIES, KNOWN_BODY_BYTES, Lease
from isikit.errors import Forbidden, RequestError
from isikit.host.context import Deadline
from isikit.identity import Caller
from isikit.tenants import AppKey, Tenant

BODY = b'{"use":"tts"}'


def tenant(name: str, *, lease: bool = True, voice: str = "xiaoyun") -> Tenant:
    appkey = AppKey(appkey=f"{name}key", locale="zh-CN", sample_rate_hz=16000)
    return Tenant(id=name, lease=lease, appkeys=(appkey,), default_voice={"zh-CN": voice})


async def grant(world: Any, whose: Tenant, body: bytes = BODY) -> Lease:
    lease = await world.leases.grant(Caller(whose, "api_key", "k"), body, Deadline.after(5), Audit("lease"))
    assert isinstance(lease, Lease)
    return lease


async def test_the_same_body_of_two_tenants_gives_each_his_own(world: Any) -> None:
    one, other = tenant("one"), tenant("other")
    assert [(await grant(world, whose)).appkey for whose in (one, other, one)] == ["onekey", "otherkey", "onekey"]


async def test_a_new_version_of_the_tenant_counts_with_the_next_request(world: Any) -> None:
    old, new = tenant("one"), tenant("one", voice="siqi")
    voices = [(await grant(world, version)).start_params["voice"] for version in (old, old, new)]
    assert voices == ["xiaoyun", "xiaoyun", "siqi"]


async def test_a_tenant_who_may_no_longer_have_leases_is_refused_for_a_body_that_was_granted(world: Any) -> None:
    await grant(world, tenant("one"))
    with pytest.raises(Forbidden):
        await grant(world, tenant("one", lease=False))


async def test_what_was_refused_is_refused_again(world: Any) -> None:
    one = tenant("one")
    for _ in range(2):
        with pytest.raises(RequestError):
            await grant(world, one, b'{"use":"everything"}')


async def test_what_is_remembered_is_bounded(world: Any) -> None:
    one = tenant("one")
    for length in range(2 * KNOWN_BODIES):
        await grant(world, one, BODY + (length % 200) * b" " + (length // 200) * b"\n")
    await grant(world, one, BODY + KNOWN_BODY_BYTES * b" ")
    known = world.leases._known
    assert len(known) == KNOWN_BODIES
    assert max(len(body) for _, body in known) <= KNOWN_BODY_BYTES
