"""The control plane's state and its rules across resources. In memory but for layers: functions are deployed anew."""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from localcloud.account import Account
from localcloud.clock import Clock
from localcloud.fc import layer_shelf
from localcloud.fc import triggers as trigger_rules
from localcloud.fc.archive import Package
from localcloud.fc.errors import FcError, function_not_found, invalid
from localcloud.fc.model import (
    LATEST,
    MIGRATED,
    Function,
    FunctionSpec,
    LayerVersion,
    Trigger,
    Version,
    service_and_name,
)
from localcloud.fc.rules import NAME, check_function
from localcloud.fc.specs import make_spec

LAYER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
LAYER_VERSIONS_LIMIT = 100
LAYERS_TOTAL_BYTES = 2 * 1024 * 1024 * 1024
_ALIAS_NAME = re.compile(r"(?!LATEST$)[A-Za-z_][A-Za-z0-9_-]{0,127}")


class Registry:
    """Functions with versions, aliases and triggers, and layers.

    Parameters
    ----------
    root
        Where layer versions are kept over a restart.
    changed
        Called with the new spec when a function's LATEST changes, so that old instances are retired.
    """

    def __init__(self, root: Path, account: Account, clock: Clock, changed: Callable[[FunctionSpec], None]) -> None:
        self.functions: dict[str, Function] = {}
        self._root = root
        self._layer_numbers, self.layers = layer_shelf.load(root)
        self._account = account
        self._clock = clock
        self._changed = changed
        self._revision = 0

    def now(self) -> str:
        """The time as the API writes it."""
        return self.at(self._clock.now())

    @staticmethod
    def at(epoch_seconds: float) -> str:
        """A time as the API writes it."""
        return datetime.fromtimestamp(epoch_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def arn(self, function: str) -> str:
        """A function's ARN."""
        return f"acs:fc:{self._account.region}:{self._account.account_id}:functions/{function}"

    def function(self, name: str) -> Function:
        """The function; 404 when there is none."""
        if name not in self.functions:
            raise function_not_found(name)
        return self.functions[name]

    def create_function(self, given: dict[str, Any], code: Package) -> Function:
        """CreateFunction, its package stored already."""
        config = check_function(given)
        name = config["functionName"]
        if name in self.functions:
            raise FcError(409, "FunctionAlreadyExists", f"function '{name}' already exists")
        spec = self._spec(config, code)
        config |= self._outputs(spec, {"functionId": str(uuid.uuid4()), "createdTime": self.now()}, config["layers"])
        self.functions[name] = Function(name, Version(LATEST, config, spec))
        return self.functions[name]

    def migrate(self, name: str, service: str) -> Function:
        """Show a copy of function `name` as the FC 2.0 function of that name in `service`: `service$name`.

        In the cloud such functions come from FC 2.0; here they are made of one that is deployed.
        """
        if not NAME.fullmatch(service):
            raise invalid("a service has 1 to 64 letters, digits, '_' and '-' and starts with a letter or '_'")
        latest = self.function(name).latest
        shown = f"{service}{MIGRATED}{name}"
        if shown in self.functions:
            raise FcError(409, "FunctionAlreadyExists", f"function '{shown}' already exists")
        config = latest.config | {"functionName": shown, "functionArn": self.arn(shown)}
        self._revision += 1
        spec = make_spec(config, LATEST, self._revision, latest.spec.code, latest.spec.layers)
        self.functions[shown] = Function(shown, Version(LATEST, config, spec))
        return self.functions[shown]

    def update_function(self, name: str, given: dict[str, Any], code: Package | None) -> Function:
        """UpdateFunction: what is given replaces, what is not stays."""
        function = self.function(name)
        old = function.latest
        inputs = {key: value for key, value in old.config.items() if key not in _OUTPUT_FIELDS}
        inputs["layers"] = [layer["arn"] for layer in old.config["layers"]]
        # A name that came from FC 2.0 holds a sign that CreateFunction would refuse.
        config = check_function(inputs | given | {"functionName": service_and_name(name)[1]}) | {"functionName": name}
        spec = self._spec(config, code or old.spec.code)
        config |= self._outputs(spec, old.config, config["layers"])
        function.latest = Version(LATEST, config, spec)
        self._changed(spec)
        return function

    def delete_function(self, name: str) -> None:
        """DeleteFunction; its triggers must be gone."""
        if self.function(name).triggers:
            raise FcError(409, "FunctionNotEmpty", f"function '{name}' has active triggers")
        del self.functions[name]

    def version(self, name: str, qualifier: str) -> Version:
        """The version behind a qualifier: LATEST, a number, or an alias, which may split by weight."""
        function = self.function(name)
        if qualifier in ("", LATEST):
            return function.latest
        if qualifier.isdigit():
            if qualifier not in function.versions:
                raise FcError(404, "VersionNotFound", f"version '{qualifier}' of function '{name}' does not exist")
            return function.versions[qualifier]
        if qualifier not in function.aliases:
            raise FcError(404, "AliasNotFound", f"alias '{qualifier}' of function '{name}' does not exist")
        alias = function.aliases[qualifier]
        draw = random.random()  # noqa: S311
        for version_id, weight in (alias.get("additionalVersionWeight") or {}).items():
            draw -= weight
            if draw < 0:
                return function.versions[version_id]
        return self.version(name, alias["versionId"])

    def resolve(self, function: str, qualifier: str) -> FunctionSpec:
        """The state of a function behind a qualifier."""
        return self.version(function, qualifier).spec

    def publish_version(self, name: str, description: str) -> Version:
        """PublishFunctionVersion: a copy of LATEST under the next number."""
        function = self.function(name)
        number = str(function.next_version)
        function.next_version += 1
        latest = function.latest
        config = dict(latest.config)
        self._revision += 1
        spec = make_spec(config, number, self._revision, latest.spec.code, latest.spec.layers)
        function.versions[number] = Version(number, config, spec, description, self.now())
        return function.versions[number]

    def put_alias(self, name: str, alias_name: str, given: dict[str, Any], *, create: bool) -> dict[str, Any]:
        """CreateAlias and UpdateAlias."""
        function = self.function(name)
        if create and alias_name in function.aliases:
            raise FcError(409, "AliasAlreadyExists", f"alias '{alias_name}' of function '{name}' already exists")
        if not create and alias_name not in function.aliases:
            raise FcError(404, "AliasNotFound", f"alias '{alias_name}' of function '{name}' does not exist")
        if not _ALIAS_NAME.fullmatch(alias_name):
            raise invalid("aliasName has letters, digits, '_' and '-', starts with a letter or '_' and is not LATEST")
        alias = {**function.aliases.get(alias_name, {}), **given, "aliasName": alias_name}
        version_id = str(alias.get("versionId", ""))
        if version_id != LATEST:
            self.version(name, version_id if version_id.isdigit() else "0")
        weights = alias.get("additionalVersionWeight") or {}
        if version_id in weights:
            raise FcError(
                400, "AdditionalVersionContainsMajorVersion", f"additionalVersionWeight contains version {version_id}"
            )
        if len(weights) > 1 or any(not 0 <= weight <= 1 for weight in weights.values()):
            raise invalid("additionalVersionWeight has one other version with a weight of 0 to 1")
        for other in weights:
            self.version(name, other)
        alias |= {"createdTime": alias.get("createdTime", self.now()), "lastModifiedTime": self.now()}
        function.aliases[alias_name] = alias
        return alias

    def create_trigger(self, name: str, given: dict[str, Any]) -> Trigger:
        """CreateTrigger, without its listener."""
        function = self.function(name)
        trigger_name, kind = given.get("triggerName", ""), given.get("triggerType", "")
        qualifier = given.get("qualifier") or LATEST
        if not trigger_rules.NAME.fullmatch(trigger_name):
            raise invalid("triggerName has 1 to 128 letters, digits, '_' and '-' and starts with a letter or '_'")
        if trigger_name in function.triggers:
            raise FcError(409, "TriggerAlreadyExists", f"trigger '{trigger_name}' already exists in function '{name}'")
        if len(function.triggers) >= trigger_rules.TRIGGERS_PER_FUNCTION:
            raise FcError(
                400, "LimitExceeded", f"a function has at most {trigger_rules.TRIGGERS_PER_FUNCTION} triggers"
            )
        config = trigger_rules.parse_config(kind, given.get("triggerConfig", ""))
        self.version(name, qualifier)
        source_arn = given.get("sourceArn") or ""
        if kind == "http" and any(
            other.kind == "http" and other.qualifier == qualifier for other in function.triggers.values()
        ):
            raise invalid(f"the qualifier {qualifier} of function '{name}' has an HTTP trigger already")
        if kind == "oss":
            trigger_rules.check_bucket_arn(source_arn, self._account.region, self._account.account_id)
            if not given.get("invocationRole"):
                raise invalid("an OSS trigger needs an invocationRole that OSS may assume")
            trigger_rules.check_overlap(config, self.oss_triggers(source_arn))
        trigger = Trigger(
            name=trigger_name,
            kind=kind,
            config=config,
            config_text=given.get("triggerConfig", ""),
            qualifier=qualifier,
            source_arn=source_arn,
            invocation_role=given.get("invocationRole") or "",
            description=given.get("description") or "",
            trigger_id=str(uuid.uuid4()),
            created_time=self.now(),
            last_modified_time=self.now(),
        )
        function.triggers[trigger_name] = trigger
        return trigger

    def update_trigger(self, name: str, trigger_name: str, given: dict[str, Any]) -> Trigger:
        """UpdateTrigger: configuration, qualifier, role, description. An HTTP trigger keeps its URL."""
        trigger = self.trigger(name, trigger_name)
        text = given.get("triggerConfig", trigger.config_text)
        config = trigger_rules.parse_config(trigger.kind, text)
        qualifier = given.get("qualifier") or trigger.qualifier
        self.version(name, qualifier)
        if trigger.kind == "oss":
            others = [other for other in self.oss_triggers(trigger.source_arn) if other is not trigger]
            trigger_rules.check_overlap(config, others)
        trigger.config, trigger.config_text, trigger.qualifier = config, text, qualifier
        trigger.invocation_role = given.get("invocationRole", trigger.invocation_role)
        trigger.description = given.get("description", trigger.description)
        trigger.last_modified_time = self.now()
        return trigger

    def trigger(self, name: str, trigger_name: str) -> Trigger:
        """The trigger; 404 when there is none."""
        function = self.function(name)
        if trigger_name not in function.triggers:
            raise FcError(404, "TriggerNotFound", f"trigger '{trigger_name}' does not exist in function '{name}'")
        return function.triggers[trigger_name]

    def oss_triggers(self, source_arn: str) -> list[Trigger]:
        """All OSS triggers of a bucket, whatever function they belong to."""
        return [
            trigger
            for function in self.functions.values()
            for trigger in function.triggers.values()
            if trigger.kind == "oss" and trigger.source_arn == source_arn
        ]

    def create_layer_version(self, name: str, given: dict[str, Any], package: Package) -> LayerVersion:
        """CreateLayerVersion: numbers only grow, also over deleted versions."""
        if not LAYER_NAME.fullmatch(name):
            raise invalid("layerName has 1 to 64 letters, digits, '_' and '-' and starts with a letter or '_'")
        versions = self.layers.setdefault(name, {})
        if len(versions) >= LAYER_VERSIONS_LIMIT:
            raise FcError(400, "LimitExceeded", f"a layer has at most {LAYER_VERSIONS_LIMIT} versions")
        number = self._layer_numbers[name] = self._layer_numbers.get(name, 0) + 1
        runtimes = given.get("compatibleRuntime") or []
        if not isinstance(runtimes, list) or not all(isinstance(runtime, str) for runtime in runtimes):
            raise invalid("compatibleRuntime is a list of runtimes")
        arn = f"acs:fc:{self._account.region}:{self._account.account_id}:layers/{name}/versions/{number}"
        versions[number] = LayerVersion(
            name, number, arn, package, given.get("description") or "", runtimes, given.get("license") or "", self.now()
        )
        layer_shelf.keep(self._root, self._layer_numbers, self.layers)
        return versions[number]

    def delete_layer_version(self, name: str, number: str) -> None:
        """DeleteLayerVersion; functions that have it go on with it."""
        layer = self.layer_version(name, number)
        del self.layers[layer.name][layer.version]
        layer_shelf.keep(self._root, self._layer_numbers, self.layers)

    def layer_version(self, name: str, number: str) -> LayerVersion:
        """The layer version; 404 when there is none."""
        versions = self.layers.get(name, {})
        if not number.isdigit() or int(number) not in versions:
            raise FcError(404, "LayerVersionNotFound", f"version '{number}' of layer '{name}' does not exist")
        return versions[int(number)]

    def _layer_packages(self, arns: list[Any]) -> list[Package]:
        packages = []
        for arn in arns:
            prefix = f"acs:fc:{self._account.region}:{self._account.account_id}:layers/"
            match = re.fullmatch(re.escape(prefix) + r"([^/]+)/versions/(\d+)", arn if isinstance(arn, str) else "")
            if match is None:
                raise invalid(f"{arn!r} is not the ARN of a layer version of this region and account")
            packages.append(self.layer_version(match.group(1), match.group(2)).package)
        if sum(package.size for package in packages) > LAYERS_TOTAL_BYTES:
            raise invalid("the layers of a function have at most 2 GB in all")
        return packages

    def _spec(self, config: dict[str, Any], code: Package) -> FunctionSpec:
        self._revision += 1
        return make_spec(config, LATEST, self._revision, code, self._layer_packages(config["layers"]))

    def _outputs(self, spec: FunctionSpec, kept: dict[str, Any], arns: list[str]) -> dict[str, Any]:
        """Fields that the API adds to what was given."""
        return {
            "codeChecksum": spec.code.checksum,
            "codeSize": spec.code.size,
            "createdTime": kept["createdTime"],
            "functionArn": self.arn(spec.name),
            "functionId": kept["functionId"],
            "lastModifiedTime": self.now(),
            "lastUpdateStatus": "Successful",
            "layers": [{"arn": arn, "size": layer.size} for arn, layer in zip(arns, spec.layers, strict=True)],
            "state": "Active",
        }


_OUTPUT_FIELDS = frozenset(
    {
        "codeChecksum",
        "codeSize",
        "createdTime",
        "functionArn",
        "functionId",
        "lastModifiedTime",
        "lastUpdateStatus",
        "state",
    }
)
