"""What is spoken instead: another voice of the same language, or the tenant's neutral prompt; never another value."""

from __future__ import annotations

from typing import Any

import pytest

from isikit.errors import SpeechError, SpeechUnavailable, speech_error
from isikit.nls.synthesis import Utterance
from support.prompting import API_KEY, Instance, World, tenant_entry, tone

WORDS = {"text": "您的余额是一百元。"}
SORRY = "请稍后再拨。"


def refusing(*voices: str) -> Any:
    """Audio, but for some voices."""

    def pcm(utterance: Utterance, take: int) -> bytes:
        if utterance.voice in voices:
            raise speech_error(40000001, "No privilege to this voice! (voice: x, privilege: 0)")
        return tone(utterance, take)

    return pcm


def with_chain(world: World, chain: dict[str, list[str]], **more: Any) -> Instance:
    world.tenants([tenant_entry("acme", API_KEY, voice_fallbacks=chain, **more)])
    return world.instance()


async def test_a_refused_voice_is_replaced_by_the_next_one_under_its_own_id(world: World) -> None:
    instance = with_chain(world, {"aixia": ["siyue", "xiaoyun"]})
    world.speaker.pcm = refusing("aixia", "siyue")
    got = (await instance.post({**WORDS, "voice": "aixia"})).json()
    assert (got["status"], got["voice_used"]) == ("ready", "xiaoyun")
    asked_for = (await instance.post({**WORDS, "voice": "xiaoyun"})).json()
    assert (asked_for["id"], asked_for["url"], asked_for["cache"]) == (got["id"], got["url"], "hit")
    assert [each.voice for each in world.speaker.said] == ["aixia", "siyue", "xiaoyun"]


async def test_the_next_request_is_a_hit_that_asks_nobody(world: World) -> None:
    instance = with_chain(world, {"aixia": ["xiaoyun"]})
    world.speaker.pcm = refusing("aixia")
    first = (await instance.post({**WORDS, "voice": "aixia"})).json()
    calls = world.bucket.calls.total() + world.state.calls.total()
    again = (await instance.post({**WORDS, "voice": "aixia"})).json()
    assert (again["url"], again["cache"], len(world.speaker.said)) == (first["url"], "hit", 2)
    assert world.bucket.calls.total() + world.state.calls.total() == calls


async def test_a_voice_that_is_allowed_again_comes_back(world: World) -> None:
    instance = with_chain(world, {"aixia": ["xiaoyun"]})
    world.speaker.pcm = refusing("aixia")
    await instance.post({**WORDS, "voice": "aixia"})
    world.speaker.pcm = None
    world.pass_time(301)
    assert (await instance.post({**WORDS, "voice": "aixia"})).json()["voice_used"] == "aixia"


@pytest.mark.parametrize(
    ("body", "chain"),
    [
        ({**WORDS, "voice": "aixia"}, ["becca", "harry"]),  # another language
        ({**WORDS, "voice": "aixia"}, ["aixia"]),
        ({**WORDS, "voice": "aixia"}, ["never-heard-of"]),
        ({"ssml": "<speak><emotion category='happy'>好</emotion></speak>", "voice": "zhimiao_emo"}, ["xiaoyun"]),
    ],
)
async def test_what_cannot_speak_it_is_never_asked(world: World, body: dict[str, Any], chain: list[str]) -> None:
    instance = with_chain(world, {body["voice"]: chain})
    world.speaker.pcm = refusing(body["voice"])
    answer = await instance.post(body)
    assert (answer.status, answer.json()["code"]) == (422, "nls.voice_forbidden")
    assert {each.voice for each in world.speaker.said} == {body["voice"]}


async def test_what_was_promised_in_a_refused_voice_is_refused_at_its_own_url_and_another_voice_has_another(
    world: World,
) -> None:
    instance = with_chain(world, {"aixia": ["xiaoyun"]})
    world.speaker.pcm = refusing("aixia")
    promised = (await instance.post({**WORDS, "voice": "aixia", "wait_ms": 0})).json()
    played = await instance.get(promised["url"])
    assert (played.status, played.json()["code"]) == (422, "nls.voice_forbidden")
    assert played.headers["cache-control"] == "no-store, max-age=0"
    had = (await instance.post({**WORDS, "voice": "aixia"})).json()
    assert (had["status"], had["voice_used"], had["url"] != promised["url"]) == ("ready", "xiaoyun", True)
    assert (await instance.get(promised["url"])).status == 422


async def test_a_voice_that_the_tenant_may_not_use_is_no_fallback(world: World) -> None:
    instance = with_chain(world, {"aixia": ["xiaoyun", "siyue"]}, voices=["aixia", "siyue"])
    world.speaker.pcm = refusing("aixia")
    assert (await instance.post({**WORDS, "voice": "aixia"})).json()["voice_used"] == "siyue"


