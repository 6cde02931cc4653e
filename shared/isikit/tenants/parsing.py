"""Reads tenants.json and names every mistake in it at once: msgspec alone stops at the first one."""

from __future__ import annotations

import json
import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from isikit.errors.tree import FieldError, TenantsUnavailable
from isikit.tenants.schema import Tenant, TenantsFile

_FILE = "tenants.json"
_PORTS = "a port from 1 to 65535"


def parse(data: bytes) -> TenantsFile:
    """Read tenants.json.

    Raises
    ------
    TenantsUnavailable
        With a `FieldError` for every mistake, all at once (`json`, `missing`, `unknown`, `invalid`, `repeated`).
    """
    try:
        content = msgspec.json.decode(data)
        repeated = _said_twice(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        mistakes = [FieldError(_FILE, "json")]
    else:
        mistakes = [*repeated, *_mistakes(content, TenantsFile, "")]
        if not mistakes:
            file = msgspec.convert(content, TenantsFile)
            mistakes = [*_repeated(file), *_ports(file)]
            if not mistakes:
                return file
    raise TenantsUnavailable("The list of tenants cannot be read.", errors=mistakes)


def _said_twice(data: bytes) -> list[FieldError]:
    """Names that stand twice in one object. Every reader would take one of the values, not all the same one."""
    found: list[FieldError] = []

    def look(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                found.append(FieldError(name, "repeated"))
            seen.add(name)

    json.loads(data, object_pairs_hook=look)
    return found


def _mistakes(value: Any, kind: Any, path: str) -> list[FieldError]:
    """Every mistake below `path`."""
    kind = _without_none(kind) if value is not None else kind
    if isinstance(kind, type) and issubclass(kind, Struct):
        return _mistakes_of_struct(value, kind, path)
    arguments = get_args(kind)
    if get_origin(kind) is tuple and isinstance(value, list):
        return [mistake for at, item in enumerate(value) for mistake in _mistakes(item, arguments[0], f"{path}[{at}]")]
    if get_origin(kind) is dict and get_origin(arguments[0]) is Literal and isinstance(value, dict):
        return _mistakes_of_names(value, arguments[0], arguments[1], path)
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return [FieldError(path or _FILE, "invalid", _allowed(kind))]
    return []


def _mistakes_of_struct(value: Any, kind: type[Struct], path: str) -> list[FieldError]:
    if not isinstance(value, dict):
        return [FieldError(path or _FILE, "invalid", "object")]
    hints = get_type_hints(kind, include_extras=True)
    found = [FieldError(_below(path, str(name)), "unknown") for name in value if name not in hints]
    for field in msgspec.structs.fields(kind):
        if field.name in value:
            found += _mistakes(value[field.name], hints[field.name], _below(path, field.name))
        elif field.required:
            found.append(FieldError(_below(path, field.name), "missing"))
    return found


def _mistakes_of_names(value: dict[str, Any], names: Any, kind: Any, path: str) -> list[FieldError]:
    """Of a mapping that takes certain names only."""
    allowed = get_args(names)
    found = [FieldError(_below(path, str(name)), "unknown", list(allowed)) for name in value if name not in allowed]
    for name in value.keys() & set(allowed):
        found += _mistakes(value[name], kind, _below(path, name))
    return found


def _without_none(kind: Any) -> Any:
    if get_origin(kind) in (Union, types.UnionType):
        return next(one for one in get_args(kind) if one is not type(None))
    return kind


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _allowed(kind: Any) -> object:
    kind = _without_none(kind)
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    descriptions = [meta.description for meta in getattr(kind, "__metadata__", ()) if isinstance(meta, Meta)]
    if descriptions:
        return descriptions[0]
    return kind.__name__ if isinstance(kind, type) else str(get_origin(kind).__name__)


def _repeated(file: TenantsFile) -> list[FieldError]:
    """What occurs twice: whatever somebody proves must lead to one tenant."""
    seen: set[tuple[object, ...]] = set()
    found: list[FieldError] = []
    for at, tenant in enumerate(file.tenants):
        for path, identity in _identities(tenant):
            if identity in seen:
                found.append(FieldError(f"tenants[{at}].{path}", "repeated"))
            seen.add(identity)
    return found


def _identities(tenant: Tenant) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Path and value of everything that there may be once only, over all tenants or in one of them."""
    yield "id", ("id", tenant.id)
    for at, key in enumerate(tenant.api_keys):
        yield f"api_keys[{at}].id", ("key", key.id)
    for at, name in enumerate(tenant.consumers):
        yield f"consumers[{at}]", ("consumer", name)
    for at, app_id in enumerate(tenant.apps):
        yield f"apps[{at}]", ("app", app_id)
    for at, one in enumerate(tenant.jwt):
        yield f"jwt[{at}]", ("jwt", one.issuer, one.audience)
    for at, source in enumerate(tenant.sources):
        yield f"sources[{at}].prefix", ("source", tenant.id, source.prefix)


def _ports(file: TenantsFile) -> list[FieldError]:
    """Ports that there are not: a pattern cannot count."""
    found: list[FieldError] = []
    for at, tenant in enumerate(file.tenants):
        urls = [(f"origins[{n}]", origin) for n, origin in enumerate(tenant.origins)]
        urls += [(f"jwt[{n}].jwks_url", one.jwks_url) for n, one in enumerate(tenant.jwt)]
        urls += [("webhook.url", tenant.webhook.url)] if tenant.webhook else []
        found += [FieldError(f"tenants[{at}].{path}", "invalid", _PORTS) for path, url in urls if not _has_port(url)]
    return found


def _has_port(url: str) -> bool:
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False
