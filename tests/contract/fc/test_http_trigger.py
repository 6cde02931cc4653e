"""HTTP triggers: what passes, what is refused, what is added (page web-functions, 2025-04; http-triggers-overview)."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any

import aiohttp
import pytest
from multidict import CIMultiDict
from yarl import URL


def headers_of(seen: dict[str, Any]) -> CIMultiDict[str]:
    return CIMultiDict([(name, value) for name, value in seen["headers"]])


async def test_the_function_sees_method_raw_target_headers_and_body(lab: Any) -> None:
    url = URL(await lab.create() + "/a%20b/%E4%BD%A0?x=1&y=%2F", encoded=True)
    async with lab.http.post(url, data=b"hello", headers={"X-Api-Key": "k.s"}) as answer:
        seen = await answer.json()
        assert answer.headers["x-fc-request-id"].startswith("1-")
    headers = headers_of(seen)
    assert (seen["method"], seen["body"]) == ("POST", "hello")
    assert seen["target"] == "/a%20b/%E4%BD%A0?x=1&y=%2F"
    assert headers["X-Api-Key"] == "k.s"
    assert headers["x-fc-control-path"] == "/http-invoke"
    assert headers["x-fc-function-name"] == "probe"
    assert headers["x-fc-region"] == "cn-beijing"
    assert headers["x-fc-request-id"] == answer.headers["x-fc-request-id"]
    assert headers["Host"] == url.authority


@pytest.mark.parametrize("path", ["/invoke", "/initialize", "/pre-stop"])
async def test_a_path_of_the_runtime_protocol_stays_an_http_call(lab: Any, path: str) -> None:
    url = await lab.create()
    async with lab.http.post(url + path, data=b"{}") as answer:
        assert headers_of(await answer.json())["x-fc-control-path"] == "/http-invoke"
    assert lab.noted() == []


@pytest.mark.parametrize("name", ["x-fc-control-path", "X-Fc-Security-Token", "x-fc-anything"])
async def test_client_sent_platform_headers_are_refused(lab: Any, name: str) -> None:
    url = await lab.create()
    async with lab.http.get(url, headers={name: "/invoke"}) as answer:
        body = await answer.json()
        assert (answer.status, body["code"]) == (400, "InvalidArgument")
        assert set(body) == {"code", "message", "requestId"}


async def test_documented_invocation_headers_are_taken_and_not_passed_on(lab: Any) -> None:
    url = await lab.create()
    seen = await lab.get(url, headers={"x-fc-log-type": "Tail", "x-fc-invocation-type": "Sync"})
    assert not {"x-fc-log-type", "x-fc-invocation-type"} & set(headers_of(seen))


async def test_headers_over_8_kb_are_refused(lab: Any) -> None:
    url = await lab.create()
    async with lab.http.get(url, headers={"X-Long": "x" * 8200}) as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, "InvalidArgument")


async def test_a_target_over_4_kb_is_refused(lab: Any) -> None:
    url = await lab.create()
    async with lab.http.get(url + "/" + "p" * 4096) as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, "InvalidArgument")


async def test_a_body_over_32_mb_is_refused_also_when_its_length_is_not_told(lab: Any) -> None:
    url = await lab.create()
    too_much = 32 * 1024 * 1024 + 1
    async with lab.http.post(url, data=io.BytesIO(bytes(too_much))) as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, "InvalidArgument")

    async def parts() -> Any:
        for _ in range(33):
            yield bytes(1024 * 1024)

    async with lab.http.post(url, data=parts()) as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, "InvalidArgument")


async def test_large_and_chunked_bodies_arrive_whole(lab: Any) -> None:
    url = await lab.create()
    async with lab.http.post(url, data=io.BytesIO(bytes(5_000_000))) as answer:
        assert (await answer.json())["size"] == 5_000_000

    async def parts() -> Any:
        for _ in range(3):
            yield b"abc"

    async with lab.http.post(url, data=parts()) as answer:
        assert (await answer.json())["body"] == "abcabcabc"


async def test_a_method_that_the_trigger_does_not_list_is_refused(lab: Any) -> None:
    url = await lab.create(methods=("GET",))
    async with lab.http.post(url) as answer:
        assert (answer.status, (await answer.json())["code"]) == (405, "MethodNotAllowed")


async def test_head_has_the_length_of_get_and_no_body(lab: Any) -> None:
    url = await lab.create(methods=("GET", "HEAD"))
    async with lab.http.head(url + "/state") as answer:
        assert answer.status == 200
        assert int(answer.headers["Content-Length"]) > 10
        assert await answer.read() == b""
    assert await lab.get(url + "/state")


async def test_headers_that_functions_may_not_set_are_dropped_and_others_kept_as_they_are(lab: Any) -> None:
    url = await lab.create()
    async with lab.http.get(url + "/forbidden") as answer:
        assert "x-fc-own" not in answer.headers
        assert "Server" not in answer.headers
        assert "Keep-Alive" not in answer.headers
        assert "Content-Type" not in answer.headers, "nobody chose one"
        assert answer.headers.getall("X-Kept") == ["1", "2"]
        assert answer.headers["ETag"] == '"a"'


async def test_no_content_disposition_is_added_here_unlike_on_fcapp_run(lab: Any) -> None:
    url = await lab.create()
    async with lab.http.get(url) as answer:
        assert "Content-Disposition" not in answer.headers


async def test_response_headers_over_8_kb_are_a_bad_response(lab: Any) -> None:
    url = await lab.create()
    async with lab.http.get(url + "/fat") as answer:
        assert (answer.status, (await answer.json())["code"]) == (502, "BadResponse")


async def test_chunked_answers_and_304_pass(lab: Any) -> None:
    url = await lab.create()
    async with lab.http.get(url + "/chunked") as answer:
        assert await answer.read() == b"onetwothree"
    async with lab.http.get(url + "/304") as answer:
        assert (answer.status, answer.headers["ETag"], await answer.read()) == (304, '"a"', b"")


async def test_an_answer_that_breaks_off_never_looks_whole(lab: Any) -> None:
    url = await lab.create()
    with pytest.raises(aiohttp.ClientError):
        async with lab.http.get(url + "/short") as answer:
            await answer.read()
    assert await lab.get(url)


async def test_protocol_upgrades_are_not_implemented(lab: Any) -> None:
    url = await lab.create()
    async with lab.http.get(url, headers={"Connection": "Upgrade", "Upgrade": "websocket"}) as answer:
        assert answer.status == 501


async def test_any_origin_is_reflected_over_what_the_function_says(lab: Any) -> None:
    url = await lab.create()
    async with lab.http.get(url + "/cors", headers={"Origin": "https://evil.example"}) as answer:
        assert answer.headers.getall("Access-Control-Allow-Origin") == ["https://evil.example"]
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    async with lab.http.get(url + "/cors") as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == "https://own.example"


async def test_a_preflight_is_answered_by_the_platform_unless_options_is_listed(lab: Any) -> None:
    preflight = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    url = await lab.create()
    async with lab.http.options(url, headers=preflight) as answer:
        assert answer.status == 200
        assert answer.headers["Access-Control-Allow-Methods"] == "GET,POST"
    assert lab.fc.instances() == []
    await lab.call("delete_trigger", "probe", "http")
    url = await lab.create_http_trigger(methods=["GET", "OPTIONS"])
    async with lab.http.options(url, headers=preflight) as answer:
        assert (await answer.json())["method"] == "OPTIONS"


async def test_a_cors_config_limits_the_origins(lab: Any) -> None:
    await lab.create_function()
    url = await lab.create_http_trigger(corsConfig={"allowOrigins": ["https://a.example"], "allowCredentials": False})
    async with lab.http.get(url, headers={"Origin": "https://a.example"}) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == "https://a.example"
        assert "Access-Control-Allow-Credentials" not in answer.headers
    async with lab.http.get(url, headers={"Origin": "https://b.example"}) as answer:
        assert "Access-Control-Allow-Origin" not in answer.headers


async def test_an_asynchronous_call_is_accepted_and_run_later_with_its_target_and_body(lab: Any) -> None:
    url = await lab.create()
    headers = {"x-fc-invocation-type": "Async"}
    async with lab.http.post(url + "/late?a=1", data=b"later", headers=headers) as answer:
        assert (answer.status, await answer.read()) == (202, b"")
        assert answer.headers["x-fc-request-id"]
    task = (await lab.eventually(lambda: list(lab.fc.queue.finished)))[0]
    assert (task.state, task.attempts) == ("Succeeded", 1)


async def test_an_asynchronous_body_has_at_most_128_kb(lab: Any) -> None:
    url = await lab.create()
    headers = {"x-fc-invocation-type": "Async"}
    async with lab.http.post(url, data=bytes(128 * 1024 + 1), headers=headers) as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, "InvalidArgument")


async def test_a_trigger_with_auth_type_function_wants_a_signature(lab: Any) -> None:
    await lab.create_function()
    url = await lab.create_http_trigger(authType="function")
    async with lab.http.get(url) as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, "MissingRequiredHeader")


async def test_a_signed_request_passes_a_trigger_with_auth_type_function(lab: Any) -> None:
    await lab.create_function()
    url = await lab.create_http_trigger(authType="function")
    body = b"signed"
    headers = lab.signed("POST", url, "/a%20b?x=1&y=%2F", body)
    async with lab.http.post(URL(url + "/a%20b?x=1&y=%2F", encoded=True), data=body, headers=headers) as answer:
        assert (answer.status, (await answer.json())["body"]) == (200, "signed")
    async with lab.http.post(URL(url + "/a%20b?x=1&y=%2F", encoded=True), data=body, headers=headers) as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, "SignatureNonceUsed")
    headers = lab.signed("POST", url, "/other", body)
    async with lab.http.post(url + "/a", data=body, headers=headers) as answer:
        assert (answer.status, (await answer.json())["code"]) == (403, "SignatureNotMatch")


async def test_the_public_url_can_be_switched_off(lab: Any) -> None:
    await lab.create_function()
    url = await lab.create_http_trigger(disableURLInternet=True)
    async with lab.http.get(url) as answer:
        assert answer.status == 403


async def test_a_fault_strikes_before_the_function_or_after_it(lab: Any) -> None:
    url = await lab.create()
    lab.faults.arm(operation="fc.http", action="error", status=503, code="ResourceThrottled")
    async with lab.http.get(url) as answer:
        assert (answer.status, (await answer.json())["code"]) == (503, "ResourceThrottled")
    lab.faults.arm(operation="fc.http", action="drop")
    with pytest.raises(aiohttp.ClientError):
        await lab.http.post(url)
    assert await lab.get(url)


async def test_an_answer_can_get_lost_after_the_function_has_done_its_work(lab: Any) -> None:
    url = await lab.create(instance_concurrency=2)
    lab.faults.arm(operation="fc.http", when="after", action="drop")
    with pytest.raises(aiohttp.ClientError):
        await lab.http.post(url + "/count")
    assert (await lab.get(url + "/state"))["answered"] == 1


async def test_a_client_that_goes_away_does_not_end_an_instance_that_serves_others(lab: Any) -> None:
    url = await lab.create(instance_concurrency=4)
    before = await lab.get(url + "/state")
    with pytest.raises(asyncio.TimeoutError):
        await lab.status(url + "/sleep?seconds=5", timeout=aiohttp.ClientTimeout(total=0.2))
    assert (await lab.get(url + "/state"))["pid"] == before["pid"]


async def test_a_client_that_goes_away_restarts_an_instance_of_concurrency_one(lab: Any) -> None:
    url = await lab.create(instance_concurrency=1)
    before = await lab.get(url + "/state")
    with pytest.raises(asyncio.TimeoutError):
        await lab.status(url + "/sleep?seconds=5", timeout=aiohttp.ClientTimeout(total=0.2))
    await lab.eventually(lambda: not lab.fc.instances())
    assert (await lab.get(url + "/state"))["pid"] != before["pid"]


async def test_the_error_of_a_function_that_is_gone_is_json(lab: Any) -> None:
    url = await lab.create()
    lab.fc.registry.functions.clear()
    async with lab.http.get(url) as answer:
        assert (answer.status, json.loads(await answer.read())["code"]) == (404, "FunctionNotFound")
