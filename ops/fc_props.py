"""What a function's `props` in `s.yaml` may hold: a closed schema, as far as this project uses the fc3 component.

The component drops what it does not know without a word (`memorysize: 2048` deploys 512), so whatever does not stand
here is a mistake. Ranges, enums and patterns are those of Function Compute's API reference (CreateFunction,
CreateTrigger, PutAsyncInvokeConfig, PutScalingConfig) and of the component's documentation; what every function of
this project must have is required here though the platform would fill in a default.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

Account = r"[0-9]{16}"
_REGION = r"[a-z]{2}-[a-z]+(-[a-z0-9]+)*"
_LAYER = rf"acs:fc:{_REGION}:({Account}|official):layers/[A-Za-z0-9_-]+/versions/[1-9][0-9]*"
_FUNCTION = rf"fc:{_REGION}:{Account}:functions/[A-Za-z0-9_-]+"
_QUEUE = rf"mns:{_REGION}:{Account}:/(queues|topics)/[A-Za-z0-9-]+/messages"


Region = Literal[
    "cn-beijing", "cn-shanghai", "cn-shenzhen", "cn-hangzhou", "cn-zhangjiakou", "cn-qingdao", "cn-huhehaote",
    "cn-chengdu", "cn-hongkong", "ap-southeast-1",
]  # fmt: skip
Name = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$")]
# Lower case: the component turns every role into that.
RoleArn = Annotated[str, Meta(pattern=rf"^acs:ram::{Account}:role/[a-z0-9-]{{1,64}}$")]
LayerArn = Annotated[str, Meta(pattern=f"^{_LAYER}$")]
BucketArn = Annotated[str, Meta(pattern=rf"^acs:oss:{_REGION}:{Account}:[a-z0-9][a-z0-9-]{{1,61}}[a-z0-9]$")]
DestinationArn = Annotated[str, Meta(pattern=f"^acs:({_FUNCTION}|{_QUEUE})$")]
Seconds = Annotated[int, Meta(ge=1, le=86_400)]
Variable = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
ONE_MINUTE_SCHEDULE: Final = r"(@every [1-9][0-9]*[smh]|([0-9*/,?A-Z#L-]+ ){5}[0-9*/,?A-Z#L-]+)"


class _Closed(Struct, forbid_unknown_fields=True, rename="camel"):
    """Field names are those of the manifest, in Python's spelling."""


class LogConfig(_Closed):
    project: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$")]
    logstore: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{1,61}[a-z0-9]$")]
    enable_request_metrics: bool
    enable_instance_metrics: bool
    log_begin_rule: Literal["None"]  # DefaultRegex glues JSON lines together


class Initializer(_Closed):
    handler: Literal["initialize"]
    timeout: Annotated[int, Meta(ge=1, le=600)]


class PreStop(_Closed):
    handler: Literal["pre_stop"]
    timeout: Annotated[int, Meta(ge=1, le=90)]


class Lifecycle(_Closed):
    initializer: Initializer
    pre_stop: PreStop


class HealthCheck(_Closed):
    http_get_url: Literal["/healthz"]
    initial_delay_seconds: Annotated[int, Meta(ge=0, le=120)]
    period_seconds: Annotated[int, Meta(ge=1, le=120)]
    timeout_seconds: Annotated[int, Meta(ge=1, le=3)]
    failure_threshold: Annotated[int, Meta(ge=1, le=120)]
    success_threshold: Annotated[int, Meta(ge=1, le=120)]


class CustomRuntime(_Closed):
    command: Annotated[list[str], Meta(min_length=1, max_length=16)]
    port: Literal[9000]
    health_check_config: HealthCheck


class HttpConfig(_Closed):
    auth_type: Literal["anonymous"]  # every endpoint asks itself who calls
    disable_url_internet: bool = msgspec.field(name="disableURLInternet")
    methods: Annotated[
        list[Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]], Meta(min_length=7, max_length=7)
    ]


class HttpTrigger(_Closed):
    trigger_name: Name
    trigger_type: Literal["http"]
    qualifier: Literal["live"]
    description: str
    trigger_config: HttpConfig


class KeyFilter(_Closed):
    prefix: Literal["in/"]  # without it every output would be an event again
    suffix: Literal[""]


class Filter(_Closed):
    key: KeyFilter


class OssConfig(_Closed):
    events: Annotated[
        list[
            Literal[
                "oss:ObjectCreated:PutObject",
                "oss:ObjectCreated:PostObject",
                "oss:ObjectCreated:CompleteMultipartUpload",
                "oss:ObjectCreated:CopyObject",
                "oss:ObjectCreated:AppendObject",
            ]
        ],
        Meta(min_length=5),
    ]
    filter: Filter


class OssTrigger(_Closed):
    trigger_name: Name
    trigger_type: Literal["oss"]
    qualifier: Literal["live"]
    description: str
    source_arn: BucketArn
    invocation_role: RoleArn  # without it the component asks RAM for a default role, in every command
    trigger_config: OssConfig


class TimerConfig(_Closed):
    cron_expression: Annotated[str, Meta(pattern=f"^{ONE_MINUTE_SCHEDULE}$")]
    enable: bool
    payload: str


class TimerTrigger(_Closed):
    trigger_name: Name
    trigger_type: Literal["timer"]
    qualifier: Literal["live"]
    description: str
    trigger_config: TimerConfig


class Destination(_Closed):
    destination: DestinationArn


class Destinations(_Closed):
    on_failure: Destination
    on_success: Destination | msgspec.UnsetType = msgspec.UNSET


class AsyncInvoke(_Closed):
    qualifier: Literal["live"]
    async_task: bool
    max_async_retry_attempts: Annotated[int, Meta(ge=0, le=8)]
    max_async_event_age_in_seconds: Annotated[int, Meta(ge=1, le=604_800)]
    destination_config: Destinations | msgspec.UnsetType = msgspec.UNSET


class Concurrency(_Closed):
    reserved_concurrency: Annotated[int, Meta(ge=1, le=10_000)]


class Scaling(_Closed):
    min_instances: Annotated[int, Meta(ge=0, le=1_000)]


class Props(_Closed):
    """A function. `customDomain` is a resource of its own, of the component fc3-domain."""

    region: Region
    function_name: Name
    description: Annotated[str, Meta(min_length=1, max_length=256)]
    runtime: Literal["custom.debian12", "custom.debian11"]
    code: Literal["./build/code.zip"]
    cpu: Annotated[float, Meta(ge=0.05, le=16)]
    memory_size: Annotated[int, Meta(ge=128, le=32_768, multiple_of=64)]
    disk_size: Literal[512, 10_240]
    timeout: Seconds
    internet_access: bool
    instance_concurrency: Annotated[int, Meta(ge=1, le=200)]
    role: RoleArn
    log_config: LogConfig
    layers: Annotated[list[LayerArn], Meta(min_length=1, max_length=5)]
    environment_variables: dict[Variable, str]
    instance_lifecycle_config: Lifecycle
    custom_runtime_config: CustomRuntime
    triggers: Annotated[list[Any], Meta(min_length=1, max_length=10)]
    async_invoke_config: AsyncInvoke
    concurrency_config: Concurrency | msgspec.UnsetType = msgspec.UNSET
    scaling_config: Scaling | msgspec.UnsetType = msgspec.UNSET


TRIGGERS: Final[dict[str, type[Struct]]] = {"http": HttpTrigger, "oss": OssTrigger, "timer": TimerTrigger}
"""By `triggerType`."""


def schema(kind: type[Struct]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of one of the classes above."""
    return msgspec.json.schema(kind)
