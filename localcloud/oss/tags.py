"""Tags of an object, in a header and in a document.

Rules: help.aliyun.com/en/oss/developer-reference/putobjecttagging and .../support/0010-00000217.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from urllib.parse import unquote_plus

from localcloud.oss.documents import Row
from localcloud.oss.errors import OssError

MAX_TAGS = 10
MAX_KEY_CHARACTERS = 128
MAX_VALUE_CHARACTERS = 256
_TEXT = re.compile(r"[A-Za-z0-9 +\-=._:/]*")


def from_header(text: str | None) -> dict[str, str]:
    """The tags of `x-oss-tagging: key=value&key`, URL-encoded on both sides; none for an absent header."""
    if not text:
        return {}
    pairs = []
    for part in text.split("&"):
        key, *values = part.split("=")
        if len(values) > 1:
            raise OssError("InvalidTag", fields={"Tag": part}, ec="0010-00000219")
        pairs.append((unquote_plus(key), unquote_plus(values[0]) if values else ""))
    return _checked(pairs)


def from_document(root: ElementTree.Element) -> dict[str, str]:
    """The tags of a `Tagging` document."""
    container = root.find("TagSet")
    if container is None:
        raise OssError("MalformedXML")
    pairs = []
    for tag in container:
        key = tag.findtext("Key")
        if tag.tag != "Tag" or key is None:
            raise OssError("MalformedXML")
        pairs.append((key, tag.findtext("Value") or ""))
    return _checked(pairs)


def rows(tags: dict[str, str]) -> list[Row]:
    """The content of a `Tagging` document."""
    return [("TagSet", [("Tag", [("Key", key), ("Value", value)]) for key, value in sorted(tags.items())])]


def _checked(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    tags: dict[str, str] = {}
    for key, value in pairs:
        if not 1 <= len(key) <= MAX_KEY_CHARACTERS:
            raise OssError("InvalidTag", fields={"TagKey": key}, ec="0010-00000209")
        if len(value) > MAX_VALUE_CHARACTERS or not _TEXT.fullmatch(key) or not _TEXT.fullmatch(value):
            raise OssError("InvalidTag", fields={"TagKey": ascii(key), "TagValue": ascii(value)}, ec="0010-00000217")
        if key in tags or len(tags) == MAX_TAGS:
            raise OssError("InvalidTag", fields={"TagKey": key}, ec="0010-00000217")
        tags[key] = value
    return tags
