"""What Function Compute's answers to an asynchronous self-invocation mean to us (FC API reference, "Error codes")."""

from __future__ import annotations

from typing import cast

from isikit.errors.meaning import Meaning
from isikit.errors.tree import InvocationError


def _away(code: str) -> Meaning:
    return Meaning(InvocationError, code, "Try again shortly.", status=503, retryable=True, retry_after=1)


_denied = Meaning(InvocationError, "fc.denied")
_unavailable = _away("fc.unavailable")
_busy = _away("fc.busy")
_refused = Meaning(InvocationError, "fc.refused")

FC: dict[str, Meaning] = {
    "AccessDenied": _denied,
    "Forbidden": _denied,
    "InvalidAccessKeyID": _denied,
    "SignatureNotMatch": _denied,
    "SignatureDoesNotMatch": _denied,
    "FunctionNotFound": Meaning(InvocationError, "fc.not_found", "Check the function's name and its alias live."),
    "AliasNotFound": Meaning(InvocationError, "fc.not_found", "Check the function's name and its alias live."),
    "PayloadTooLarge": Meaning(InvocationError, "fc.too_large", "An asynchronous call carries at most 128 KB."),
    "EntityTooLarge": Meaning(InvocationError, "fc.too_large", "An asynchronous call carries at most 128 KB."),
    "ResourceExhausted": _busy,
    "ResourceThrottled": _busy,
    "ConcurrencyQuotaExceeded": _busy,
    "InternalServerError": _unavailable,
    "ServiceUnavailable": _unavailable,
}
"""`code` of the error body -> meaning."""


def invocation_error(http_status: int, code: str) -> InvocationError:
    """The error for an answer of InvokeFunction.

    Parameters
    ----------
    http_status
        0 when nothing came back.
    code
        `code` of the body, may be empty.

    Returns
    -------
    InvocationError
        Unknown codes: retryable for no answer, 429 and 5xx, else `fc.refused`.
    """
    meaning = FC.get(code)
    if meaning is None:
        if http_status == 429:
            meaning = _busy
        elif http_status == 0 or http_status >= 500:
            meaning = _unavailable
        else:
            meaning = _refused
    return cast(InvocationError, meaning.error(code or None))
