"""The raw request target, taken apart exactly once.

SDKs disagree about escaping (oss2 sends `%2F` for the slashes of a key, others keep them), so nothing here works on a
path that a server framework has already decoded: a key `a%2Fb` would become `a/b`, and `%252F` would be decoded twice.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import unquote, unquote_plus


@dataclass(frozen=True, slots=True)
class Target:
    """Bucket, key (both empty when absent), and the query's decoded pairs in the order they were sent.

    `virtual_hosted` says that the bucket came from the Host header.
    """

    method: str
    bucket: str
    key: str
    query: tuple[tuple[str, str], ...]
    virtual_hosted: bool = False

    def first(self, name: str) -> str | None:
        """The first value of a query parameter, "" for one without a value, None when it is absent."""
        for pair_name, value in self.query:
            if pair_name == name:
                return value
        return None

    def has(self, name: str) -> bool:
        """Whether the query names this parameter, with or without a value."""
        return any(pair_name == name for pair_name, _ in self.query)

    @property
    def names(self) -> frozenset[str]:
        """All parameter names of the query."""
        return frozenset(name for name, _ in self.query)


def parse(method: str, raw_target: str, host: str) -> Target:
    """Take a request target apart.

    Parameters
    ----------
    raw_target
        As it stood in the request line: origin form, or absolute form when a proxy is configured.
    host
        The Host header; `bucket.localhost:8080` and any other name with a label in front of the service's own name are
        virtual-hosted, IP addresses and bare names are path style.
    """
    if "://" in raw_target.split("?", 1)[0]:  # absolute form
        rest = raw_target.split("://", 1)[1]
        host, slash, rest = rest.partition("/")
        raw_target = slash + rest or "/"
    path, _, query = raw_target.partition("?")
    path = path.partition("#")[0]
    pairs = tuple(_pair(part) for part in query.split("&") if part) if query else ()
    bucket = _bucket_of_host(host)
    if bucket:
        return Target(method, bucket, _decode(path[1:]), pairs, virtual_hosted=True)
    raw_bucket, _, raw_key = path[1:].partition("/")
    return Target(method, _decode(raw_bucket), _decode(raw_key), pairs)


def _pair(part: str) -> tuple[str, str]:
    # `requests` writes a space of a query as `+`, the presigners write %20: both mean the space that was signed.
    name, _, value = part.partition("=")
    return unquote_plus(name, errors="surrogateescape"), unquote_plus(value, errors="surrogateescape")


def _decode(text: str) -> str:
    # In a path `+` is a plus sign. Bytes that are not UTF-8 become surrogates, which no key rule lets through.
    return unquote(text, errors="surrogateescape")


def _bucket_of_host(host: str) -> str:
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    if name.startswith("["):
        return ""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        bucket, dot, rest = name.partition(".")
        if dot and rest == "localhost":
            return bucket
    return ""
