"""GET and HEAD of audio: what players may rely on."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from functions.prompts.playing import WAIT_SECONDS
from isikit.errors import SpeechError
from support.memory_store import StoredObject
from support.prompting import BASE_URL, Instance, World

WORDS = {"text": "您好，欢迎致电。"}
SAME = ("etag", "last-modified", "content-length", "content-type", "cache-control", "accept-ranges")


async def made(instance: Instance, **changes: Any) -> str:
    answer = await instance.post({**WORDS, **changes})
    assert answer.status in (200, 202), answer.body
    return str(answer.json()["url"])


def key_of(url: str) -> str:
    return url.removeprefix(BASE_URL + "/")


def overwrite(world: World, key: str, data: bytes) -> None:
    """Damage an object's bytes and leave what is said about it."""
    old = world.bucket.objects[key]
    world.bucket.objects[key] = StoredObject(data, old.content_type, old.metadata, old.last_modified)


async def test_head_and_get_agree_on_every_instance(world: World, instance: Instance) -> None:
    url = await made(instance)
    answers = [
        answer for each in (instance, world.instance()) for answer in (await each.head(url), await each.get(url))
    ]
    assert {answer.status for answer in answers} == {200}
    assert len({tuple(answer.headers[name] for name in SAME) for answer in answers}) == 1
    assert not answers[0].body and len(answers[1].body) == int(answers[0].headers["content-length"])
    info = await world.bucket.head(key_of(url))
    assert info is not None
    assert answers[0].headers["etag"] == f'"{info.etag}"'  # as OSS itself would say


@pytest.mark.parametrize(
    ("consumer", "extension", "content_type"),
    [
        ("asterisk", ".ulaw", "audio/basic"),
        ("freeswitch", ".wav", "audio/wav"),
        ("amazon-connect", ".wav", "audio/wav"),
    ],
)
async def test_extension_and_type_are_what_the_consumer_goes_by(
    instance: Instance, consumer: str, extension: str, content_type: str
) -> None:
    url = await made(instance, consumer=consumer)
    answer = await instance.get(url)
    assert url.endswith(extension)
    assert answer.headers["content-type"] == content_type


@pytest.mark.parametrize(("encoding", "content_type"), [("alaw", "audio/PCMA"), ("mp3", "audio/mpeg")])
async def test_types_of_other_encodings(instance: Instance, encoding: str, content_type: str) -> None:
    assert (await instance.get(await made(instance, encoding=encoding))).headers["content-type"] == content_type


async def test_how_long_audio_is_good_depends_on_its_retention(world: World, instance: Instance) -> None:
    kept, day = await made(instance), await made(instance, retention="day")
    assert (await instance.get(kept)).headers["cache-control"] == "public, max-age=31536000, immutable"
    assert (await instance.get(day)).headers["cache-control"] == "private, max-age=600"
    world.pass_time(86_400 - 100)
    assert (await instance.get(day)).headers["cache-control"] == "private, max-age=100"


@pytest.mark.parametrize("form", ["{0}", "W/{0}", '"x", {0}', '"x",W/{0}', "*"])
async def test_a_known_etag_is_304_without_a_body(instance: Instance, form: str) -> None:
    url = await made(instance)
    whole = await instance.get(url)
    for answer in (
        await instance.get(url, If_None_Match=form.format(whole.headers["etag"])),
        await instance.head(url, If_None_Match=form.format(whole.headers["etag"])),
    ):
        assert (answer.status, answer.body) == (304, b"")
        assert [answer.headers[name] for name in ("etag", "cache-control")] == [
            whole.headers[name] for name in ("etag", "cache-control")
        ]


async def test_an_unknown_etag_outweighs_the_date(instance: Instance) -> None:
    url = await made(instance)
    date = (await instance.get(url)).headers["last-modified"]
    assert (await instance.get(url, If_Modified_Since=date)).status == 304
    assert (await instance.get(url, If_None_Match='"x"', If_Modified_Since=date)).status == 200


