"""`GET` and `DELETE /v1/prompts/{id}`."""

from __future__ import annotations

import pytest

from support.prompting import OTHER_KEY, Instance, World

WORDS = {"text": "您好，欢迎致电。"}


async def test_a_prompt_is_shown_with_all_its_renditions_and_without_its_text(instance: Instance) -> None:
    first = (await instance.post(WORDS)).json()
    second = (await instance.post({**WORDS, "consumer": "asterisk"})).json()
    third = (await instance.post({**WORDS, "retention": "day"})).json()
    answer = await instance.call("GET", f"/v1/prompts/{first['id']}")
    shown = answer.json()
    assert answer.status == 200
    assert (shown["id"], shown["status"], shown["voice_used"]) == (first["id"], "ready", "xiaoyun")
    assert [(each["url"], each["retention"]) for each in shown["renditions"]] == [
        (second["url"], "permanent"),
        (first["url"], "permanent"),
        (third["url"], "day"),
    ]
    assert shown["renditions"][1]["audio"] == first["audio"]
    assert shown["renditions"][2]["expires_at"] == third["expires_at"]
    assert "您好" not in answer.body.decode()


async def test_what_is_not_made_yet_is_shown_as_pending(instance: Instance) -> None:
    got = (await instance.post({**WORDS, "wait_ms": 0})).json()
    shown = (await instance.call("GET", f"/v1/prompts/{got['id']}")).json()
    assert (shown["status"], shown["renditions"], shown["voice_used"]) == ("pending", [], "xiaoyun")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("prompt_id", ["k1" + "a" * 52, "x", "k1", "..", "once"])
async def test_an_unknown_prompt_is_404(instance: Instance, method: str, prompt_id: str) -> None:
    assert (await instance.call(method, f"/v1/prompts/{prompt_id}")).status == 404


async def test_nobody_sees_or_deletes_the_prompts_of_another_tenant(instance: Instance) -> None:
    got = (await instance.post(WORDS)).json()
    for method in ("GET", "DELETE"):
        assert (await instance.call(method, f"/v1/prompts/{got['id']}", key=OTHER_KEY)).status == 404
    assert (await instance.get(got["url"])).status == 200


async def test_deleting_takes_recipe_master_and_renditions_away(world: World, instance: Instance) -> None:
    urls = [
        (await instance.post({**WORDS, **change})).json()["url"]
        for change in ({}, {"consumer": "asterisk"}, {"retention": "day"})
    ]
    prompt_id = urls[0].split("/")[5]
    other = world.instance()
    await other.get(urls[0])
    answer = await instance.call("DELETE", f"/v1/prompts/{prompt_id}")
    assert (answer.status, answer.body) == (204, b"")
    assert not world.bucket.objects
    assert not [key for key in world.state.objects if "recipes" in key]
    for url in urls:
        assert (await instance.get(url)).status == 404
    assert (await other.get(urls[0])).status == 200
    world.pass_time(61)
    assert (await other.get(urls[0])).status == 404  # within a minute, everywhere
    assert (await instance.call("DELETE", f"/v1/prompts/{prompt_id}")).status == 404


async def test_a_deleted_prompt_can_be_asked_for_again(world: World, instance: Instance) -> None:
    got = (await instance.post(WORDS)).json()
    await instance.call("DELETE", f"/v1/prompts/{got['id']}")
    again = (await instance.post(WORDS)).json()
    assert (again["cache"], again["url"]) == ("miss", got["url"])
    assert len(world.speaker.said) == 2
