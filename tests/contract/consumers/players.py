"""The fetchers of IVR platforms, rebuilt from their rules: what they ask, in which order, what they keep, how long.

Asterisk and both FreeSWITCH modules are libcurl; so are these, with their options. Sources: Asterisk's
`res_http_media_cache.c` and `format_wav.c`, FreeSWITCH's `mod_httapi.c` and `mod_http_cache.c` (read 2026-08), and the
vendors' pages on playing files (Twilio, Bandwidth, Sinch, Amazon Connect).
"""

from __future__ import annotations

import io
import re
import struct
from dataclasses import dataclass, field
from typing import ClassVar

import pycurl

MOD_HTTAPI_TTL_SECONDS = 300
MOD_HTTP_CACHE_TTL_SECONDS = 24 * 3600
SINCH_MOST_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Reply:
    """One answer. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def max_age(self) -> int | None:
        """Of Cache-Control."""
        found = re.search(r"max-age=(\d+)", self.headers.get("cache-control", ""))
        return int(found[1]) if found else None


def ask(method: str, url: str, headers: tuple[str, ...] = (), *, redirects: int = 0, agent: str = "") -> Reply:
    """One request by libcurl on a handle, and so a connection, of its own."""
    body, lines = io.BytesIO(), []
    curl = pycurl.Curl()
    try:
        curl.setopt(pycurl.URL, url)
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.TIMEOUT, 20)
        curl.setopt(pycurl.NOBODY, method == "HEAD")
        curl.setopt(pycurl.FOLLOWLOCATION, redirects > 0)
        curl.setopt(pycurl.MAXREDIRS, redirects)
        curl.setopt(pycurl.HTTPHEADER, list(headers))
        curl.setopt(pycurl.USERAGENT, agent)
        curl.setopt(pycurl.WRITEDATA, body)
        curl.setopt(pycurl.HEADERFUNCTION, lines.append)
        curl.perform()
        status = int(curl.getinfo(pycurl.RESPONSE_CODE))
    finally:
        curl.close()
    pairs = (line.decode("latin-1").partition(":") for line in lines if b":" in line)
    return Reply(status, {name.strip().lower(): value.strip() for name, _, value in pairs}, body.getvalue())


@dataclass
class Kept:
    """What a player keeps of one URL."""

    body: bytes
    headers: dict[str, str]
    expires_at: float


class Unplayable(Exception):
    """The platform plays nothing, or noise: what it says then."""


@dataclass
class Player:
    """A platform with its cache.

    Attributes
    ----------
    now
        Its clock.
    """

    now: float = 0.0
    kept: dict[str, Kept] = field(default_factory=dict)

    def play(self, url: str) -> bytes:
        """What is heard: s16le or G.711 bytes without a container, or the file where the platform decodes itself."""
        raise NotImplementedError


class Asterisk(Player):
    """GET; HEAD with If-None-Match when the copy is stale. Any 2xx is kept. Content-Type beats the extension."""

    agent = "asterisk-libcurl-agent/1.0"
    types: ClassVar = {"audio/basic": "ulaw", "audio/wav": "wav", "audio/x-wav": "wav", "audio/mpeg": "mp3"}

    def play(self, url: str) -> bytes:
        if len(url) < 64:  # shorter than /var/cache/asterisk/bucket-XXXXXX.ulaw, and it finds no file
            raise Unplayable("no path")
        kept = self.kept.get(url)
        if kept is not None and self._is_stale(url, kept):
            kept = None
        if kept is None:
            reply = ask("GET", url, redirects=8, agent=self.agent)
            if reply.status // 100 != 2:
                raise Unplayable(f"Failed to retrieve URL: {reply.status}")
            kept = self.kept[url] = Kept(reply.body, reply.headers, self.now + (reply.max_age or 0))
        return self._decoded(url, kept)

    def _is_stale(self, url: str, kept: Kept) -> bool:
        if self.now < kept.expires_at:
            return False
        reply = ask("HEAD", url, (f"If-None-Match: {kept.headers.get('etag', '')}",), redirects=8, agent=self.agent)
        if reply.status == 304:
            kept.expires_at = self.now + (reply.max_age or 0)
        return reply.status != 304

    def _decoded(self, url: str, kept: Kept) -> bytes:
        content_type = kept.headers.get("content-type", "").partition(";")[0].strip()
        kind = self.types.get(content_type) or url.rpartition(".")[2]
        if kind == "wav":
            return wav_samples(kept.body)
        if kind not in ("ulaw", "alaw"):
            raise Unplayable(f"no format for {kind}")
        return kept.body


def wav_samples(file: bytes) -> bytes:
    """As Asterisk's reader takes it: a 16-byte `fmt `, PCM, mono, 8 kHz, 16 bits, and a data length it believes."""
    if file[:4] != b"RIFF" or file[8:16] != b"WAVEfmt ":
        raise Unplayable("Does not contain WAVE")
    size, kind, channels, rate_hz, _, _, bits = struct.unpack("<IHHIIHH", file[16:36])
    if (size, kind, channels, rate_hz, bits) != (16, 1, 1, 8000, 16):
        raise Unplayable("not PCM, mono, 8 kHz, 16 bits")
    if file[36:40] != b"data" or struct.unpack("<i", file[40:44])[0] < 0:
        raise Unplayable("no data chunk")
    return file[44:]


