"""Audio as it lies in OSS: what its metadata says, and whether its bytes are what was published."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from isikit.objects import ObjectInfo
from isikit.secrets import Keys
from isikit.stamps import rfc3339

SHA256: Final = "sha256"
DURATION_MS: Final = "duration-ms"
EXPIRES_AT: Final = "expires-at"
VOICE: Final = "voice"
BOUND: Final = "bound"
"""The key version and, after a full stop, an HMAC over key, bytes and whatever else is said of them.

Who may write to the bucket can neither plant audio nor copy another prompt's here with its metadata.
"""
PURPOSE: Final = "prompt-audio"
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_BOUND: Final = re.compile(r"([0-9]{1,3})\.([0-9a-f]{64})")
_FOREVER: Final = float("inf")


@dataclass(frozen=True, slots=True)
class Stored:
    """One published object: a master or a rendition.

    Attributes
    ----------
    sha256
        Of the bytes that were published.
    expires_at
        Epoch seconds; None for what is permanent.
    voice
        Which spoke.
    now
        OSS's time at which this was true. Expiry is judged by it, never by an instance's own clock.
    body
        The bytes, if they were read; then they have been proved by `sha256`.
    """

    key: str
    size: int
    etag: str
    last_modified: float
    content_type: str
    sha256: str
    duration_ms: int
    expires_at: float | None
    voice: str
    now: float
    body: bytes | None = field(default=None, repr=False)

    @property
    def life_seconds(self) -> float:
        """What is left of its life; infinite for what is permanent."""
        return _FOREVER if self.expires_at is None else self.expires_at - self.now

    def aged(self, seconds: float) -> Stored:
        """The same, `seconds` later."""
        return dataclasses.replace(self, now=self.now + seconds)


def key_version(info: ObjectInfo) -> int | None:
    """Which version of the keys an object says it was bound with; None where it says none."""
    match = _BOUND.fullmatch(info.metadata.get(BOUND, ""))
    return int(match[1]) if match else None


def read(info: ObjectInfo, keys: Keys, body: bytes | None = None) -> Stored | None:
    """What OSS answered, or None where that is not what we published.

    Parameters
    ----------
    info
        Of HEAD or GET.
    keys
        Those that know `key_version`. What was bound with a master that they do not hold was not published by us.
    body
        Of GET: proved by the digest.
    """
    metadata = info.metadata
    digest, duration = metadata.get(SHA256, ""), metadata.get(DURATION_MS, "")
    if not _DIGEST.fullmatch(digest) or not re.fullmatch(r"\d{1,9}", duration) or not info.size:
        return None
    expires_at = moment(metadata[EXPIRES_AT]) if EXPIRES_AT in metadata else None
    if EXPIRES_AT in metadata and expires_at is None:
        return None
    version = key_version(info)
    if version is None or not keys.knows(version):
        return None
    if not hmac.compare_digest(metadata[BOUND], _bound(keys, version, info.key, metadata)):
        return None
    if body is not None and hashlib.sha256(body).hexdigest() != digest:
        return None
    return Stored(
        key=info.key,
        size=info.size,
        etag=info.etag,
        last_modified=info.last_modified,
        content_type=info.content_type,
        sha256=digest,
        duration_ms=int(duration),
        expires_at=expires_at,
        voice=metadata.get(VOICE, ""),
        now=info.server_time,
        body=body,
    )


def metadata(body: bytes, duration_ms: int, voice: str, expires_at: float | None) -> dict[str, str]:
    """What is said of `body` where it is published, before it is `bound`."""
    entries = {SHA256: hashlib.sha256(body).hexdigest(), DURATION_MS: str(duration_ms), VOICE: voice}
    return entries if expires_at is None else {**entries, EXPIRES_AT: rfc3339(expires_at)}


def bound(entries: Mapping[str, str], key: str, keys: Keys) -> dict[str, str]:
    """`metadata` with the proof that we published it under `key`."""
    return {**entries, BOUND: _bound(keys, keys.version, key, entries)}


def _bound(keys: Keys, version: int, key: str, entries: Mapping[str, str]) -> str:
    # None of these has a line break in it: they come from a path and from headers.
    said = "\n".join((key, *(entries.get(name, "") for name in (SHA256, DURATION_MS, VOICE, EXPIRES_AT))))
    return f"{version}.{hmac.digest(keys.mac_key(PURPOSE, version), said.encode(), 'sha256').hex()}"


def moment(text: str) -> float | None:
    """The reverse of `rfc3339`; None for anything else."""
    try:
        parsed = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return None
    return parsed.replace(tzinfo=UTC).timestamp()
