"""The classes of the tree."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

_FIELD_NAME = re.compile(r"[A-Za-z0-9_.\[\]-]{1,96}\Z")


@dataclass(frozen=True, slots=True)
class FieldError:
    """One mistake in one field.

    Parameters
    ----------
    field
        Path of the field: `speech_rate`, `tenants[3].id`. What does not look like a name is not echoed.
    code
        What is wrong: `missing`, `unknown`, `type`, `range`, `conflict`, ...
    allowed
        What would be right, if that can be said (a list, a range, another field). Never the value that was sent.
    """

    field: str
    code: str
    allowed: object = None

    @property
    def name(self) -> str:
        """The path as it may be shown and logged."""
        return self.field if _FIELD_NAME.match(self.field) else "<unnamed>"

    def as_dict(self) -> dict[str, object]:
        """As it stands in `errors[]` of a problem document; `allowed` is left out when there is nothing to say."""
        shown: dict[str, object] = {"field": self.name, "code": self.code}
        if self.allowed is not None:
            shown["allowed"] = self.allowed
        return shown


class IsiError(Exception):
    """Root of the tree. Class attributes are the defaults; the tables of this package set them per instance.

    Parameters
    ----------
    detail
        What happened this time, in our own words. Never a text to speak, a transcript, a token, a key or a URL.
    code
        A more exact code of the same family (`nls.truncated`).
    retry_after
        Whole seconds after which trying again makes sense.
    errors
        Mistakes by field, all of them at once.
    """

    code: str = "host.unexpected"
    status: int = 500
    title: str = "Something unexpected happened"
    advice: str = "Try again; if it happens again, report the request id."
    retryable: bool = False
    retry_after: int | None = None
    upstream_code: str | None = None
    """The service's own code, for the log. Never its text."""

    def __init__(
        self,
        detail: str = "",
        *,
        code: str | None = None,
        retry_after: int | None = None,
        errors: Sequence[FieldError] = (),
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        if code is not None:
            self.code = code
        if retry_after is not None:
            self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.code}: {self.detail or self.title}"


class RequestError(IsiError):
    """The request is wrong; the same request will be wrong again."""

    code = "request.invalid"
    status = 400
    title = "The request is not valid"
    advice = "Correct the fields named in errors."


class NotJson(RequestError):
    """The body is not one JSON document in UTF-8."""

    code = "request.not_json"
    title = "The body is not JSON"
    advice = "Send one JSON document in UTF-8, without NaN, Infinity or repeated names, nested at most 32 deep."


class TooLarge(RequestError):
    """The body is larger than this endpoint reads."""

    code = "request.too_large"
    status = 413
    title = "The body is too large"
    advice = "Send less at once."


class TooSlow(RequestError):
    """The body did not come in time."""

    code = "request.timeout"
    status = 408
    title = "The body came too slowly"
    advice = "Send the whole body at once, within ten seconds."


class Unspeakable(RequestError):
    """Text or SSML with nothing to speak in it, or with what no speech service can speak."""

    code = "request.unspeakable"
    status = 422
    title = "The text cannot be spoken"
    advice = (
        "Send text with something to speak in it, or the SSML that docs/design.md allows; errors[] says what is wrong."
    )


class NotFound(RequestError):
    """Nothing is there."""

    code = "http.not_found"
    status = 404
    title = "There is nothing here"
    advice = "Check the path; /openapi.json lists what there is."


class MethodNotAllowed(RequestError):
    """The path exists, but not for this method."""

    code = "http.method_not_allowed"
    status = 405
    title = "This method is not allowed here"
    advice = "Use one of the methods in the Allow header."


class Gone(RequestError):
    """It was there and will not come back: expired, retired or deleted."""

    code = "prompt.gone"
    status = 410
    title = "This prompt is gone"
    advice = "Ask for the prompt again; it gets a new URL."


class SealError(RequestError):
    """Sealed bytes that were not sealed by us, for this purpose, or that were changed since."""

    code = "seal.broken"
    title = "The sealed value is not valid"
    advice = "Use the value exactly as it was given out, or ask for a new one."


class IdentityError(IsiError):
    """Who is calling is not known, or may not do this."""

    status = 401
    code = "identity.refused"
    title = "The caller is not known"
    advice = "Send a valid key in X-Api-Key."


class Refused(IdentityError):
    """One answer for every reason, so that a wrong key cannot be told from a wrong tenant.

    Parameters
    ----------
    door
        At which door, for the log: the answer never tells.
    """

    def __init__(self, door: str = "") -> None:
        super().__init__()
        self.door = door


class IssuerUnavailable(IdentityError):
    """A token's issuer is known, and the keys that would prove it cannot be had now."""

    code = "identity.issuer_unavailable"
    status = 503
    title = "The token's issuer cannot be asked"
    advice = "Try again shortly; the operator finds the reason in the log."
    retryable = True
    retry_after = 10


class Forbidden(IdentityError):
    """The tenant is known and may not do this."""

    code = "identity.forbidden"
    status = 403
    title = "The tenant may not do this"
    advice = "Ask the operator to allow it for this tenant."


