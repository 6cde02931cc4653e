"""Warm hits: the same bytes again are answered from memory, and never with what is not so any more."""

from __future__ import annotations

import msgspec
import pytest

from functions.prompts import hot
from support.prompting import API_KEY, OTHER_KEY, Instance, World, tenant_entry

WORDS = {"text": "您好，欢迎致电。", "call_id": "call-7"}


async def warmed(instance: Instance, **wish: object) -> bytes:
    """Ask until the request is known by its bytes, and give them."""
    body = msgspec.json.encode({**WORDS, **wish})
    for _ in range(3):
        assert (await instance.post(body)).status == 200
    return body


def known(instance: Instance) -> int:
    return len(instance.prompts.hot._hits)


async def test_a_known_request_is_answered_like_one_that_is_read_anew(instance: Instance) -> None:
    body = await warmed(instance)
    assert known(instance) == 1
    for headers in ({}, {"accept": "text/plain"}, {"accept": "application/json"}):
        again, anew = await instance.post(body, headers=headers), await instance.post(body + b" ", headers=headers)
        assert again.body == anew.body
        varying = ("x-request-id", "ratelimit-remaining", "ratelimit-reset")
        one, other = ({k: v for k, v in each.headers.items() if k not in varying} for each in (again, anew))
        assert one == other
        assert one["x-call-id"] == "call-7"


async def test_a_known_request_makes_no_network_call(world: World, instance: Instance) -> None:
    body = await warmed(instance)
    before = world.bucket.calls.total() + world.state.calls.total()
    assert (await instance.post(body)).json()["cache"] == "hit"
    assert world.bucket.calls.total() + world.state.calls.total() == before


async def test_a_known_request_writes_the_same_log_line(instance: Instance, capsys: pytest.CaptureFixture[str]) -> None:
    body = await warmed(instance)
    capsys.readouterr()
    lines = []
    for sent in (body + b" ", body):
        await instance.post(sent)
        served = [line for line in capsys.readouterr().out.splitlines() if '"prompt.served"' in line]
        lines += [msgspec.json.decode(line) for line in served]
    for line in lines:
        for varying in ("time", "request_id", "duration_ms"):
            del line[varying]
    assert lines[0] == lines[1]
    assert lines[0]["cache"] == "hit"


async def test_the_same_bytes_of_another_tenant_are_another_prompt(instance: Instance) -> None:
    body = await warmed(instance)
    mine, theirs = await instance.post(body), await instance.post(body, key=OTHER_KEY)
    assert mine.json()["url"] != theirs.json()["url"]
    assert theirs.json()["cache"] == "miss"


async def test_what_the_tenants_file_says_now_counts(world: World, instance: Instance) -> None:
    body = await warmed(instance)
    world.tenants([tenant_entry("acme", API_KEY, default_voice={"zh-CN": "aixia"})])
    world.pass_time(31)
    answer = (await instance.post(body)).json()
    assert (answer["cache"], answer["voice_used"]) == ("miss", "aixia")


async def test_what_was_deleted_or_retired_is_made_anew(instance: Instance) -> None:
    body = await warmed(instance)
    first = (await instance.post(body)).json()
    assert (await instance.call("DELETE", f"/v1/prompts/{first['id']}")).status == 204
    second = (await instance.post(body)).json()
    assert (second["cache"], second["url"]) == ("miss", first["url"])
    await warmed(instance)
    await instance.call("POST", f"/v1/prompts/{first['id']}/retire")
    assert (await instance.post(body)).json()["url"] != first["url"]


async def test_a_prompt_of_a_day_is_not_given_out_in_its_last_minute(world: World, instance: Instance) -> None:
    body = await warmed(instance, retention="day")
    world.pass_time(86_400 - 110)
    assert (await instance.post(body)).json()["cache"] == "hit"
    world.pass_time(55)
    assert (await instance.post(body)).json()["cache"] == "miss"


async def test_a_voice_that_was_refused_lately_is_not_answered_from_memory(world: World, instance: Instance) -> None:
    world.tenants([tenant_entry("acme", API_KEY, voice_fallbacks={"xiaoyun": ["xiaogang"]})])
    body = await warmed(instance)
    tenants = await instance.prompts.tenants.current()
    tenant = tenants.find("acme")
    assert tenant is not None
    hit = await instance.prompts.hot.find(tenant, body)
    assert hit is not None
    instance.prompts.voices._refused_at["acme", "xiaoyun"] = world.wall.now()
    assert await instance.prompts.hot.find(tenant, body) is None


@pytest.mark.parametrize("change", [{"cache": "bypass"}, {"cache": "refresh"}, {"text": "好" * 1000}])
async def test_only_hits_of_short_requests_are_kept(instance: Instance, change: dict[str, object]) -> None:
    await warmed(instance, **change)
    assert known(instance) == 0


async def test_the_least_recently_used_is_given_up(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hot, "MAX_HITS", 2)
    bodies = [await warmed(instance, text=text) for text in ("一号。", "二号。", "三号。")]
    tenant = (await instance.prompts.tenants.current()).find("acme")
    assert tenant is not None
    assert [await instance.prompts.hot.find(tenant, body) is not None for body in bodies] == [False, True, True]


async def test_nothing_is_believed_once_the_keys_were_read_again(world: World, instance: Instance) -> None:
    body = await warmed(instance)
    tenant = (await instance.prompts.tenants.current()).find("acme")
    assert tenant is not None
    world.pass_time(31)
    await instance.prompts.keys.proves(lambda keys: False)  # which reads the file again
    assert await instance.prompts.hot.find(tenant, body) is None
    assert known(instance) == 0
