"""`POST /v1/prompts`, over HTTP, on buckets in memory."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from functions.prompts.service import assemble
from isikit.audio import wav
from isikit.errors import ConfigError, SpeechError, SpeechUnavailable, speech_error
from support.memory_store import StoredObject
from support.prompting import API_KEY, BASE_URL, OTHER_KEY, Instance, World, tenant_entry

WORDS = {"text": "您好，欢迎致电。"}


async def test_a_new_prompt_is_made_and_described_in_full(world: World, instance: Instance) -> None:
    answer = await instance.post(WORDS)
    got = answer.json()
    assert answer.status == 200
    assert got == {
        "id": got["id"],
        "url": f"{BASE_URL}/p/acme/{got['id']}/pcm_s16le-8000.wav",
        "status": "ready",
        "cache": "miss",
        "voice_used": "xiaoyun",
        "audio": {
            "content_type": "audio/wav",
            "encoding": "pcm_s16le",
            "container": "wav",
            "sample_rate_hz": 8000,
            "bytes": got["audio"]["bytes"],
            "duration_ms": got["audio"]["duration_ms"],
        },
        "billed": {"characters": 8, "calls": 1},
        "expires_at": None,
    }
    audio = await instance.get(got["url"])
    assert len(audio.body) == got["audio"]["bytes"] == 44 + got["audio"]["duration_ms"] * 16
    assert wav.read(audio.body).rate_hz == 8000


async def test_the_second_time_is_a_hit_that_costs_nothing_and_makes_no_call_to_oss(
    world: World, instance: Instance
) -> None:
    first = (await instance.post(WORDS)).json()
    before = world.bucket.calls.total()
    again = (await instance.post(WORDS)).json()
    assert again == {**first, "cache": "hit", "billed": {"characters": 0, "calls": 0}}
    assert world.bucket.calls.total() == before
    assert len(world.speaker.said) == 1


async def test_another_instance_hits_with_one_head(world: World, instance: Instance) -> None:
    first = (await instance.post(WORDS)).json()
    world.bucket.calls.clear()
    second = (await world.instance().post(WORDS)).json()
    assert (second["cache"], second["url"], second["audio"]) == ("hit", first["url"], first["audio"])
    assert world.bucket.calls == {"head": 1}


async def test_a_hit_is_made_sure_of_again_after_a_minute(world: World, instance: Instance) -> None:
    url = (await instance.post(WORDS)).json()["url"]
    del world.bucket.objects[url.removeprefix(BASE_URL + "/")]
    assert (await instance.get(url)).status == 200
    world.pass_time(61)
    assert (await instance.post(WORDS)).json()["cache"] == "hit"  # derived again from the stored master
    assert len(world.speaker.said) == 1


async def test_another_rendition_is_derived_from_the_stored_master(world: World, instance: Instance) -> None:
    first = (await instance.post(WORDS)).json()
    other = (await instance.post({**WORDS, "consumer": "asterisk"})).json()
    assert (other["id"], other["cache"], other["billed"]["calls"]) == (first["id"], "hit", 0)
    assert other["url"].endswith("/mulaw-8000.ulaw")
    assert other["audio"]["bytes"] == other["audio"]["duration_ms"] * 8
    assert len(world.speaker.said) == 1


async def test_accept_text_plain_gets_the_url_alone(instance: Instance) -> None:
    answer = await instance.post(WORDS, headers={"Accept": "text/plain"})
    assert (answer.status, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert answer.body.decode() == (await instance.post(WORDS)).json()["url"]


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/plain;q=0.1, application/json", "text/html", ""])
async def test_every_other_accept_gets_json(instance: Instance, accept: str) -> None:
    answer = await instance.post(WORDS, headers={"Accept": accept})
    assert answer.headers["content-type"] == "application/json"


async def test_a_prompt_of_a_day_has_another_place_and_an_end(world: World, instance: Instance) -> None:
    kept, day = [(await instance.post({**WORDS, "retention": each})).json() for each in ("permanent", "day")]
    assert day["id"] == kept["id"]
    assert day["url"].startswith(f"{BASE_URL}/e/acme/{day['id']}/")
    assert day["expires_at"] == "2023-11-15T22:13:20Z"  # a day after OSS's 2023-11-14T22:13:20Z
    assert not [key for key in world.state.objects if key.startswith("claims/")] or kept["cache"] == "miss"


async def test_a_prompt_of_a_day_takes_no_claim(world: World, instance: Instance) -> None:
    await instance.post({**WORDS, "retention": "day"})
    assert not [key for key in world.state.objects if key.startswith("claims/")]


async def test_a_prompt_whose_day_is_over_is_spoken_again(world: World, instance: Instance) -> None:
    first = (await instance.post({**WORDS, "retention": "day"})).json()
    world.pass_time(86_400 - 30)  # half a minute left is too little to give out
    again = (await instance.post({**WORDS, "retention": "day"})).json()
    assert (again["cache"], again["url"]) == ("miss", first["url"])
    assert again["expires_at"] > first["expires_at"]
    assert (await instance.get(again["url"])).status == 200


async def test_refresh_speaks_anew_and_drops_what_was_derived_before(world: World, instance: Instance) -> None:
    first = (await instance.post(WORDS)).json()
    other = (await instance.post({**WORDS, "consumer": "asterisk"})).json()
    old = [(await instance.get(each["url"])).body for each in (first, other)]
    fresh = (await instance.post({**WORDS, "cache": "refresh"})).json()
    assert (fresh["cache"], fresh["url"], fresh["billed"]["calls"]) == ("miss", first["url"], 1)
    new = [(await instance.get(each["url"])).body for each in (first, other)]
    assert new[0] != old[0] and new[1] != old[1]
    assert len(world.speaker.said) == 2


async def test_bypass_is_spoken_every_time_at_a_url_that_nobody_can_find(world: World, instance: Instance) -> None:
    kept = (await instance.post(WORDS)).json()
    once, twice = [(await instance.post({**WORDS, "cache": "bypass"})).json() for _ in range(2)]
    assert once["cache"] == twice["cache"] == "bypass"
    assert once["id"] == kept["id"]
    assert once["url"] != twice["url"]
    assert once["url"].startswith(f"{BASE_URL}/e/acme/once/")
    assert 64 <= len(once["url"]) <= 255
    assert once["billed"]["calls"] == 1
    assert (await instance.get(once["url"])).status == 200
    assert len(world.speaker.said) == 3


async def test_wait_zero_answers_pending_and_leaves_the_work_for_later(world: World, instance: Instance) -> None:
    answer = await instance.post({**WORDS, "wait_ms": 0})
    got = answer.json()
    assert (answer.status, got["status"], got["billed"]["calls"]) == (202, "pending", 0)
    assert got["audio"]["bytes"] is None and got["audio"]["content_type"] == "audio/wav"
    assert not world.speaker.said
    assert await world.later.carried_out(instance.prompts) == [True]
    ready = (await instance.post({**WORDS, "wait_ms": 0})).json()
    assert (ready["status"], ready["cache"], ready["id"], ready["url"]) == ("ready", "hit", got["id"], got["url"])


async def test_a_wait_that_runs_out_is_pending_and_nothing_runs_on(world: World, instance: Instance) -> None:
    world.speaker.gate = asyncio.Event()
    answer = await instance.post({**WORDS, "wait_ms": 50})
    assert (answer.status, answer.json()["status"]) == (202, "pending")
    assert world.speaker.at_once == 0  # what nobody waits for was cancelled
    assert len(world.later.asked) == 1
    world.speaker.gate = None
    assert await world.later.carried_out(instance.prompts) == [True]
    assert (await instance.get(answer.json()["url"])).status == 200


async def test_when_all_places_are_taken_it_is_503_before_anything_is_spent(world: World) -> None:
    world.concurrency = 1
    instance = world.instance()
    world.speaker.gate = asyncio.Event()
    first = asyncio.create_task(instance.post({"text": "Erster."}))
    await world.speaker.began(1)
    answer = await instance.post({"text": "Zweiter.", "wait_ms": 50})
    assert (answer.status, answer.json()["code"]) == (503, "host.overloaded")
    assert int(answer.headers["retry-after"]) >= 1
    assert len(world.speaker.said) == 1
    world.speaker.gate.set()
    assert (await first).status == 200


async def test_hits_are_not_held_up_by_misses(world: World) -> None:
    world.concurrency = 1
    instance = world.instance()
    await instance.post(WORDS)
    world.speaker.gate = asyncio.Event()
    miss = asyncio.create_task(instance.post({"text": "Noch nicht da."}))
    await world.speaker.began(2)
    assert (await instance.post(WORDS)).json()["cache"] == "hit"
    world.speaker.gate.set()
    await miss


async def test_no_more_syntheses_at_once_than_the_settings_say(world: World) -> None:
    world.concurrency = 2
    instance = world.instance()
    answers = await asyncio.gather(*(instance.post({"text": f"Nummer {number}."}) for number in range(10)))
    assert {answer.status for answer in answers} == {200}
    assert world.speaker.most_at_once == 2


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (lambda: speech_error(40020105, ""), 502, "nls.appkey_unknown"),
        (lambda: speech_error(41020001, "TTS:TtsClientError"), 422, "nls.text_refused"),
        (lambda: SpeechError(code="nls.truncated"), 502, "nls.truncated"),
        (lambda: SpeechUnavailable(retry_after=0), 503, "nls.unavailable"),
    ],
)
async def test_a_failure_of_the_service_is_mapped_and_nothing_is_kept_of_it(
    world: World, instance: Instance, error: type[Exception], status: int, code: str
) -> None:
    world.speaker.error = error
    answer = await instance.post(WORDS)
    assert (answer.status, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert not world.bucket.objects
    world.speaker.error = None
    assert (await instance.post(WORDS)).json()["cache"] == "miss"


async def test_silence_is_never_published(world: World, instance: Instance) -> None:
    world.speaker.pcm = lambda utterance, take: bytes(32_000)
    answer = await instance.post(WORDS)
    assert (answer.status, answer.json()["code"]) == (502, "nls.silent")
    assert not world.bucket.objects


async def test_a_long_text_is_spoken_in_pieces_and_billed_by_the_piece(world: World, instance: Instance) -> None:
    text = "这是很长的一句话，后面还有。" * 50
    got = (await instance.post({"text": text})).json()
    assert [len(each.text) <= 300 for each in world.speaker.said] == [True] * 3
    assert "".join(each.text for each in world.speaker.said) == text
    assert got["billed"] == {"characters": 700, "calls": 8}  # 294 + 294 + 112 characters
    assert got["audio"]["duration_ms"] == 700 * 20 + 40


async def test_the_locale_chooses_the_appkey(world: World, instance: Instance) -> None:
    await instance.post({"text": "Hello.", "locale": "en-US"})
    await instance.post({"text": "Hello.", "locale": "en-GB"})
    await instance.post({"text": "Hello."})
    assert [each.appkey for each in world.speaker.said] == ["enkey", "enkey", "zhkey"]


async def test_a_project_kept_for_other_uses_does_not_speak(world: World, instance: Instance) -> None:
    listens = {"appkey": "asrkey", "locale": "zh-CN", "sample_rate_hz": 16000, "uses": ["sentence_asr"]}
    speaks = {"appkey": "ttskey", "locale": "en-US", "sample_rate_hz": 16000, "uses": ["tts"]}
    world.tenants([tenant_entry("acme", API_KEY, appkeys=[listens, speaks])])
    await instance.post(WORDS)
    assert [each.appkey for each in world.speaker.said] == ["ttskey"]


async def test_the_prompts_of_a_tenant_with_a_role_are_spoken_with_that_accounts_token(world: World) -> None:
    role = "acs:ram::1234567890123456:role/speech"
    world.tenants([tenant_entry("acme", API_KEY, role_arn=role), tenant_entry("other", OTHER_KEY)])
    instance = world.instance()
    await instance.post(WORDS)
    await instance.post(WORDS, key=OTHER_KEY)
    assert world.speaker.tokens == ["token of another account", "token"]


async def test_a_tenant_without_an_appkey_is_told_so(world: World, instance: Instance) -> None:
    world.tenants([tenant_entry("acme", "k-one.0123456789abcdef0123456789abcdef", appkeys=[])])
    answer = await instance.post(WORDS)
    assert (answer.status, answer.json()["code"]) == (500, "tenants.no_appkey")


async def test_two_tenants_share_nothing(world: World, instance: Instance) -> None:
    ours, theirs = (await instance.post(WORDS)).json(), (await instance.post(WORDS, key=OTHER_KEY)).json()
    assert theirs["cache"] == "miss"
    assert ours["id"] != theirs["id"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/prompts"),
        ("POST", "/v1/prompts/purge"),
        ("POST", "/v1/prompts/x/retire"),
        ("POST", "/v1/say"),
        ("GET", "/v1/prompts/x"),
        ("DELETE", "/v1/prompts/x"),
        ("GET", "/v1/voices"),
    ],
)
async def test_every_endpoint_but_the_open_ones_wants_a_key(instance: Instance, method: str, path: str) -> None:
    answer = await instance.call(method, path, key="", body=b"{")
    assert (answer.status, answer.json()["code"]) == (401, "identity.refused")


@pytest.mark.parametrize("path", ["/v1/prompts/k1", "/v1/prompts/purge", "/v1/say/x", "/v1/say/x/y", "/v2/prompts"])
async def test_what_does_not_exist_is_not_found(instance: Instance, path: str) -> None:
    assert (await instance.call("GET", path)).status == 404


@pytest.mark.parametrize("body", [b"{", b"", b"\xff", b'{"text": "\xe4"}', b"[1]", b'"x"', b'{"text":"a","text":"b"}'])
async def test_a_body_that_is_not_one_json_object_is_400(instance: Instance, body: bytes) -> None:
    answer = await instance.post(body)
    assert (answer.status, answer.json()["code"]) == (400, "request.not_json")


async def test_a_lone_surrogate_is_422_and_neither_echoed_nor_spoken(world: World, instance: Instance) -> None:
    answer = await instance.post(b'{"text": "a \\ud800 b"}')
    assert (answer.status, answer.json()["errors"][0]["code"]) == (422, "lone_surrogate")
    assert not world.speaker.said


async def test_audio_too_long_for_the_consumer_is_refused_before_it_is_paid(world: World, instance: Instance) -> None:
    answer = await instance.post({"text": "这是很长的一句话，后面还有。" * 140, "consumer": "sinch"})
    assert (answer.status, answer.json()["errors"]) == (
        400,
        [{"field": "consumer", "code": "too_long", "allowed": {"max_bytes": 1048576}}],
    )
    assert not world.speaker.said


async def test_the_state_bucket_never_holds_the_text_in_clear(world: World, instance: Instance) -> None:
    await instance.post({"text": "Geheimnis 482913"})
    everything: list[StoredObject] = [*world.state.objects.values(), *world.bucket.objects.values()]
    assert not [stored for stored in everything if b"482913" in stored.data or "482913" in str(stored.metadata)]
    assert [key for key in world.state.objects if key.startswith("recipes/acme/k1")]


async def test_the_call_id_is_passed_back_and_does_not_change_the_id(instance: Instance) -> None:
    plain = (await instance.post(WORDS)).json()
    answer = await instance.post({**WORDS, "call_id": "call-1@pbx"})
    assert answer.headers["x-call-id"] == "call-1@pbx"
    assert answer.json()["id"] == plain["id"]


async def test_audio_that_no_answer_could_carry_is_refused_before_it_is_paid(world: World, instance: Instance) -> None:
    body = {"text": "这是很长的一句话，后面还有。" * 350, "wait_ms": 0, "sample_rate_hz": 24000}
    answer = await instance.post(body)
    assert (answer.status, answer.json()["errors"][0]["allowed"]) == (400, {"max_bytes": 31457280})
    assert (await instance.post({**body, "sample_rate_hz": 8000})).status == 202


def test_a_base_url_that_makes_urls_too_long_is_a_mistake_of_the_configuration(world: World) -> None:
    with pytest.raises(ConfigError) as refused:
        assemble(
            base_url="https://" + "a" * 140,
            stores=world.stores,
            tenants=cast(Any, None),
            keys=cast(Any, None),
            synthesis=cast(Any, None),
            later=cast(Any, None),
            owner="x",
            limits=cast(Any, None),
        )
    assert refused.value.errors[0].field == "ISI_PUBLIC_BASE_URL"


async def test_every_url_is_between_64_and_255_characters(world: World, instance: Instance) -> None:
    longest = "t" * 32
    world.tenants([tenant_entry(longest, API_KEY), tenant_entry("tt", OTHER_KEY)])
    for key in (API_KEY, OTHER_KEY):
        for change in ({}, {"cache": "bypass"}, {"encoding": "mp3", "sample_rate_hz": 8000}):
            url = (await instance.post({**WORDS, **change}, key=key)).json()["url"]
            assert 64 <= len(url) <= 255
            assert (await instance.get(url)).status == 200
