"""The key file is read once, and again when somebody seals with a newer key."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

from isikit.errors import KeysUnavailable, SealError, StorageError
from isikit.secrets import KeyRing, Keys


class Bucket:
    """Counts reads; answers what it holds, after giving others a chance to run."""

    def __init__(self, data: bytes | None) -> None:
        self.data = data
        self.reads = 0
        self.down = False

    async def get(self, key: str) -> tuple[Any, bytes] | None:
        self.reads += 1
        await asyncio.sleep(0)
        if self.down:
            raise StorageError(code="oss.unreachable")
        return None if self.data is None else (None, self.data)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def _file(*versions: int) -> bytes:
    masters = [{"version": one, "master": base64.b64encode(bytes([one]) * 32).decode()} for one in versions]
    return json.dumps({**masters[0], "previous": masters[1:]}).encode()


def _sealed(version: int) -> bytes:
    return Keys(version, {version: bytes([version]) * 32}).seal(b"text", purpose="say", aad=b"a")


async def test_many_requests_read_it_once() -> None:
    bucket = Bucket(_file(1))
    ring = KeyRing(bucket)
    found = await asyncio.gather(*(ring.current() for _ in range(40)))
    assert bucket.reads == 1
    assert len({id(one) for one in found}) == 1


@pytest.mark.parametrize("data", [None, b"{}"])
async def test_without_a_good_file_there_are_no_keys_and_the_next_request_tries_again(data: bytes | None) -> None:
    bucket = Bucket(data)
    ring = KeyRing(bucket)
    with pytest.raises(KeysUnavailable):
        await ring.current()
    bucket.data = _file(1)
    assert (await ring.current()).version == 1


async def test_an_unreachable_bucket_is_the_same_to_the_caller() -> None:
    bucket = Bucket(_file(1))
    bucket.down = True
    with pytest.raises(KeysUnavailable) as raised:
        await KeyRing(bucket).current()
    assert raised.value.status == 503


async def test_a_seal_of_a_newer_key_makes_it_read_again() -> None:
    bucket, clock = Bucket(_file(1)), Clock()
    ring = KeyRing(bucket, clock=clock)
    await ring.current()
    bucket.data = _file(2, 1)
    clock.now += 31
    opened = await asyncio.gather(*(ring.open(_sealed(2), purpose="say", aad=b"a") for _ in range(10)))
    assert opened == [b"text"] * 10
    assert bucket.reads == 2
    assert await ring.open(_sealed(1), purpose="say", aad=b"a") == b"text"


async def test_invented_versions_cannot_make_it_read_all_the_time() -> None:
    bucket, clock = Bucket(_file(1)), Clock()
    ring = KeyRing(bucket, clock=clock)
    for version in range(2, 30):
        with pytest.raises(SealError):
            await ring.open(_sealed(version), purpose="say", aad=b"a")
    assert bucket.reads == 1


async def test_an_outage_while_reading_again_keeps_the_keys(capsys: pytest.CaptureFixture[str]) -> None:
    bucket, clock = Bucket(_file(1)), Clock()
    ring = KeyRing(bucket, clock=clock)
    await ring.current()
    bucket.down = True
    clock.now += 31
    with pytest.raises(SealError):
        await ring.open(_sealed(2), purpose="say", aad=b"a")
    assert "keys.refused" in capsys.readouterr().out
    assert await ring.open(_sealed(1), purpose="say", aad=b"a") == b"text"


async def test_nobody_with_a_right_secret_waits_while_the_file_is_read_for_a_wrong_one() -> None:
    right = "1" * 43
    bucket, clock, gate = Bucket(_file(1)), Clock(), asyncio.Event()
    assert bucket.data is not None
    bucket.data = json.dumps({**json.loads(bucket.data), "route_secrets": [right]}).encode()
    ring = KeyRing(bucket, clock=clock)
    assert await ring.proves(lambda keys: keys.is_route_secret(right))
    clock.now += 31
    answered = bucket.get

    async def hanging(key: str) -> tuple[Any, bytes] | None:
        await gate.wait()
        return await answered(key)

    bucket.get = hanging  # type: ignore[method-assign]
    wrong = asyncio.create_task(ring.proves(lambda keys: keys.is_route_secret("invented")))
    await asyncio.sleep(0)
    assert await asyncio.wait_for(ring.proves(lambda keys: keys.is_route_secret(right)), 5)
    assert not wrong.done()
    gate.set()
    assert not await wrong


async def test_a_secret_is_believed_for_an_hour_while_nobody_can_tell_whether_it_was_taken_out() -> None:
    secret = "1" * 43
    bucket, clock = Bucket(_file(1)), Clock()
    assert bucket.data is not None
    bucket.data = json.dumps({**json.loads(bucket.data), "route_secrets": [secret]}).encode()
    ring = KeyRing(bucket, clock=clock)

    async def proves() -> bool:
        return await ring.proves(lambda keys: keys.is_route_secret(secret))

    assert await proves()
    bucket.down = True
    for _ in range(11):
        clock.now += 320
        assert await proves()
    clock.now += 81
    reads = bucket.reads
    for _ in range(5):
        with pytest.raises(KeysUnavailable):
            await proves()
    assert bucket.reads <= reads + 1  # a flood of callers is no flood of reads
    bucket.down = False
    clock.now += 2
    assert await proves()


async def test_an_instance_thawed_after_hours_believes_no_secret_before_it_has_read_the_file() -> None:
    secret = "1" * 43
    bucket, clock = Bucket(_file(1)), Clock()
    assert bucket.data is not None
    bucket.data = json.dumps({**json.loads(bucket.data), "route_secrets": [secret]}).encode()
    ring = KeyRing(bucket, clock=clock)
    await ring.current()
    bucket.down = True
    clock.now += 7200
    with pytest.raises(KeysUnavailable):
        await ring.proves(lambda keys: keys.is_route_secret(secret))
