"""`/v1/say`: a sealed text in a URL, answered with its audio, or with one answer for everything that is wrong."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.memory_store import MovableClock
from support.prompting import API_KEY, BASE_URL, Answer, Instance, World, tenant_entry

WORDS = {"text": "您好，您的验证码是 482913。"}


async def sealed(instance: Instance, body: Any = None, key: str = API_KEY) -> Answer:
    return await instance.call("POST", "/v1/say", body=msgspec.json.encode(body or WORDS), key=key)


async def url_of(instance: Instance, **changes: Any) -> str:
    url: str = (await sealed(instance, {**WORDS, **changes})).json()["url"]
    return url


async def test_a_sealed_text_costs_nothing_until_somebody_gets_it(world: World, instance: Instance) -> None:
    got = await sealed(instance)
    assert got.status == 200
    assert set(got.json()) == {"url", "voice_used", "expires_at"}
    assert got.json()["url"].startswith(f"{BASE_URL}/v1/say/")
    assert 64 <= len(got.json()["url"]) <= 255
    assert (world.speaker.said, world.bucket.objects) == ([], {})
    played = await instance.get(got.json()["url"])
    assert (played.status, played.headers["content-type"], played.body[:4]) == (200, "audio/wav", b"RIFF")
    assert played.headers["cache-control"] == "private, max-age=600"
    assert [each.text for each in world.speaker.said] == [WORDS["text"]]


async def test_it_is_spoken_once_for_all_who_get_it(world: World, instance: Instance) -> None:
    url = await url_of(instance)
    first = await instance.get(url)
    second = await world.instance().get(url)
    assert (first.body, first.headers["etag"]) == (second.body, second.headers["etag"])
    assert (await instance.get(url, if_none_match=first.headers["etag"])).status == 304
    assert (await instance.get(url, range="bytes=0-3")).body == b"RIFF"
    assert len(world.speaker.said) == 1


async def test_many_players_at_once_over_two_instances_are_one_synthesis(world: World, instance: Instance) -> None:
    url, other = await url_of(instance), world.instance()
    world.speaker.gate = asyncio.Event()
    asked = [asyncio.create_task(each.get(url)) for each in (instance, other) for _ in range(3)]
    await world.speaker.began(1)
    for _ in range(50):
        await asyncio.sleep(0)
    world.speaker.gate.set()
    answers = await asyncio.gather(*asked)
    assert {each.status for each in answers} == {200}
    assert (len({each.body for each in answers}), len(world.speaker.said)) == (1, 1)


async def test_every_option_is_in_the_url(world: World, instance: Instance) -> None:
    options = {"voice": "aixia", "volume": 1, "speech_rate": -500, "pitch_rate": 500, "consumer": "asterisk"}
    url = await url_of(instance, text="Grüße 😀 再见", **options)
    assert url.endswith(".ulaw")
    assert (await instance.get(url)).headers["content-type"] == "audio/basic"
    said = world.speaker.said[0]
    assert (said.text, said.voice, said.volume) == ("Grüße 😀 再见", "aixia", 1)
    assert (said.speech_rate, said.pitch_rate) == (-500, 500)


async def test_head_never_has_it_made(world: World, instance: Instance) -> None:
    url = await url_of(instance)
    assert (await instance.head(url)).status == 503
    assert world.speaker.said == []
    whole = await instance.get(url)
    told = await instance.head(url)
    assert (told.status, told.body, told.headers["content-length"]) == (200, b"", str(len(whole.body)))
    assert told.headers["etag"] == whole.headers["etag"]


async def test_it_is_over_when_its_time_is_over(world: World, instance: Instance) -> None:
    url = await url_of(instance, life_seconds=60)
    world.pass_time(30)
    assert (await instance.get(url)).headers["cache-control"] == "private, max-age=30"
    world.pass_time(30)
    assert (await instance.get(url)).status == 404


async def test_it_lives_as_long_as_was_said_where_both_instances_clocks_are_ten_minutes_off(world: World) -> None:
    world.wall = MovableClock(world.clock.now() - 600)
    url = await url_of(world.instance(), life_seconds=60)
    world.wall = MovableClock(world.clock.now() + 600)
    ahead = world.instance()
    assert (await ahead.get(url)).status == 200
    world.pass_time(60)
    assert (await ahead.get(url)).status == 404


async def test_it_outlives_the_day_of_its_audio_and_is_spoken_again(world: World, instance: Instance) -> None:
    url = await url_of(instance, life_seconds=3 * 86_400)
    for _ in range(2):
        assert (await instance.get(url)).status == 200
        world.pass_time(86_400)
    assert len(world.speaker.said) == 2


async def test_altered_foreign_and_expired_values_are_answered_alike_and_cost_nothing(
    world: World, instance: Instance
) -> None:
    url = await url_of(instance)
    name = url.rpartition("/")[2].removesuffix(".wav")
    raw = base64.urlsafe_b64decode(name + "=" * (-len(name) % 4))

    def named(data: bytes, extension: str = "wav") -> str:
        return f"/v1/say/{base64.urlsafe_b64encode(data).decode().rstrip('=')}.{extension}"

    altered = [named(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]) for at in (0, 1, 13, len(raw) // 2, len(raw) - 1)]
    others = ["/v1/say/x.wav", f"/v1/say/{name}", named(raw, "mp3"), named(raw[:-1]), f"/v1/say/{name}=.wav"]
    expired = await url_of(instance, life_seconds=60)
    gone = World()
    foreign = World()
    foreign._config("config/keys.json", {"version": 1, "master": base64.b64encode(bytes(32)).decode()})
    other_key = await url_of(foreign.instance())
    world.pass_time(61)
    gone.tenants([tenant_entry("somebody-else", API_KEY)])
    other_tenant = await url_of(gone.instance())
    bodies = set()
    for path in [*altered, *others, expired, other_key, other_tenant]:
        answer = await instance.get(path)
        problem = answer.json()
        bodies.add((answer.status, problem["code"], problem["title"], problem["detail"]))
        assert answer.headers["cache-control"] == "no-store, max-age=0"
    assert len(bodies) == 1
    assert next(iter(bodies))[0] == 404
    assert world.speaker.said == []


async def test_a_text_too_long_for_a_url_is_refused_with_the_way_out(world: World, instance: Instance) -> None:
    answer = await sealed(instance, {"text": "长" * 200})
    problem = answer.json()
    assert (answer.status, problem["errors"][0]["field"], problem["errors"][0]["code"]) == (400, "text", "too_long")
    assert problem["errors"][0]["allowed"]["max_url_characters"] == 255
    assert "wait_ms 0" in problem["detail"]


async def test_forty_chinese_characters_fit(instance: Instance) -> None:
    assert (await sealed(instance, {"text": "长" * 40})).status == 200


async def test_a_voice_that_the_tenant_may_not_use_any_more_is_not_spoken(world: World, instance: Instance) -> None:
    url = await url_of(instance, voice="aixia")
    world.tenants([tenant_entry("acme", API_KEY, voices=["xiaoyun"])])
    assert (await world.instance().get(url)).status == 404


@pytest.mark.parametrize("field", ["cache", "retention", "wait_ms"])
async def test_options_that_a_url_cannot_have_are_refused(instance: Instance, field: str) -> None:
    answer = await sealed(instance, {**WORDS, field: 0})
    assert [(each["field"], each["code"]) for each in answer.json()["errors"]] == [(field, "unknown")]


async def test_accept_text_plain_gives_the_url_alone(instance: Instance) -> None:
    answer = await instance.call("POST", "/v1/say", body=msgspec.json.encode(WORDS), headers={"accept": "text/plain"})
    assert answer.body.decode().startswith(f"{BASE_URL}/v1/say/")


async def test_two_seals_of_one_text_have_nothing_in_common(instance: Instance) -> None:
    one, other = [(await url_of(instance)).rpartition("/")[2] for _ in range(2)]
    assert one[2:20] != other[2:20]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_text_survives_its_encoding(text: str) -> None:
    assert text.encode("gb18030").decode("gb18030") == text
