"""The settings: each declared once, with its name, type, default, unit and meaning; read from the environment once.

`SETTINGS` is read by the code, the tests and the documentation. A wrong deployment names all its mistakes at once.
"""

from __future__ import annotations

import dataclasses
import functools
import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from isikit.errors.tree import ConfigError, FieldError

PREFIX = "ISI_"
_ENCRYPTED = ("https", "wss")
_REQUIRED = object()

Check = Callable[[str], Any]
"""Turns the variable's text into the value, or raises `ValueError` with what would be allowed."""


def is_loopback(url: str) -> bool:
    """Whether a URL's host is this machine: only then may a secret travel without TLS."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _matching(pattern: str, allowed: str) -> Check:
    compiled = re.compile(pattern + r"\Z")

    def check(text: str) -> str:
        if not compiled.match(text):
            raise ValueError(allowed)
        return text

    return check


def _one_of(*allowed: str) -> Check:
    def check(text: str) -> str:
        if text not in allowed:
            raise ValueError(" | ".join(allowed))
        return text

    return check


def _whole(least: int, most: int) -> Check:
    def check(text: str) -> int:
        if not re.match(r"\d{1,9}\Z", text) or not least <= int(text) <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return int(text)

    return check


def _url(*schemes: str, tls: bool = False, ending: str = "", bare_host: bool = False) -> Check:
    """A base URL without a trailing slash. With `tls`, the unencrypted schemes are for loopback only."""
    allowed = f"{'|'.join(schemes)}://host[:port]{ending or '[/path]'}"
    if tls:
        allowed += f", {' or '.join(set(schemes) & set(_ENCRYPTED))} unless the host is loopback"

    def check(text: str) -> str:
        if bare_host and "://" not in text:
            text = "https://" + text
        try:
            parts = urlsplit(text)
            usable = bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError as error:
            raise ValueError(allowed) from error
        # `user:password@`, a query or a fragment in a base would end up in every address that is built from it.
        plain = "@" not in parts.netloc and "?" not in text and "#" not in text and re.match(r"[!-~]+\Z", text)
        if parts.scheme not in schemes or not usable or not plain or not parts.path.rstrip("/").endswith(ending):
            raise ValueError(allowed)
        if tls and parts.scheme not in _ENCRYPTED and not is_loopback(text):
            raise ValueError(allowed)
        return text.rstrip("/")

    return check


def _redis(text: str) -> str:
    """Checked without echoing it: it may hold a password."""
    allowed = "redis://[user:password@]host[:port][/number] or rediss://..."
    try:
        parts = urlsplit(text)
        usable = bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError as error:
        raise ValueError(allowed) from error
    known = parts.scheme in ("redis", "rediss") and re.match(r"(/\d{0,3})?\Z", parts.path)
    if not (usable and known) or parts.query or parts.fragment:
        raise ValueError(allowed)
    return text


_bucket = _matching(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", "3 to 63 of a-z, 0-9 and -, not at the ends")
_key = _matching(r"[A-Za-z0-9._-][A-Za-z0-9._/-]{0,254}", "an object key without a leading /")
_rate = _matching(r"[1-9][0-9]{0,6}/(second|minute|hour|day)", "a number per second, minute, hour or day: 100/minute")
_http = _url("http", "https")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as declared: the variable `ISI_X` is the attribute `x` of `Settings`."""

    name: str
    type: str
    default: Any
    unit: str
    meaning: str
    required: bool


