"""What the admin door is told, checked and made into consumers, routes, applications and APIs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from localcloud.gateway import jwt
from localcloud.gateway.consumers import METHODS, Consumer
from localcloud.gateway.event import MODES as PARAMETER_MODES
from localcloud.gateway.event import SYSTEM, Api
from localcloud.gateway.policies import MODES, Route
from localcloud.gateway.traditional import STAGES, App

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_T = TypeVar("_T")


class Wrong(ValueError):
    """A setting is missing, malformed or unknown; the message is for a person."""


def consumer(given: Mapping[str, Any]) -> Consumer:
    """`{"name", "api_key", "source"?: {"in": "bearer|header|query", "name"}}`, `{"name", "jwt": {"jwks", "issuer"?,
    "claim"?, "value"?}}` or `{"name", "hmac": {"key", "secret"}}`.
    """
    kinds = [kind for kind in METHODS if kind in given]
    if len(kinds) != 1:
        raise Wrong("a consumer has exactly one of api_key, jwt and hmac")
    kind = kinds[0]
    _only(given, {"name", kind} | ({"source"} if kind == "api_key" else set()))
    name = _name(given)
    if kind == "api_key":
        source = _object(given.get("source", {"in": "bearer"}), "source", {"in", "name"})
        where = _one_of(source.get("in"), ("bearer", "header", "query"), "source.in")
        at = "" if where == "bearer" else _text(source, "name").lower() if where == "header" else _text(source, "name")
        return Consumer(name, kind, api_key=_text(given, "api_key"), source=where, source_name=at)
    if kind == "hmac":
        pair = _object(given["hmac"], "hmac", {"key", "secret"})
        return Consumer(name, kind, key=_text(pair, "key"), secret=_text(pair, "secret"))
    token = _object(given["jwt"], "jwt", {"jwks", "issuer", "claim", "value"})
    return Consumer(
        name,
        kind,
        jwks=_keys(token.get("jwks")),
        issuer=str(token.get("issuer", "")),
        claim=str(token.get("claim", "uid")),
        claim_value=str(token.get("value", name)),
    )


def route(given: Mapping[str, Any]) -> Route:
    """`{"name", "prefix", "authentication"?, "methods"?, "allow"?, "secrets"?, "date_offset_seconds"?}`."""
    _only(given, {"name", "prefix", "authentication", "methods", "allow", "secrets", "date_offset_seconds"})
    prefix = _text(given, "prefix")
    if not prefix.startswith("/"):
        raise Wrong("prefix starts with a slash")
    methods = tuple(_one_of(method, METHODS, "methods") for method in _texts(given, "methods", METHODS))
    secrets = tuple(_texts(given, "secrets", ()))
    if not methods or len(secrets) > 2:
        raise Wrong("methods names at least one, secrets at most two")
    if not all(secret.isascii() and secret.isprintable() for secret in secrets):
        raise Wrong("a secret is a header's value: printable ASCII")
    offset = given.get("date_offset_seconds", 0)
    if isinstance(offset, bool) or not isinstance(offset, int) or offset < 0:
        raise Wrong("date_offset_seconds is a whole number")
    mode = _one_of(given.get("authentication", "required"), MODES, "authentication")
    return Route(_name(given), prefix, mode, methods, frozenset(_texts(given, "allow", ())), secrets, offset)


def group(given: Mapping[str, Any]) -> tuple[tuple[App, ...], tuple[Api, ...]]:
    """`{"apps": [{"app_id", "key", "secret"}], "apis": [{"method", "path", "function", ...}]}`; see `Api`."""
    _only(given, {"apps", "apis"})
    return tuple(_each(given, "apps", _app)), tuple(_each(given, "apis", _api))


def _app(given: Mapping[str, Any]) -> App:
    _only(given, {"app_id", "key", "secret"})
    return App(_text(given, "app_id"), _text(given, "key"), _text(given, "secret"))


def _api(given: Mapping[str, Any]) -> Api:
    _only(given, set(Api.__slots__))
    path = _text(given, "path")
    if not path.startswith("/"):
        raise Wrong("path starts with a slash")
    system = {name: _text(given["system"], name) for name in given.get("system", {})}
    for name in system:
        _one_of(name, SYSTEM, "system")
    timeout_ms = given.get("timeout_ms", 10_000)
    if isinstance(timeout_ms, bool) or not isinstance(timeout_ms, int) or not 1 <= timeout_ms <= 600_000:
        raise Wrong("timeout_ms is 1 to 600000")
    return Api(
        _text(given, "method").upper(),
        path,
        _text(given, "function"),
        str(given.get("qualifier", "LATEST")),
        _one_of(given.get("authentication", "app"), ("app", "none"), "authentication"),
        frozenset(_texts(given, "apps", ())),
        _one_of(given.get("mode", "filter"), PARAMETER_MODES, "mode"),
        frozenset(_texts(given, "parameters", ())),
        {name: _text(given["constants"], name) for name in given.get("constants", {})},
        system,
        tuple(_one_of(stage, STAGES, "stages") for stage in _texts(given, "stages", ("RELEASE",))),
        timeout_ms,
    )


def _keys(jwks: object) -> tuple[dict[str, Any], ...]:
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(keys, list) or not keys or not all(isinstance(key, dict) for key in keys):
        raise Wrong('jwks is {"keys": [...]}')
    try:
        for key in keys:
            jwt.check_key(key)
    except ValueError as error:
        raise Wrong(f"jwks: {error}") from error
    return tuple(keys)


def _name(given: Mapping[str, Any]) -> str:
    name = _text(given, "name")
    if not _NAME.fullmatch(name):
        raise Wrong("name has 1 to 64 letters, digits, '_', '.' and '-'")
    return name


def _text(given: Mapping[str, Any], field: str) -> str:
    value = given.get(field)
    if not isinstance(value, str) or not value:
        raise Wrong(f"{field} is a text")
    return value


def _texts(given: Mapping[str, Any], field: str, default: tuple[str, ...]) -> list[str]:
    values = given.get(field, list(default))
    if not isinstance(values, list) or not all(isinstance(value, str) and value for value in values):
        raise Wrong(f"{field} is a list of texts")
    return values


def _each(given: Mapping[str, Any], field: str, make: Callable[[Mapping[str, Any]], _T]) -> list[_T]:
    values = given.get(field, [])
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise Wrong(f"{field} is a list of objects")
    return [make(value) for value in values]


def _object(value: object, field: str, allowed: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Wrong(f"{field} is an object")
    _only(value, allowed)
    return value


def _one_of(value: object, allowed: tuple[str, ...], field: str) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise Wrong(f"{field} is one of {', '.join(allowed)}")
    return value


def _only(given: Mapping[str, Any], allowed: set[str]) -> None:
    if unknown := sorted(set(given) - allowed):
        raise Wrong(f"unknown: {', '.join(unknown)}; known: {', '.join(sorted(allowed))}")
