"""`POST /v1/prompts/purge`: a dry run unless told, page by page, of one tenant only."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest

from isikit.stamps import rfc3339
from support.prompting import API_KEY, OTHER_KEY, Answer, Instance, World


async def purge(instance: Instance, body: Any, key: str = API_KEY) -> Answer:
    return await instance.call("POST", "/v1/prompts/purge", body=msgspec.json.encode(body), key=key)


async def filled(instance: Instance) -> dict[str, str]:
    """Four prompts: id by name."""
    wishes: dict[str, dict[str, Any]] = {
        "chinese": {"text": "您好"},
        "english": {"text": "Hello", "locale": "en-US"},
        "other voice": {"text": "再见", "voice": "aixia"},
        "of a day": {"text": "四八二", "retention": "day"},
    }
    return {name: (await instance.post(wish)).json()["id"] for name, wish in wishes.items()}


def ids(answer: Answer) -> set[str]:
    return {each["id"] for each in answer.json()["prompts"]}


@pytest.mark.parametrize(
    ("criteria", "names"),
    [
        ({"all": True}, {"chinese", "english", "other voice", "of a day"}),
        ({"voice": "aixia"}, {"other voice"}),
        ({"locale": "en-US"}, {"english"}),
        ({"retention": "day"}, {"of a day"}),
        ({"locale": "zh-CN", "retention": "permanent"}, {"chinese", "other voice"}),
        ({"made_before": "2001-01-01T00:00:00Z"}, set()),
    ],
    ids=lambda given: str(given) if isinstance(given, dict) else "",  # a set has no order
)
async def test_what_fits_is_named_by_a_dry_run_and_gone_after_a_real_one(
    world: World, instance: Instance, criteria: dict[str, Any], names: set[str]
) -> None:
    made = await filled(instance)
    before = set(world.bucket.objects) | set(world.state.objects)
    expected = {made[name] for name in names}
    dry = await purge(instance, criteria)
    assert (dry.status, dry.json()["dry_run"], ids(dry)) == (200, True, expected)
    assert set(world.bucket.objects) | set(world.state.objects) == before
    real = await purge(instance, {**criteria, "dry_run": False})
    assert (ids(real), real.json()["cursor"]) == (expected, None)
    left = [*world.bucket.objects, *(key for key in world.state.objects if "recipes" in key)]
    assert not [key for key in left for gone in expected if gone in key]
    assert {name for name, prompt_id in made.items() if any(prompt_id in key for key in left)} == set(made) - names


async def test_age_is_that_of_the_recipe(world: World, instance: Instance) -> None:
    old = (await instance.post({"text": "旧的"})).json()["id"]
    world.pass_time(3_600)
    new = (await instance.post({"text": "新的"})).json()["id"]
    got = await purge(instance, {"made_before": rfc3339(world.clock.now() - 1_800), "dry_run": False})
    assert ids(got) == {old}
    assert (await instance.call("GET", f"/v1/prompts/{new}")).status == 200


async def test_pages_follow_each_other_and_each_prompt_is_seen_once(world: World, instance: Instance) -> None:
    made = {
        (await instance.post({"text": f"第{n}条", "retention": kept})).json()["id"]
        for n in range(4)
        for kept in ("permanent", "day")
    }
    seen: list[str] = []
    cursor, pages = None, 0
    while pages == 0 or cursor is not None:
        body = {"all": True, "max": 3, "dry_run": False, **({"cursor": cursor} if cursor else {})}
        page = (await purge(instance, body)).json()
        assert page["examined"] <= 3
        seen += [each["id"] + each["retention"] for each in page["prompts"]]
        cursor, pages = page["cursor"], pages + 1
    assert (len(seen), len(set(seen)), {each[:54] for each in seen}) == (8, 8, made)
    assert not world.bucket.objects


@pytest.mark.parametrize("junk", ["!{}", "a{}", "k1\n{}.wav", "中 {}"])
async def test_what_is_no_prompts_hides_none_that_comes_after_it(world: World, instance: Instance, junk: str) -> None:
    made = {(await instance.post({"text": f"第{n}条"})).json()["id"] for n in range(3)}
    recipe = next(key for key in world.state.objects if key.startswith("recipes/"))
    master = next(key for key in world.bucket.objects if key.startswith("masters/"))
    for n in range(9):
        world.state.objects[f"{recipe.rpartition('/')[0]}/{junk.format(n)}"] = world.state.objects[recipe]
        world.bucket.objects[f"{master.rpartition('/')[0]}/{junk.format(n)}"] = world.bucket.objects[master]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await purge(instance, {"all": True, "max": 2, **({"cursor": cursor} if cursor else {})})).json()
        seen += [each["id"] for each in page["prompts"]]
        cursor = page["cursor"]
    assert sorted(seen) == sorted(made)


async def test_a_page_among_what_is_no_prompts_goes_on_where_its_time_was_over(
    world: World, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = (await instance.post({"text": "您好"})).json()["id"]
    recipe = next(key for key in world.state.objects if key.startswith("recipes/"))
    for n in range(3):
        world.state.objects[f"{recipe.rpartition('/')[0]}/!{n}"] = world.state.objects[recipe]
    with monkeypatch.context() as patched:
        patched.setattr("functions.prompts.purging.RESERVE_SECONDS", 1e9)
        page = (await purge(instance, {"all": True, "max": 2})).json()
    assert (page["prompts"], page["cursor"]) == ([], "0.~2131")
    page = (await purge(instance, {"all": True, "cursor": page["cursor"]})).json()
    assert ([each["id"] for each in page["prompts"]], page["cursor"]) == ([made], None)


async def test_audio_that_lost_its_recipe_goes_too(world: World, instance: Instance) -> None:
    got = (await instance.post({"text": "孤儿"})).json()
    for key in [key for key in world.state.objects if key.startswith("recipes/")]:
        del world.state.objects[key]
    page = await purge(instance, {"voice": "xiaoyun", "dry_run": False})
    assert [(each["id"], each["locale"]) for each in page.json()["prompts"]] == [(got["id"], None)]
    assert not world.bucket.objects


@pytest.mark.parametrize(
    ("criteria", "is_told_by_a_rendition", "is_gone"),
    [
        ({"all": True}, True, True),
        ({"voice": "xiaoyun", "made_before": "2999-01-01T00:00:00Z"}, True, True),
        ({"voice": "aixia"}, True, False),
        ({"all": True}, False, True),
        ({"made_before": "2999-01-01T00:00:00Z"}, False, False),
        ({"voice": "xiaoyun"}, False, False),
    ],
)
async def test_audio_that_lost_its_recipe_and_whose_master_is_damaged_goes_too(
    world: World, instance: Instance, criteria: dict[str, Any], is_told_by_a_rendition: bool, is_gone: bool
) -> None:
    got = (await instance.post({"text": "孤儿"})).json()
    for key in [key for key in world.state.objects if key.startswith("recipes/")]:
        del world.state.objects[key]
    for key, stored in list(world.bucket.objects.items()):
        if key.startswith("masters/") or not is_told_by_a_rendition:
            world.bucket.objects[key] = dataclasses.replace(stored, data=b"<html>", metadata={})
    page = (await purge(world.instance(), {**criteria, "dry_run": False})).json()
    assert [each["id"] for each in page["prompts"]] == ([got["id"]] if is_gone else [])
    assert bool(world.bucket.objects) is not is_gone


async def test_what_bypassed_the_cache_goes_too(world: World, instance: Instance) -> None:
    url = (await instance.post({"text": "一次", "cache": "bypass"})).json()["url"]
    page = (await purge(instance, {"retention": "day", "dry_run": False})).json()
    assert [each["id"] for each in page["prompts"]] == [url.split("/e/acme/")[1].rpartition("/")[0]]
    assert not world.bucket.objects


async def test_another_tenants_prompts_stay(world: World, instance: Instance) -> None:
    mine = (await instance.post({"text": "您好"})).json()
    assert (await purge(instance, {"all": True, "dry_run": False}, key=OTHER_KEY)).json()["prompts"] == []
    assert (await instance.get(mine["url"])).status == 200


@pytest.mark.parametrize(
    ("body", "mistakes"),
    [
        ({}, {("all", "missing")}),
        ({"all": False}, {("all", "missing")}),
        ({"dry_run": False}, {("all", "missing")}),
        ({"all": "yes", "max": 0, "x": 1}, {("all", "type"), ("max", "range"), ("x", "unknown"), ("all", "missing")}),
        ({"made_before": "yesterday", "retention": "week"}, {("made_before", "format"), ("retention", "not_allowed")}),
        ({"all": True, "cursor": "0.../../config"}, {("cursor", "format")}),
        ({"all": True, "cursor": "9."}, {("cursor", "format")}),
        ({"all": True, "cursor": "0.~ff"}, {("cursor", "format")}),
        ({"all": True, "cursor": "0.~211"}, {("cursor", "format")}),
    ],
    ids=lambda given: str(given) if isinstance(given, dict) else "",  # a set has no order
)
async def test_every_mistake_is_named_and_nothing_is_deleted(
    world: World, instance: Instance, body: dict[str, Any], mistakes: set[tuple[str, str]]
) -> None:
    await instance.post({"text": "您好"})
    before = set(world.bucket.objects)
    answer = await purge(instance, {"dry_run": False, **body})
    assert answer.status == 400
    assert {(each["field"], each["code"]) for each in answer.json()["errors"]} == mistakes
    assert set(world.bucket.objects) == before
