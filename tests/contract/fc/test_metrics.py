"""The platform's own lines: instance starts and rows of request metrics (fields of the SLS page of FC 3.0)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from localcloud.log import Log


@pytest.fixture
def settings(tmp_path: Any) -> dict[str, Any]:
    return {"log": Log(tmp_path / "logs" / "localcloud.jsonl")}


def rows(lab: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (lab.root / "logs" / "fc-request-metrics.jsonl").read_text().splitlines()]


async def test_an_http_request_leaves_a_row_with_its_id_and_without_its_query(lab: Any) -> None:
    url = await lab.create(instance_concurrency=2)
    async with lab.http.get(url + "/hello?text=secret") as answer:
        request_id = answer.headers["x-fc-request-id"]
        seen = {name.lower(): value for name, value in (await answer.json())["headers"]}
    row = (await lab.eventually(lambda: rows(lab)))[0]
    assert row["requestId"] == request_id == seen["x-fc-request-id"], "the id with which a function frames its log"
    assert row["instanceID"] == lab.fc.instances()[0].instance_id
    expected = {
        "__topic__": "FCRequestMetrics:/probe",
        "functionName": "probe",
        "versionId": "LATEST",
        "qualifier": "LATEST",
        "operation": "InvokeFunction",
        "invocationType": "Sync",
        "isColdStart": True,
        "hasFunctionError": False,
        "errorType": "",
        "resourceMode": "OnDemand",
        "retryCount": 0,
        "method": "GET",
        "requestURI": "/hello",
        "statusCode": 200,
        "triggerType": "http",
    }
    assert {name: row[name] for name in expected} == expected
    assert 0 < row["durationMs"] < row["invokeFunctionLatencyMs"]
    assert 0 < row["coldStartLatencyMs"] <= row["scheduleLatencyMs"] + 1
    assert "secret" not in (lab.root / "logs" / "fc-request-metrics.jsonl").read_text()


async def test_only_the_request_that_waited_for_the_start_is_a_cold_one(lab: Any) -> None:
    url = await lab.create()
    for _ in range(2):
        await lab.status(url)
    await lab.eventually(lambda: len(rows(lab)) == 2)
    assert [row["isColdStart"] for row in rows(lab)] == [True, False]
    assert "coldStartLatencyMs" not in rows(lab)[1]


async def test_each_attempt_of_an_event_has_a_row_with_its_retry_count(lab: Any) -> None:
    await lab.create_function()
    await lab.invoke({"fail_below": 2, "text": "secret"}, asynchronous=True)
    await lab.eventually(lambda: lab.fc.queue.finished)
    seen = [(row["invocationType"], row["retryCount"], row["hasFunctionError"], row["errorType"]) for row in rows(lab)]
    assert seen == [
        ("Async", 0, True, "FunctionUnhandledError"),
        ("Async", 1, True, "FunctionUnhandledError"),
        ("Async", 2, False, ""),
    ]
    assert len({row["requestId"] for row in rows(lab)}) == 1
    assert "method" not in rows(lab)[0]


async def test_a_timeout_has_its_own_error_type(lab: Any) -> None:
    url = await lab.create(timeout=1)
    assert await lab.status(url + "/sleep?seconds=5") == 502
    row = (await lab.eventually(lambda: rows(lab)))[0]
    assert (row["statusCode"], row["errorType"]) == (502, "FunctionTimeoutError")


async def test_the_start_of_an_instance_is_a_line_of_localclouds_log(lab: Any) -> None:
    await lab.status(await lab.create())
    lines = [json.loads(line) for line in (lab.root / "logs" / "localcloud.jsonl").read_text().splitlines()]
    line = next(line for line in lines if line["event"] == "instance.started")
    instance = lab.fc.instances()[0]
    assert (line["function"], line["version"], line["instance_id"]) == ("probe", "LATEST", instance.instance_id)
    assert line["pid"] == instance.pid
    assert line["duration_ms"] > 0
