"""What the control plane holds: functions, their published versions, aliases, triggers, layers and configurations.

The API's own JSON (camelCase, as the SDK's `to_map` writes it) is kept as it came after validation; `FunctionSpec` is
what the data plane reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.fc.archive import Package

LATEST = "LATEST"
MIGRATED = "$"  # between service and function in the name by which FC 3.0 shows a function of FC 2.0


def service_and_name(function: str) -> tuple[str, str]:
    """The FC 2.0 service (empty for a function born in 3.0) and the name within it.

    >>> service_and_name("calls$greet"), service_and_name("greet")
    (('calls', 'greet'), ('', 'greet'))
    """
    service, separator, name = function.partition(MIGRATED)
    return (service, name) if separator else ("", function)


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """`customRuntimeConfig.healthCheckConfig`."""

    path: str
    initial_delay_seconds: float
    timeout_seconds: float
    success_threshold: int


@dataclass(frozen=True, slots=True, eq=False)
class FunctionSpec:
    """One immutable state of a function: LATEST at some revision, or a published version.

    `command` is `customRuntimeConfig.command` followed by its `args`; `timeout_seconds` counts from when the instance
    has the request; `initializer_seconds` and `pre_stop_seconds` are 0 when there is no such hook.
    """

    name: str
    version: str
    revision: int
    handler: str
    runtime: str
    memory_mb: int
    timeout_seconds: int
    instance_concurrency: int
    environment: Mapping[str, str]
    role: str
    inject_environment: bool
    inject_request: bool
    command: tuple[str, ...]
    health_check: HealthCheck | None
    initializer_seconds: int
    pre_stop_seconds: int
    code: Package
    layers: tuple[Package, ...]


@dataclass(slots=True)
class Version:
    """A published version, or LATEST."""

    version_id: str
    config: dict[str, Any]
    spec: FunctionSpec
    description: str = ""
    created_time: str = ""


@dataclass(slots=True)
class Trigger:
    """A trigger; `config` is the parsed `triggerConfig`, `url` is set for HTTP triggers."""

    name: str
    kind: str
    config: dict[str, Any]
    config_text: str
    qualifier: str
    source_arn: str
    invocation_role: str
    description: str
    trigger_id: str
    created_time: str
    last_modified_time: str
    url: str = ""


@dataclass(slots=True)
class LayerVersion:
    """One version of a layer; its code never changes."""

    name: str
    version: int
    arn: str
    package: Package
    description: str
    compatible_runtime: list[str]
    license: str
    create_time: str


@dataclass(slots=True)
class Function:
    """A function with everything that hangs on it. Configurations are keyed by qualifier."""

    name: str
    latest: Version
    versions: dict[str, Version] = field(default_factory=dict)
    aliases: dict[str, dict[str, Any]] = field(default_factory=dict)
    triggers: dict[str, Trigger] = field(default_factory=dict)
    async_configs: dict[str, dict[str, Any]] = field(default_factory=dict)
    scaling_configs: dict[str, dict[str, Any]] = field(default_factory=dict)
    reserved_concurrency: int | None = None
    next_version: int = 1
