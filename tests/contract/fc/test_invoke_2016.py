"""The invoke API 2016-08-15 through its own SDK, aliyun-fc2 2.5.2 (help.aliyun.com/document_detail/52877)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from email.utils import formatdate
from typing import Any

import fc2
import pytest

PATH = "/2016-08-15/services/calls/functions/probe/invocations"


def client(lab: Any, key: Any = None, **settings: Any) -> fc2.Client:
    key = key or lab.account.root
    given = {
        "endpoint": f"http://{lab.endpoint}",
        "accessKeyID": key.access_key_id,
        "accessKeySecret": key.access_key_secret,
        "securityToken": key.security_token,
    }
    return fc2.Client(**(given | settings))


@pytest.fixture
async def old(lab: Any) -> Any:
    """A lab with the function `probe`, shown as `calls$probe` too."""
    await lab.create_function()
    lab.fc.registry.migrate("probe", "calls")
    return lab


async def invoke(old: Any, *arguments: Any, sdk: Any = None, **options: Any) -> Any:
    return await asyncio.to_thread((sdk or client(old)).invoke_function, *arguments, **options)


async def refused(old: Any, *arguments: Any, **options: Any) -> tuple[int, str]:
    with pytest.raises(fc2.FcError) as caught:
        await invoke(old, *arguments, **options)
    return caught.value.status_code, caught.value.err_code


async def test_a_function_of_fc_2_is_invoked_with_its_service(old: Any) -> None:
    answer = await invoke(old, "calls", "probe", payload=b'{"a": 1}')
    assert json.loads(answer.data) == {"a": 1}
    assert answer.headers["x-fc-request-id"] == old.noted()[0]["request_id"]
    assert answer.headers["x-fc-invocation-service-version"] == "LATEST"


async def test_the_new_api_shows_it_as_service_and_function(old: Any) -> None:
    listed = await old.call("list_functions", old.models.ListFunctionsRequest())
    assert [function.function_name for function in listed.functions] == ["calls$probe", "probe"]
    assert (await old.call("get_function", "calls$probe", old.models.GetFunctionRequest())).handler == "unused"


async def test_the_function_is_told_its_service(old: Any) -> None:
    url = await old.create_http_trigger("calls$probe")
    variables = (await old.get(url + "/environment"))["variables"]
    assert (variables["FC_SERVICE_NAME"], variables["FC_FUNCTION_NAME"]) == ("calls", "probe")
    headers = {name.lower(): value for name, value in (await old.get(url))["headers"]}
    assert (headers["x-fc-service-name"], headers["x-fc-function-name"]) == ("calls", "probe")


@pytest.mark.parametrize(
    ("service", "function", "code"),
    [("", "probe", "ServiceNotFound"), ("other", "probe", "ServiceNotFound"), ("calls", "no", "FunctionNotFound")],
)
async def test_a_function_born_in_3_or_unknown_is_not_found(old: Any, service: str, function: str, code: str) -> None:
    assert await refused(old, service, function) == (404, code)


async def test_a_qualifier_is_written_after_the_service(old: Any) -> None:
    publish = old.models.PublishFunctionVersionRequest(body=old.models.PublishVersionInput())
    version = (await old.call("publish_function_version", "calls$probe", publish)).version_id
    alias = old.models.CreateAliasInput(alias_name="live", version_id=version)
    await old.call("create_alias", "calls$probe", old.models.CreateAliasRequest(body=alias))
    answer = await invoke(old, "calls", "probe", payload=b"{}", qualifier="live")
    assert answer.headers["x-fc-invocation-service-version"] == version
    assert await refused(old, "calls", "probe", qualifier="dead") == (404, "AliasNotFound")


async def test_an_asynchronous_invocation_is_accepted_and_run_later(old: Any) -> None:
    answer = await invoke(old, "calls", "probe", payload=b'{"n": 1}', headers={"x-fc-invocation-type": "Async"})
    assert answer.data == b""
    task = (await old.eventually(lambda: list(old.fc.queue.finished)))[0]
    assert (task.request_id, task.state) == (answer.headers["x-fc-request-id"], "Succeeded")


async def test_a_failed_function_is_http_200_with_an_error_type(old: Any) -> None:
    with pytest.raises(fc2.FcError) as caught:
        await invoke(old, "calls", "probe", payload=b'{"do": "fail"}')
    assert caught.value.status_code == 200
    async with signed(old, b'{"do": "fail"}') as answer:
        assert (answer.status, answer.headers["x-fc-error-type"]) == (200, "UnhandledInvocationError")
        assert await answer.json(content_type=None) == {"errorMessage": "told to"}


async def test_an_http_function_is_called_by_its_path_with_signed_parameters(old: Any) -> None:
    await old.create_http_trigger("calls$probe", authType="function")
    parameters = {"q": "a b", "漢": "字", "many": ["2", "1"]}
    answer = await asyncio.to_thread(
        client(old).do_http_request, "POST", "calls", "probe", "/a%20b/c", {}, parameters, b"body"
    )
    assert answer.status_code == 200, answer.text
    seen = answer.json()
    headers = {name.lower(): value for name, value in seen["headers"]}
    assert seen["target"].startswith("/2016-08-15/proxy/calls/probe/a%20b/c?")
    assert headers["x-fc-base-path"] == "/2016-08-15/proxy/calls/probe"
    assert (headers["x-fc-control-path"], seen["body"]) == ("/http-invoke", "body")


async def test_an_http_function_wants_the_signature_that_its_trigger_wants(old: Any) -> None:
    url = f"http://{old.endpoint}/2016-08-15/proxy/calls/probe/"
    async with old.http.get(url) as answer:
        assert (answer.status, (await answer.json())["ErrorCode"]) == (404, "TriggerNotFound")
    await old.create_http_trigger("calls$probe", authType="function")
    async with old.http.get(url) as answer:
        assert (answer.status, (await answer.json())["ErrorCode"]) == (400, "MissingRequiredHeader")


async def test_sts_credentials_are_taken_and_end(old: Any) -> None:
    session = old.account.open_session("role/caller", 60)
    assert (await invoke(old, "calls", "probe", payload=b"{}", sdk=client(old, session))).data == b"{}"
    wrong = client(old, session, securityToken="CAISwrong")
    assert await refused(old, "calls", "probe", sdk=wrong) == (403, "InvalidSecurityToken.Malformed")
    old.clock.move(61)
    assert await refused(old, "calls", "probe", sdk=client(old, session)) == (403, "InvalidSecurityToken.Expired")


@pytest.mark.parametrize(
    ("given", "code"),
    [({"accessKeySecret": "wrong"}, "SignatureNotMatch"), ({"accessKeyID": "LTAIno"}, "InvalidAccessKeyID")],
)
async def test_a_wrong_key_is_refused(old: Any, given: Any, code: str) -> None:
    assert await refused(old, "calls", "probe", sdk=client(old, **given)) == (403, code)


def signed(old: Any, body: bytes = b"{}", *, age_seconds: float = 0.0, **changes: str) -> Any:
    """A POST signed as the document says, with headers changed afterwards; an empty value leaves the header out."""
    root = old.account.root
    headers = {
        "Date": formatdate(time.time() - age_seconds, usegmt=True),
        "Content-Type": "application/json",
        "Content-MD5": hashlib.md5(body, usedforsecurity=False).hexdigest(),
    }
    text = "\n".join(["POST", headers["Content-MD5"], headers["Content-Type"], headers["Date"], PATH])
    digest = hmac.new(root.access_key_secret.encode(), text.encode(), hashlib.sha256).digest()
    headers["Authorization"] = f"FC {root.access_key_id}:{base64.b64encode(digest).decode()}"
    headers |= {name.replace("_", "-"): value for name, value in changes.items()}
    headers = {name: value for name, value in headers.items() if value}
    return old.http.post(f"http://{old.endpoint}{PATH}", data=body, headers=headers)


@pytest.mark.parametrize(
    ("age_seconds", "changes", "status", "code"),
    [
        (0, {}, 200, ""),
        (14 * 60, {}, 200, ""),
        (16 * 60, {}, 403, "AccessDenied"),
        (-16 * 60, {}, 403, "AccessDenied"),
        (0, {"Date": ""}, 400, "MissingRequiredHeader"),
        (0, {"Date": "yesterday"}, 400, "MissingRequiredHeader"),
        (0, {"Authorization": ""}, 400, "MissingRequiredHeader"),
        (0, {"Authorization": "FC nothing"}, 400, "InvalidArgument"),
        (0, {"Authorization": "Basic YTpi"}, 400, "InvalidArgument"),
        (0, {"Content_Type": "text/plain"}, 403, "SignatureNotMatch"),
        (0, {"x_fc_invocation_type": "Async"}, 403, "SignatureNotMatch"),
        (0, {"Content_MD5": "0" * 32}, 403, "SignatureNotMatch"),
    ],
)
async def test_what_is_signed_and_when(
    old: Any, age_seconds: float, changes: dict[str, str], status: int, code: str
) -> None:
    async with signed(old, age_seconds=age_seconds, **changes) as answer:
        seen = await answer.json(content_type=None)
        assert answer.status == status
        if code:
            assert set(seen) == {"ErrorCode", "ErrorMessage"}
            assert seen["ErrorCode"] == code
            assert answer.headers["x-fc-request-id"]


async def test_the_rest_of_the_old_api_is_501_and_not_a_silent_success(old: Any) -> None:
    with pytest.raises(fc2.FcError) as caught:
        await asyncio.to_thread(client(old, Timeout=10).get_service, "calls")
    assert (caught.value.status_code, caught.value.err_code) == (501, "NotImplemented")


async def test_a_large_event_is_refused_as_by_the_new_api(old: Any) -> None:
    big = b"x" * (128 * 1024 + 1)
    late = {"x-fc-invocation-type": "Async"}
    assert await refused(old, "calls", "probe", payload=big, headers=late) == (400, "EntityTooLarge")
    assert await refused(old, "calls", "probe", payload=b"x" * (32 * 1024 * 1024 + 1)) == (400, "InvalidArgument")
