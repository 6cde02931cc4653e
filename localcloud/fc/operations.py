"""The operations of the API that localcloud has, each in the shape of the SDK's models."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from aiohttp import web

from localcloud.fc import archive
from localcloud.fc.errors import FcError, invalid, not_built, too_large
from localcloud.fc.headers import Invocation
from localcloud.fc.invoke import invoke_event
from localcloud.fc.model import LATEST, LayerVersion, Trigger, Version
from localcloud.fc.rules import check_keys, positive_limit

if TYPE_CHECKING:
    from localcloud.fc.control import Call, Operation
    from localcloud.fc.fleet import Platform
    from localcloud.fc.service import FunctionCompute

SYNC_LIMIT_BYTES = 32 * 1024 * 1024
ASYNC_LIMIT_BYTES = 128 * 1024
_ALIAS_FIELDS = {"aliasName", "versionId", "description", "additionalVersionWeight"}
_ASYNC_FIELDS = {"asyncTask", "destinationConfig", "maxAsyncEventAgeInSeconds", "maxAsyncRetryAttempts"}
_TASK_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,127}")


class Operations:
    """Operation methods are named like the API's: `CreateFunction` is `create_function`."""

    def __init__(self, service: FunctionCompute, platform: Platform) -> None:
        self._service = service
        self._registry = service.registry
        self._platform = platform

    def table(self) -> dict[str, Operation]:
        """Operation name -> method, for all public methods of this class."""
        names = [name for name in vars(type(self)) if not name.startswith("_") and name != "table"]
        return {"".join(part.capitalize() for part in name.split("_")): getattr(self, name) for name in names}

    # Functions

    async def create_function(self, call: Call) -> dict[str, Any]:
        given = call.json()
        code = await self._package(given.pop("code", None), required=True)
        assert code is not None
        return self._registry.create_function(given, code).latest.config

    async def update_function(self, call: Call) -> dict[str, Any]:
        given = call.json()
        self._registry.function(call.names[0])
        code = await self._package(given.pop("code", None), required=False)
        return self._registry.update_function(call.names[0], given, code).latest.config

    async def get_function(self, call: Call) -> dict[str, Any]:
        return self._registry.version(call.names[0], call.query.get("qualifier", LATEST)).config

    async def list_functions(self, call: Call) -> dict[str, Any]:
        check_keys(call.query, {"limit", "nextToken", "prefix", "fcVersion"}, "ListFunctions")
        page, token = _page(call, self._registry.functions)
        return {"functions": [self._registry.functions[name].latest.config for name in page]} | token

    async def delete_function(self, call: Call) -> None:
        self._registry.delete_function(call.names[0])
        self._service.fleet.drop(call.names[0])

    async def invoke_function(self, call: Call) -> web.Response:
        name, qualifier = call.names[0], call.query.get("qualifier") or LATEST
        spec = self._registry.resolve(name, qualifier)
        kind = call.headers.get("x-fc-invocation-type", "Sync")
        if kind == "Async":
            return self._accept(call, name, qualifier)
        if kind != "Sync":
            raise invalid("x-fc-invocation-type is Sync or Async")
        if len(call.body) > SYNC_LIMIT_BYTES:
            raise too_large(SYNC_LIMIT_BYTES)
        invocation = Invocation(call.request_id, qualifier)
        outcome = await invoke_event(self._service.fleet, spec, call.body, invocation)
        headers = {
            "Content-Type": "application/octet-stream",
            "x-fc-invocation-duration": f"{outcome.duration_ms:.2f}",
            "x-fc-instance-id": outcome.instance_id,
            "x-fc-code-checksum": spec.code.checksum,
            "x-fc-invocation-code-version": spec.version,
        }
        if outcome.error_type:
            headers["x-fc-error-type"] = outcome.error_type
        if call.headers.get("x-fc-log-type") == "Tail" and spec.instance_concurrency == 1:
            headers["x-fc-log-result"] = base64.b64encode(outcome.tail).decode()
        return web.Response(body=outcome.body, headers=headers)

    def _accept(self, call: Call, name: str, qualifier: str) -> web.Response:
        if len(call.body) > ASYNC_LIMIT_BYTES:
            raise too_large(ASYNC_LIMIT_BYTES)
        task_id = call.headers.get("x-fc-async-task-id", "")
        if task_id and not _TASK_ID.fullmatch(task_id):
            raise invalid(
                "x-fc-async-task-id has 1 to 128 letters, digits, '_' and '-' and starts with a letter or '_'"
            )
        self._service.submit(name, qualifier, call.body, call.request_id, task_id)
        return web.Response(status=202)

    # Versions and aliases

    async def publish_function_version(self, call: Call) -> dict[str, Any]:
        given = call.json()
        check_keys(given, {"description"}, "PublishFunctionVersion")
        return _version(self._registry.publish_version(call.names[0], given.get("description", "")))

    async def list_function_versions(self, call: Call) -> dict[str, Any]:
        function = self._registry.function(call.names[0])
        direction = call.query.get("direction", "BACKWARD")
        if direction not in ("BACKWARD", "FORWARD"):
            raise invalid("direction is BACKWARD or FORWARD")
        numbers = sorted(function.versions, key=int, reverse=direction == "BACKWARD")
        start = numbers.index(call.query["nextToken"]) if call.query.get("nextToken") in numbers else 0
        limit = positive_limit(call.query.get("limit", ""))
        page, rest = numbers[start : start + limit], numbers[start + limit :]
        answer: dict[str, Any] = {"direction": direction, "versions": [_version(function.versions[n]) for n in page]}
        return answer | ({"nextToken": rest[0]} if rest else {})

    async def delete_function_version(self, call: Call) -> None:
        name, number = call.names
        self._registry.version(name, number if number.isdigit() else "0")
        function = self._registry.function(name)
        for alias in function.aliases.values():
            if number == alias["versionId"] or number in (alias.get("additionalVersionWeight") or {}):
                raise FcError(409, "VersionInUse", f"version '{number}' is used by the alias '{alias['aliasName']}'")
        del function.versions[number]

    async def create_alias(self, call: Call) -> dict[str, Any]:
        given = call.json()
        check_keys(given, _ALIAS_FIELDS, "CreateAlias")
        return self._registry.put_alias(call.names[0], given.get("aliasName", ""), given, create=True)

    async def update_alias(self, call: Call) -> dict[str, Any]:
        given = call.json()
        check_keys(given, _ALIAS_FIELDS - {"aliasName"}, "UpdateAlias")
        alias = self._registry.put_alias(call.names[0], call.names[1], given, create=False)
        self._service.rescale(call.names[0])
        return alias

    async def get_alias(self, call: Call) -> dict[str, Any]:
        return self._alias(call)

    async def list_aliases(self, call: Call) -> dict[str, Any]:
        aliases = self._registry.function(call.names[0]).aliases
        page, token = _page(call, aliases)
        return {"aliases": [aliases[name] for name in page]} | token

    async def delete_alias(self, call: Call) -> None:
        self._alias(call)
        function = self._registry.function(call.names[0])
        if any(trigger.qualifier == call.names[1] for trigger in function.triggers.values()):
            raise FcError(409, "AliasInUse", f"alias '{call.names[1]}' has triggers")
        del function.aliases[call.names[1]]
        function.scaling_configs.pop(call.names[1], None)
        self._service.rescale(call.names[0])

    def _alias(self, call: Call) -> dict[str, Any]:
        name, alias = call.names
        aliases = self._registry.function(name).aliases
        if alias not in aliases:
            raise FcError(404, "AliasNotFound", f"alias '{alias}' of function '{name}' does not exist")
        return aliases[alias]

    # Triggers

    async def create_trigger(self, call: Call) -> dict[str, Any]:
        given = call.json()
        known = {
            "triggerName",
            "triggerType",
            "triggerConfig",
            "qualifier",
            "sourceArn",
            "invocationRole",
            "description",
        }
        check_keys(given, known, "CreateTrigger")
        trigger = self._registry.create_trigger(call.names[0], given)
        if trigger.kind == "http":
            try:
                trigger.url = await self._service.listen(call.names[0], trigger)
            except OSError as error:
                del self._registry.function(call.names[0]).triggers[trigger.name]
                raise FcError(500, "InternalServerError", f"cannot listen for the HTTP trigger: {error}") from error
        return self._trigger(call.names[0], trigger)

    async def update_trigger(self, call: Call) -> dict[str, Any]:
        given = call.json()
        check_keys(given, {"triggerConfig", "qualifier", "invocationRole", "description"}, "UpdateTrigger")
        return self._trigger(call.names[0], self._registry.update_trigger(call.names[0], call.names[1], given))

    async def get_trigger(self, call: Call) -> dict[str, Any]:
        return self._trigger(call.names[0], self._registry.trigger(*call.names))

    async def list_triggers(self, call: Call) -> dict[str, Any]:
        name = call.names[0]
        triggers = self._registry.function(name).triggers
        page, token = _page(call, triggers)
        return {"triggers": [self._trigger(name, triggers[trigger]) for trigger in page]} | token

    async def delete_trigger(self, call: Call) -> None:
        trigger = self._registry.trigger(*call.names)
        await self._service.unlisten(trigger)
        del self._registry.function(call.names[0]).triggers[trigger.name]

    def _trigger(self, name: str, trigger: Trigger) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "createdTime": trigger.created_time,
            "description": trigger.description,
            "invocationRole": trigger.invocation_role,
            "lastModifiedTime": trigger.last_modified_time,
            "qualifier": trigger.qualifier,
            "sourceArn": trigger.source_arn,
            "status": "enabled",
            "targetArn": self._registry.arn(name),
            "triggerConfig": trigger.config_text or json.dumps(trigger.config),
            "triggerId": trigger.trigger_id,
            "triggerName": trigger.name,
            "triggerType": trigger.kind,
        }
        if trigger.url:
            answer["httpTrigger"] = {"urlInternet": trigger.url, "urlIntranet": trigger.url}
        return answer

    # Asynchronous invocation, concurrency, scaling

    async def put_async_invoke_config(self, call: Call) -> dict[str, Any]:
        given, qualifier = call.json(), call.query.get("qualifier") or LATEST
        check_keys(given, _ASYNC_FIELDS, "PutAsyncInvokeConfig")
        self._registry.version(call.names[0], qualifier)
        _check_range(given, "maxAsyncRetryAttempts", 0, 8)
        _check_range(given, "maxAsyncEventAgeInSeconds", 1, 604_800)
        if given.get("asyncTask"):
            raise not_built("asyncTask: true (stateful asynchronous invocation)")
        for when, destination in (given.get("destinationConfig") or {}).items():
            if when not in ("onSuccess", "onFailure"):
                raise invalid(f"destinationConfig does not have {when}")
            if destination and not str(destination.get("destination", "")).startswith(
                ("acs:fc:", "acs:mns:", "acs:eventbridge:")
            ):
                raise invalid(f"destinationConfig.{when}.destination is not an ARN of a destination")
        configs = self._registry.function(call.names[0]).async_configs
        created = configs.get(qualifier, {}).get("createdTime", self._registry.now())
        configs[qualifier] = given | {
            "createdTime": created,
            "lastModifiedTime": self._registry.now(),
            "functionArn": self._registry.arn(call.names[0]),
        }
        return configs[qualifier]

    async def get_async_invoke_config(self, call: Call) -> dict[str, Any]:
        return self._config(call, "async_configs", "AsyncConfigNotExists", "AsyncConfig")

    async def delete_async_invoke_config(self, call: Call) -> None:
        self._registry.function(call.names[0]).async_configs.pop(call.query.get("qualifier") or LATEST, None)

    async def list_async_invoke_configs(self, call: Call) -> dict[str, Any]:
        wanted = call.query.get("functionName", "")
        functions = [f for f in self._registry.functions.values() if wanted in ("", f.name)]
        return {"configs": [config for function in functions for config in function.async_configs.values()]}

    async def put_concurrency_config(self, call: Call) -> dict[str, Any]:
        given = call.json()
        check_keys(given, {"reservedConcurrency"}, "PutConcurrencyConfig")
        if "reservedConcurrency" not in given:
            raise invalid("reservedConcurrency is required")
        _check_range(given, "reservedConcurrency", 0, 300)
        self._registry.function(call.names[0]).reserved_concurrency = given["reservedConcurrency"]
        return await self.get_concurrency_config(call)

    async def get_concurrency_config(self, call: Call) -> dict[str, Any]:
        reserved = self._registry.function(call.names[0]).reserved_concurrency
        if reserved is None:
            raise FcError(404, "ConcurrencyConfigNotFound", f"function '{call.names[0]}' has no reserved concurrency")
        return {"functionArn": self._registry.arn(call.names[0]), "reservedConcurrency": reserved}

    async def delete_concurrency_config(self, call: Call) -> None:
        self._registry.function(call.names[0]).reserved_concurrency = None

    async def put_scaling_config(self, call: Call) -> dict[str, Any]:
        """Minimum instances are honoured; policies that would change them over time are 501."""
        given, qualifier = call.json(), call.query.get("qualifier") or LATEST
        known = {"minInstances", "enableOnDemandScaling", "enableMixMode", "horizontalScalingPolicies"}
        check_keys(given, known | {"scheduledPolicies", "residentPoolId", "requestDispatchPolicy"}, "PutScalingConfig")
        for name in ("horizontalScalingPolicies", "scheduledPolicies", "residentPoolId", "enableMixMode"):
            if given.get(name):
                raise not_built(f"scaling configuration with {name}")
        if given.get("enableOnDemandScaling") is False:
            raise not_built("scaling configuration with enableOnDemandScaling: false")
        _check_range(given, "minInstances", 0, 100)
        self._registry.resolve(call.names[0], qualifier)
        self._registry.function(call.names[0]).scaling_configs[qualifier] = given
        self._service.rescale(call.names[0])
        return await self.get_scaling_config(call)

    async def get_scaling_config(self, call: Call) -> dict[str, Any]:
        given = self._config(call, "scaling_configs", "ScalingConfigNotFound", "ScalingConfig")
        spec = self._registry.resolve(call.names[0], call.query.get("qualifier") or LATEST)
        return given | {
            "functionArn": self._registry.arn(call.names[0]),
            "currentInstances": len(self._service.fleet.pool(spec).instances),
            "targetInstances": given.get("minInstances", 0),
        }

    async def delete_scaling_config(self, call: Call) -> None:
        self._registry.function(call.names[0]).scaling_configs.pop(call.query.get("qualifier") or LATEST, None)
        self._service.rescale(call.names[0])

    def _config(self, call: Call, kind: str, code: str, what: str) -> dict[str, Any]:
        name, qualifier = call.names[0], call.query.get("qualifier") or LATEST
        configs: dict[str, dict[str, Any]] = getattr(self._registry.function(name), kind)
        if qualifier not in configs:
            raise FcError(404, code, f"{what} for {name}:{qualifier} does not exist.")
        return configs[qualifier]

    # Layers

    async def create_layer_version(self, call: Call) -> dict[str, Any]:
        given = call.json()
        check_keys(given, {"code", "compatibleRuntime", "description", "license"}, "CreateLayerVersion")
        package = await self._package(given.pop("code", None), required=True)
        assert package is not None
        return _layer(self._registry.create_layer_version(call.names[0], given, package))

    async def get_layer_version(self, call: Call) -> dict[str, Any]:
        return _layer(self._registry.layer_version(*call.names))

    async def get_layer_version_by_arn(self, call: Call) -> dict[str, Any]:
        for versions in self._registry.layers.values():
            for layer in versions.values():
                if layer.arn == call.names[0]:
                    return _layer(layer)
        raise FcError(404, "LayerVersionNotFound", f"layer version '{call.names[0]}' does not exist")

    async def list_layer_versions(self, call: Call) -> dict[str, Any]:
        versions = self._registry.layers.get(call.names[0], {})
        start = call.query.get("startVersion", "")
        if start and not start.isdigit():
            raise invalid("startVersion is a number")
        numbers = [number for number in sorted(versions, reverse=True) if not start or number <= int(start)]
        limit = positive_limit(call.query.get("limit", ""))
        answer: dict[str, Any] = {"layers": [_layer(versions[number]) for number in numbers[:limit]]}
        return answer | ({"nextVersion": numbers[limit]} if numbers[limit:] else {})

    async def list_layers(self, call: Call) -> dict[str, Any]:
        check_keys(call.query, {"limit", "nextToken", "prefix", "public", "official"}, "ListLayers")
        if call.query.get("official") == "true":
            raise not_built("official layers")
        newest = {name: versions[max(versions)] for name, versions in self._registry.layers.items() if versions}
        page, token = _page(call, newest)
        return {"layers": [_layer(newest[name]) for name in page]} | token

    async def delete_layer_version(self, call: Call) -> None:
        layer = self._registry.layer_version(*call.names)
        del self._registry.layers[layer.name][layer.version]

    async def _package(self, code: Any, *, required: bool) -> archive.Package | None:
        if not code:
            if required:
                raise invalid("code is required")
            return None
        if code.get("ossBucketName") or code.get("ossObjectName"):
            raise not_built("code from OSS; send zipFile")
        if not isinstance(code.get("zipFile"), str):
            raise invalid("code.zipFile is required")
        return await self._platform.in_thread(
            archive.store, self._platform.root, code["zipFile"], code.get("checksum") or ""
        )


