"""The tenants file as it may be written: a closed schema, and the careful choice for whatever is left out."""

from __future__ import annotations

import functools
from typing import Annotated, Literal

from msgspec import Meta, Struct

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST = rf"(https://{_LABEL}(\.{_LABEL})*|http://(localhost|127\.0\.0\.1))(:[1-9][0-9]{{0,4}})?"

TenantId = Annotated[str, Meta(pattern=r"^[a-z0-9-]{2,32}\Z", description="2 to 32 of a-z, 0-9 and -")]
KeyId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z", description="1 to 64 of A-Z, a-z, 0-9, _ and -")]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z", description="SHA-256 in 64 lower-case hex digits")]
Locale = Annotated[str, Meta(pattern=r"^[a-z]{2,3}(-[A-Z]{2})?\Z", description="for example zh-CN")]
Voice = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z", description="a voice's name")]
AppKeyText = Annotated[str, Meta(pattern=r"^[A-Za-z0-9]{1,64}\Z", description="an AppKey of the speech console")]
ConsumerName = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}\Z", description="1 to 64 of A-Z, a-z, 0-9, _, . and -")
]
AppId = Annotated[
    str, Meta(pattern=r"^[0-9]{1,20}\Z", description="an application's number at the traditional gateway")
]
Claim = Annotated[str, Meta(pattern=r"^[!-~]{1,255}\Z", description="1 to 255 printable ASCII characters, no blank")]
Url = Annotated[
    str,
    Meta(
        pattern=rf"^{_HOST}/[!-\"$-?A-~]{{0,1000}}\Z",
        description="https://host[:port]/path, in lower case, no user, no fragment; http only for localhost",
    ),
]
Origin = Annotated[
    str,
    Meta(
        pattern=rf"^(?!https://.*:443\Z)(?!http://.*:80\Z){_HOST}\Z",
        description="an origin as browsers send it: https://app.example.com; http only for localhost",
    ),
]
RoleArn = Annotated[
    str,
    Meta(pattern=r"^(acs:ram::[0-9]{1,20}:role/[A-Za-z0-9.@_-]{1,64})?\Z", description="acs:ram::ACCOUNT:role/NAME"),
]
Rate = Annotated[
    str,
    Meta(pattern=r"^[1-9][0-9]{0,6}/(second|minute|hour|day)\Z", description="for example 10/second or 100/minute"),
]
Quota = Annotated[int, Meta(ge=0, le=10**12, description="a whole number a day; 0 allows nothing")]
Neutral = Annotated[str, Meta(min_length=1, max_length=300, description="1 to 300 characters")]
Prefix = Annotated[
    str, Meta(pattern=r"^(?!/)[^\x00-\x1f\x7f]{0,512}\Z", description="what follows in/{tenant}/, without a leading /")
]
Role = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,31}\Z", description="for example agent or customer")]
Life = Annotated[int, Meta(ge=60, le=43_200, description="60 to 43200 seconds")]
Hours = Annotated[float, Meta(gt=0, le=10_000, description="hours of audio, more than 0")]
Priority = Annotated[int, Meta(ge=0, le=9, description="0 to 9")]

RateName = Literal["leases", "uploads", "prompts", "jobs", "recognitions"]
QuotaName = Literal["leases", "uploads", "synthesis_calls", "recognition_seconds"]
Use = Literal["realtime_asr", "sentence_asr", "tts"]


class ApiKey(Struct, forbid_unknown_fields=True, frozen=True):
    """A key `id.secret`; only the secret's SHA-256 is kept."""

    id: KeyId
    sha256: Digest


class AppKey(Struct, forbid_unknown_fields=True, frozen=True):
    """A project of the speech console: language and sample rate belong to it, so they choose it.

    `uses` says what it is for; empty means everything.
    """

    appkey: AppKeyText
    locale: Locale
    sample_rate_hz: Literal[8000, 16000]
    uses: tuple[Use, ...] = ()


