"""The operator's door: counters, faults, the clock, instances, timers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from localcloud.cloud import Cloud


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Any]:
    cloud = Cloud(tmp_path / "out")
    endpoints = await cloud.start()
    async with aiohttp.ClientSession(endpoints.admin) as http:
        yield cloud, http
    await cloud.close()


async def test_counters_say_what_was_called(admin: Any) -> None:
    cloud, http = admin
    cloud.faults.begin("nls.tts.rest")
    cloud.faults.add("nls.synthesis", 2)
    async with http.get("/counters") as answer:
        assert await answer.json() == {"nls.synthesis": 2, "nls.tts.rest": 1}


async def test_faults_are_armed_and_disarmed(admin: Any) -> None:
    cloud, http = admin
    async with http.post("/faults", json={"operation": "oss.PutObject", "nth": 2, "code": "InternalError"}) as answer:
        assert answer.status == 201
        assert (await answer.json())["nth"] == 2
    assert cloud.faults.begin("oss.PutObject") is None
    assert cloud.faults.begin("oss.PutObject").code == "InternalError"
    async with http.post("/faults", json={"operation": "oss.PutObject"}):
        pass
    async with http.delete("/faults") as answer:
        assert answer.status == 204
    assert cloud.faults.begin("oss.PutObject") is None


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/faults", b"{"),
        ("/faults", b"[]"),
        ("/faults", b'{"operation": "x", "surprise": 1}'),
        ("/faults", b'{"operation": "x", "when": "during"}'),
        ("/faults", b"{}"),
        ("/clock", b'{"advance_seconds": "1"}'),
        ("/clock", b'{"advance_seconds": -1}'),
        ("/clock", b"{}"),
        ("/roles", b'{"role_arn": "acs:ram::1:role/x"}'),
        ("/quotas", b'{"tts": -1}'),
        ("/quotas", b'{"tts": 1.5}'),
        ("/quotas", b'{"speech": 20}'),
    ],
)
async def test_a_wrong_request_is_400_in_json(admin: Any, path: str, body: bytes) -> None:
    async with admin[1].post(path, data=body) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"]


async def test_the_clock_moves_for_all_services(admin: Any) -> None:
    cloud, http = admin
    token, _ = cloud.account.new_speech_token()
    async with http.post("/clock", json={"advance_seconds": 25 * 3600}) as answer:
        assert (await answer.json())["now"] == pytest.approx(cloud.clock.now(), abs=5)
    assert cloud.account.speech_token_state(token) == "expired"


async def test_the_speech_services_quotas_are_the_accounts_and_hold_from_now_on(admin: Any) -> None:
    cloud, http = admin
    async with http.post("/quotas", json={"tts": 20}) as answer:
        assert (await answer.json())["tts"] == 20
    async with http.post("/quotas", json={"flash": 1, "tts": "20"}) as answer:
        assert answer.status == 400
    assert (cloud.speech_limits.concurrency["tts"], cloud.speech_limits.concurrency["flash"]) == (20, 10)
    endpoints = json.loads(cloud.workspace.endpoints.read_text())
    asked = {"text": "Hello.", "appkey": cloud.account.add_project().appkey}
    async with http.post("/quotas", json={"tts": 0}):
        pass
    headers = {"X-NLS-Token": cloud.account.new_speech_token()[0]}
    async with http.post(f"{endpoints['nls_rest']}/stream/v1/tts", json=asked, headers=headers) as refused:
        assert (await refused.json())["status"] == 40000005


async def test_there_are_no_instances_before_a_request(admin: Any) -> None:
    async with admin[1].get("/instances") as answer:
        assert await answer.json() == []


async def test_the_queue_can_be_looked_at(admin: Any) -> None:
    async with admin[1].get("/async") as answer:
        assert await answer.json() == {"waiting": {}, "finished": [], "destinations": []}


async def test_a_timer_that_is_not_there_is_404_in_json(admin: Any) -> None:
    async with admin[1].post("/timers", json={"function": "speech-asr-dev", "trigger": "sweep"}) as answer:
        assert answer.status == 404
        assert "speech-asr-dev" in (await answer.json())["error"]


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("PUT", "/counters", 405)])
async def test_what_is_not_there_is_json_too(admin: Any, method: str, path: str, status: int) -> None:
    async with admin[1].request(method, path) as answer:
        assert answer.status == status
        assert (await answer.json())["error"]


@pytest.mark.parametrize(
    "body", ['{"advance_seconds": 1e400}', '{"advance_seconds": NaN}', '{"advance_seconds": 1e18}']
)
async def test_a_clock_that_would_stop_everything_is_not_set(admin: Any, body: str) -> None:
    cloud, http = admin
    before = cloud.clock.now()
    async with http.post("/clock", data=body) as answer:
        assert answer.status == 400
    assert cloud.clock.now() - before < 60


@pytest.mark.parametrize("path", ["/faults", "/clock", "/quotas", "/timers", "/migrated"])
async def test_a_body_nested_beyond_reason_is_a_clear_400(admin: Any, path: str) -> None:
    _, http = admin
    async with http.post(path, data="[" * 100_000) as answer:
        assert (answer.status, "JSON" in await answer.text()) == (400, True)


@pytest.mark.parametrize(
    "fault", [{"operation": "os.PutObject"}, {"operation": ""}, {"operation": "oss.PutObject", "nth": 0}, {"nth": 1}]
)
async def test_a_fault_that_could_never_strike_is_refused(admin: Any, fault: dict[str, Any]) -> None:
    _, http = admin
    async with http.post("/faults", json=fault) as answer:
        assert answer.status == 400
