"""CreateTrigger and its kin; an HTTP trigger begins and ends to listen here."""

from __future__ import annotations

import json
from typing import Any

from localcloud.fc.call import Call
from localcloud.fc.errors import FcError
from localcloud.fc.model import Trigger
from localcloud.fc.operations.family import Family, page_of
from localcloud.fc.rules import check_keys


class Triggers(Family):
    """Triggers of a function."""

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
        page, token = page_of(call, triggers)
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
