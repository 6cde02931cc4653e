"""What the store keeps about buckets and objects."""

from __future__ import annotations

from dataclasses import dataclass, field

NORMAL = "Normal"
APPENDABLE = "Appendable"
MULTIPART = "Multipart"

ENABLED = "Enabled"
SUSPENDED = "Suspended"
NULL_VERSION = "null"
"""The version id of what was written while versioning was off or suspended."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket; `created_at` in epoch seconds, `versioning` empty until it is first configured."""

    name: str
    created_at: float
    versioning: str = ""


@dataclass(frozen=True, slots=True)
class Attributes:
    """What an upload says about its object beside the bytes.

    `headers` are the standard ones that OSS keeps (`cache-control` and the like) and `metadata` the `x-oss-meta-*`,
    both by lower-case name.
    """

    content_type: str
    headers: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One committed object: `blob` names the file whose first `size` bytes are its content.

    `etag` is upper-case hex without quotes; `content_md5` is base64 and known of Normal objects only. Of two versions
    of a key the newer has the greater `sequence`. `versioned` says that its bucket has a versioning status.
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
    version_id: str = NULL_VERSION
    sequence: int = 0
    versioned: bool = False


@dataclass(frozen=True, slots=True)
class Version:
    """An object or a delete marker (whose blob is empty) among a key's versions."""

    stored: StoredObject
    marker: bool
    latest: bool = False


@dataclass(frozen=True, slots=True)
class Deletion:
    """What a delete did: the version concerned (empty without versioning), and whether it is or was a marker."""

    key: str
    version_id: str = ""
    marker: bool = False
    requested_version: str = ""


@dataclass(frozen=True, slots=True)
class MultipartUpload:
    """An upload in parts that is not completed yet; `initiated_at` in epoch seconds."""

    upload_id: str
    bucket: str
    key: str
    initiated_at: float
    attributes: Attributes
    forbid_overwrite: bool


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an upload; `modified_at` in epoch seconds."""

    upload_id: str
    number: int
    blob: str
    size: int
    etag: str
    crc64: int
    modified_at: float
