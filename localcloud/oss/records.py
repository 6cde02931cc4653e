"""What the store keeps about buckets and objects."""

from __future__ import annotations

from dataclasses import dataclass, field

NORMAL = "Normal"
APPENDABLE = "Appendable"


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket; `created_at` in epoch seconds."""

    name: str
    created_at: float


@dataclass(frozen=True, slots=True)
class Attributes:
    """What an upload says about its object beside the bytes.

    `headers` are the standard ones that OSS keeps (`cache-control` and the like) and `metadata` the `x-oss-meta-*`,
    both by lower-case name.
    """

    content_type: str
    headers: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One committed object: `blob` names the file whose first `size` bytes are its content.

    `etag` is upper-case hex without quotes; `content_md5` is base64 and empty for an appendable object.
    """

    bucket: str
    key: str
    blob: str
    size: int
    etag: str
    crc64: int
    content_md5: str
    object_type: str
    modified_at: float
    attributes: Attributes
