"""From a validated configuration to the `FunctionSpec` that instances are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from localcloud.fc.archive import Package
from localcloud.fc.model import FunctionSpec, HealthCheck

DEFAULT_COMMAND = ("/code/bootstrap",)
HOOK_DEFAULT_SECONDS = 3


def make_spec(
    config: Mapping[str, Any], version: str, revision: int, code: Package, layers: Sequence[Package]
) -> FunctionSpec:
    """Read the parts of a configuration (`rules.check_function` has passed it) that shape an instance."""
    custom = config.get("customRuntimeConfig") or {}
    hooks = config.get("instanceLifecycleConfig") or {}
    injection = config.get("disableInjectCredentials") or "None"
    return FunctionSpec(
        name=config["functionName"],
        version=version,
        revision=revision,
        handler=config.get("handler", ""),
        runtime=config["runtime"],
        memory_mb=config["memorySize"],
        timeout_seconds=config["timeout"],
        instance_concurrency=config["instanceConcurrency"],
        environment=dict(config["environmentVariables"]),
        role=config.get("role", ""),
        inject_environment=injection not in ("Env", "All"),
        inject_request=injection not in ("Request", "All"),
        command=(*(custom.get("command") or DEFAULT_COMMAND), *(custom.get("args") or ())),
        health_check=_health_check(custom.get("healthCheckConfig") or {}),
        initializer_seconds=_hook_seconds(hooks.get("initializer")),
        pre_stop_seconds=_hook_seconds(hooks.get("preStop")),
        code=code,
        layers=tuple(layers),
    )


def _health_check(config: Mapping[str, Any]) -> HealthCheck | None:
    if not config.get("httpGetUrl"):
        return None
    return HealthCheck(
        path=config["httpGetUrl"],
        initial_delay_seconds=config.get("initialDelaySeconds") or 0,
        timeout_seconds=config.get("timeoutSeconds") or 1,
        success_threshold=config.get("successThreshold") or 1,
    )


def _hook_seconds(hook: Mapping[str, Any] | None) -> int:
    if not hook or not (hook.get("handler") or hook.get("timeout")):
        return 0
    return int(hook.get("timeout") or HOOK_DEFAULT_SECONDS)
