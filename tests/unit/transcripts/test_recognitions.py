"""`POST /v1/recognitions`: sound in, text out, nothing kept; with limits and places of its own."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

import httpx2
import pytest

from functions.transcripts import recognitions
from functions.transcripts.app import application
from functions.transcripts.process import Transcripts
from isikit.audio.probe import decode
from isikit.errors import SpeechUnavailable
from unit.transcripts.scene import SECRETS, Scene, mono, silence, speech, stereo, until

CALL = mono(speech(1000) + silence(500))


def client_of(process: Transcripts) -> httpx2.AsyncClient:
    headers = {"X-Api-Key": SECRETS["acme"], "Content-Type": "audio/wav"}
    transport = httpx2.ASGITransport(application(lambda: process))
    return httpx2.AsyncClient(transport=transport, base_url="http://asr", headers=headers)


async def post(scene: Scene, data: bytes, path: str = "/v1/recognitions", **options: Any) -> httpx2.Response:
    async with client_of(scene.process()) as client:
        return await client.post(path, content=data, **options)


def with_quota(scene: Scene, **limits: Any) -> None:
    digest = hashlib.sha256(SECRETS["acme"].partition(".")[2].encode()).hexdigest()
    tenant = {
        "id": "acme",
        "api_keys": [{"id": "key-acme", "sha256": digest}],
        "appkeys": [{"appkey": "narrow", "locale": "zh-CN", "sample_rate_hz": 8000}],
        **limits,
    }
    scene._place(scene.state, "config/tenants.json", json.dumps({"version": 1, "tenants": [tenant]}).encode())


async def test_the_text_comes_back_and_nothing_is_stored(capfd: pytest.CaptureFixture[str]) -> None:
    scene = Scene()
    scene.recognise.texts = ["my secret words"]
    before = scene.keys("")
    answer = await post(scene, CALL)
    assert answer.status_code == 200
    assert answer.json() == {
        "text": "my secret words",
        "turns": [{"start_ms": 0, "end_ms": 1200, "channel": 0, "text": "my secret words"}],
        "duration_ms": 1500,
        "channels": 1,
        "layout": "mono",
        "billed": {"seconds": 2, "calls": 1},
    }
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["ratelimit-limit"] == "10"
    assert scene.keys("") == before
    assert "secret words" not in capfd.readouterr().out


async def test_two_sides_are_told_apart_and_one_sound_on_both_is_paid_once() -> None:
    scene = Scene()
    two = (await post(scene, stereo(speech(1000), speech(1000, 700)))).json()
    assert (two["layout"], two["billed"]) == ("two_sides", {"seconds": 2, "calls": 2})
    assert sorted(turn["channel"] for turn in two["turns"]) == [0, 1]
    same = (await post(scene, stereo(speech(1000), speech(1000)))).json()
    assert (same["layout"], same["billed"]) == ("same_on_both_sides", {"seconds": 1, "calls": 1})


async def test_silence_costs_nothing() -> None:
    scene = Scene()
    answer = await post(scene, mono(silence(2000)))
    assert answer.json()["billed"] == {"seconds": 0, "calls": 0}
    assert scene.recognise.calls == []


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 422, "audio.empty"),
        (b"#EXTM3U\nhttp://127.0.0.1:1/a.ts\n" + b"x" * 64, 422, "audio.unreadable"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n" + b"x" * 64, 422, "audio.unreadable"),
        (mono(silence(60_200)), 422, "audio.too_long"),
        (b"x" * (recognitions.MAX_BYTES + 1), 413, "request.too_large"),
    ],
    ids=["empty", "playlist", "concat", "too long", "too large"],
)
async def test_what_is_no_minute_of_sound_is_refused_by_the_real_decoder(data: bytes, status: int, code: str) -> None:
    scene = Scene()
    scene.decode = lambda data, rate_hz, limits: decode(data, rate_hz=rate_hz, limits=limits)
    answer = await post(scene, data)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert scene.recognise.calls == []


@pytest.mark.parametrize("query", ["?locale=", "?locale=x", "?locale=en-US", "?locale=zh-CN&locale=zh-CN", "?a=1"])
async def test_a_wrong_query_is_refused_with_its_reason(query: str) -> None:
    answer = await post(Scene(), CALL, f"/v1/recognitions{query}")
    assert answer.status_code == 400
    assert answer.json()["errors"]


async def test_who_is_not_known_is_refused_before_the_body_is_read() -> None:
    answer = await post(Scene(), b"x" * (recognitions.MAX_BYTES + 1), headers={"X-Api-Key": "nobody.1"})
    assert answer.status_code == 401


async def test_rate_and_quota_hold_before_anything_is_paid() -> None:
    scene = Scene()
    with_quota(scene, rates={"recognitions": "1/hour"}, quotas={"recognition_seconds": 1})
    async with client_of(scene.process()) as client:
        over_quota = await client.post("/v1/recognitions", content=CALL)
        over_rate = await client.post("/v1/recognitions", content=CALL)
    assert (over_quota.status_code, over_quota.json()["code"]) == (429, "limit.quota")
    assert (over_rate.status_code, over_rate.json()["code"]) == (429, "limit.rate")
    assert scene.recognise.calls == []


async def test_the_services_failure_is_the_answer() -> None:
    scene = Scene()
    scene.recognise.errors = [SpeechUnavailable()]
    answer = await post(scene, CALL)
    assert (answer.status_code, answer.json()["code"]) == (503, "nls.unavailable")


async def test_a_service_that_does_not_answer_ends_with_our_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("functions.transcripts.app.ANSWER_SECONDS", 0.3)
    scene = Scene()
    scene.recognise.before = asyncio.Event().wait  # type: ignore[assignment]
    answer = await post(scene, CALL)
    assert (answer.status_code, answer.json()["code"]) == (503, "deadline.exceeded")
    assert scene.recognise.at_once == 0


async def test_a_rush_of_requests_neither_starves_recordings_nor_fills_the_instance() -> None:
    scene = Scene()
    scene.places = 1
    release = asyncio.Event()
    scene.recognise.before = release.wait  # type: ignore[assignment]
    process = scene.process()
    async with process.speaking, client_of(process) as client:  # recordings have all their places
        asked = [asyncio.ensure_future(client.post("/v1/recognitions", content=CALL)) for _ in range(8)]
        await until(lambda: scene.recognise.at_once == recognitions.SPEAKING)
        assert not process.decoding.locked()
        release.set()
        answers = await asyncio.gather(*asked)
    assert {answer.status_code for answer in answers} <= {200, 503}
    assert scene.recognise.most_at_once == recognitions.SPEAKING
