"""The OpenAPI 2023-03-30 as the official SDK uses it: shapes, limits, signatures, errors."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.fc_lab import make_zip


async def test_a_function_reads_back_as_it_was_created(lab: Any) -> None:
    tags = [lab.models.Tag(key="app", value="speech")]
    created = await lab.create_function(description="probe", cpu=1, memory_size=1024, tags=tags)
    assert created.function_arn == "acs:fc:cn-beijing:1234567890123456:functions/probe"
    assert (created.state, created.last_update_status) == ("Active", "Successful")
    assert created.code_size > 0
    assert created.code_checksum.isdigit()
    read = await lab.call("get_function", "probe", lab.models.GetFunctionRequest())
    assert read.to_map() == created.to_map()
    assert (read.memory_size, read.cpu, read.disk_size, read.timeout) == (1024, 1, 512, 30)
    assert read.custom_runtime_config.command == ["python3", "/code/main.py"]
    assert read.tags[0].key == "app"


async def test_defaults_are_filled_in(lab: Any) -> None:
    created = await lab.create_function(timeout=None)
    assert (created.timeout, created.cpu, created.memory_size, created.instance_concurrency) == (3, 0.35, 512, 1)


async def test_an_update_keeps_what_it_does_not_name(lab: Any) -> None:
    await lab.create_function(description="old")
    change = lab.models.UpdateFunctionInput(timeout=9)
    updated = await lab.call("update_function", "probe", lab.models.UpdateFunctionRequest(body=change))
    assert (updated.timeout, updated.description) == (9, "old")
    new_code = lab.models.InputCodeLocation(zip_file=make_zip({"main.py": "new"}))
    change = lab.models.UpdateFunctionInput(code=new_code)
    again = await lab.call("update_function", "probe", lab.models.UpdateFunctionRequest(body=change))
    assert again.code_checksum != updated.code_checksum


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("function_name", "1st"),
        ("function_name", "-x"),
        ("function_name", "x" * 65),
        ("function_name", ""),
        ("memory_size", 500),
        ("memory_size", 64),
        ("memory_size", 33024),
        ("cpu", 0.03),
        ("cpu", 0.42),
        ("cpu", 4),
        ("cpu", 0.05),
        ("disk_size", 1024),
        ("timeout", 0),
        ("timeout", 86401),
        ("instance_concurrency", 0),
        ("instance_concurrency", 201),
        ("role", "speech"),
        ("environment_variables", {"FC_OWN": "1"}),
        ("environment_variables", {"1ST": "1"}),
        ("environment_variables", {"BIG": "x" * 4096}),
        ("layers", ["acs:fc:cn-beijing:1234567890123456:layers/a/versions/latest"]),
        ("layers", ["acs:fc:cn-beijing:1234567890123456:layers/a/versions/1"] * 6),
        ("disable_inject_credentials", "Some"),
    ],
)
async def test_what_is_beyond_a_limit_is_an_invalid_argument(lab: Any, setting: str, value: Any) -> None:
    given = lab.function_input(**{setting: value})
    refusal = await lab.refusal("create_function", lab.models.CreateFunctionRequest(body=given))
    assert refusal == (400, "InvalidArgument")


async def test_a_missing_layer_is_not_found(lab: Any) -> None:
    given = lab.function_input(layers=["acs:fc:cn-beijing:1234567890123456:layers/absent/versions/1"])
    refusal = await lab.refusal("create_function", lab.models.CreateFunctionRequest(body=given))
    assert refusal == (404, "LayerVersionNotFound")


@pytest.mark.parametrize(
    ("field", "value"),
    [("port", 0), ("health_check_config", {"httpGetUrl": "no-slash"}), ("health_check_config", {"timeoutSeconds": 4})],
)
async def test_a_custom_runtime_config_has_ranges(lab: Any, field: str, value: Any) -> None:
    if field == "health_check_config":
        value = lab.models.CustomHealthCheckConfig().from_map(value)
    given = lab.function_input(custom_runtime_config=lab.models.CustomRuntimeConfig(**{field: value}))
    refusal = await lab.refusal("create_function", lab.models.CreateFunctionRequest(body=given))
    assert refusal == (400, "InvalidArgument")


@pytest.mark.parametrize("setting", ["runtime", "vpc_config", "session_affinity", "gpu_config"])
async def test_what_localcloud_does_not_act_upon_is_501_and_not_a_silent_success(lab: Any, setting: str) -> None:
    value: Any = {
        "runtime": "python3.10",
        "vpc_config": lab.models.VPCConfig(vpc_id="vpc-1"),
        "session_affinity": "MCP_SSE",
        "gpu_config": lab.models.GPUConfig(gpu_memory_size=1),
    }[setting]
    given = lab.function_input(**{setting: value})
    refusal = await lab.refusal("create_function", lab.models.CreateFunctionRequest(body=given))
    assert refusal == (501, "NotImplemented")


@pytest.mark.parametrize("zip_file", ["not base64!", "bm90IGEgemlw"])
async def test_code_must_be_a_zip_in_base64(lab: Any, zip_file: str) -> None:
    given = lab.function_input(code=lab.models.InputCodeLocation(zip_file=zip_file))
    refusal = await lab.refusal("create_function", lab.models.CreateFunctionRequest(body=given))
    assert refusal == (400, "InvalidArgument")


@pytest.mark.parametrize("name", ["../outside.py", "/absolute.py"])
async def test_a_package_cannot_leave_its_directory(lab: Any, name: str) -> None:
    given = lab.function_input(code=lab.models.InputCodeLocation(zip_file=make_zip({name: "x"})))
    refusal = await lab.refusal("create_function", lab.models.CreateFunctionRequest(body=given))
    assert refusal == (400, "InvalidArgument")


async def test_a_checksum_that_is_not_the_package_s_is_refused(lab: Any) -> None:
    code = lab.models.InputCodeLocation(zip_file=make_zip({"main.py": "x"}), checksum="1")
    refusal = await lab.refusal("create_function", lab.models.CreateFunctionRequest(body=lab.function_input(code=code)))
    assert refusal == (400, "InvalidArgument")


async def test_a_name_is_given_once(lab: Any) -> None:
    await lab.create_function()
    refusal = await lab.refusal("create_function", lab.models.CreateFunctionRequest(body=lab.function_input()))
    assert refusal == (409, "FunctionAlreadyExists")


async def test_a_function_with_triggers_is_not_deleted(lab: Any) -> None:
    await lab.create()
    assert await lab.refusal("delete_function", "probe") == (409, "FunctionNotEmpty")
    await lab.call("delete_trigger", "probe", "http")
    await lab.call("delete_function", "probe")
    refusal = await lab.refusal("get_function", "probe", lab.models.GetFunctionRequest())
    assert refusal == (404, "FunctionNotFound")


async def test_lists_are_paged(lab: Any) -> None:
    for name in ("a", "b", "c"):
        await lab.create_function(name)
    first = await lab.call("list_functions", lab.models.ListFunctionsRequest(limit=2))
    assert [function.function_name for function in first.functions] == ["a", "b"]
    rest = await lab.call("list_functions", lab.models.ListFunctionsRequest(limit=2, next_token=first.next_token))
    assert ([function.function_name for function in rest.functions], rest.next_token) == (["c"], None)


async def test_asynchronous_settings_read_back_and_have_ranges(lab: Any) -> None:
    await lab.create_function()
    missing = lab.models.GetAsyncInvokeConfigRequest(qualifier="LATEST")
    assert await lab.refusal("get_async_invoke_config", "probe", missing) == (404, "AsyncConfigNotExists")
    given = lab.models.PutAsyncInvokeConfigInput(max_async_retry_attempts=2, max_async_event_age_in_seconds=60)
    put = lab.models.PutAsyncInvokeConfigRequest(body=given, qualifier="LATEST")
    await lab.call("put_async_invoke_config", "probe", put)
    read = await lab.call("get_async_invoke_config", "probe", missing)
    assert (read.max_async_retry_attempts, read.max_async_event_age_in_seconds) == (2, 60)
    for wrong in ({"max_async_retry_attempts": 9}, {"max_async_event_age_in_seconds": 604_801}):
        body = lab.models.PutAsyncInvokeConfigInput(**wrong)
        request = lab.models.PutAsyncInvokeConfigRequest(body=body)
        assert await lab.refusal("put_async_invoke_config", "probe", request) == (400, "InvalidArgument")


async def test_scaling_policies_that_would_not_be_followed_are_501(lab: Any) -> None:
    await lab.create_function()
    policy = lab.models.ScheduledPolicy(name="night", target=1, schedule_expression="cron(0 0 4 * * *)")
    body = lab.models.PutScalingConfigInput(min_instances=0, scheduled_policies=[policy])
    refusal = await lab.refusal("put_scaling_config", "probe", lab.models.PutScalingConfigRequest(body=body))
    assert refusal == (501, "NotImplemented")


async def test_operations_that_are_not_built_are_501_and_paths_that_do_not_exist_400(lab: Any) -> None:
    assert await lab.refusal("list_custom_domains", lab.models.ListCustomDomainsRequest()) == (501, "NotImplemented")
    async with lab.http.get(f"http://{lab.endpoint}/2099-01-01/services") as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, "MissingRequiredHeader")


@pytest.mark.parametrize(
    ("access_key_id", "secret", "code"),
    [("LTAIunknown", "x", "InvalidAccessKeyID"), (None, "wrong", "SignatureNotMatch")],
)
async def test_a_wrong_key_or_signature_is_refused(lab: Any, access_key_id: str | None, secret: str, code: str) -> None:
    lab.client = lab.client_with(access_key_id or lab.account.root.access_key_id, secret)
    assert await lab.refusal("list_functions", lab.models.ListFunctionsRequest()) == (403, code)


async def test_a_session_needs_its_token_and_ends(lab: Any) -> None:
    session = lab.account.open_session("role/deployer", 600)
    request = lab.models.ListFunctionsRequest()
    lab.client = lab.client_with(session.access_key_id, session.access_key_secret, session.security_token)
    assert (await lab.call("list_functions", request)).functions == []
    lab.client = lab.client_with(session.access_key_id, session.access_key_secret, "other")
    assert (await lab.refusal("list_functions", request))[0] == 403
    lab.client = lab.client_with(session.access_key_id, session.access_key_secret, session.security_token)
    lab.clock.move(601)
    assert await lab.refusal("list_functions", request) == (403, "InvalidSecurityToken.Expired")


async def test_the_clock_of_the_services_does_not_refuse_the_signatures_of_clients(lab: Any) -> None:
    lab.clock.move(40 * 3600)
    assert (await lab.call("list_functions", lab.models.ListFunctionsRequest())).functions == []


async def test_errors_have_code_message_and_request_id(lab: Any) -> None:
    async with lab.http.get(f"http://{lab.endpoint}/2023-03-30/functions") as answer:
        body = await answer.json()
        assert set(body) == {"code", "message", "requestId"}
        assert answer.headers["x-fc-request-id"] == body["requestId"]


async def test_a_fault_refuses_an_api_call(lab: Any) -> None:
    lab.faults.arm(operation="fc.ListFunctions", action="error", status=500, code="InternalServerError")
    refusal = await lab.refusal("list_functions", lab.models.ListFunctionsRequest())
    assert refusal == (500, "InternalServerError")
    assert lab.faults.counters()["fc.ListFunctions"] == 1


async def test_a_body_over_100_mb_is_refused(lab: Any) -> None:
    async def parts() -> Any:
        for _ in range(101):
            yield bytes(1024 * 1024)

    async with lab.http.post(f"http://{lab.endpoint}/2023-03-30/functions", data=parts()) as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, "EntityTooLarge")


async def test_calls_at_the_same_time_do_not_mix(lab: Any) -> None:
    created = await asyncio.gather(*(lab.create_function(f"f{number}") for number in range(8)))
    assert sorted(function.function_name for function in created) == [f"f{number}" for number in range(8)]
