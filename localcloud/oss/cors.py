"""CORS rules of a bucket. Source: help.aliyun.com/en/oss/developer-reference/putbucketcors and .../optionobject."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

from localcloud.oss.documents import Row
from localcloud.oss.errors import OssError

SETTING = "cors"
MAX_RULES = 20
_METHODS = ("GET", "PUT", "DELETE", "POST", "HEAD")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; origins and headers may hold one `*` each, headers are lower case, `max_age` in seconds."""

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...]
    exposed: tuple[str, ...]
    max_age: int | None
    vary: bool


def rules_of(root: ElementTree.Element) -> list[Rule]:
    """The rules of a `CORSConfiguration`; `MalformedXML`."""
    vary = root.findtext("ResponseVary") == "true"
    rules = []
    for element in root.findall("CORSRule"):
        origins, methods = _texts(element, "AllowedOrigin"), _texts(element, "AllowedMethod")
        headers = tuple(name.lower() for name in _texts(element, "AllowedHeader"))
        age = element.findtext("MaxAgeSeconds") or ""
        if not origins or not methods or set(methods) - set(_METHODS) or (age and not age.isdecimal()):
            raise OssError("MalformedXML")
        if any(text.count("*") > 1 for text in origins + headers):
            raise OssError("MalformedXML")
        exposed = _texts(element, "ExposeHeader")
        if not all(name.isprintable() and name.isascii() for name in exposed):
            raise OssError("MalformedXML")
        rules.append(Rule(origins, methods, headers, exposed, int(age) if age else None, vary))
    if not 1 <= len(rules) <= MAX_RULES:
        raise OssError("MalformedXML")
    return rules


def rows_of(rules: list[Rule]) -> list[Row]:
    """The content of a `CORSConfiguration`."""
    rows: list[Row] = []
    for rule in rules:
        inner: list[Row] = [("AllowedOrigin", one) for one in rule.origins]
        inner += [("AllowedMethod", one) for one in rule.methods]
        inner += [("AllowedHeader", one) for one in rule.headers]
        inner += [("ExposeHeader", one) for one in rule.exposed]
        if rule.max_age is not None:
            inner.append(("MaxAgeSeconds", rule.max_age))
        rows.append(("CORSRule", inner))
    return [*rows, ("ResponseVary", rules[0].vary)]


def allow(rules: list[Rule], origin: str, method: str, headers: list[str]) -> dict[str, str] | None:
    """The headers by which the first matching rule allows a request, or None."""
    for rule in rules:
        if (
            method in rule.methods
            and any(_matches(pattern, origin) for pattern in rule.origins)
            and all(any(_matches(pattern, name) for pattern in rule.headers) for name in headers)
        ):
            allowed = {
                "Access-Control-Allow-Origin": "*" if "*" in rule.origins else origin,
                "Access-Control-Allow-Methods": ", ".join(rule.methods),
            }
            if headers:
                allowed["Access-Control-Allow-Headers"] = ", ".join(headers)
            if rule.exposed:
                allowed["Access-Control-Expose-Headers"] = ", ".join(rule.exposed)
            if rule.max_age is not None:
                allowed["Access-Control-Max-Age"] = str(rule.max_age)
            if rule.vary or "*" not in rule.origins:
                allowed["Vary"] = "Origin"
            return allowed
    return None


def _matches(pattern: str, text: str) -> bool:
    before, star, after = pattern.partition("*")
    if not star:
        return pattern == text
    return len(text) >= len(before) + len(after) and text.startswith(before) and text.endswith(after)


def _texts(element: ElementTree.Element, name: str) -> tuple[str, ...]:
    return tuple(child.text or "" for child in element.findall(name))
