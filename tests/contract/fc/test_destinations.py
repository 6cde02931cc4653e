"""Destinations of asynchronous invocations (page result-callback of the FC 3.0 documentation)."""

from __future__ import annotations

import json
from typing import Any

import pytest

ARN = "acs:fc:cn-beijing:1234567890123456:functions/"


async def send_to(lab: Any, *, on_success: str | None = None, on_failure: str | None = None, **settings: Any) -> None:
    models = lab.models
    destinations = models.DestinationConfig(
        on_success=models.Destination(destination=on_success) if on_success else None,
        on_failure=models.Destination(destination=on_failure) if on_failure else None,
    )
    given = models.PutAsyncInvokeConfigInput(destination_config=destinations, **settings)
    await lab.call("put_async_invoke_config", "probe", models.PutAsyncInvokeConfigRequest(body=given))


async def received(lab: Any) -> dict[str, Any]:
    """What the second function got."""
    await lab.eventually(lambda: len(lab.fc.queue.finished) == 2)
    message: dict[str, Any] = json.loads(lab.noted()[-1]["body"])
    return message


async def test_a_success_goes_to_a_function_with_what_was_asked_and_answered(lab: Any) -> None:
    await lab.create_function()
    await lab.create_function("done")
    await send_to(lab, on_success=ARN + "done", on_failure=ARN + "nobody")
    accepted = await lab.invoke({"n": "一"}, asynchronous=True)
    message = await received(lab)
    assert abs(message.pop("timestamp") - lab.clock.now() * 1000) < 60_000
    assert message == {
        "requestContext": {
            "requestId": accepted.headers["x-fc-request-id"],
            "functionArn": ARN + "probe",
            "condition": "",
            "approximateInvokeCount": 1,
        },
        "requestPayload": '{"n": "\\u4e00"}',
        "responseContext": {"statusCode": 200, "functionError": ""},
        "responsePayload": '{"n": "\\u4e00"}',
    }


async def test_a_failure_goes_to_a_function_after_the_last_attempt(lab: Any) -> None:
    await lab.create_function()
    await lab.create_function("failed")
    await send_to(lab, on_failure=ARN + "failed", max_async_retry_attempts=2)
    await lab.invoke({"do": "fail"}, asynchronous=True)
    message = await received(lab)
    assert message["requestContext"]["condition"] == "UnhandledInvocationError"
    assert message["requestContext"]["approximateInvokeCount"] == 3
    assert message["responseContext"] == {"statusCode": 200, "functionError": "UnhandledInvocationError"}
    assert json.loads(message["responsePayload"]) == {"errorMessage": "told to"}


async def test_an_event_that_is_too_old_is_told_to_its_destination(lab: Any) -> None:
    await lab.create_function()
    await lab.create_function("failed")
    await send_to(lab, on_failure=ARN + "failed", max_async_event_age_in_seconds=60, max_async_retry_attempts=8)
    lab.faults.arm(operation="fc.async", action="delay", seconds=0.3)
    await lab.invoke({"n": 1}, asynchronous=True)
    lab.clock.move(61)
    message = await received(lab)
    assert message["requestContext"]["condition"] == "EventAgeExceeded"
    assert message["requestContext"]["approximateInvokeCount"] == 0
    assert message["responsePayload"] == ""


async def test_a_queue_as_destination_is_recorded_for_the_operator(lab: Any) -> None:
    await lab.create_function()
    queue = "acs:mns:cn-beijing:1234567890123456:/queues/done/messages"
    await send_to(lab, on_success=queue)
    await lab.invoke({"n": 1}, asynchronous=True)
    await lab.eventually(lambda: lab.fc.delivered)
    record = lab.fc.delivered[0]
    assert (record["destination"], record["state"]) == (queue, "recorded")
    assert record["content"]["requestPayload"] == '{"n": 1}'


@pytest.mark.parametrize(("destination", "state"), [(ARN + "nobody", "refused"), (ARN + "done", "lost")])
async def test_what_cannot_be_delivered_is_seen_by_the_operator(lab: Any, destination: str, state: str) -> None:
    await lab.create_function()
    await lab.create_function("done")
    await send_to(lab, on_success=destination)
    if state == "lost":
        lab.faults.arm(operation="fc.destination", action="lose")
    await lab.invoke({"n": 1}, asynchronous=True)
    await lab.eventually(lambda: lab.fc.delivered)
    assert lab.fc.delivered[0]["state"] == state


@pytest.mark.parametrize(
    "destination",
    ["", "done", "acs:fc:cn-shanghai:1234567890123456:functions/done", "acs:fc:cn-beijing:1:functions/x", "acs:oss:a"],
)
async def test_a_destination_is_an_arn_of_this_region_and_account(lab: Any, destination: str) -> None:
    await lab.create_function()
    config = {"destinationConfig": {"onSuccess": {"destination": destination or "acs:"}}}
    given = lab.models.PutAsyncInvokeConfigInput().from_map(config)
    request = lab.models.PutAsyncInvokeConfigRequest(body=given)
    assert await lab.refusal("put_async_invoke_config", "probe", request) == (400, "InvalidArgument")
