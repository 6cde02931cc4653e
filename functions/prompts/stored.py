"""Audio as it lies in OSS: what its metadata says, and whether its bytes are what was published."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from isikit.objects import ObjectInfo
from isikit.stamps import rfc3339

SHA256: Final = "sha256"
DURATION_MS: Final = "duration-ms"
EXPIRES_AT: Final = "expires-at"
VOICE: Final = "voice"
BOUND: Final = "bound"
"""A digest over key, bytes and expiry: another prompt's audio, copied here with its metadata, is not this prompt's."""
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
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


def read(info: ObjectInfo, body: bytes | None = None) -> Stored | None:
    """What OSS answered, or None where that is not what we published.

    Parameters
    ----------
    info
        Of HEAD or GET.
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
    if metadata.get(BOUND) != _bound(info.key, digest, metadata.get(EXPIRES_AT, "")):
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


def metadata(key: str, body: bytes, duration_ms: int, voice: str, expires_at: float | None) -> dict[str, str]:
    """What is published with `body` under `key`, so that every reader can prove it."""
    digest = hashlib.sha256(body).hexdigest()
    ends_at = "" if expires_at is None else rfc3339(expires_at)
    entries = {SHA256: digest, BOUND: _bound(key, digest, ends_at), DURATION_MS: str(duration_ms), VOICE: voice}
    return {**entries, EXPIRES_AT: ends_at} if ends_at else entries


def _bound(key: str, digest: str, ends_at: str) -> str:
    return hashlib.sha256(f"{key}\n{digest}\n{ends_at}".encode()).hexdigest()


def moment(text: str) -> float | None:
    """The reverse of `rfc3339`; None for anything else."""
    try:
        parsed = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return None
    return parsed.replace(tzinfo=UTC).timestamp()
