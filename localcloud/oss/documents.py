"""OSS's XML: written by hand, without a namespace (oss2 looks its elements up by bare name), read with a size limit."""

from __future__ import annotations

import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from typing import TypeAlias
from urllib.parse import quote
from xml.sax.saxutils import escape

from localcloud.oss.errors import OssError

Row: TypeAlias = "tuple[str, str | int | bool | list[Row]]"


def document(root: str, rows: Iterable[Row]) -> bytes:
    """A document with a root element and nested rows of (name, text or rows)."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{_element((root, list(rows)))}\n'.encode("utf-8", "replace")


def _element(row: Row) -> str:
    name, value = row
    if isinstance(value, list):
        return f"<{name}>{''.join(_element(child) for child in value)}</{name}>"
    if isinstance(value, bool):
        return f"<{name}>{'true' if value else 'false'}</{name}>"
    return f"<{name}>{escape(str(value))}</{name}>"


def parse(body: bytes, root: str) -> ElementTree.Element:
    """The root element of a request's document; `MalformedXML` if it is not one, or carries a DTD."""
    try:
        if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
            raise OssError("MalformedXML")
        element = ElementTree.fromstring(body)  # noqa: S314 - no DTD, so no entities to expand
    except ElementTree.ParseError as exc:
        raise OssError("MalformedXML") from exc
    if element.tag.rpartition("}")[2] != root:
        raise OssError("MalformedXML")
    return element


def iso_time(at: float) -> str:
    """Epoch seconds as OSS writes them in documents: UTC with milliseconds that are always zero."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(at))


def url_encoded(text: str) -> str:
    """A key or prefix under `encoding-type=url`."""
    return quote(text, safe="/")
