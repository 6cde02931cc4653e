"""The operator's door to Function Compute: `POST /migrated`, `POST /faults`, `POST /clock`, `GET /async`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from localcloud import admin
from localcloud.nls import Limits


@pytest.fixture
async def door(lab: Any) -> AsyncIterator[aiohttp.ClientSession]:
    runner = web.AppRunner(admin.make_app(lab.account, lab.faults, lab.clock, lab.fc, Limits()), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as http:
        yield http
    await runner.cleanup()


async def post(door: aiohttp.ClientSession, path: str, **settings: Any) -> tuple[int, Any]:
    async with door.post(path, json=settings) as answer:
        return answer.status, await answer.json()


async def test_a_function_is_shown_as_one_of_fc_2(lab: Any, door: Any) -> None:
    await lab.create_function()
    assert await post(door, "/migrated", function="probe", service="calls") == (201, {"function": "calls$probe"})
    assert (await post(door, "/migrated", function="probe", service="calls"))[0] == 409
    assert (await post(door, "/migrated", function="no", service="calls"))[0] == 404
    assert (await post(door, "/migrated", function="probe", service="a$b"))[0] == 400


async def test_a_kill_is_armed_and_strikes(lab: Any, door: Any) -> None:
    url = await lab.create()
    status, armed = await post(door, "/faults", operation="fc.instance", action="kill")
    assert (status, armed["nth"]) == (201, 1)
    assert [await lab.status(url), await lab.status(url)] == [502, 200]


@pytest.mark.parametrize("action", ["explode", ""])
async def test_a_fault_that_no_service_knows_is_400(door: Any, action: str) -> None:
    status, answer = await post(door, "/faults", operation="fc.instance", action=action)
    assert (status, set(answer)) == (400, {"error"})


async def test_moving_the_clock_fires_timers_at_once(lab: Any, door: Any) -> None:
    await lab.create_function()
    config = {"cronExpression": "@every 5m", "enable": True, "payload": ""}
    await lab.create_trigger("probe", "sweep", "timer", config)
    await post(door, "/clock", advance_seconds=0)
    await post(door, "/clock", advance_seconds=301)
    await lab.eventually(lambda: lab.fc.queue.finished)
    assert [json.loads(note["body"])["triggerName"] for note in lab.noted()] == ["sweep"]


async def test_destinations_are_shown(lab: Any, door: Any) -> None:
    await lab.create_function()
    arn = "acs:mns:cn-beijing:1234567890123456:/queues/q/messages"
    config = lab.models.DestinationConfig(on_success=lab.models.Destination(destination=arn))
    given = lab.models.PutAsyncInvokeConfigInput(destination_config=config)
    await lab.call("put_async_invoke_config", "probe", lab.models.PutAsyncInvokeConfigRequest(body=given))
    await lab.invoke({"n": 1}, asynchronous=True)
    await lab.eventually(lambda: lab.fc.delivered)
    async with door.get("/async") as answer:
        seen = (await answer.json())["destinations"]
    assert [(record["destination"], record["state"]) for record in seen] == [(arn, "recorded")]