def _setting(check: Check, meaning: str, *, default: Any = _REQUIRED, unit: str = "", secret: bool = False) -> Any:
    metadata = {"check": check, "meaning": meaning, "unit": unit}
    if default is _REQUIRED:
        return dataclasses.field(metadata=metadata, repr=not secret)
    return dataclasses.field(default=default, metadata=metadata, repr=not secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of one instance, checked. URLs have no trailing slash."""

    region: str = _setting(
        _matching(r"[a-z]{2}-[a-z0-9-]{2,30}", "a region, for example cn-beijing"),
        "Region of the buckets and of the speech gateway; it is part of OSS's V4 signature.",
        default="cn-beijing",
    )
    oss_internal: str = _setting(_http, "OSS endpoint for the functions.")
    oss_public: str = _setting(
        # What is signed for it (uploads, links) is a bearer's right: not in clear text.
        _url("http", "https", tls=True),
        "OSS as clients reach it: a custom domain of the recordings bucket, or an endpoint of OSS. Accounts opened "
        "since 2025-03-20 need the domain in mainland regions.",
    )
    bucket_prompts: str = _setting(_bucket, "Bucket of prompts and their masters.")
    bucket_recordings: str = _setting(_bucket, "Bucket of recordings and transcripts.")
    bucket_state: str = _setting(_bucket, "Bucket of journals, claims, recipes, tenants and keys.")
    nls_rest: str = _setting(_http, "Base of the speech service's REST API, for the functions.")
    nls_websocket: str = _setting(
        # The gateway's internal address speaks plain ws only (port 80), inside the region's network.
        _url("ws", "wss", ending="/ws/v1"),
        "WebSocket address of the speech service, for the functions; ends in /ws/v1.",
    )
    nls_public_rest: str = _setting(
        _url("http", "https", tls=True), "Base of the speech service's REST API, given to lease holders."
    )
    nls_public_websocket: str = _setting(
        _url("ws", "wss", tls=True, ending="/ws/v1"),
        "WebSocket address of the speech service, given to lease holders; ends in /ws/v1.",
    )
    pop_nls_meta: str = _setting(
        # CreateToken answers with the token: over plain HTTP it would travel in clear text.
        _url("http", "https", tls=True, bare_host=True),
        "Base or host of CreateToken; https unless the host is loopback.",
    )
    pop_sts: str = _setting(
        _url("http", "https", tls=True, bare_host=True),
        "Base or host of STS, for tenants with a role_arn; https unless the host is loopback.",
        default="https://sts.aliyuncs.com",
    )
    filetrans: str = _setting(
        # What is sent holds presigned links to recordings.
        _url("http", "https", tls=True, bare_host=True),
        "Base or host of the speech service's queue for files, in the region of the gateway; empty: no file mode.",
        default="",
    )
    oss_fetch: str = _setting(
        _http,
        "OSS endpoint at which the speech service fetches copies of recordings from the state bucket: the region's "
        "internal one, or a custom domain of that bucket. Empty: as ISI_OSS_INTERNAL.",
        default="",
    )
    callback_base_url: str = _setting(
        # The proof in the address is all that a callback has.
        _url("http", "https", tls=True),
        "What the address begins with at which the speech service reports ends of tasks; empty: the timer finds them.",
        default="",
    )
    asr_transport: str = _setting(_one_of("rest", "sdk"), "How sentence mode recognises.", default="rest")
    fc_endpoint: str = _setting(_http, "Base of Function Compute's API, for asynchronous self-invocation.")
    public_base_url: str = _setting(_http, "What every prompt URL starts with.")
    nls_transport: str = _setting(_one_of("rest", "sdk"), "How synthesis is called.", default="rest")
    nls_concurrency: int = _setting(
        _whole(1, 200),
        "The most calls to the speech service at once, per instance; within it each follows the service's refusals.",
        default=8,
        unit="calls",
    )
    tenants_key: str = _setting(_key, "Object in the state bucket with the tenants.", default="config/tenants.json")
    keys_key: str = _setting(_key, "Object in the state bucket with the keys.", default="config/keys.json")
    redis_url: str = _setting(
        _redis,
        "Redis in which rates are counted over all instances; without it each instance counts for itself.",
        default="",
        secret=True,
    )
    limits_when_down: str = _setting(
        _one_of("open", "closed"),
        "When Redis or OSS does not answer: go on and count per instance, or refuse with 503.",
        default="open",
    )
    rate_leases: str = _setting(_rate, "Leases of a tenant that names no rate of its own.", default="20/second")
    rate_uploads: str = _setting(_rate, "Upload slots of a tenant that names no rate of its own.", default="50/second")
    rate_prompts: str = _setting(_rate, "Prompts of a tenant that names no rate of its own.", default="200/second")
    rate_jobs: str = _setting(_rate, "Questions about jobs of a tenant that names no rate.", default="50/second")
    rate_recognitions: str = _setting(_rate, "Recognitions of a tenant that names no rate.", default="10/second")
    jwks_loopback: str = _setting(
        _one_of("no", "yes"),
        "Whether key sets of token issuers may come from this machine, and webhooks go to it, by http too; for a local "
        "cloud only.",
        default="no",
    )
    listen_host: str = _setting(
        _one_of("0.0.0.0", "127.0.0.1"),  # noqa: S104 - Function Compute requires all interfaces [custom runtime docs]
        "Address the host listens on.",
        default="0.0.0.0",  # noqa: S104
    )


SETTINGS: tuple[Setting, ...] = tuple(
    Setting(
        name=PREFIX + field.name.upper(),
        type=str(field.type),
        default=None if field.default is dataclasses.MISSING else field.default,
        unit=field.metadata["unit"],
        meaning=field.metadata["meaning"],
        required=field.default is dataclasses.MISSING,
    )
    for field in dataclasses.fields(Settings)
)
"""Every setting, in the order of `Settings`."""


def load(env: Mapping[str, str] = os.environ) -> Settings:
    """Read and check all settings.

    An empty variable counts as not set: that is what an unset variable of the deployment's shell becomes.

    Raises
    ------
    ConfigError
        With one `FieldError` per mistake (`missing`, `invalid`), all at once, never with a value.
    """
    values: dict[str, Any] = {}
    mistakes: list[FieldError] = []
    for field in dataclasses.fields(Settings):
        name = PREFIX + field.name.upper()
        text = env.get(name, "").strip()
        if text:
            try:
                values[field.name] = field.metadata["check"](text)
            except ValueError as error:
                mistakes.append(FieldError(name, "invalid", str(error)))
        elif field.default is dataclasses.MISSING:
            mistakes.append(FieldError(name, "missing", field.metadata["meaning"]))
    if mistakes:
        raise ConfigError(f"{len(mistakes)} settings are missing or wrong.", errors=mistakes)
    return Settings(**values)


@functools.cache
def settings() -> Settings:
    """The settings of this process. Tests that change the environment call `settings.cache_clear()`."""
    return load()
