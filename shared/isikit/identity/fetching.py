"""Fetches a key set from an address that the operator wrote down, and from nowhere else.

https alone, no redirect, no proxy, 64 KB, one time limit for all of it. The name is resolved once, every address it has
must be public, and the connection goes to the address that was looked at: a name server that answers differently the
next time (DNS rebinding) changes nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from urllib.parse import SplitResult, urlsplit

BODY_LIMIT_BYTES = 64 * 1024
HEAD_LIMIT_BYTES = 16 * 1024
_READ_BYTES = 16 * 1024
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class FetchError(Exception):
    """Why there is no document, as a code for the log."""


async def fetch(url: str, seconds: float, *, loopback: bool = False) -> bytes:
    """The document at `url`.

    Parameters
    ----------
    url
        Of the tenants file.
    seconds
        For all of it: names, connection, TLS, answer.
    loopback
        Let this machine's own addresses pass, with plain http too. For tests on a laptop.

    Raises
    ------
    FetchError
        `scheme`, `address`, `unreachable`, `timeout`, `status`, `size`, `broken`.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" and not (loopback and parts.scheme == "http"):
        raise FetchError("scheme")
    try:
        async with asyncio.timeout(seconds):
            address = await _address(parts, loopback=loopback)
            if parts.scheme != "https" and not address.is_loopback:
                raise FetchError("scheme")
            return await _get(parts, address)
    except TimeoutError:
        raise FetchError("timeout") from None
    except OSError:  # refused, reset, a certificate that is not right
        raise FetchError("unreachable") from None


def is_allowed(address: Address, *, loopback: bool) -> bool:
    """Whether a key set may come from there: the open internet, and this machine if `loopback`.

    Not from private and link-local networks, the metadata services (169.254.169.254, 100.100.100.200), multicast, nor
    from an IPv6 address that only wraps such a one.
    """
    if isinstance(address, ipaddress.IPv6Address):
        wrapped = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if wrapped is None and address in _NAT64:
            wrapped = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if wrapped is not None:
            return is_allowed(wrapped, loopback=loopback)
    if address.is_loopback:
        return loopback
    return address.is_global and not address.is_multicast


async def _address(parts: SplitResult, *, loopback: bool) -> Address:
    found = await asyncio.get_running_loop().getaddrinfo(parts.hostname, _port(parts), type=socket.SOCK_STREAM)
    addresses = [ipaddress.ip_address(str(sockaddr[0]).partition("%")[0]) for *_, sockaddr in found]
    if not addresses or not all(is_allowed(address, loopback=loopback) for address in addresses):
        raise FetchError("address")  # one bad one is enough: nobody has a public and a private address in good faith
    return addresses[0]


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


async def _get(parts: SplitResult, address: Address) -> bytes:
    from isikit.nls.authorities import tls_context

    secure = parts.scheme == "https"
    tls = await asyncio.to_thread(tls_context) if secure else None
    reader, writer = await asyncio.open_connection(
        str(address), _port(parts), ssl=tls, server_hostname=parts.hostname if secure else None
    )
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        writer.write(
            f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: application/json\r\n"
            "Accept-Encoding: identity\r\nUser-Agent: speech-functions\r\nConnection: close\r\n\r\n".encode("ascii")
        )
        return await _answer(reader)
    finally:
        writer.transport.abort()  # nothing more is wanted of it; a polite end could hang


class _Answer:
    """What httptools' parser reports."""

    def __init__(self) -> None:
        self.body = bytearray()
        self.head_bytes = 0
        self.framed = False
        self.encoded = False
        self.complete = False

    def on_status(self, text: bytes) -> None:
        self.head_bytes += len(text)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.head_bytes += len(name) + len(value)
        folded = name.lower()
        self.framed |= folded in (b"content-length", b"transfer-encoding")
        self.encoded |= folded == b"content-encoding" and value.strip().lower() != b"identity"

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.complete = True


async def _answer(reader: asyncio.StreamReader) -> bytes:
    """The body of a 200. Everything else is an error, redirects too."""
    import httptools

    answer = _Answer()
    parser = httptools.HttpResponseParser(answer)
    received = 0
    while not answer.complete:
        data = await reader.read(_READ_BYTES)
        received += len(data)
        if not data:
            break
        try:
            parser.feed_data(data)
        except httptools.HttpParserError:
            raise FetchError("broken") from None
        # Counted before parsing too: interim answers and endless headers are never reported.
        if len(answer.body) > BODY_LIMIT_BYTES or received > 2 * BODY_LIMIT_BYTES + HEAD_LIMIT_BYTES:
            raise FetchError("size")
        if answer.head_bytes > HEAD_LIMIT_BYTES:
            raise FetchError("size")
    if parser.get_status_code() != 200:
        raise FetchError("status")
    if answer.encoded or (answer.framed and not answer.complete):
        raise FetchError("broken")
    return bytes(answer.body)
