"""Fetching a recording by its address, from this machine only: localcloud never reaches out into a network."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

import aiohttp


class DownloadFailed(Exception):
    """A recording that cannot be fetched.

    `reason` is `forbidden` (403), `missing` (404), `server` (5xx), `length` (no Content-Length, or a wrong one),
    `too_large` or `failed` (anything else: no connection, another status, too slow).
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


_BY_STATUS = {403: "forbidden", 404: "missing"}


def is_url(text: object) -> bool:
    """Whether a text is an http or https URL with a host, without spaces."""
    if not isinstance(text, str) or any(char.isspace() for char in text):
        return False
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine: `localhost` or a loopback address."""
    host = urlsplit(url).hostname or ""
    return host == "localhost" or (is_address(url) and ipaddress.ip_address(host).is_loopback)


def is_address(url: str) -> bool:
    """Whether a URL's host is an IP address, which the real services refuse."""
    try:
        ipaddress.ip_address(urlsplit(url).hostname or "")
    except ValueError:
        return False
    return True


async def download(url: str, *, limit_bytes: int, seconds: float) -> bytes:
    """The body behind a URL on this machine. Redirects are not followed (assumed).

    Raises
    ------
    DownloadFailed
        With its reason.
    """
    if not is_loopback(url):
        raise DownloadFailed("failed")
    try:
        timeout = aiohttp.ClientTimeout(total=seconds)
        async with (
            aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session,
            session.get(url, allow_redirects=False) as answer,
        ):
            if answer.status != 200:
                raise DownloadFailed("server" if answer.status >= 500 else _BY_STATUS.get(answer.status, "failed"))
            if answer.content_length is None:
                raise DownloadFailed("length")
            if answer.content_length > limit_bytes:
                raise DownloadFailed("too_large")
            return await answer.read()
    except aiohttp.ClientPayloadError as error:
        raise DownloadFailed("length") from error
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
        raise DownloadFailed("failed") from error
