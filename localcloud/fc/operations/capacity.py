"""Settings of asynchronous invocation, reserved concurrency and minimum instances."""

from __future__ import annotations

from typing import Any

from localcloud.fc.call import Call
from localcloud.fc.destinations import target_of
from localcloud.fc.errors import FcError, invalid, not_built
from localcloud.fc.model import LATEST
from localcloud.fc.operations.family import Family, check_range
from localcloud.fc.rules import check_keys

_ASYNC_FIELDS = {"asyncTask", "destinationConfig", "maxAsyncEventAgeInSeconds", "maxAsyncRetryAttempts"}


class Capacity(Family):
    """How much of a function may run, and how often it is tried."""

    async def put_async_invoke_config(self, call: Call) -> dict[str, Any]:
        given, qualifier = call.json(), call.query.get("qualifier") or LATEST
        check_keys(given, _ASYNC_FIELDS, "PutAsyncInvokeConfig")
        self._registry.version(call.names[0], qualifier)
        check_range(given, "maxAsyncRetryAttempts", 0, 8)
        check_range(given, "maxAsyncEventAgeInSeconds", 1, 604_800)
        if given.get("asyncTask"):
            raise not_built("asyncTask: true (stateful asynchronous invocation)")
        for when, destination in (given.get("destinationConfig") or {}).items():
            if when not in ("onSuccess", "onFailure"):
                raise invalid(f"destinationConfig does not have {when}")
            if destination and destination.get("destination"):
                target_of(str(destination["destination"]), self._platform.account)
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
        check_range(given, "reservedConcurrency", 0, 300)
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
        check_range(given, "minInstances", 0, 100)
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
