"""Reading `POST /v1/token`: which AppKey, and what the lease is to be used for. All mistakes at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from isikit.errors import FieldError, NotJson, RequestError
from isikit.tenants import AppKey, Tenant

Use = Literal["realtime_asr", "sentence_asr", "tts"]

USES: Final[tuple[Use, ...]] = ("realtime_asr", "sentence_asr", "tts")
FIELDS: Final = ("use", "locale", "sample_rate_hz")
USUAL_RATE_HZ: Final = 16000


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client wants a lease for. Language and rate belong to the AppKey's project, so they choose the AppKey."""

    use: Use | None
    appkey: AppKey


def parse(body: object, tenant: Tenant) -> Wish:
    """Read a request's JSON.

    Parameters
    ----------
    body
        The document; `{}` when there was none. Without `locale` the tenant's default, without `sample_rate_hz` 16000,
        where the tenant has AppKeys of these.
    tenant
        Has at least one AppKey.

    Raises
    ------
    NotJson
        It is no object.
    RequestError
        400, with a `FieldError` for every mistake: `unknown`, `type`, `not_allowed`.
    """
    if not isinstance(body, dict):
        raise NotJson("The body is not an object.")
    mistakes = [FieldError(name, "unknown", list(FIELDS)) for name in body if name not in FIELDS]
    use, appkey = _use(body, mistakes), _appkey(body, tenant, mistakes)
    if mistakes:
        raise RequestError(errors=mistakes)
    return Wish(use, appkey)


def _use(body: dict[str, Any], mistakes: list[FieldError]) -> Use | None:
    if "use" not in body:
        return None
    use = body["use"]
    if not isinstance(use, str):
        mistakes.append(FieldError("use", "type", "string"))
    elif use not in USES:
        mistakes.append(FieldError("use", "not_allowed", list(USES)))
    return cast(Use, use)


def _appkey(body: dict[str, Any], tenant: Tenant, mistakes: list[FieldError]) -> AppKey:
    """The first of the tenant's AppKeys that fits; its default locale and the usual rate come first."""
    fitting = sorted(
        tenant.appkeys, key=lambda one: (one.locale != tenant.default_locale, one.sample_rate_hz != USUAL_RATE_HZ)
    )
    for name, kind, what in (("locale", str, "string"), ("sample_rate_hz", int, "integer")):
        if name not in body:
            continue
        value = body[name]
        if not isinstance(value, kind) or isinstance(value, bool):
            mistakes.append(FieldError(name, "type", what))
            continue
        chosen = [one for one in fitting if getattr(one, name) == value]
        if chosen:
            fitting = chosen
        else:
            mistakes.append(FieldError(name, "not_allowed", sorted({getattr(one, name) for one in fitting})))
    return fitting[0]
