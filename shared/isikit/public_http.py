"""One request to an address that the operator wrote down, and to nowhere else: for key sets and webhooks.

https alone, no redirect, no proxy, one time limit for all of it. The name is resolved once, every address it has must
be public, and the connection goes to the address that was looked at: a name server that answers differently the next
time (DNS rebinding) changes nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit

T = TypeVar("T")

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
"""All that is given out of IPv6 (IANA, "Internet Protocol Version 6 Address Space"). The rest is not all private by
`ipaddress`: site-local fec0::/10, a network's own NAT64 64:ff9b:1::/48, IPv4 addresses behind zeroes or `::ffff:0:`."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class FetchError(Exception):
    """Why there is no answer, as a code for the log."""


async def exchange(
    url: str,
    request: Callable[[str, str], bytes],
    read: Callable[[asyncio.StreamReader], Awaitable[T]],
    seconds: float,
    *,
    loopback: bool = False,
) -> T:
    """Send one request and read what is wanted of its answer; the connection is broken off afterwards.

    Parameters
    ----------
    url
        Of the tenants file.
    request
        (target, host) -> the bytes to send.
    read
        Reads the answer, as far as it is wanted.
    seconds
        For all of it: names, connection, TLS, answer.
    loopback
        Let this machine's own addresses pass, with plain http too. For tests on a laptop.

    Raises
    ------
    FetchError
        `scheme`, `address`, `unreachable`, `timeout`, and what `read` raises.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" and not (loopback and parts.scheme == "http"):
        raise FetchError("scheme")
    try:
        async with asyncio.timeout(seconds):
            address = await _address(parts, loopback=loopback)
            if parts.scheme != "https" and not address.is_loopback:
                raise FetchError("scheme")
            return await _exchange(parts, address, request, read)
    except TimeoutError:
        raise FetchError("timeout") from None
    except OSError:  # refused, reset, a certificate that is not right
        raise FetchError("unreachable") from None


def is_allowed(address: Address, *, loopback: bool) -> bool:
    """Whether we may talk to this address: the open internet, and this machine if `loopback`.

    Not to private and link-local networks, the metadata services (169.254.169.254, 100.100.100.200), multicast, nor
    to an IPv6 address that only wraps such a one.
    """
    if isinstance(address, ipaddress.IPv6Address):
        wrapped = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if wrapped is None and address in _NAT64:
            wrapped = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if wrapped is not None:
            return is_allowed(wrapped, loopback=loopback)
        if address not in _GLOBAL_UNICAST and not address.is_loopback:
            return False
    if address.is_loopback:
        return loopback
    return address.is_global and not address.is_multicast


async def _address(parts: SplitResult, *, loopback: bool) -> Address:
    try:
        _port(parts)
    except ValueError:  # over 65535
        raise FetchError("address") from None
    found = await asyncio.get_running_loop().getaddrinfo(parts.hostname, _port(parts), type=socket.SOCK_STREAM)
    addresses = [ipaddress.ip_address(str(sockaddr[0]).partition("%")[0]) for *_, sockaddr in found]
    if not addresses or not all(is_allowed(address, loopback=loopback) for address in addresses):
        raise FetchError("address")  # one bad one is enough: nobody has a public and a private address in good faith
    return addresses[0]


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


async def _exchange(
    parts: SplitResult,
    address: Address,
    request: Callable[[str, str], bytes],
    read: Callable[[asyncio.StreamReader], Awaitable[T]],
) -> T:
    from isikit.nls.authorities import tls_context

    secure = parts.scheme == "https"
    tls = await asyncio.to_thread(tls_context) if secure else None
    reader, writer = await asyncio.open_connection(
        str(address), _port(parts), ssl=tls, server_hostname=parts.hostname if secure else None
    )
    try:
        writer.write(request((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), parts.netloc))
        return await read(reader)
    finally:
        writer.transport.abort()  # nothing more is wanted of it; a polite end could hang
