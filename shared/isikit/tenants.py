"""The tenants: who there is, what each may do. One file in the state bucket, polled by ETag."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable
from typing import Annotated, Any, Literal, Protocol, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from isikit import logs
from isikit.errors.tree import FieldError, IsiError, TenantsUnavailable

POLL_SECONDS = 30.0
RETRY_SECONDS = 2.0
HEAD_SECONDS = 1.0  # that one request waits for OSS while a good version is at hand
RECENT_SECONDS = 2 * POLL_SECONDS
MISTAKES_LOGGED = 20

TenantId = Annotated[str, Meta(pattern=r"^[a-z0-9-]{2,32}\Z", description="2 to 32 of a-z, 0-9 and -")]
KeyId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z", description="1 to 64 of A-Z, a-z, 0-9, _ and -")]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z", description="SHA-256 in 64 lower-case hex digits")]
Locale = Annotated[str, Meta(pattern=r"^[a-z]{2,3}(-[A-Z]{2})?\Z", description="for example zh-CN")]
Voice = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z", description="a voice's name")]
AppKeyText = Annotated[str, Meta(pattern=r"^[A-Za-z0-9]{1,64}\Z", description="an AppKey of the speech console")]


class ApiKey(Struct, forbid_unknown_fields=True, frozen=True):
    """A key `id.secret`; only the secret's SHA-256 is kept."""

    id: KeyId
    sha256: Digest


class AppKey(Struct, forbid_unknown_fields=True, frozen=True):
    """A project of the speech console: language and sample rate belong to it, so they choose it."""

    appkey: AppKeyText
    locale: Locale
    sample_rate_hz: Literal[8000, 16000]


class Tenant(Struct, forbid_unknown_fields=True, frozen=True):
    """One tenant. What is left out is the careful choice: no lease, and prompts that live a day."""

    id: TenantId
    api_keys: tuple[ApiKey, ...] = ()
    lease: bool = False
    appkeys: tuple[AppKey, ...] = ()
    default_voice: dict[Locale, Voice] = {}
    default_locale: Locale = "zh-CN"
    retention: Literal["day", "permanent"] = "day"


class TenantsFile(Struct, forbid_unknown_fields=True, frozen=True, dict=True):
    """tenants.json."""

    version: Literal[1]
    tenants: tuple[Tenant, ...]

    def find(self, tenant_id: str) -> Tenant | None:
        """The tenant of that id, if there is one."""
        return self._by_id.get(tenant_id)

    def by_key_id(self, key_id: str) -> tuple[Tenant, ApiKey] | None:
        """Tenant and key of an API key's id; ids are unique over all tenants."""
        return self._by_key.get(key_id)

    @functools.cached_property
    def _by_id(self) -> dict[str, Tenant]:
        return {tenant.id: tenant for tenant in self.tenants}

    @functools.cached_property
    def _by_key(self) -> dict[str, tuple[Tenant, ApiKey]]:
        return {key.id: (tenant, key) for tenant in self.tenants for key in tenant.api_keys}


def parse(data: bytes) -> TenantsFile:
    """Read tenants.json.

    Raises
    ------
    TenantsUnavailable
        With a `FieldError` for every mistake, all at once (`json`, `missing`, `unknown`, `invalid`, `repeated`).
    """
    try:
        content = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        mistakes = [FieldError("tenants.json", "json")]
    else:
        mistakes = _mistakes(content, TenantsFile, "")
        if not mistakes:
            file = msgspec.convert(content, TenantsFile)
            mistakes = _repeated(file)
            if not mistakes:
                return file
    raise TenantsUnavailable("The list of tenants cannot be read.", errors=mistakes)


def _mistakes(value: Any, kind: Any, path: str) -> list[FieldError]:
    """Every mistake below `path`: msgspec alone stops at the first one."""
    if isinstance(kind, type) and issubclass(kind, Struct):
        return _mistakes_of_struct(value, kind, path)
    if get_origin(kind) is tuple and isinstance(value, list):
        each = get_args(kind)[0]
        return [mistake for at, item in enumerate(value) for mistake in _mistakes(item, each, f"{path}[{at}]")]
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return [FieldError(path or "tenants.json", "invalid", _allowed(kind))]
    return []


