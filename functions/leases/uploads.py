"""An upload slot: the right to put one recording at one place in OSS, within minutes, once."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from functions.leases.audit import Audit
from functions.leases.recording import MAX_BYTES, METADATA, Recording, parse
from isikit.identity import Caller
from isikit.limits import Limits
from isikit.objects.presign import Presigner, SignedRequest
from isikit.stamps import rfc3339

LIFE_SECONDS: Final = 600  # to begin the upload; shorter than any STS session can live (900 s)
CREATED: Final = "201"
_METADATA_PREFIX: Final = "x-oss-meta-"


@dataclass(frozen=True, slots=True)
class Slot:
    """The answer. A form sends all `fields`, then `file`; a PUT sends `headers` and exactly `max_bytes`."""

    kind: str
    method: str
    url: str = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    fields: dict[str, str] = field(repr=False)
    bucket: str
    key: str
    content_type: str
    max_bytes: int
    expires_at: str
    expires_in: int


@dataclass(slots=True)
class Uploads:
    """Grants upload slots.

    Parameters
    ----------
    presigner
        Of the recordings bucket.
    limits
        The daily quota `uploads`.
    clock
        Wall time, epoch seconds.
    """

    presigner: Presigner
    limits: Limits
    clock: Callable[[], float] = time.time

    async def grant(self, caller: Caller, body: object, audit: Audit) -> Slot:
        """A slot for a caller who is known.

        Raises
        ------
        LimitError
            429.
        RequestError
            400, see `recording.parse`.
        ConfigError
            The function has no credentials to sign with.
        """
        tenant = caller.tenant
        recording = parse(body)
        await self.limits.spend(tenant, "uploads", 1)
        now = self.clock()
        day = time.strftime("%Y/%m/%d", time.gmtime(now))
        key = f"in/{tenant.id}/{day}/{uuid.uuid4()}.{recording.extension}"
        signed = self._put(key, recording) if recording.kind == "put" else self._form(key, recording)
        audit.granted(kind=recording.kind, bytes=recording.size_bytes, expires_in=LIFE_SECONDS)
        return Slot(
            kind=recording.kind,
            method="PUT" if recording.kind == "put" else "POST",
            url=signed.url,
            headers=signed.headers,
            fields=signed.fields,
            bucket=self.presigner.bucket,
            key=key,
            content_type=recording.content_type,
            max_bytes=recording.size_bytes or MAX_BYTES,
            expires_at=rfc3339(now + LIFE_SECONDS),
            expires_in=LIFE_SECONDS,
        )

    def _put(self, key: str, recording: Recording) -> SignedRequest:
        assert recording.size_bytes is not None  # parse() demands it of a PUT
        headers = {"Content-Type": recording.content_type, "x-oss-forbid-overwrite": "true"}
        headers |= {_METADATA_PREFIX + name: value for name, value in recording.metadata.items()}
        return self.presigner.put(key, seconds=LIFE_SECONDS, size_bytes=recording.size_bytes, headers=headers)

    def _form(self, key: str, recording: Recording) -> SignedRequest:
        """OSS takes form fields that no condition names, so whatever could be said of a call is said, if with ""."""
        fields = {
            "x-oss-content-type": recording.content_type,
            "x-oss-forbid-overwrite": "true",
            "x-oss-object-acl": "private",
            "x-oss-storage-class": "Standard",
            "success_action_status": CREATED,
        }
        for name in METADATA:
            name = name.replace("_", "-")
            fields[_METADATA_PREFIX + name] = recording.metadata.get(name, "")
        least, most = recording.size_bytes or 1, recording.size_bytes or MAX_BYTES
        return self.presigner.form(key, seconds=LIFE_SECONDS, least_bytes=least, most_bytes=most, fields=fields)
