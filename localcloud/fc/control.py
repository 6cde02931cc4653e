"""Function Compute's OpenAPI 2023-03-30 over HTTP: routes, signatures, bodies in, bodies out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from localcloud.account import Account
from localcloud.fc.body import pieces
from localcloud.fc.call import Answer, Call
from localcloud.fc.errors import FcError, response, too_large
from localcloud.fc.operations import Operation
from localcloud.fc.request_ids import new_request_id
from localcloud.fc.signature import Nonces, verify
from localcloud.fc.trouble import suffer
from localcloud.relay import Handler, answering_all

VERSION = "2023-03-30"
BODY_LIMIT_BYTES = 100 * 1024 * 1024  # "zip as base64 via API or SDK: 100 MB, the whole body"


@dataclass(frozen=True, slots=True)
class Route:
    """`template` has `{}` where a name stands, for example `functions/{}/triggers`."""

    method: str
    template: str
    operation: str

    def match(self, method: str, path: str) -> tuple[str, ...] | None:
        """The names in `path` (still encoded), or `None`."""
        if method != self.method:
            return None
        pattern = re.escape(f"/{VERSION}/{self.template}").replace(r"\{\}", "([^/]+)")
        found = re.fullmatch(pattern, path)
        return found.groups() if found else None


# The whole API of the SDK 4.8.3, so that what is not built is told apart from what does not exist.
ROUTES = [
    Route(*line.split())
    for line in """
        POST functions CreateFunction
        GET functions ListFunctions
        GET functions/{} GetFunction
        PUT functions/{} UpdateFunction
        DELETE functions/{} DeleteFunction
        GET functions/{}/code GetFunctionCode
        POST functions/{}/invocations InvokeFunction
        POST functions/{}/versions PublishFunctionVersion
        GET functions/{}/versions ListFunctionVersions
        DELETE functions/{}/versions/{} DeleteFunctionVersion
        POST functions/{}/aliases CreateAlias
        GET functions/{}/aliases ListAliases
        GET functions/{}/aliases/{} GetAlias
        PUT functions/{}/aliases/{} UpdateAlias
        DELETE functions/{}/aliases/{} DeleteAlias
        POST functions/{}/triggers CreateTrigger
        GET functions/{}/triggers ListTriggers
        GET functions/{}/triggers/{} GetTrigger
        PUT functions/{}/triggers/{} UpdateTrigger
        DELETE functions/{}/triggers/{} DeleteTrigger
        PUT functions/{}/async-invoke-config PutAsyncInvokeConfig
        GET functions/{}/async-invoke-config GetAsyncInvokeConfig
        DELETE functions/{}/async-invoke-config DeleteAsyncInvokeConfig
        GET async-invoke-configs ListAsyncInvokeConfigs
        PUT functions/{}/concurrency PutConcurrencyConfig
        GET functions/{}/concurrency GetConcurrencyConfig
        DELETE functions/{}/concurrency DeleteConcurrencyConfig
        GET concurrency-configs ListConcurrencyConfigs
        PUT functions/{}/scaling-config PutScalingConfig
        GET functions/{}/scaling-config GetScalingConfig
        DELETE functions/{}/scaling-config DeleteScalingConfig
        GET scaling-configs ListScalingConfigs
        PUT functions/{}/provision-config PutProvisionConfig
        GET functions/{}/provision-config GetProvisionConfig
        DELETE functions/{}/provision-config DeleteProvisionConfig
        GET provision-configs ListProvisionConfigs
        POST layers/{}/versions CreateLayerVersion
        GET layers/{}/versions ListLayerVersions
        GET layers/{}/versions/{} GetLayerVersion
        DELETE layers/{}/versions/{} DeleteLayerVersion
        GET layerarn/{} GetLayerVersionByArn
        PUT layers/{}/acl PutLayerACL
        GET layers ListLayers
        GET functions/{}/async-tasks ListAsyncTasks
        GET functions/{}/async-tasks/{} GetAsyncTask
        PUT functions/{}/async-tasks/{}/stop StopAsyncTask
        GET functions/{}/instances ListInstances
        POST functions/{}/invoke/disable DisableFunctionInvocation
        POST functions/{}/invoke/enable EnableFunctionInvocation
        POST functions/{}/sessions CreateSession
        GET functions/{}/sessions ListSessions
        POST functions/{}/snapshots CreateSnapshot
        POST functions/{}/vpc-bindings CreateVpcBinding
        GET functions/{}/vpc-bindings ListVpcBindings
        POST custom-domains CreateCustomDomain
        GET custom-domains ListCustomDomains
        GET custom-domains/{} GetCustomDomain
        PUT custom-domains/{} UpdateCustomDomain
        DELETE custom-domains/{} DeleteCustomDomain
        PUT resource-groups ChangeResourceGroup
        GET regions DescribeRegions
        POST tags-v2 TagResources
        GET tags-v2 ListTagResources
        DELETE tags-v2 UntagResources
    """.strip().splitlines()
]


def make_app(
    account: Account,
    nonces: Nonces,
    operations: Mapping[str, Operation],
    begin_fault: Callable[[str, str], Any],
    older: Handler,
    stall_seconds: float,
) -> web.Application:
    """The API. Operations that are not in `operations` are 501 `NotImplemented`; `older` answers `/2016-08-15/`."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.raw_path.startswith("/2016-08-15/"):
            return await older(request)
        request_id = new_request_id()
        try:
            return await _answer(request, request_id)
        except FcError as error:
            return response(error, request_id)

    async def _answer(request: web.Request, request_id: str) -> web.Response:
        body = await _body(request, stall_seconds)
        path, _, query = request.raw_path.partition("?")
        verify(
            account,
            nonces,
            method=request.method,
            raw_path=path,
            raw_query=query,
            headers=request.headers,
            body=body,
        )
        operation, names = _route(request.method, path)
        fault = begin_fault(f"fc.{operation}", names[0] if names else "")
        if fault is not None and fault.when == "before":
            await suffer(fault, request)
        if operation not in operations:
            raise FcError(501, "NotImplemented", f"localcloud does not implement {operation}")
        call = Call(request_id, tuple(map(unquote, names)), dict(request.query), request.headers, body)
        answer = await operations[operation](call)
        if fault is not None and fault.when == "after":
            await suffer(fault, request)
        return _render(answer, request_id)

    return answering_all(handle, client_max_size=BODY_LIMIT_BYTES)


async def _body(request: web.Request, stall_seconds: float) -> bytes:
    data = bytearray()
    if request.body_exists:
        too_much = (request.content_length or 0) > BODY_LIMIT_BYTES
        async for chunk in pieces(request, stall_seconds):
            data += chunk
            if too_much or len(data) > BODY_LIMIT_BYTES:
                raise too_large(BODY_LIMIT_BYTES)
    return bytes(data)


def _route(method: str, path: str) -> tuple[str, tuple[str, ...]]:
    for route in ROUTES:
        names = route.match(method, path)
        if names is not None:
            return route.operation, names
    raise FcError(400, "PathNotSupported", f"'{path}' against '{method}' is not supported")


def _render(answer: Answer, request_id: str) -> web.Response:
    if isinstance(answer, web.Response):
        answer.headers["x-fc-request-id"] = request_id
        return answer
    headers = {"x-fc-request-id": request_id}
    if answer is None:
        return web.Response(status=204, headers=headers)
    return web.json_response(answer, headers=headers)
