"""What CreateFunction and UpdateFunction accept, and what they fill in.

The ranges are those of the SDK's field notes (alibabacloud_fc20230330 4.8.3) and of the page "limits of usage"
(2026-02). A field that Function Compute knows and localcloud does not act upon is 501, so that nothing that would
matter in the cloud passes unnoticed here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from localcloud.fc.errors import FcError, invalid, not_built

CUSTOM_RUNTIMES = ("custom", "custom.debian10", "custom.debian11", "custom.debian12")
DEFAULTS: dict[str, Any] = {
    "description": "",
    "cpu": 0.35,
    "memorySize": 512,
    "diskSize": 512,
    "timeout": 3,
    "instanceConcurrency": 1,
    "internetAccess": True,
    "environmentVariables": {},
    "layers": [],
    "role": "",
    "disableInjectCredentials": "None",
    "disableOndemand": False,
}
ENVIRONMENT_LIMIT_BYTES = 4096
LAYER_LIMIT = 5
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_VARIABLE = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_ROLE = re.compile(r"acs:ram::\d+:role/[A-Za-z0-9.@_/-]+")
_LIFECYCLE_LIMIT_SECONDS = {"initializer": 300, "preStop": 90}

# Stored and reported, without an effect on a laptop: billing, placement, and logs that go to out/logs anyway.
_WITHOUT_EFFECT = {
    "description",
    "internetAccess",
    "logConfig",
    "tags",
    "resourceGroupId",
    "idleTimeout",
    "tracingConfig",
}
_ACTED_UPON = {
    "functionName",
    "runtime",
    "handler",
    "code",
    "cpu",
    "memorySize",
    "diskSize",
    "timeout",
    "instanceConcurrency",
    "environmentVariables",
    "layers",
    "role",
    "customRuntimeConfig",
    "instanceLifecycleConfig",
    "disableInjectCredentials",
}
# Accepted only with the value that says "not used", which deploying tools send for what they leave out.
_UNUSED: dict[str, tuple[Any, ...]] = {
    "disableOndemand": (False,),
    "enableLongLiving": (False,),
    "sessionAffinity": ("", "NONE"),
    "sessionAffinityConfig": ("",),
    "instanceIsolationMode": ("", "SHARE"),
}


def check_function(given: Mapping[str, Any]) -> dict[str, Any]:
    """Validate a whole function configuration and return it with defaults filled in.

    Raises
    ------
    FcError
        400 `InvalidArgument` for a value out of range, 501 for what localcloud does not act upon.
    """
    for name, value in given.items():
        if not _is_empty(value):
            _check_known(name, value)
    config = DEFAULTS | {name: value for name, value in given.items() if value is not None}
    if not NAME.fullmatch(_text(config, "functionName")):
        raise invalid("functionName has 1 to 64 letters, digits, '_' and '-' and starts with a letter or '_'")
    _check_runtime(config)
    _check_size(config)
    _check_environment(config["environmentVariables"])
    _check_hooks(config.get("instanceLifecycleConfig") or {})
    _check_role_and_logs(config)
    return {name: value for name, value in config.items() if not _is_empty(value) or name in DEFAULTS}


def _is_empty(value: Any) -> bool:
    """Whether a value says nothing: null, an empty container, or an object whose fields all say nothing."""
    if isinstance(value, Mapping):
        return all(_is_empty(inner) for inner in value.values())
    return value is None or value in ("", [])


def _check_known(name: str, value: Any) -> None:
    if name in _ACTED_UPON or name in _WITHOUT_EFFECT:
        return
    if name in _UNUSED:
        if value not in _UNUSED[name]:
            raise not_built(f"{name}: {value!r}")
        return
    raise not_built(f"the function setting {name}")


def _text(config: Mapping[str, Any], name: str) -> str:
    value = config.get(name, "")
    if not isinstance(value, str):
        raise invalid(f"{name} is not a string")
    return value


def _number(config: Mapping[str, Any], name: str, low: int, high: int, step: int = 1) -> int:
    value = config[name]
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high or value % step:
        raise invalid(f"{name} is an integer of {low} to {high}" + (f" in steps of {step}" if step > 1 else ""))
    return value


def _check_runtime(config: Mapping[str, Any]) -> None:
    runtime = _text(config, "runtime")
    if runtime not in CUSTOM_RUNTIMES:
        raise not_built(f"the runtime {runtime!r}; it runs {', '.join(CUSTOM_RUNTIMES)}")
    custom = config.get("customRuntimeConfig") or {}
    if unknown := set(custom) - {"command", "args", "port", "healthCheckConfig"}:
        raise invalid(f"customRuntimeConfig does not have {', '.join(sorted(unknown))}")
    for name in ("command", "args"):
        parts = custom.get(name) or []
        if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
            raise invalid(f"customRuntimeConfig.{name} is a list of strings")
    if custom.get("port") is not None:
        _number(custom, "port", 1, 65535)
    check = custom.get("healthCheckConfig") or {}
    ranges = {
        "initialDelaySeconds": (0, 120),
        "periodSeconds": (1, 120),
        "timeoutSeconds": (1, 3),
        "failureThreshold": (1, 120),
        "successThreshold": (1, 120),
    }
    for name, value in check.items():
        if name == "httpGetUrl":
            if value and not (isinstance(value, str) and value.startswith("/") and len(value) <= 2048):
                raise invalid("healthCheckConfig.httpGetUrl is a path of at most 2048 characters")
        elif name not in ranges:
            raise invalid(f"healthCheckConfig does not have {name}")
        elif value is not None:
            _number(check, name, *ranges[name])


def _check_size(config: Mapping[str, Any]) -> None:
    memory_mb = _number(config, "memorySize", 128, 32768, 64)
    cpu = config["cpu"]
    if isinstance(cpu, bool) or not isinstance(cpu, (int, float)) or not 0.05 <= cpu <= 16:
        raise invalid("cpu is 0.05 to 16 vCPU")
    if abs(cpu * 20 - round(cpu * 20)) > 1e-6:
        raise invalid("cpu is a multiple of 0.05 vCPU")
    if not cpu - 1e-9 <= memory_mb / 1024 <= 4 * cpu + 1e-9:
        raise invalid(f"cpu to memorySize in GB is between 1:1 and 1:4; {cpu} vCPU with {memory_mb} MB is not")
    if config["diskSize"] not in (512, 10240):
        raise invalid("diskSize is 512 or 10240")
    _number(config, "timeout", 1, 86400)
    _number(config, "instanceConcurrency", 1, 200)
    layers = config["layers"]
    if not isinstance(layers, list) or len(layers) > LAYER_LIMIT:
        raise invalid(f"a function has at most {LAYER_LIMIT} layers")


def _check_environment(variables: Any) -> None:
    if not isinstance(variables, Mapping):
        raise invalid("environmentVariables is a map of strings")
    for name, value in variables.items():
        if not isinstance(value, str):
            raise invalid(f"the environment variable {name} is not a string")
        if not _VARIABLE.fullmatch(name):
            raise invalid(f"the environment variable {name!r} is not named [A-Za-z][A-Za-z0-9_]*")
        if name.startswith("FC_"):
            raise invalid(f"the environment variable {name} is reserved: names starting with FC_ are")
    size = sum(len(name.encode()) + len(value.encode()) for name, value in variables.items())
    if size > ENVIRONMENT_LIMIT_BYTES:
        raise invalid(f"environment variables have {size} bytes in all; the limit is {ENVIRONMENT_LIMIT_BYTES}")


def _check_hooks(hooks: Mapping[str, Any]) -> None:
    for name, hook in hooks.items():
        if name not in _LIFECYCLE_LIMIT_SECONDS:
            raise invalid(f"instanceLifecycleConfig does not have {name}")
        if hook and hook.get("command"):
            raise not_built(f"instanceLifecycleConfig.{name}.command")
        if hook and hook.get("timeout") is not None:
            _number(hook, "timeout", 1, _LIFECYCLE_LIMIT_SECONDS[name])


def _check_role_and_logs(config: Mapping[str, Any]) -> None:
    role = _text(config, "role")
    if role and not _ROLE.fullmatch(role):
        raise invalid("role is an ARN of the form acs:ram::<account>:role/<name>")
    if config["disableInjectCredentials"] not in ("", "None", "Env", "Request", "All"):
        raise invalid("disableInjectCredentials is None, Env, Request or All")
    logs = config.get("logConfig") or {}
    if bool(logs.get("project")) != bool(logs.get("logstore")):
        raise invalid("logConfig needs both project and logstore")
    if logs.get("logBeginRule", "None") not in ("None", "DefaultRegex", ""):
        raise invalid("logConfig.logBeginRule is None or DefaultRegex")


def positive_limit(text: str, default: int = 20, most: int = 100) -> int:
    """The `limit` of a list call."""
    if not text:
        return default
    if not text.isdigit() or not 1 <= int(text) <= most:
        raise invalid(f"limit is 1 to {most}")
    return int(text)


def check_keys(given: Mapping[str, Any], known: set[str], what: str) -> None:
    """Refuse fields that the operation does not have."""
    unknown = sorted(set(given) - known)
    if unknown:
        raise FcError(400, "InvalidArgument", f"{what} does not have {', '.join(unknown)}")
