"""Bad input: named in full, nothing spent, nothing cached, nobody else's place reached."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from support.prompting import Instance, World

MIB = 1024 * 1024
EVERY_MISTAKE: dict[str, Any] = {
    "text": 7,
    "volume": 101,
    "speech_rate": "fast",
    "pitch_rate": -501,
    "voice": "nobody",
    "locale": "xx-XX",
    "encoding": "opus",
    "container": "ogg",
    "sample_rate_hz": 44100,
    "consumer": "gramophone",
    "cache": "maybe",
    "retention": "week",
    "wait_ms": 25_001,
    "call_id": "no blanks",
    "colour": "red",
}
TRICKS = [
    "..",
    "../other",
    "..%2fother",
    "%2e%2e",
    "a/../../b",
    "k1" + "a" * 51 + "/",
    "k1" + "A" * 52,
    "k0" + "a" * 52,
    "k1" + "a" * 52 + "\n",
    "k1" + "a" * 52 + "\u0661",
    "config/keys.json",
    "\x00",
    "a" * 5_000,
]


def untouched(world: World, before: set[str]) -> bool:
    return not world.speaker.said and not world.bucket.objects and set(world.state.objects) == before


async def test_all_mistakes_are_named_at_once(world: World, instance: Instance) -> None:
    before = set(world.state.objects)
    answer = await instance.post(EVERY_MISTAKE)
    named = [each["field"] for each in answer.json()["errors"]]
    assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json")
    assert sorted(set(named)) == sorted(EVERY_MISTAKE)
    assert untouched(world, before)


@pytest.mark.parametrize("path", ["/v1/prompts", "/v1/prompts/purge", "/v1/say"])
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"text": "' + b"a" * (10 * MIB) + b'"}', 413),
        (b"[" * 100_000, 400),
        (b'{"text": ' + b"[" * 40 + b"]" * 40 + b"}", 400),
        (b'{"text": 1e999}', 400),
        (b"{" + b",".join(b'"f%d": 1' % number for number in range(10_000)) + b"}", 400),
        (b"null", 400),
    ],
    ids=["10 MB", "brackets", "deep", "infinite", "ten thousand fields", "null"],
)
async def test_a_hostile_body_is_refused_before_anything_is_spent(
    world: World, instance: Instance, path: str, body: bytes, status: int
) -> None:
    before = set(world.state.objects)
    answer = await instance.call("POST", path, body=body)
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    assert untouched(world, before)


@pytest.mark.parametrize("trick", TRICKS, ids=lambda trick: ascii(trick)[:20])
async def test_no_trick_in_an_id_or_a_tenant_reaches_anything(world: World, instance: Instance, trick: str) -> None:
    made = (await instance.post({"text": "您好"})).json()
    before = {**world.bucket.objects}, {**world.state.objects}
    name = made["url"].rpartition("/")[2]
    asked = [
        ("GET", f"/v1/prompts/{trick}"),
        ("DELETE", f"/v1/prompts/{trick}"),
        ("POST", f"/v1/prompts/{trick}/retire"),
        ("GET", f"/p/acme/{trick}/{name}"),
        ("GET", f"/p/{trick}/{made['id']}/{name}"),
        ("GET", f"/p/acme/{made['id']}/{trick}"),
        ("GET", f"/e/acme/once/{trick}/{name}"),
        ("GET", f"/v1/say/{trick}"),
        ("GET", f"/v1/say/{trick}.wav"),
    ]
    for method, path in asked:
        answer = await instance.call(method, path)
        assert answer.status in (404, 405), path
        assert answer.headers["content-type"] == "application/problem+json"
    assert ({**world.bucket.objects}, {**world.state.objects}) == before
    assert len(world.speaker.said) == 1


@pytest.mark.parametrize(
    ("characters", "wait_ms", "status"),
    [(2_000, 10_000, 200), (2_001, 10_000, 400), (2_001, 0, 202), (5_000, 0, 202), (5_001, 0, 400)],
)
async def test_long_texts_have_two_limits(
    world: World, instance: Instance, characters: int, wait_ms: int, status: int
) -> None:
    answer = await instance.post({"text": ("这是一句很长的话。" * 600)[:characters], "wait_ms": wait_ms})
    assert answer.status == status
    if status == 400:
        assert [each["code"] for each in answer.json()["errors"]] == ["too_long"]
        assert not world.speaker.said
    if status == 200:
        assert all(len(each.text) <= 300 for each in world.speaker.said)
        assert "".join(each.text for each in world.speaker.said).count("。") == 222


async def test_the_longest_text_is_made_later_in_one_invocation(world: World, instance: Instance) -> None:
    answer = await instance.post({"text": ("这是一句很长的话。" * 600)[:5_000], "wait_ms": 0})
    assert await world.later.carried_out(instance.prompts) == [True]
    played = await instance.get(answer.json()["url"])
    assert (played.status, sum(len(each.text) for each in world.speaker.said)) == (200, 5_000)


@pytest.mark.parametrize("text", ["", "  \n", "…!?", "\ud800", "a\x07b", "<speak>a</speak>", "\u200b\u2060"])
async def test_what_cannot_be_spoken_is_422_and_costs_nothing(world: World, instance: Instance, text: str) -> None:
    before = set(world.state.objects)
    body = b'{"text": "\\ud800"}' if text == "\ud800" else msgspec.json.encode({"text": text})
    answer = await instance.call("POST", "/v1/prompts", body=body)
    assert (answer.status, answer.json()["errors"][0]["field"]) == (422, "text")
    assert untouched(world, before)
