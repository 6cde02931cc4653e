"""Published versions and the aliases that point to them."""

from __future__ import annotations

from typing import Any

from localcloud.fc.call import Call
from localcloud.fc.errors import FcError, invalid
from localcloud.fc.model import Version
from localcloud.fc.operations.family import Family, page_of
from localcloud.fc.rules import check_keys, positive_limit

_ALIAS_FIELDS = {"aliasName", "versionId", "description", "additionalVersionWeight"}


class Versions(Family):
    """Versions and aliases of a function."""

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
        page, token = page_of(call, aliases)
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


def _version(version: Version) -> dict[str, Any]:
    return {
        "versionId": version.version_id,
        "description": version.description,
        "createdTime": version.created_time,
        "lastModifiedTime": version.created_time,
    }