class TokenIssuer(Struct, forbid_unknown_fields=True, frozen=True):
    """Whose JSON Web Tokens let in: issuer and audience fix the tenant, the keys at `jwks_url` prove them."""

    issuer: Claim
    audience: Claim
    jwks_url: Url


class Source(Struct, forbid_unknown_fields=True, frozen=True):
    """What holds for recordings under `in/{tenant}/{prefix}`; the longest matching prefix counts."""

    prefix: Prefix
    mode: Literal["auto", "sentence", "file", "flash", "realtime"] = "auto"
    locale: Locale | None = None
    channel_roles: dict[Literal["0", "1"], Role] = {}
    codec: Literal["mulaw", "alaw"] | None = None
    sample_rate_hz: Literal[8000, 16000] | None = None


class Webhook(Struct, forbid_unknown_fields=True, frozen=True):
    """Who is told that a transcript is there. The secret lies in the key file, under `webhooks`."""

    url: Url
    secret_id: KeyId


class Tenant(Struct, forbid_unknown_fields=True, frozen=True):
    """One tenant. A door is open to it exactly when it lists something for it; no lease unless said.

    `api_keys`, `consumers`, `apps` and `jwt` are the doors. A rate that is missing is the deployment's default, a
    quota that is missing is no limit.
    """

    id: TenantId
    api_keys: tuple[ApiKey, ...] = ()
    lease: bool = False
    appkeys: tuple[AppKey, ...] = ()
    default_voice: dict[Locale, Voice] = {}
    default_locale: Locale = "zh-CN"
    retention: Literal["day", "permanent"] = "day"
    consumers: tuple[ConsumerName, ...] = ()
    apps: tuple[AppId, ...] = ()
    jwt: tuple[TokenIssuer, ...] = ()
    origins: tuple[Origin, ...] = ()
    voices: tuple[Voice, ...] = ()
    role_arn: RoleArn = ""
    lease_min_life_seconds: Life = 600
    rates: dict[RateName, Rate] = {}
    quotas: dict[QuotaName, Quota] = {}
    fallback_prompt: dict[Locale, Neutral] = {}
    voice_fallbacks: dict[Voice, tuple[Voice, ...]] = {}
    sources: tuple[Source, ...] = ()
    webhook: Webhook | None = None
    max_audio_hours_per_30min: Hours | None = None
    priority: Priority = 5


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

    def by_consumer(self, name: str) -> Tenant | None:
        """The tenant of a consumer of the cloud-native gateway."""
        return self._by_consumer.get(name)

    def by_app(self, app_id: str) -> Tenant | None:
        """The tenant of an application of the traditional gateway."""
        return self._by_app.get(app_id)

    def by_issuer(self, issuer: str, audience: str) -> tuple[Tenant, TokenIssuer] | None:
        """The tenant that this issuer's tokens for this audience belong to."""
        return self._by_issuer.get((issuer, audience))

    @functools.cached_property
    def _by_id(self) -> dict[str, Tenant]:
        return {tenant.id: tenant for tenant in self.tenants}

    @functools.cached_property
    def _by_key(self) -> dict[str, tuple[Tenant, ApiKey]]:
        return {key.id: (tenant, key) for tenant in self.tenants for key in tenant.api_keys}

    @functools.cached_property
    def _by_consumer(self) -> dict[str, Tenant]:
        return {name: tenant for tenant in self.tenants for name in tenant.consumers}

    @functools.cached_property
    def _by_app(self) -> dict[str, Tenant]:
        return {app_id: tenant for tenant in self.tenants for app_id in tenant.apps}

    @functools.cached_property
    def _by_issuer(self) -> dict[tuple[str, str], tuple[Tenant, TokenIssuer]]:
        return {(one.issuer, one.audience): (tenant, one) for tenant in self.tenants for one in tenant.jwt}
