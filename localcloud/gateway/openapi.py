"""One OpenAPI document out of the three functions'."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcloud.gateway.routes import function_of


def merge(documents: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Merge documents by function.

    A path is taken from the function to which the gateway routes it. Components that several functions define under
    one name (the problem schema) are taken from the first.
    """
    first = next(iter(documents.values()))
    paths: dict[str, Any] = {}
    components: dict[str, dict[str, Any]] = {}
    tags: dict[str, Any] = {}
    for function, document in documents.items():
        paths |= {path: item for path, item in document.get("paths", {}).items() if function_of(path) == function}
        for kind, named in document.get("components", {}).items():
            known = components.setdefault(kind, {})
            for name, value in named.items():
                known.setdefault(name, value)
        for tag in document.get("tags", []):
            tags.setdefault(tag.get("name", ""), tag)
    merged: dict[str, Any] = {
        "openapi": first.get("openapi", "3.1.0"),
        "info": {
            "title": "Speech functions",
            "version": first.get("info", {}).get("version", "0"),
            "description": "\n\n".join(
                text for document in documents.values() if (text := document.get("info", {}).get("description"))
            ),
        },
        "paths": dict(sorted(paths.items())),
        "components": components,
    }
    if "security" in first:
        merged["security"] = first["security"]
    if tags:
        merged["tags"] = list(tags.values())
    return merged