def _page(call: Call, names: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """One page of names: `limit`, `prefix`, and `nextToken`, which is the first name of the next page."""
    prefix, start = call.query.get("prefix", ""), call.query.get("nextToken", "")
    wanted = sorted(name for name in names if name.startswith(prefix) and name >= start)
    limit = positive_limit(call.query.get("limit", ""))
    return wanted[:limit], ({"nextToken": wanted[limit]} if wanted[limit:] else {})


def _version(version: Version) -> dict[str, Any]:
    return {
        "versionId": version.version_id,
        "description": version.description,
        "createdTime": version.created_time,
        "lastModifiedTime": version.created_time,
    }


def _layer(layer: LayerVersion) -> dict[str, Any]:
    return {
        "acl": "0",
        "code": {"repositoryType": "OSS", "location": ""},
        "codeChecksum": layer.package.checksum,
        "codeSize": layer.package.size,
        "compatibleRuntime": layer.compatible_runtime,
        "createTime": layer.create_time,
        "description": layer.description,
        "layerName": layer.name,
        "layerVersionArn": layer.arn,
        "license": layer.license,
        "version": layer.version,
    }


def _check_range(given: dict[str, Any], name: str, low: int, high: int) -> None:
    value = given.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high):
        raise invalid(f"{name} is {low} to {high}")