async def test_while_the_service_is_down_the_neutral_prompt_is_given_by_its_own_url(world: World) -> None:
    instance = with_chain(world, {}, fallback_prompt={"zh-CN": SORRY})
    neutral = (await instance.post({"text": SORRY, "retention": "permanent"})).json()
    world.speaker.error = lambda: SpeechError("down", code="nls.failed")
    answer = await instance.post(WORDS)
    got = answer.json()
    assert (answer.status, got["status"], got["url"], got["id"]) == (200, "degraded", neutral["url"], neutral["id"])
    assert got["billed"] == {"characters": 0, "calls": 0}
    world.speaker.error = None
    assert (await instance.post(WORDS)).json()["status"] == "ready"


async def test_the_neutral_prompt_is_had_in_the_form_that_was_asked_for(world: World) -> None:
    instance = with_chain(world, {}, fallback_prompt={"zh-CN": SORRY})
    await instance.post({"text": SORRY})
    spoken = len(world.speaker.said)
    world.speaker.error = SpeechError
    got = (await instance.post({**WORDS, "consumer": "asterisk", "retention": "day"})).json()
    assert (got["status"], got["audio"]["encoding"], len(world.speaker.said)) == ("degraded", "mulaw", spoken + 1)
    assert (await instance.get(got["url"])).status == 200


@pytest.mark.parametrize("fallback", [{}, {"en-US": "Sorry."}, {"zh-CN": SORRY}], ids=["none", "another", "not made"])
async def test_without_a_neutral_prompt_that_was_made_the_failure_is_told(
    world: World, fallback: dict[str, str]
) -> None:
    instance = with_chain(world, {}, fallback_prompt=fallback)
    await instance.post({"text": "Sorry.", "locale": "en-US"})
    world.speaker.error = lambda: SpeechError("down", code="nls.failed")
    answer = await instance.post(WORDS)
    assert (answer.status, answer.json()["code"]) == (502, "nls.failed")


async def test_a_text_that_is_refused_is_not_degraded(world: World) -> None:
    instance = with_chain(world, {}, fallback_prompt={"zh-CN": SORRY})
    await instance.post({"text": SORRY})
    world.speaker.error = lambda: speech_error(41020001, "Illegal ssml text")
    assert (await instance.post(WORDS)).status == 422


async def test_audio_paths_never_play_the_neutral_prompt_for_another(world: World) -> None:
    instance = with_chain(world, {}, fallback_prompt={"zh-CN": SORRY})
    await instance.post({"text": SORRY})
    url = (await instance.post({**WORDS, "wait_ms": 0})).json()["url"]
    world.speaker.error = lambda: SpeechError("down", code="nls.failed")
    assert (await instance.get(url)).status == 502


async def test_an_open_circuit_keeps_hits_and_answers_misses_at_once(world: World) -> None:
    instance = world.instance()
    hit = (await instance.post(WORDS)).json()
    world.speaker.error = lambda: SpeechUnavailable("down", retry_after=0)
    texts = iter(range(100))
    while (answer := await instance.post({"text": f"第{next(texts)}条"})).json()["code"] != "nls.paused":
        assert answer.status == 503
    asked, written = len(world.speaker.said), world.state.calls["append"] + world.state.calls["put"]
    answer = await instance.post({"text": "还没有的"})
    assert (answer.status, answer.json()["code"], answer.headers["retry-after"]) == (503, "nls.paused", "5")
    assert (len(world.speaker.said), world.state.calls["append"] + world.state.calls["put"]) == (asked, written)
    assert (await instance.post(WORDS)).json()["cache"] == "hit"
    assert (await instance.get(hit["url"])).status == 200
    world.speaker.error = None
    world.pass_time(5)
    assert (await instance.post({"text": "还没有的"})).json()["status"] == "ready"


async def test_only_voices_of_the_allowlist_can_be_asked_for_and_are_listed(world: World) -> None:
    instance = with_chain(world, {}, voices=["aixia", "becca"])
    refused = await instance.post({**WORDS, "voice": "siyue"})
    assert (refused.status, refused.json()["errors"][0]["allowed"]) == (400, ["aixia"])
    assert (await instance.post(WORDS)).json()["voice_used"] == "aixia"  # the default is not allowed
    listed = (await instance.call("GET", "/v1/voices")).json()
    assert {each["name"] for each in listed["voices"]} == {"aixia", "becca"}
    assert listed["default_voices"] == {"zh-CN": "aixia", "en-US": "becca"}
    answer = await instance.post({"text": "こんにちは", "locale": "ja-JP"})
    assert answer.json()["errors"][0]["field"] == "locale"


async def test_a_used_up_quota_stops_misses_and_no_hits(world: World) -> None:
    instance = with_chain(world, {}, quotas={"synthesis_calls": 1})
    hit = (await instance.post(WORDS)).json()
    refused = await instance.post({"text": "还没有的"})
    assert (refused.status, refused.json()["code"]) == (429, "limit.quota")
    assert (await instance.post(WORDS)).json() == {**hit, "cache": "hit", "billed": {"characters": 0, "calls": 0}}
    assert (await instance.post({**WORDS, "encoding": "mp3"})).status == 200
    assert (await instance.get(hit["url"])).status == 200
    assert len(world.speaker.said) == 1
