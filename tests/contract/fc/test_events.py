"""Event invocations: InvokeFunction, the asynchronous queue, OSS and timer triggers."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

OSS_EVENTS = ["oss:ObjectCreated:PutObject", "oss:ObjectCreated:CompleteMultipartUpload"]
ROLE = "acs:ram::1234567890123456:role/aliyunosseventnotificationrole"


def created(key: str, bucket: str = "recordings", name: str = "ObjectCreated:PutObject") -> dict[str, Any]:
    return {
        "eventName": name,
        "eventSource": "acs:oss",
        "oss": {"bucket": {"name": bucket}, "object": {"key": key, "eTag": "AB", "size": 1}},
        "region": "cn-beijing",
    }


async def add_oss_trigger(lab: Any, function: str = "probe", name: str = "recordings", **config: Any) -> Any:
    key = {"prefix": config.pop("prefix", "in/"), "suffix": config.pop("suffix", "")}
    return await lab.create_trigger(
        function,
        name,
        "oss",
        {"events": config.pop("events", OSS_EVENTS), "filter": {"key": key}},
        source_arn=f"acs:oss:cn-beijing:1234567890123456:{config.pop('bucket', 'recordings')}",
        invocation_role=ROLE,
        **config,
    )


async def test_an_invocation_returns_the_body_alone(lab: Any) -> None:
    await lab.create_function()
    answer = await lab.invoke({"a": 1})
    assert answer.status_code == 200, "the function said 201"
    assert json.loads(answer.body) == {"a": 1}
    assert "x-own" not in answer.headers
    assert "x-fc-error-type" not in answer.headers
    assert answer.headers["x-fc-request-id"] == lab.noted()[0]["request_id"]
    assert lab.noted()[0] | {"request_id": ""} == {
        "control": "/invoke",
        "method": "POST",
        "retry": 0,
        "request_id": "",
        "version": "",
        "body": '{"a": 1}',
    }


async def test_a_function_that_says_404_has_failed_with_http_200(lab: Any) -> None:
    await lab.create_function()
    answer = await lab.invoke({"do": "fail"})
    assert (answer.status_code, answer.headers["x-fc-error-type"]) == (200, "UnhandledInvocationError")
    assert json.loads(answer.body) == {"errorMessage": "told to"}


async def test_http_500_to_an_event_fails_it_and_replaces_the_instance(lab: Any) -> None:
    await lab.create_function()
    answer = await lab.invoke({"do": "500"})
    assert answer.headers["x-fc-error-type"] == "UnhandledInvocationError"
    await lab.eventually(lambda: not lab.fc.instances())


@pytest.mark.parametrize(
    ("event", "message"),
    [({"do": "crash"}, "Process exited unexpectedly"), ({"do": "sleep", "seconds": 9}, "Function time out after 1s")],
)
async def test_a_crash_or_timeout_is_an_error_in_the_body(lab: Any, event: Any, message: str) -> None:
    await lab.create_function(timeout=1)
    answer = await lab.invoke(event)
    assert (answer.status_code, answer.headers["x-fc-error-type"]) == (200, "UnhandledInvocationError")
    assert json.loads(answer.body)["errorMessage"].startswith(message)
    assert json.loads((await lab.invoke({"again": 1})).body) == {"again": 1}


async def test_the_log_tail_comes_at_concurrency_one_alone(lab: Any) -> None:
    await lab.create_function()
    answer = await lab.invoke({"do": "say", "text": "hello"}, log_type="Tail")
    assert base64.b64decode(answer.headers["x-fc-log-result"]) == b"hello\n"
    change = lab.models.UpdateFunctionInput(instance_concurrency=2)
    await lab.call("update_function", "probe", lab.models.UpdateFunctionRequest(body=change))
    assert "x-fc-log-result" not in (await lab.invoke({}, log_type="Tail")).headers


async def test_a_large_event_passes_and_a_larger_one_is_refused(lab: Any) -> None:
    await lab.create_function()
    assert len((await lab.invoke("x" * 2_000_000)).body) == 2_000_002
    with pytest.raises(Exception, match="payload size exceeds maximum"):
        await lab.invoke("x" * (128 * 1024), asynchronous=True)


async def test_an_asynchronous_failure_is_retried_three_times_and_then_given_up(lab: Any) -> None:
    await lab.create_function()
    assert (await lab.invoke({"do": "fail"}, asynchronous=True)).status_code == 202
    task = (await lab.eventually(lambda: list(lab.fc.queue.finished)))[0]
    assert (task.state, task.attempts) == ("Failed", 4)
    assert [note["retry"] for note in lab.noted()] == [0, 1, 2, 3]
    assert len({note["request_id"] for note in lab.noted()}) == 1


async def test_a_retry_that_works_ends_it(lab: Any) -> None:
    await lab.create_function()
    await lab.invoke({"fail_below": 2}, asynchronous=True)
    task = (await lab.eventually(lambda: list(lab.fc.queue.finished)))[0]
    assert (task.state, task.attempts) == ("Succeeded", 3)


async def put_async_config(lab: Any, **settings: Any) -> None:
    given = lab.models.PutAsyncInvokeConfigInput(**settings)
    request = lab.models.PutAsyncInvokeConfigRequest(body=given, qualifier="LATEST")
    await lab.call("put_async_invoke_config", "probe", request)


async def test_retries_follow_the_configuration_and_the_failure_goes_to_its_destination(lab: Any) -> None:
    await lab.create_function()
    destination = lab.models.Destination(destination="acs:mns:cn-beijing:1234567890123456:/queues/dead/messages")
    config = lab.models.DestinationConfig(on_failure=destination)
    await put_async_config(lab, max_async_retry_attempts=0, destination_config=config)
    await lab.invoke({"do": "fail"}, asynchronous=True)
    await lab.eventually(lambda: lab.fc.delivered)
    assert len(lab.noted()) == 1
    record = lab.fc.delivered[0]
    assert record["destination"].endswith("/queues/dead/messages")
    assert record["content"]["requestContext"]["condition"] == "UnhandledInvocationError"


async def test_an_event_older_than_its_age_is_not_tried_again(lab: Any) -> None:
    await lab.create_function()
    await put_async_config(lab, max_async_retry_attempts=8, max_async_event_age_in_seconds=60)
    await lab.invoke({"do": "sleep", "seconds": 0.5, "fail_below": 9}, asynchronous=True)
    await lab.eventually(lab.noted)
    lab.clock.move(61)
    task = (await lab.eventually(lambda: list(lab.fc.queue.finished)))[0]
    assert (task.state, task.attempts) == ("Expired", 1)


@pytest.mark.parametrize(("action", "times"), [("lose", 0), ("duplicate", 2)])
async def test_events_can_be_lost_and_delivered_twice(lab: Any, action: str, times: int) -> None:
    await lab.create_function()
    lab.faults.arm(operation="fc.async", action=action)
    await lab.invoke({"n": 1}, asynchronous=True)
    await lab.invoke({"n": 2}, asynchronous=True)
    await lab.eventually(lambda: len(lab.fc.queue.finished) == times + 1)
    bodies = [json.loads(note["body"])["n"] for note in lab.noted()]
    assert sorted(bodies) == [1] * times + [2]


async def test_events_can_be_reordered(lab: Any) -> None:
    await lab.create_function(instance_concurrency=1)
    lab.faults.arm(operation="fc.async", action="reorder")
    await lab.invoke({"n": 1}, asynchronous=True)
    await lab.invoke({"n": 2}, asynchronous=True)
    await lab.eventually(lambda: len(lab.fc.queue.finished) == 2)
    assert {json.loads(note["body"])["n"] for note in lab.noted()} == {1, 2}
    assert json.loads(lab.noted()[0]["body"])["n"] == 2


async def test_an_oss_trigger_takes_its_bucket_events_prefix_and_suffix_alone(lab: Any) -> None:
    await lab.create_function()
    await add_oss_trigger(lab, suffix=".wav")
    for event in (
        created("in/t/a.mp3"),
        created("out/t/a.wav"),
        created("in/t/a.wav", bucket="other"),
        created("in/t/a.wav", name="ObjectCreated:CopyObject"),
        created("in/t/你好 1.wav"),
    ):
        lab.fc.object_created(event)
    await lab.eventually(lambda: lab.fc.queue.finished)
    assert [json.loads(note["body"]) for note in lab.noted()] == [{"events": [created("in/t/你好 1.wav")]}]


async def test_a_wildcard_takes_every_way_of_creating(lab: Any) -> None:
    await lab.create_function()
    await add_oss_trigger(lab, events=["oss:ObjectCreated:*"])
    lab.fc.object_created(created("in/a", name="ObjectCreated:AppendObject"))
    await lab.eventually(lambda: lab.fc.queue.finished)


@pytest.mark.parametrize(
    ("rule", "refused"),
    [
        ({"prefix": "in/eu/"}, True),
        ({"prefix": ""}, True),
        ({"prefix": "in/", "suffix": ".wav"}, True),
        ({"events": ["oss:ObjectCreated:*"]}, True),
        ({"prefix": "archive/"}, False),
        ({"events": ["oss:ObjectCreated:PostObject"]}, False),
        ({"bucket": "others"}, False),
    ],
)
async def test_a_rule_whose_events_and_keys_both_overlap_is_refused(lab: Any, rule: Any, refused: bool) -> None:
    await lab.create_function()
    await lab.create_function("second")
    await add_oss_trigger(lab)
    if refused:
        with pytest.raises(Exception, match="overlap"):
            await add_oss_trigger(lab, "second", "again", **dict(rule))
    else:
        await add_oss_trigger(lab, "second", "again", **dict(rule))


async def test_two_suffixes_that_exclude_each_other_do_not_overlap(lab: Any) -> None:
    await lab.create_function()
    await add_oss_trigger(lab, name="wav", suffix=".wav")
    await add_oss_trigger(lab, name="mp3", suffix=".mp3")


async def test_an_oss_trigger_invokes_the_version_behind_its_qualifier(lab: Any) -> None:
    await lab.create_function()
    publish = lab.models.PublishFunctionVersionRequest(body=lab.models.PublishVersionInput())
    version = (await lab.call("publish_function_version", "probe", publish)).version_id
    alias = lab.models.CreateAliasInput(alias_name="live", version_id=version)
    await lab.call("create_alias", "probe", lab.models.CreateAliasRequest(body=alias))
    await add_oss_trigger(lab, qualifier="live")
    lab.fc.object_created(created("in/a"))
    await lab.eventually(lambda: lab.fc.queue.finished)
    assert lab.noted()[0]["version"] == version


async def test_a_timer_is_fired_on_demand_with_its_name_time_and_payload(lab: Any) -> None:
    await lab.create_function()
    config = {"cronExpression": "@every 5m", "enable": True, "payload": '{"sweep": true}'}
    await lab.create_trigger("probe", "sweep", "timer", config)
    request_id = lab.fc.fire_timer("probe", "sweep")
    await lab.eventually(lambda: lab.fc.queue.finished)
    note = lab.noted()[0]
    event = json.loads(note["body"])
    assert note["request_id"] == request_id
    assert (event["triggerName"], event["payload"]) == ("sweep", '{"sweep": true}')
    assert event["triggerTime"].endswith("Z")
