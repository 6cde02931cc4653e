"""Publishes layers and functions through Function Compute's own API, with the official SDK.

Order: layers, function, version, alias `live`, then triggers and async configuration on that alias; whatever said
LATEST would bypass the alias.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import oss2
from alibabacloud_fc20230330 import models
from alibabacloud_fc20230330.client import Client
from alibabacloud_tea_openapi import models as open_api

from ops.endpoints import Endpoints

ALIAS = "live"
_APART = {"triggers", "asyncInvokeConfig", "region", "code"}
_NOT_YET = {"concurrencyConfig", "scalingConfig", "provisionConfig", "customDomain", "vpcBinding"}


def _crc64(path: Path) -> str:
    """The checksum that Function Compute keeps of a package: CRC-64/XZ, decimal."""
    checksum = oss2.utils.Crc64()
    checksum.update(path.read_bytes())
    return str(checksum.crc)


class Functions:
    """A thin hand on one region's Function Compute API."""

    def __init__(self, endpoints: Endpoints) -> None:
        address = urlsplit(endpoints.fc)
        self._client = Client(
            open_api.Config(
                access_key_id=endpoints.access_key_id,
                access_key_secret=endpoints.access_key_secret,
                endpoint=address.netloc,
                protocol=address.scheme,
                region_id=endpoints.region,
                read_timeout=120_000,
                connect_timeout=120_000,  # below the SDK it is the time for sending too: 50 MB of a layer
            )
        )

    def publish_layer(self, name: str, archive: Path, runtime: str) -> int:
        """Publish a layer and return its version's number; the newest version is taken when it has the same bytes."""
        newest = self._client.list_layer_versions(name, models.ListLayerVersionsRequest(limit=1)).body.layers
        if newest and newest[0].code_checksum == _crc64(archive):
            return int(newest[0].version)
        code = models.InputCodeLocation(zip_file=base64.b64encode(archive.read_bytes()).decode())
        body = models.CreateLayerVersionInput(code=code, compatible_runtime=[runtime])
        answer = self._client.create_layer_version(name, models.CreateLayerVersionRequest(body=body))
        return int(answer.body.version)

    def deploy(self, props: dict[str, Any], archive: Path) -> None:
        """Create or update one function from its resolved props, and move `live` to the new version."""
        name = props["functionName"]
        if left_out := _NOT_YET & set(props):
            raise ValueError(
                f"{name}: {', '.join(sorted(left_out))} would be dropped in silence: not deployed from here yet"
            )
        settings = {key: value for key, value in props.items() if key not in _APART}
        settings["code"] = {"zipFile": base64.b64encode(archive.read_bytes()).decode()}
        if self._exists(lambda: self._client.get_function(name, models.GetFunctionRequest())):
            update = models.UpdateFunctionInput().from_map({k: v for k, v in settings.items() if k != "functionName"})
            self._client.update_function(name, models.UpdateFunctionRequest(body=update))
        else:
            create = models.CreateFunctionInput().from_map(settings)
            self._client.create_function(models.CreateFunctionRequest(body=create))
        version = self._client.publish_function_version(
            name, models.PublishFunctionVersionRequest(body=models.PublishVersionInput())
        ).body.version_id
        self._point_alias(name, version)
        for trigger in props.get("triggers", []):
            self._put_trigger(name, trigger)
        if config := props.get("asyncInvokeConfig"):
            self.put_async_config(name, config)

    def put_async_config(self, name: str, config: dict[str, Any]) -> None:
        """Write how often asynchronous calls are repeated, and who is told of their end (`destinationConfig`)."""
        body = models.PutAsyncInvokeConfigInput().from_map(config)
        request = models.PutAsyncInvokeConfigRequest(body=body, qualifier=config["qualifier"])
        self._client.put_async_invoke_config(name, request)

    def _point_alias(self, name: str, version: str) -> None:
        if self._exists(lambda: self._client.get_alias(name, ALIAS)):
            update = models.UpdateAliasInput(version_id=version)
            self._client.update_alias(name, ALIAS, models.UpdateAliasRequest(body=update))
        else:
            create = models.CreateAliasInput(alias_name=ALIAS, version_id=version)
            self._client.create_alias(name, models.CreateAliasRequest(body=create))

    def _put_trigger(self, name: str, trigger: dict[str, Any]) -> None:
        settings = {**trigger, "triggerConfig": json.dumps(trigger["triggerConfig"])}
        trigger_name = trigger["triggerName"]
        if self._exists(lambda: self._client.get_trigger(name, trigger_name)):
            update = models.UpdateTriggerInput().from_map(settings)
            self._client.update_trigger(name, trigger_name, models.UpdateTriggerRequest(body=update))
        else:
            create = models.CreateTriggerInput().from_map(settings)
            self._client.create_trigger(name, models.CreateTriggerRequest(body=create))

    def _exists(self, look: Callable[[], object]) -> bool:
        try:
            look()
        except Exception as error:
            if getattr(error, "statusCode", getattr(error, "status_code", None)) == 404:
                return False
            raise
        return True