class Allowance(msgspec.Struct, frozen=True, gc=False):
    """What a caller may still do, for the `RateLimit-*` headers.

    Parameters
    ----------
    limit
        Requests, or units of a quota, in a window.
    window_seconds
        How long a window is.
    remaining
        Of the limit, now.
    reset_seconds
        Whole seconds until there is more.
    """

    limit: int
    window_seconds: int
    remaining: int
    reset_seconds: int


class LimitError(IsiError):
    """A rate (`limit.rate`) or a day's quota (`limit.quota`) of the tenant is used up; nothing was spent."""

    code = "limit.rate"
    status = 429
    title = "The limit is reached"
    advice = "Wait as long as Retry-After says, then go on more slowly."
    retryable = True
    retry_after = 1
    allowance: Allowance | None = None
    """What the answer's `RateLimit-*` headers say; the quota's where a quota refused."""


class Overloaded(IsiError):
    """This instance is full; nothing was spent."""

    code = "host.overloaded"
    status = 503
    title = "Too busy"
    advice = "Try again after Retry-After; nothing was spent."
    retryable = True
    retry_after = 1


class DeadlineExceeded(IsiError):
    """The time for this request ran out before the work was done."""

    code = "deadline.exceeded"
    status = 503
    title = "There was not enough time"
    advice = "Try again; work already done is kept."
    retryable = True
    retry_after = 1


class SpeechError(IsiError):
    """The speech service refused, failed, or its success could not be proved."""

    code = "nls.failed"
    status = 502
    title = "The speech service failed"
    advice = "Try again later; if it lasts, check the speech service's console."


class SpeechTokenRefused(SpeechError):
    """The speech token was refused: drop it and try once more with a new one."""

    code = "nls.token_refused"
    title = "The speech service refused our token"
    advice = "Check that the AppKey and the function's role belong to the same account."
    retryable = True


class SpeechBusy(SpeechError):
    """Concurrency or rate of the account is used up."""

    code = "nls.too_many_requests"
    status = 503
    title = "The speech service is at its limit"
    advice = "Try again after Retry-After, or raise the account's concurrency."
    retryable = True
    retry_after = 1


class SpeechUnavailable(SpeechError):
    """The speech service is in trouble, or cannot be reached."""

    code = "nls.unavailable"
    status = 503
    title = "The speech service is not available"
    advice = "Try again shortly."
    retryable = True
    retry_after = 2


class SpeechTextRefused(SpeechError):
    """The speech service will never speak this text, SSML or voice."""

    code = "nls.text_refused"
    status = 422
    title = "The speech service cannot speak this"
    advice = "Check the text, the SSML and the voice."


class SpeechAudioRefused(SpeechError):
    """The speech service will never recognise this audio."""

    code = "nls.audio_refused"
    status = 422
    title = "The speech service cannot read this audio"
    advice = "Check format, sample rate and length."


class TokenError(IsiError):
    """No speech token could be had."""

    code = "pop.failed"
    status = 502
    title = "No speech token could be had"
    advice = "Check the function's role: it needs nls:CreateToken."


class StorageError(IsiError):
    """Object storage refused or could not be reached."""

    code = "oss.failed"
    status = 503
    title = "Storage is not available"
    advice = "Try again shortly."


class AlreadyExists(StorageError):
    """The object is there already and was not overwritten."""

    code = "oss.already_exists"
    status = 409
    title = "It exists already"
    advice = "Use what is there."


class PositionConflict(StorageError):
    """Somebody appended first: read the journal again, then decide again."""

    code = "oss.position_conflict"
    status = 409
    title = "Somebody else was first"
    advice = "Read again and decide again."


class InvocationError(IsiError):
    """Function Compute did not take an asynchronous self-invocation."""

    code = "fc.failed"
    status = 502
    title = "Later work could not be queued"
    advice = "Check the function's role: it needs fc:InvokeFunction on itself."


class AudioError(IsiError):
    """Audio that cannot be decoded within its limits. Codes `audio.unreadable, .empty, .too_long, .crashed`."""

    code = "audio.unreadable"
    status = 422
    title = "The audio cannot be read"
    advice = "Send WAV, MP3, M4A, Ogg or FLAC that an ordinary player plays."


class ConfigError(IsiError):
    """The deployment is not configured right; `errors` names every mistake."""

    code = "config.invalid"
    title = "The service is not configured"
    advice = "Correct the settings named in errors and deploy again."


class TenantsUnavailable(ConfigError):
    """There is no usable list of tenants yet, so nobody can be let in."""

    code = "tenants.unavailable"
    status = 503
    title = "The list of tenants is not available"
    advice = "Try again shortly; the operator finds the reason in the log."
    retryable = True
    retry_after = 5


class KeysUnavailable(ConfigError):
    """There is no usable key file yet, so nothing can be named or sealed."""

    code = "keys.unavailable"
    status = 503
    title = "The service's keys are not available"
    advice = "Try again shortly; the operator finds the reason in the log."
    retryable = True
    retry_after = 5