async def test_a_range_is_206_and_outside_of_it_416(instance: Instance) -> None:
    url = await made(instance)
    whole = await instance.get(url)
    part = await instance.get(url, Range="bytes=0-43")
    assert (part.status, part.body) == (206, whole.body[:44])
    assert part.headers["content-range"] == f"bytes 0-43/{len(whole.body)}"
    assert part.headers["content-length"] == "44"
    beyond = await instance.get(url, Range=f"bytes={len(whole.body)}-")
    assert (beyond.status, beyond.headers["content-range"]) == (416, f"bytes */{len(whole.body)}")
    assert beyond.headers["cache-control"] == "no-store, max-age=0"


@pytest.mark.parametrize(
    "path",
    [
        "/p/acme/k1" + "a" * 52 + "/pcm_s16le-8000.wav",
        "/p/nobody/k1" + "a" * 52 + "/pcm_s16le-8000.wav",
        "/p/acme/k1" + "a" * 52 + "/nothing.wav",
        "/p/acme/once/" + "a" * 52 + "/pcm_s16le-8000.wav",
        "/p/acme/x/y.wav",
        "/p/",
        "/e/../config/keys.json",
        "/p/acme//pcm_s16le-8000.wav",
    ],
)
async def test_what_is_not_there_is_404_that_nobody_keeps_whatever_is_wrong_with_it(
    world: World, instance: Instance, path: str
) -> None:
    for answer in (await instance.get(path), await instance.head(path)):
        assert answer.status == 404
        assert answer.headers["cache-control"] == "no-store, max-age=0"
    problem = (await instance.get(path)).json()
    assert {name: value for name, value in problem.items() if name != "request_id"} == {
        "type": "urn:speech-functions:problem:http.not_found",
        "code": "http.not_found",
        "status": 404,
        "title": "There is nothing here",
        "detail": "Check the path; /openapi.json lists what there is.",
    }


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_other_methods_are_405_that_nobody_keeps(instance: Instance, method: str) -> None:
    answer = await instance.call(method, await made(instance), key="")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
    assert answer.headers["cache-control"] == "no-store, max-age=0"


async def test_audio_whose_day_is_over_is_410_also_when_it_was_swept(world: World, instance: Instance) -> None:
    url = await made(instance, retention="day")
    world.pass_time(86_401)
    for each in (instance, world.instance()):
        answer = await each.get(url)
        assert (answer.status, answer.headers["cache-control"]) == (410, "no-store, max-age=0")
        assert (await each.head(url)).status == 410
    world.bucket.objects.clear()
    world.pass_time(61)
    assert (await instance.get(url)).status == 410
    assert len(world.speaker.said) == 1


async def test_a_player_that_comes_before_the_audio_makes_it(world: World, instance: Instance) -> None:
    url = await made(instance, wait_ms=0)
    answer = await instance.get(url)
    assert (answer.status, len(world.speaker.said)) == (200, 1)
    assert answer.headers["cache-control"].startswith("public")


