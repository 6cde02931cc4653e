"""Resolves `s.yaml` (Serverless Devs 3) the way the `s` CLI does, as far as this project uses it.

Only what stands here is supported, and everything else is an error: a silent half-truth in a manifest is deployed.
Checked against `s preview` 3.1.10: variables keep their type when they are a whole value, are joined inside text;
`template` + `extend.name` is a deep merge in which arrays are replaced and props win.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

EDITION = "3.0.0"  # any other value makes the real CLI print a tip and exit 0
_EXPRESSION = re.compile(r"\$\{([^{}]*)\}")
_ENV = re.compile(
    r"""env\(\s*['"]?(?P<name>[A-Za-z_][A-Za-z0-9_]*)['"]?\s*(?:,\s*(?P<quote>['"])(?P<default>.*)(?P=quote)\s*)?\)"""
)
_CONFIG = re.compile(r"""config\(\s*['"](?P<name>[A-Za-z]+)['"]\s*\)""")
_PATH = re.compile(r"(vars|this|resources)((?:\.[A-Za-z0-9_-]+)+)")


class ManifestError(Exception):
    """The manifest cannot be resolved; the message names the place and what to do."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One function of the manifest: its name in `resources` and its resolved `props`."""

    name: str
    component: str
    props: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Manifest:
    """The resolved document. `document` is the file as it is written."""

    root: Path
    document: dict[str, Any] = field(repr=False)
    variables: dict[str, Any]
    resources: dict[str, Resource]


def load(path: Path, *, env: Mapping[str, str], account_id: str) -> Manifest:
    """Read and resolve a manifest.

    Parameters
    ----------
    path
        The `s.yaml`; relative paths in it are relative to its folder.
    env
        What `${env('X')}` sees. As in the CLI, an empty value counts as missing.
    account_id
        What `${config('AccountID')}` gives.

    Raises
    ------
    ManifestError
        Wrong edition, unknown expression, missing variable, or a reference that goes in circles.
    """
    document = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    if not isinstance(document, dict) or document.get("edition") != EDITION:
        raise ManifestError(f"{path.name}: edition must be exactly {EDITION}")
    if "services" in document:
        raise ManifestError(f"{path.name}: `services` is the syntax of edition 1; use `resources`")
    resolver = _Resolver(path.name, document.get("vars") or {}, env, account_id)
    templates = document.get("template") or {}
    resources = {
        name: _resource(path.name, name, raw, templates, resolver)
        for name, raw in (document.get("resources") or {}).items()
    }
    variables = resolver.resolve(document.get("vars") or {}, "vars", {})
    return Manifest(path.parent, document, variables, resources)


def _resource(
    file: str, name: str, raw: Mapping[str, Any], templates: Mapping[str, Any], resolver: _Resolver
) -> Resource:
    unknown = set(raw) - {"component", "props", "extend"}
    if unknown:
        raise ManifestError(f"{file}: resources.{name} has {sorted(unknown)}, which this loader does not know")
    props = dict(raw.get("props") or {})
    if extend := raw.get("extend"):
        template = templates.get(extend.get("name"))
        if template is None:
            raise ManifestError(f"{file}: resources.{name} extends template {extend.get('name')!r}, which is not there")
        props = _merge(template, props)
    resolved = resolver.resolve(props, f"resources.{name}.props", {"name": name, "props": props})
    return Resource(name, str(raw.get("component")), resolved)


def _merge(base: Any, over: Any) -> Any:
    if isinstance(base, dict) and isinstance(over, dict):
        return {
            key: _merge(base[key], over[key]) if key in base and key in over else over.get(key, base.get(key))
            for key in {**base, **over}
        }
    return over


class _Resolver:
    def __init__(self, file: str, variables: Mapping[str, Any], env: Mapping[str, str], account_id: str) -> None:
        self._file = file
        self._roots: dict[str, Any] = {"vars": variables}
        self._env = env
        self._account_id = account_id

    def resolve(self, value: Any, where: str, this: Mapping[str, Any], seen: tuple[str, ...] = ()) -> Any:
        """`value` with every `${}` in it replaced; `where` is its place, for errors."""
        if isinstance(value, dict):
            return {key: self.resolve(item, f"{where}.{key}", this, seen) for key, item in value.items()}
        if isinstance(value, list):
            return [self.resolve(item, f"{where}[{index}]", this, seen) for index, item in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value
        if whole := _EXPRESSION.fullmatch(value):
            return self._expression(whole[1].strip(), where, this, seen)
        return _EXPRESSION.sub(lambda match: str(self._expression(match[1].strip(), where, this, seen)), value)

    def _expression(self, text: str, where: str, this: Mapping[str, Any], seen: tuple[str, ...]) -> Any:
        if text in seen:
            raise ManifestError(f"{self._file}: {where}: {' -> '.join((*seen, text))} goes in circles")
        if match := _ENV.fullmatch(text):
            value = self._env.get(match["name"]) or match["default"]
            if value is None:
                raise ManifestError(f"{self._file}: {where}: set the environment variable {match['name']}")
            return value
        if match := _CONFIG.fullmatch(text):
            if match["name"] != "AccountID":
                raise ManifestError(
                    f"{self._file}: {where}: config('{match['name']}') is a secret; only AccountID is used"
                )
            return self._account_id
        if match := _PATH.fullmatch(text):
            node: Any = this if match[1] == "this" else self._roots.get(match[1])
            for part in match[2][1:].split("."):
                if not isinstance(node, Mapping) or part not in node:
                    raise ManifestError(f"{self._file}: {where}: there is no {text}")
                node = node[part]
            return self.resolve(node, where, this, (*seen, text))
        raise ManifestError(f"{self._file}: {where}: ${{{text}}} is not understood by this loader")
