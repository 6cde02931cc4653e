"""What hangs on a function: layers, versions, aliases, triggers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.fc_lab import make_zip


async def test_layer_versions_count_up_and_never_change(lab: Any) -> None:
    for number in (1, 2):
        code = lab.models.InputCodeLocation(zip_file=make_zip({"python/a.py": str(number)}))
        given = lab.models.CreateLayerVersionInput(code=code, compatible_runtime=["custom.debian12"], description="d")
        layer = await lab.call("create_layer_version", "base", lab.models.CreateLayerVersionRequest(body=given))
        assert layer.version == number
        assert layer.layer_version_arn == f"acs:fc:cn-beijing:1234567890123456:layers/base/versions/{number}"
    read = await lab.call("get_layer_version", "base", "1")
    assert (read.compatible_runtime, read.description) == (["custom.debian12"], "d")
    listed = await lab.call("list_layer_versions", "base", lab.models.ListLayerVersionsRequest())
    assert [layer.version for layer in listed.layers] == [2, 1]
    layers = await lab.call("list_layers", lab.models.ListLayersRequest())
    assert [(layer.layer_name, layer.version) for layer in layers.layers] == [("base", 2)]
    await lab.call("delete_layer_version", "base", "2")
    again = await lab.call("create_layer_version", "base", lab.models.CreateLayerVersionRequest(body=given))
    assert again.version == 3, "a number is never given twice"


async def test_a_version_is_a_copy_that_an_alias_can_point_to(lab: Any) -> None:
    await lab.create_function(environment_variables={"STAGE": "one"})
    publish = lab.models.PublishFunctionVersionRequest(body=lab.models.PublishVersionInput(description="first"))
    version = await lab.call("publish_function_version", "probe", publish)
    assert (version.version_id, version.description) == ("1", "first")
    alias = lab.models.CreateAliasInput(alias_name="live", version_id="1")
    await lab.call("create_alias", "probe", lab.models.CreateAliasRequest(body=alias))
    change = lab.models.UpdateFunctionInput(environment_variables={"NOTES": str(lab.notes), "STAGE": "two"})
    await lab.call("update_function", "probe", lab.models.UpdateFunctionRequest(body=change))
    live = await lab.create_http_trigger(qualifier="live")
    latest = await lab.create_http_trigger(trigger_name="latest")
    assert live != latest
    assert (await lab.get(live + "/environment"))["variables"]["STAGE"] == "one"
    assert (await lab.get(live + "/environment"))["variables"]["FC_FUNCTION_VERSION"] == "1"
    assert (await lab.get(latest + "/environment"))["variables"]["STAGE"] == "two"
    versions = await lab.call("list_function_versions", "probe", lab.models.ListFunctionVersionsRequest())
    assert [version.version_id for version in versions.versions] == ["1"]


async def test_an_alias_moves_and_splits_by_weight(lab: Any) -> None:
    await lab.create_function()
    publish = lab.models.PublishFunctionVersionRequest(body=lab.models.PublishVersionInput())
    for _ in range(2):
        await lab.call("publish_function_version", "probe", publish)
    alias = lab.models.CreateAliasInput(alias_name="live", version_id="1")
    await lab.call("create_alias", "probe", lab.models.CreateAliasRequest(body=alias))
    change = lab.models.UpdateAliasInput(version_id="1", additional_version_weight={"2": 1.0})
    await lab.call("update_alias", "probe", "live", lab.models.UpdateAliasRequest(body=change))
    read = await lab.call("get_alias", "probe", "live")
    assert (read.version_id, read.additional_version_weight) == ("1", {"2": 1.0})
    await lab.invoke({}, qualifier="live")
    assert lab.noted()[0]["version"] == "2", "all of the weight"
    assert await lab.refusal("delete_function_version", "probe", "2") == (409, "VersionInUse")


@pytest.mark.parametrize("name", ["LATEST", "1", "-x"])
async def test_an_alias_has_a_name_that_is_no_version(lab: Any, name: str) -> None:
    await lab.create_function()
    alias = lab.models.CreateAliasInput(alias_name=name, version_id="LATEST")
    refusal = await lab.refusal("create_alias", "probe", lab.models.CreateAliasRequest(body=alias))
    assert refusal == (400, "InvalidArgument")


@pytest.mark.parametrize(
    ("qualifier", "code"), [("7", "VersionNotFound"), ("nobody", "AliasNotFound"), ("LATEST", "FunctionNotFound")]
)
async def test_what_is_not_there_is_named(lab: Any, qualifier: str, code: str) -> None:
    if code != "FunctionNotFound":
        await lab.create_function()
    request = lab.models.GetFunctionRequest(qualifier=qualifier)
    assert await lab.refusal("get_function", "probe", request) == (404, code)


async def test_a_trigger_reads_back_with_its_url(lab: Any) -> None:
    url = await lab.create()
    trigger = await lab.call("get_trigger", "probe", "http")
    assert (trigger.trigger_type, trigger.qualifier, trigger.http_trigger.url_internet) == ("http", "LATEST", url)
    assert json.loads(trigger.trigger_config)["methods"] == ["GET", "POST"]
    listed = await lab.call("list_triggers", "probe", lab.models.ListTriggersRequest())
    assert [trigger.trigger_name for trigger in listed.triggers] == ["http"]


async def test_a_changed_trigger_keeps_its_url_and_works_at_once(lab: Any) -> None:
    url = await lab.create(methods=("GET",))
    config = json.dumps({"authType": "anonymous", "methods": ["GET", "POST"]})
    change = lab.models.UpdateTriggerRequest(body=lab.models.UpdateTriggerInput(trigger_config=config))
    updated = await lab.call("update_trigger", "probe", "http", change)
    assert updated.http_trigger.url_internet == url
    async with lab.http.post(url) as answer:
        assert answer.status == 200


async def test_one_http_trigger_for_a_qualifier(lab: Any) -> None:
    await lab.create()
    with pytest.raises(Exception, match="HTTP trigger already"):
        await lab.create_http_trigger(trigger_name="again")


@pytest.mark.parametrize(
    ("kind", "config", "code"),
    [
        ("http", {"authType": "anonymous", "methods": ["TRACE"]}, 400),
        ("http", {"authType": "anonymous", "methods": []}, 400),
        ("http", {"authType": "anonymous", "methods": ["GET"], "method": "GET"}, 400),
        ("http", {"authType": "jwt", "methods": ["GET"]}, 501),
        ("oss", {"events": ["ObjectCreated:PutObject"], "filter": {"key": {}}}, 400),
        ("oss", {"events": ["oss:ObjectCreated:PutObject"], "bucketName": "b"}, 400),
        ("timer", {"cronExpression": "* * * * *", "enable": True}, 400),
        ("log", {}, 501),
    ],
)
async def test_a_trigger_config_is_checked(lab: Any, kind: str, config: Any, code: int) -> None:
    await lab.create_function()
    with pytest.raises(Exception, match=str(code)):
        await lab.create_trigger("probe", "t", kind, config)


@pytest.mark.parametrize(
    "source_arn",
    ["acs:oss:cn-shanghai:1234567890123456:b-1", "acs:oss:cn-beijing:99:b-1", "b-1", ""],
)
async def test_an_oss_trigger_is_of_this_region_and_account(lab: Any, source_arn: str) -> None:
    await lab.create_function()
    config = {"events": ["oss:ObjectCreated:PutObject"], "filter": {"key": {"prefix": "", "suffix": ""}}}
    role = "acs:ram::1234567890123456:role/r"
    with pytest.raises(Exception, match="sourceArn"):
        await lab.create_trigger("probe", "t", "oss", config, source_arn=source_arn, invocation_role=role)