async def test_a_player_that_comes_before_the_audio_waits_five_seconds_at_most(
    world: World, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert WAIT_SECONDS == 5.0
    monkeypatch.setattr("functions.prompts.playing.WAIT_SECONDS", 0.05)
    url = await made(instance, wait_ms=0)
    world.later.asked.clear()
    world.speaker.gate = asyncio.Event()
    answer = await instance.get(url)
    assert (answer.status, answer.json()["code"]) == (503, "prompt.pending")
    assert answer.headers["cache-control"] == "no-store, max-age=0"
    assert int(answer.headers["retry-after"]) >= 1
    assert world.speaker.at_once == 0
    assert len(world.later.asked) == 1  # so that the next one finds it


async def test_head_never_starts_a_synthesis(world: World, instance: Instance) -> None:
    url = await made(instance, wait_ms=0)
    answer = await instance.head(url)
    assert (answer.status, answer.headers["cache-control"]) == (503, "no-store, max-age=0")
    assert not world.speaker.said


async def test_head_derives_a_rendition_that_is_missing_from_its_master(world: World, instance: Instance) -> None:
    url = (await made(instance)).replace("pcm_s16le-8000.wav", "mulaw-8000.ulaw")
    head, get = await instance.head(url), await instance.get(url)
    assert (head.status, get.status) == (200, 200)
    assert [head.headers[name] for name in SAME] == [get.headers[name] for name in SAME]
    assert len(world.speaker.said) == 1


async def test_a_failure_of_the_service_reaches_the_player_as_no_audio(world: World, instance: Instance) -> None:
    url = await made(instance, wait_ms=0)
    world.speaker.error = SpeechError
    answer = await instance.get(url)
    assert (answer.status, answer.headers["cache-control"]) == (502, "no-store, max-age=0")
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("damage", [b"", b"RIFF", b"\0" * 20_000], ids=["empty", "cut", "zeros"])
async def test_a_damaged_rendition_is_never_served_but_derived_again(
    world: World, instance: Instance, damage: bytes
) -> None:
    url = await made(instance)
    good = await instance.get(url)
    overwrite(world, key_of(url), damage)
    answer = await world.instance().get(url)
    assert (answer.status, answer.body, answer.headers["etag"]) == (200, good.body, good.headers["etag"])
    assert len(world.speaker.said) == 1


async def test_planted_audio_without_a_digest_is_not_believed(world: World, instance: Instance) -> None:
    url = await made(instance)
    good = (await instance.get(url)).body
    world.bucket.objects[key_of(url)] = StoredObject(b"RIFFplanted", "audio/wav", {}, world.clock.now())
    world.pass_time(61)
    assert (await instance.get(url)).body == good
    assert (await instance.post(WORDS)).json()["cache"] == "hit"


async def test_with_the_master_damaged_too_the_url_is_over_and_the_next_one_is_another(
    world: World, instance: Instance
) -> None:
    url = await made(instance)
    for key in list(world.bucket.objects):
        overwrite(world, key, b"broken")
    other = world.instance()
    assert (await other.get(url)).status == 410
    assert await made(other) != url
    assert len(world.speaker.said) == 2


async def test_damage_in_oss_shows_within_a_minute_at_an_instance_that_knew_better(
    world: World, instance: Instance
) -> None:
    url = await made(instance)
    del world.bucket.objects[key_of(url)]
    assert (await instance.get(url)).status == 200
    world.pass_time(61)
    (await instance.get(url))
    assert key_of(url) in world.bucket.objects


async def test_audio_in_memory_is_served_while_oss_cannot_be_reached(world: World, instance: Instance) -> None:
    url, day = await made(instance), await made(instance, retention="day")
    world.pass_time(3600)
    world.bucket.fail("head", times=1000)
    world.bucket.fail("get", times=1000)
    assert (await instance.get(url)).status == 200
    assert (await instance.post(WORDS)).json()["cache"] == "hit"
    assert (await instance.get(day)).status == 503  # whether its day is over is not known here
    answer = await world.instance().get(url)
    assert (answer.status, answer.headers["cache-control"]) == (503, "no-store, max-age=0")


async def test_fifty_players_that_come_at_once_cost_one_synthesis(world: World, instance: Instance) -> None:
    url = await made(instance, wait_ms=0, retention="day")
    instances = [instance, world.instance()]
    answers = await asyncio.gather(*(instances[number % 2].get(url) for number in range(50)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert len(world.speaker.said) == 1


async def test_the_log_names_the_prompt_that_could_not_be_played_and_nothing_of_paths_that_name_none(
    instance: Instance, capsys: pytest.CaptureFixture[str]
) -> None:
    unknown = "k1" + "a" * 52
    capsys.readouterr()
    for path in (f"/p/acme/{unknown}/mulaw-8000.ulaw", "/p/acme/secret-of-a-caller/mulaw-8000.ulaw"):
        assert (await instance.get(path)).status == 404
    lines = [msgspec.json.decode(line) for line in capsys.readouterr().out.splitlines() if '"audio.refused"' in line]
    assert [(line.get("prompt_id"), line.get("rendition")) for line in lines] == [(unknown, "mulaw-8000"), (None, None)]
    assert "secret" not in str(lines)