class ModHttapi(Player):
    """HEAD first, always; GET when Last-Modified, ETag or Content-Length changed. Only 200 counts.

    When both fail, its own good copy is gone.
    """

    agent = "freeswitch-httapi/1.0"
    types: ClassVar = {"audio/mpeg": "mp3", "audio/x-wav": "wav", "audio/wav": "wav"}

    def play(self, url: str) -> bytes:
        kept = self.kept.get(url)
        if kept is not None and self.now < kept.expires_at:
            return kept.body
        head = ask("HEAD", url, redirects=10, agent=self.agent)
        if kept is not None and head.status == 200 and self._mark(head.headers) == self._mark(kept.headers):
            kept.expires_at = self.now + min(head.max_age or 0, MOD_HTTAPI_TTL_SECONDS)
            return kept.body
        reply = ask("GET", url, redirects=10, agent=self.agent)
        if reply.status != 200:
            self.kept.pop(url, None)
            raise Unplayable(f"HTTP {reply.status}")
        if reply.headers.get("content-type") not in self.types:
            raise Unplayable("no extension for this type")
        life = min(reply.max_age or 0, MOD_HTTAPI_TTL_SECONDS)
        self.kept[url] = Kept(reply.body, reply.headers, self.now + life)
        return reply.body

    def _mark(self, headers: dict[str, str]) -> str:
        return ":".join(headers.get(name, "") for name in ("last-modified", "etag", "content-length"))


class ModHttpCache(Player):
    """GET alone. Any 2xx body is audio, `no-store` is not heard; 24 hours unless max-age says less or more."""

    agent = "freeswitch-http-cache/1.0"

    def play(self, url: str) -> bytes:
        kept = self.kept.get(url)
        if kept is None or self.now >= kept.expires_at:
            reply = ask("GET", url, redirects=10, agent=self.agent)
            if not 200 <= reply.status <= 299:
                raise Unplayable(f"HTTP {reply.status}")
            life = MOD_HTTP_CACHE_TTL_SECONDS if reply.max_age is None else reply.max_age
            kept = self.kept[url] = Kept(reply.body, reply.headers, self.now + life)
        if url.rpartition(".")[2] not in ("wav", "ulaw", "alaw"):
            raise Unplayable("no extension in the URL")
        return kept.body

    def restart(self) -> None:
        """It wipes its cache when it starts."""
        self.kept.clear()


@dataclass
class SharedCache(Player):
    """A proxy as RFC 9111 has it: it keeps what it may, revalidates by both validators, and looks at the type.

    Attributes
    ----------
    types
        What the platform plays (Twilio's error 13420 is any other).
    """

    types: tuple[str, ...] = ("audio/wav", "audio/x-wav", "audio/mpeg", "audio/basic")
    agent: str = "TwilioProxy/1.1"

    def play(self, url: str) -> bytes:
        kept = self.kept.get(url)
        if kept is not None and self.now < kept.expires_at:
            return kept.body
        conditions: tuple[str, ...] = ()
        if kept is not None:
            conditions = (
                f"If-None-Match: {kept.headers['etag']}",
                f"If-Modified-Since: {kept.headers['last-modified']}",
            )
        reply = ask("GET", url, conditions, agent=self.agent)
        if reply.status == 304 and kept is not None:
            kept.expires_at = self.now + (reply.max_age or 0)
            return kept.body
        if reply.status != 200:
            raise Unplayable(f"HTTP {reply.status}")
        if reply.headers.get("content-type") not in self.types:
            raise Unplayable("13420: invalid Content-Type")
        if "no-store" not in reply.headers.get("cache-control", "no-store") and reply.max_age:
            self.kept[url] = Kept(reply.body, reply.headers, self.now + reply.max_age)
        return reply.body


class Sinch(Player):
    """Follows nothing, at most 1 MB, keeps for a day at least whatever was said."""

    def play(self, url: str) -> bytes:
        kept = self.kept.get(url)
        if kept is None or self.now >= kept.expires_at:
            reply = ask("GET", url)
            if reply.status != 200 or len(reply.body) > SINCH_MOST_BYTES:
                raise Unplayable(f"HTTP {reply.status}, {len(reply.body)} bytes")
            kept = self.kept[url] = Kept(reply.body, reply.headers, self.now + max(reply.max_age or 0, 86_400))
        return kept.body
