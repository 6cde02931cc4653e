"""How many instances there are: scale-out, ceilings, minimum instances, updates, idle reclaim."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.fc_lab import alive


async def test_concurrent_requests_share_an_instance_up_to_its_concurrency(lab: Any) -> None:
    url = await lab.create(instance_concurrency=4)
    await asyncio.gather(*(lab.status(url + "/sleep?seconds=0.2") for _ in range(4)))
    assert (await lab.get(url + "/state"))["most"] == 4
    assert len(lab.fc.instances()) == 1


async def test_a_further_instance_starts_when_all_are_full(lab: Any) -> None:
    url = await lab.create(instance_concurrency=2)
    answers = await asyncio.gather(*(lab.status(url + "/sleep?seconds=0.3") for _ in range(5)))
    assert answers == [200] * 5
    assert len(lab.fc.instances()) == 3


async def test_one_request_at_a_time_is_the_default(lab: Any) -> None:
    url = await lab.create()
    await asyncio.gather(*(lab.status(url + "/sleep?seconds=0.3") for _ in range(2)))
    assert len(lab.fc.instances()) == 2


async def test_reserved_concurrency_is_the_ceiling_and_beyond_it_is_429(lab: Any) -> None:
    url = await lab.create(instance_concurrency=1)
    limit = lab.models.PutConcurrencyInput(reserved_concurrency=1)
    await lab.call("put_concurrency_config", "probe", lab.models.PutConcurrencyConfigRequest(body=limit))
    answers = await asyncio.gather(*(lab.status(url + "/sleep?seconds=0.3") for _ in range(3)))
    assert sorted(answers) == [200, 429, 429]


async def test_an_update_replaces_instances_without_breaking_the_request_in_flight(lab: Any) -> None:
    url = await lab.create(instance_concurrency=2)
    before = await lab.get(url + "/state")
    slow = asyncio.ensure_future(lab.status(url + "/sleep?seconds=0.6"))
    await lab.eventually(lambda: lab.fc.instances()[0].in_flight)
    change = lab.models.UpdateFunctionInput(environment_variables={"NOTES": str(lab.notes), "NEW": "1"})
    await lab.call("update_function", "probe", lab.models.UpdateFunctionRequest(body=change))
    seen = await lab.get(url + "/environment")
    assert seen["variables"]["NEW"] == "1"
    assert await slow == 200
    await lab.eventually(lambda: not alive(before["pid"]))


@pytest.mark.parametrize("settings", [{"idle_seconds": 0.2}])
async def test_an_idle_instance_is_reclaimed(lab: Any) -> None:
    url = await lab.create()
    pid = (await lab.get(url + "/state"))["pid"]
    await lab.eventually(lambda: not alive(pid))
    await lab.eventually(lambda: lab.fc.instances() == [])
    assert await lab.get(url)


@pytest.mark.parametrize("settings", [{"idle_seconds": 0.1}])
async def test_minimum_instances_are_there_before_the_first_request_and_stay(lab: Any) -> None:
    url = await lab.create()
    scaling = lab.models.PutScalingConfigInput(min_instances=1)
    await lab.call("put_scaling_config", "probe", lab.models.PutScalingConfigRequest(body=scaling))
    await lab.eventually(lambda: lab.fc.instances() and lab.fc.instances()[0].frozen)
    pid = lab.fc.instances()[0].pid
    await asyncio.sleep(0.3)  # longer than an idle instance is kept
    assert (await lab.get(url + "/state"))["pid"] == pid
    async with lab.http.get(url + "/crash") as answer:
        assert answer.status == 502
    await lab.eventually(lambda: lab.fc.instances() and lab.fc.instances()[0].frozen)


async def test_minimum_instances_follow_the_alias_and_the_old_version_is_let_go(lab: Any) -> None:
    await lab.create_function()
    publish = lab.models.PublishFunctionVersionRequest(body=lab.models.PublishVersionInput())
    for _ in range(2):
        await lab.call("publish_function_version", "probe", publish)
    alias = lab.models.CreateAliasInput(alias_name="live", version_id="1")
    await lab.call("create_alias", "probe", lab.models.CreateAliasRequest(body=alias))
    scaling = lab.models.PutScalingConfigInput(min_instances=1)
    request = lab.models.PutScalingConfigRequest(body=scaling, qualifier="live")
    await lab.call("put_scaling_config", "probe", request)
    await lab.eventually(lambda: [i.spec.version for i in lab.fc.instances() if i.frozen] == ["1"])
    change = lab.models.UpdateAliasInput(version_id="2")
    await lab.call("update_alias", "probe", "live", lab.models.UpdateAliasRequest(body=change))
    await lab.eventually(lambda: [i.spec.version for i in lab.fc.instances() if i.frozen] == ["2"])
