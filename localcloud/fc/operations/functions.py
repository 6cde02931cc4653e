"""CreateFunction and its kin, and InvokeFunction."""

from __future__ import annotations

import base64
import re
from typing import Any

from aiohttp import web

from localcloud.fc.call import Call
from localcloud.fc.errors import invalid, too_large
from localcloud.fc.headers import Invocation
from localcloud.fc.invoke import invoke_event
from localcloud.fc.model import LATEST
from localcloud.fc.operations.family import Family, page_of
from localcloud.fc.rules import check_keys

SYNC_LIMIT_BYTES = 32 * 1024 * 1024
ASYNC_LIMIT_BYTES = 128 * 1024
_TASK_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,127}")


class Functions(Family):
    """Functions and their invocation."""

    async def create_function(self, call: Call) -> dict[str, Any]:
        given = call.json()
        code = await self._package("code", given.pop("code", None), required=True)
        assert code is not None
        return self._registry.create_function(given, code).latest.config

    async def update_function(self, call: Call) -> dict[str, Any]:
        given = call.json()
        self._registry.function(call.names[0])
        code = await self._package("code", given.pop("code", None), required=False)
        return self._registry.update_function(call.names[0], given, code).latest.config

    async def get_function(self, call: Call) -> dict[str, Any]:
        return self._registry.version(call.names[0], call.query.get("qualifier", LATEST)).config

    async def list_functions(self, call: Call) -> dict[str, Any]:
        check_keys(call.query, {"limit", "nextToken", "prefix", "fcVersion"}, "ListFunctions")
        page, token = page_of(call, self._registry.functions)
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
