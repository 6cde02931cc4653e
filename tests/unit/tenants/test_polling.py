"""The tenants in use: at most 30 s old by wall time, and never worse than the last good ones."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import pytest

from isikit.errors import StorageError, TenantsUnavailable
from isikit.tenants import Tenants


@dataclass
class Info:
    etag: str
    server_time: float


class Bucket:
    """Holds one object; counts calls and lets others run in between."""

    def __init__(self, *tenants: str) -> None:
        self.data: bytes | None = None
        self.etag = ""
        self.server_time = 1_000_000.0
        self.calls: list[str] = []
        self.down = False
        self.answering = asyncio.Event()
        self.answering.set()
        if tenants:
            self.publish(*tenants)

    def publish(self, *tenants: str) -> None:
        self.write(json.dumps({"version": 1, "tenants": [{"id": one} for one in tenants]}).encode())

    def write(self, data: bytes | None) -> None:
        self.data = data
        self.etag = f"E{hash(data)}"

    async def head(self, key: str) -> Info | None:
        await self._called("head", key)
        return None if self.data is None else Info(self.etag, self.server_time)

    async def get(self, key: str) -> tuple[Any, bytes] | None:
        await self._called("get", key)
        return None if self.data is None else (Info(self.etag, self.server_time), self.data)

    async def _called(self, name: str, key: str) -> None:
        assert key == "config/tenants.json"
        self.calls.append(name)
        await asyncio.sleep(0)
        await self.answering.wait()
        if self.down:
            raise StorageError(code="oss.unreachable")


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_the_first_request_reads_it_and_the_next_ones_do_not(clock: Clock) -> None:
    bucket = Bucket("acme")
    tenants = Tenants(bucket, clock=clock)
    for _ in range(3):
        assert (await tenants.current()).find("acme")
        clock.now += 9.9
    assert bucket.calls == ["get"]


async def test_after_30_seconds_one_head_asks_whether_it_changed(clock: Clock) -> None:
    bucket = Bucket("acme")
    tenants = Tenants(bucket, clock=clock)
    await tenants.current()
    clock.now += 30
    await tenants.current()
    assert bucket.calls == ["get", "head"]


async def test_a_new_version_is_used(clock: Clock) -> None:
    bucket = Bucket("acme")
    tenants = Tenants(bucket, clock=clock)
    await tenants.current()
    bucket.publish("other")
    clock.now += 30
    file = await tenants.current()
    assert (file.find("acme"), bool(file.find("other"))) == (None, True)
    assert bucket.calls == ["get", "head", "get"]


async def test_forty_requests_at_once_cause_one_call_and_all_see_the_new_version(clock: Clock) -> None:
    bucket = Bucket("acme")
    tenants = Tenants(bucket, clock=clock)
    await asyncio.gather(*(tenants.current() for _ in range(40)))
    assert bucket.calls == ["get"]
    bucket.publish("other")
    clock.now += 3600  # thawed after an hour: nobody may still be let in by what was true then
    files = await asyncio.gather(*(tenants.current() for _ in range(40)))
    assert bucket.calls == ["get", "head", "get"]
    assert all(file.find("other") for file in files)


async def test_a_cancelled_request_does_not_take_the_others_with_it(clock: Clock) -> None:
    bucket = Bucket("acme")
    tenants = Tenants(bucket, clock=clock)
    first, second = asyncio.create_task(tenants.current()), asyncio.create_task(tenants.current())
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).find("acme")


@pytest.mark.parametrize("bad", [b"{", b'{"version": 1, "tenants": [{"id": "ACME"}]}', None])
async def test_a_bad_new_version_is_refused_with_an_event_and_the_old_one_kept(
    clock: Clock, bad: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket = Bucket("acme")
    tenants = Tenants(bucket, clock=clock)
    await tenants.current()
    capsys.readouterr()
    bucket.write(bad)
    clock.now += 30
    assert (await tenants.current()).find("acme")
    refused = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["event"] for line in refused} == {"tenants.refused"}
    assert {line["level"] for line in refused} == {"error"}


async def test_a_bad_version_is_complained_about_once_and_its_successor_used(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket = Bucket("acme")
    tenants = Tenants(bucket, clock=clock)
    await tenants.current()
    bucket.write(b"{")
    for _ in range(4):
        clock.now += 31
        await tenants.current()
    assert bucket.calls.count("get") == 2
    complaints = [line for line in capsys.readouterr().out.splitlines() if '"count"' in line and "refused" in line]
    assert len(complaints) == 1
    bucket.publish("other")
    clock.now += 31
    assert (await tenants.current()).find("other")


async def test_an_outage_keeps_the_tenants_and_is_asked_about_again_soon(clock: Clock) -> None:
    bucket = Bucket("acme")
    tenants = Tenants(bucket, clock=clock)
    await tenants.current()
    bucket.down = True
    clock.now += 30
    for _ in range(5):
        assert (await tenants.current()).find("acme")
    assert bucket.calls == ["get", "head"]
    bucket.down = False
    clock.now += 2
    await tenants.current()
    assert bucket.calls == ["get", "head", "head"]


@pytest.mark.parametrize("state", ["missing", "broken", "down"])
async def test_at_first_without_a_good_file_nobody_is_let_in(clock: Clock, state: str) -> None:
    bucket = Bucket()
    bucket.write({"missing": None, "broken": b"{", "down": b"{}"}[state])
    bucket.down = state == "down"
    tenants = Tenants(bucket, clock=clock)
    for _ in range(10):
        with pytest.raises(TenantsUnavailable) as raised:
            await tenants.current()
        assert (raised.value.status, raised.value.code, raised.value.errors) == (503, "tenants.unavailable", ())
    assert bucket.calls == ["get"]  # a flood of callers is no flood of reads
    bucket.down = False
    bucket.publish("acme")
    clock.now += 2
    assert (await tenants.current()).find("acme")


async def test_a_clock_set_back_does_not_freeze_the_tenants(clock: Clock) -> None:
    bucket = Bucket("acme")
    tenants = Tenants(bucket, clock=clock)
    await tenants.current()
    bucket.publish("other")
    clock.now -= 86_400
    assert (await tenants.current()).find("other")


async def test_while_oss_hangs_one_request_waits_and_the_others_go_on_with_what_is_held(clock: Clock) -> None:
    bucket = Bucket("acme")
    tenants = Tenants(bucket, clock=clock)
    await tenants.current()
    clock.now += 31
    bucket.answering.clear()
    first = asyncio.create_task(tenants.current())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        for _ in range(10):
            assert (await tenants.current()).find("acme")
    assert not first.done()
    bucket.answering.set()
    assert (await first).find("acme")
    assert bucket.calls == ["get", "head"]


async def test_the_one_that_waits_does_so_for_a_second_at_most(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("isikit.tenants.polling.HEAD_SECONDS", 0.01)
    bucket = Bucket("acme")
    tenants = Tenants(bucket, clock=clock)
    await tenants.current()
    clock.now += 31
    bucket.answering.clear()
    async with asyncio.timeout(5):
        assert (await tenants.current()).find("acme")
        assert (await tenants.current()).find("acme"), "asked again only after a pause"
    assert bucket.calls == ["get", "head"]
    assert "tenants.refused" in capsys.readouterr().out


async def test_without_a_version_at_hand_everybody_waits_for_it(clock: Clock) -> None:
    bucket = Bucket("acme")
    bucket.answering.clear()
    tenants = Tenants(bucket, clock=clock)
    waiting = [asyncio.create_task(tenants.current()) for _ in range(3)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    bucket.answering.set()
    assert all(file.find("acme") for file in await asyncio.gather(*waiting))


@pytest.mark.parametrize("off_seconds", [-600.0, 0.0, 600.0])
async def test_it_tells_the_time_of_oss_where_this_machine_is_ten_minutes_off(clock: Clock, off_seconds: float) -> None:
    bucket = Bucket("acme")
    bucket.server_time = clock.now
    clock.now += off_seconds
    tenants = Tenants(bucket, clock=clock)
    await tenants.current()
    assert 0 <= tenants.now() - bucket.server_time <= 1
    clock.now += 3600  # frozen: what was learnt holds
    assert 3600 <= tenants.now() - bucket.server_time <= 3601


async def test_when_this_machine_is_set_right_the_time_is_right_after_the_next_look(clock: Clock) -> None:
    bucket = Bucket("acme")
    bucket.server_time = clock.now
    clock.now += 600
    tenants = Tenants(bucket, clock=clock)
    await tenants.current()
    clock.now -= 600
    await tenants.current()
    assert bucket.calls == ["get", "head"]
    assert 0 <= tenants.now() - bucket.server_time <= 1


@pytest.mark.parametrize("absurd", [0.0, 1_000_000.0 - 3600, 1_000_000.0 + 3600, 1e300, float("nan")])
async def test_a_time_that_oss_would_not_have_let_us_sign_by_is_not_believed(clock: Clock, absurd: float) -> None:
    bucket = Bucket("acme")
    bucket.server_time = clock.now + 300
    tenants = Tenants(bucket, clock=clock)
    await tenants.current()
    bucket.server_time = absurd
    clock.now += 30
    await tenants.current()
    assert bucket.calls == ["get", "head"]
    assert 0 <= tenants.now() - clock.now - 300 <= 1
