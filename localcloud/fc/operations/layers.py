"""Layers: numbered packages that functions share."""

from __future__ import annotations

from typing import Any

from localcloud.fc.call import Call
from localcloud.fc.errors import FcError, invalid, not_built
from localcloud.fc.model import LayerVersion
from localcloud.fc.operations.family import Family, page_of
from localcloud.fc.rules import check_keys, positive_limit


class Layers(Family):
    """Layers and their versions."""

    async def create_layer_version(self, call: Call) -> dict[str, Any]:
        given = call.json()
        check_keys(given, {"code", "compatibleRuntime", "description", "license"}, "CreateLayerVersion")
        package = await self._package("layer", given.pop("code", None), required=True)
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
        page, token = page_of(call, newest)
        return {"layers": [_layer(newest[name]) for name in page]} | token

    async def delete_layer_version(self, call: Call) -> None:
        self._registry.delete_layer_version(*call.names)


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
