"""`scripts/check_manifest`: is `s.yaml` right? By the real CLI, by our own loader, by a closed schema and FC's rules.

The CLI's own `s verify` catches about a third of realistic mistakes: what its schema does not know it lets through.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import jsonschema
import yaml
from msgspec import Struct

from isikit import config
from isikit.errors import ConfigError
from ops import fc_props, manifest, serverless_devs

MANIFEST: Final = Path(__file__).resolve().parents[1] / "s.yaml"
ACCOUNT: Final = "1234567890123456"
ENVIRONMENT: Final = {
    "ISI_BUCKET_PROMPTS": "check-prompts",
    "ISI_BUCKET_RECORDINGS": "check-recordings",
    "ISI_BUCKET_STATE": "check-state",
    "ISI_PUBLIC_BASE_URL": "https://speech.example.com",
}
"""What a stage must bring; everything else in the manifest has a default."""
_TOP: Final = {"edition", "name", "access", "validation", "vars", "template", "resources"}
_MODULES: Final = {"token": "leases", "tts": "prompts", "asr": "transcripts"}
_RETRIES: Final = {"token": 0, "tts": 0, "asr": 3}
_LAYERS: Final = {"token": ["base"], "tts": ["base", "audio"], "asr": ["base", "audio"]}
_TRIGGERS: Final = {"token": {"http"}, "tts": {"http"}, "asr": {"http", "oss", "timer"}}
_NOT_DEPLOYED: Final = {"ISI_LISTEN_HOST", "ISI_TENANTS_KEY", "ISI_KEYS_KEY"}
"""Settings for a laptop and for tests, which the manifest leaves alone."""


def check(path: Path, env: Mapping[str, str] = ENVIRONMENT) -> list[str]:
    """Every mistake that needs no CLI to be seen; empty when there is none."""
    try:
        resolved = manifest.load(path, env=env, account_id=ACCOUNT)
    except (manifest.ManifestError, yaml.YAMLError, AttributeError, TypeError, ValueError) as error:
        return [f"{path.name}: {error}"]
    document = resolved.document
    found = [f"unknown key {key}" for key in sorted(set(document) - _TOP)]
    if document.get("access") != "default":
        found.append("access: must be `default`; another account is chosen with -a")
    if not re.fullmatch(r"[a-z][a-z0-9-]*", str(document.get("name"))):
        found.append("name: lower-case letters, digits and -")
    if document.get("validation") is not True:
        found.append("validation: must be true, or the CLI checks nothing when it deploys")
    if set(resolved.resources) != set(_MODULES):
        return [*found, f"resources: must be {', '.join(_MODULES)}"]
    names = [resource.props.get("functionName") for resource in resolved.resources.values()]
    if len({str(name) for name in names}) < len(names):
        found.append("functionName: two functions have the same")
    for resource in resolved.resources.values():
        found += [f"{resource.name}: {mistake}" for mistake in _mistakes(resource)]
    return found


def differences(path: Path, env: Mapping[str, str] = ENVIRONMENT) -> list[str]:
    """Where our loader and `s preview` disagree, value by value."""
    theirs = serverless_devs.preview(path, env, ACCOUNT)
    ours = manifest.load(path, env=env, account_id=ACCOUNT)
    resources = theirs.get("resources", {})
    return [
        *_different(theirs.get("vars"), ours.variables, "vars"),
        *_different({name: one.get("props") for name, one in resources.items()},
                    {name: one.props for name, one in ours.resources.items()}, "resources"),
    ]  # fmt: skip


def _different(theirs: Any, ours: Any, path: str) -> Iterator[str]:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in sorted({*theirs, *ours}):
            yield from _different(theirs.get(key), ours.get(key), f"{path}.{key}")
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        for at, (one, other) in enumerate(zip(theirs, ours, strict=True)):
            yield from _different(one, other, f"{path}[{at}]")
    elif theirs != ours or type(theirs) is not type(ours):
        yield f"{path}: s preview says {theirs!r}, ops.manifest says {ours!r}"


def _mistakes(resource: manifest.Resource) -> Iterator[str]:
    props = resource.props
    if resource.component != "fc3":
        yield "component: must be fc3"
    shape = [*_invalid(props, fc_props.Props, "")]
    triggers = props.get("triggers")
    for at, trigger in enumerate(triggers if isinstance(triggers, list) else ()):
        kind = fc_props.TRIGGERS.get(str(trigger.get("triggerType"))) if isinstance(trigger, dict) else None
        shape += [f"triggers[{at}].triggerType"] if kind is None else [*_invalid(trigger, kind, f"triggers[{at}]")]
    yield from shape
    if not shape:  # the rules may then rely on the shape
        yield from _broken_rules(resource.name, props)


def _invalid(value: Any, kind: type[Struct], path: str) -> Iterator[str]:
    for error in _validator(kind).iter_errors(value):
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
        yield f"{path}{place}".lstrip(".") + f": {error.message[:200]}"


@functools.cache
def _validator(kind: type[Struct]) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(fc_props.schema(kind))


def _broken_rules(name: str, props: Mapping[str, Any]) -> Iterator[str]:
    cpu, gibibytes = props["cpu"], props["memorySize"] / 1024
    if abs(cpu * 20 - round(cpu * 20)) > 1e-9 or not 1 <= gibibytes / cpu <= 4:
        yield "cpu: a multiple of 0.05, with 1 to 4 GiB of memory for each"
    if not props["functionName"].startswith(f"speech-{name}-"):
        yield f"functionName: must start with speech-{name}-, as roles and scripts expect"
    region, account = props["region"], props["role"].split(":")[3]
    if account != ACCOUNT or not props["role"].split("/")[1].startswith(f"speech-{name}-"):
        yield "role: must be this function's own, of this account"
    layers = [arn.split(":", 4)[2:] for arn in props["layers"]]
    expected = [f"speech-{layer}-" for layer in _LAYERS[name]]
    whose = [layer[0] == region and layer[1] == account for layer in layers]
    kinds = [re.sub(r"^layers/(speech-[a-z]+-).*$", r"\1", layer[2]) for layer in layers]
    if not all(whose) or kinds != expected:
        yield f"layers: must be {', '.join(expected)} of this region and account"
    if props["customRuntimeConfig"]["command"] != ["python3", "-m", "isikit.host", f"functions.{_MODULES[name]}.app"]:
        yield "customRuntimeConfig.command: must start this function's app in isikit.host"
    yield from _broken_rules_of_triggers(name, props)
    retries = props["asyncInvokeConfig"]["maxAsyncRetryAttempts"]
    if retries != _RETRIES[name]:
        yield f"asyncInvokeConfig.maxAsyncRetryAttempts: must be {_RETRIES[name]}"
    yield from _broken_rules_of_variables(props)


def _broken_rules_of_triggers(name: str, props: Mapping[str, Any]) -> Iterator[str]:
    triggers = props["triggers"]
    kinds = {trigger["triggerType"] for trigger in triggers}
    if kinds != _TRIGGERS[name] or len({trigger["triggerName"] for trigger in triggers}) < len(triggers):
        yield f"triggers: must be {', '.join(sorted(_TRIGGERS[name]))}, each with a name of its own"
    for trigger in triggers:
        config_of = trigger["triggerConfig"]
        several = config_of.get("methods") or config_of.get("events") or []
        if len(set(several)) < len(several):
            yield f"triggers.{trigger['triggerName']}: says one thing twice"
        if trigger["triggerType"] == "http" and trigger["triggerName"] != "http":
            yield f"triggers.{trigger['triggerName']}: must be called http, as scripts expect"
        if trigger["triggerType"] == "oss":
            if trigger["invocationRole"].split(":")[3] != ACCOUNT:
                yield f"triggers.{trigger['triggerName']}.invocationRole: must be of this account"
            bucket = props["environmentVariables"].get("ISI_BUCKET_RECORDINGS")
            if trigger["sourceArn"] != f"acs:oss:{props['region']}:{ACCOUNT}:{bucket}":
                yield f"triggers.{trigger['triggerName']}.sourceArn: must be the recordings bucket"


def _broken_rules_of_variables(props: Mapping[str, Any]) -> Iterator[str]:
    variables = props["environmentVariables"]
    if variables.get("PYTHONPATH") != "/code:/opt/python":
        yield "environmentVariables.PYTHONPATH: must be /code:/opt/python; a custom runtime searches nothing by itself"
    known = {setting.name for setting in config.SETTINGS}
    for variable in sorted(set(variables) - known - {"PYTHONPATH"}):
        yield f"environmentVariables.{variable}: there is no such setting"
    for variable in sorted(known - set(variables) - _NOT_DEPLOYED):
        yield f"environmentVariables.{variable}: no stage could change this setting"
    try:
        config.load(variables)
    except ConfigError as error:
        for mistake in error.errors:
            yield f"environmentVariables.{mistake.name}: {mistake.code}"
    if variables.get("ISI_REGION") != props["region"]:
        yield "environmentVariables.ISI_REGION: must be the function's region"


def main() -> None:
    """Entry point: prints every mistake and ends with 1, or says what was checked."""
    try:
        mistakes = check(MANIFEST) or differences(MANIFEST)
    except serverless_devs.CliFailed as error:
        mistakes = [str(error)]
    if mistakes:
        sys.exit("\n".join(mistakes))
    print("s.yaml: right by s preview, by our loader, by the closed schema and by Function Compute's rules")


if __name__ == "__main__":
    main()
