"""Reading `POST /v1/token`: which AppKey, and what the lease is to be used for. All mistakes at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

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
        without `use` an AppKey for everything, where the tenant has AppKeys of these.
    tenant
        Has at least one AppKey.

    Raises
    ------
    NotJson
        It is no object.
    RequestError
        400, with a `FieldError` for every mistake: `unknown`, `type`, `not_allowed`. What is allowed for a field is
        what there are AppKeys for, given the fields before it (use, locale, rate).
    """
    if not isinstance(body, dict):
        raise NotJson("The body is not an object.")
    mistakes = [FieldError(name, "unknown", list(FIELDS)) for name in body if name not in FIELDS]
    use = _use(body, tenant, mistakes)
    appkey = _appkey(body, tenant, use, mistakes)
    if mistakes:
        raise RequestError(errors=mistakes)
    return Wish(use, appkey)


def _use(body: dict[str, Any], tenant: Tenant, mistakes: list[FieldError]) -> Use | None:
    if "use" not in body:
        return None
    use = body["use"]
    if not isinstance(use, str):
        mistakes.append(FieldError("use", "type", "string"))
        return None
    if use in USES and any(_serves(appkey, use) for appkey in tenant.appkeys):
        return use
    possible = [one for one in USES if any(_serves(appkey, one) for appkey in tenant.appkeys)]
    mistakes.append(FieldError("use", "not_allowed", possible))
    return None


def _appkey(body: dict[str, Any], tenant: Tenant, use: Use | None, mistakes: list[FieldError]) -> AppKey:
    """The AppKey of the tenant that fits best.

    One of the default locale, of the usual rate, and made for just this use, come first.
    """
    fitting = [one for one in tenant.appkeys if use is None or _serves(one, use)]
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
    if len(fitting) == 1:
        return fitting[0]
    return min(
        fitting,
        key=lambda one: (
            one.locale != tenant.default_locale,
            one.sample_rate_hz != USUAL_RATE_HZ,
            bool(one.uses) == (use is None),
        ),
    )


def _serves(appkey: AppKey, use: Use) -> bool:
    return not appkey.uses or use in appkey.uses