def _mistakes_of_struct(value: Any, kind: type[Struct], path: str) -> list[FieldError]:
    if not isinstance(value, dict):
        return [FieldError(path or "tenants.json", "invalid", "object")]
    hints = get_type_hints(kind, include_extras=True)
    found = [FieldError(_below(path, str(name)), "unknown") for name in value if name not in hints]
    for field in msgspec.structs.fields(kind):
        if field.name in value:
            found += _mistakes(value[field.name], hints[field.name], _below(path, field.name))
        elif field.required:
            found.append(FieldError(_below(path, field.name), "missing"))
    return found


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _allowed(kind: Any) -> object:
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    descriptions = [meta.description for meta in getattr(kind, "__metadata__", ()) if isinstance(meta, Meta)]
    if descriptions:
        return descriptions[0]
    return kind.__name__ if isinstance(kind, type) else str(get_origin(kind).__name__)


def _repeated(file: TenantsFile) -> list[FieldError]:
    """Ids that occur twice: a key's id must lead to one tenant."""
    found: list[FieldError] = []
    tenants: set[str] = set()
    keys: set[str] = set()
    for at, tenant in enumerate(file.tenants):
        if tenant.id in tenants:
            found.append(FieldError(f"tenants[{at}].id", "repeated"))
        tenants.add(tenant.id)
        for key_at, key in enumerate(tenant.api_keys):
            if key.id in keys:
                found.append(FieldError(f"tenants[{at}].api_keys[{key_at}].id", "repeated"))
            keys.add(key.id)
    return found


class Reader(Protocol):
    """What is needed of an object store here."""

    async def head(self, key: str) -> Any:
        """Something with an `etag`, or None when the object is not there."""
        ...

    async def get(self, key: str) -> tuple[Any, bytes] | None:
        """The same with its bytes."""
        ...


class Tenants:
    """The current tenants, at most 30 s old by wall time while OSS answers.

    One request asks OSS, for a second at most when a good version is at hand; nothing runs in the background. The
    others go on with that version meanwhile, so that an OSS that hangs holds up one request and not all. But when
    nobody has asked for a minute they wait for the answer: a frozen instance must not believe on thaw what was true
    before.

    Parameters
    ----------
    store
        The state bucket.
    key
        The object, `settings.tenants_key`.
    clock
        Wall time in seconds.
    """

    def __init__(
        self, store: Reader, key: str = "config/tenants.json", *, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._key = key
        self._clock = clock
        self._lock = asyncio.Lock()
        self._file: TenantsFile | None = None
        self._etag = ""
        self._check_after = 0.0
        self._checked_at = 0.0

    async def current(self) -> TenantsFile:
        """The tenants.

        A new version that is wrong, missing or out of reach is refused with an event, and the old one stays.

        Raises
        ------
        TenantsUnavailable
            There has been no good version yet.
        """
        if not self._fresh() and not (self._lock.locked() and self._recent()):
            async with self._lock:
                if not self._fresh():
                    await self._check()
        if self._file is None:
            # Callers are told that there are no tenants, not what is wrong with the operator's file.
            raise TenantsUnavailable
        return self._file

    def _fresh(self) -> bool:
        # A clock that was set back would make the file look fresh for as long as it was set back: then check as well.
        return self._checked_at <= self._clock() < self._check_after

    def _recent(self) -> bool:
        """Whether there is a good version that was asked about lately, with or without an answer."""
        return self._file is not None and 0 <= self._clock() - self._checked_at < RECENT_SECONDS

    async def _check(self) -> None:
        try:
            await self._refresh()
        except IsiError as error:
            _complain(error)
            self._settled(RETRY_SECONDS)
        else:
            self._settled(POLL_SECONDS)

    async def _refresh(self) -> None:
        if self._etag:
            info = await self._head()
            if info is None:
                raise TenantsUnavailable("The list of tenants is not there.")
            if info.etag == self._etag:
                return
        found = await self._store.get(self._key)
        if found is None:
            raise TenantsUnavailable("The list of tenants is not there.")
        info, data = found
        self._etag = info.etag  # a bad version is read and complained about once, not every 30 s
        self._file = parse(data)
        logs.event("tenants.loaded", count=len(self._file.tenants))

    async def _head(self) -> Any:
        if self._file is None:
            return await self._store.head(self._key)
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                return await self._store.head(self._key)
        except TimeoutError as error:
            raise TenantsUnavailable("OSS did not say in time whether the list of tenants changed.") from error

    def _settled(self, seconds: float) -> None:
        self._checked_at = self._clock()
        self._check_after = self._checked_at + seconds


def _complain(error: IsiError) -> None:
    logs.failure("tenants.refused", error, count=len(error.errors))
    for mistake in error.errors[:MISTAKES_LOGGED]:
        logs.event("tenants.refused", level="error", field=mistake.name, reason=mistake.code)
