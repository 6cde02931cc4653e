"""What the answers of the token API (CreateToken, AssumeRole) mean to us.

Two kinds of failure [POP documentation]: the gateway's, with a status that is not 200 and a `Code`; and the product's,
HTTP 200 with `ErrCode` and no `Token`. The official SDK adds its own `SDK.*` codes when nothing came back at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from isikit.errors.meaning import Meaning
from isikit.errors.tree import TokenError

_ROLE = "Check that the function has a role and that its credentials reach the function."
_SHORTLY = "Try again shortly."


def _broken(code: str, advice: str) -> Meaning:
    return Meaning(TokenError, code, advice)


def _away(code: str, advice: str = _SHORTLY, *, retry_after: int = 1) -> Meaning:
    return Meaning(TokenError, code, advice, status=503, retryable=True, retry_after=retry_after)


_denied = _broken("pop.ram_denied", "Attach AliyunNLSSpeechServiceAccess to the function's role.")
_role_denied = _broken(
    "pop.role_denied",
    "Let the tenant's role_arn trust the function's role, and the function's role call sts:AssumeRole on it.",
)
_throttled = _away("pop.throttled", retry_after=2)
_key = _broken("pop.access_key_unknown", _ROLE)
_sts = _away("pop.security_token_invalid", _ROLE)
_unreachable = _away("pop.unreachable")
_unavailable = _away("pop.unavailable")
_unusable = _away("pop.no_token", "The token API answered without a token; try again shortly.")

POP: dict[str, Meaning] = {
    "40020503": _denied,
    "Forbidden.RAM": _denied,
    "NoPermission": _denied,
    "Forbidden": _denied,
    "EntityNotExist.Role": _broken("pop.role_unknown", "Check the tenant's role_arn."),
    "InvalidParameter.RoleArn": _broken("pop.role_unknown", "Check the tenant's role_arn."),
    "Throttling": _throttled,
    "Throttling.User": _throttled,
    "Throttling.Api": _throttled,
    "ServiceUnavailable": _unavailable,
    "InternalError": _unavailable,
    "InvalidAccessKeyId": _key,
    "InvalidAccessKeyId.NotFound": _key,
    "InvalidAccessKeyId.Inactive": _key,
    "InvalidSecurityToken": _sts,
    "InvalidSecurityToken.Expired": _sts,
    "InvalidSecurityToken.Malformed": _sts,
    "InvalidSecurityToken.MismatchWithAccessKey": _sts,
    "MissingSecurityToken": _sts,
    "SignatureDoesNotMatch": _broken("pop.signature_mismatch", _ROLE),
    "IncompleteSignature": _broken("pop.signature_mismatch", _ROLE),
    "InvalidTimeStamp": _away("pop.clock_skew", "The machine's clock is wrong by more than 15 minutes."),
    "InvalidTimeStamp.Expired": _away("pop.clock_skew", "The machine's clock is wrong by more than 15 minutes."),
    "SignatureNonceUsed": _away("pop.nonce_used"),
    "InvalidAction.NotFound": _broken("pop.address", "Check ISI_POP_NLS_META: that host does not know CreateToken."),
    "InvalidVersion": _broken("pop.address", "Check ISI_POP_NLS_META: that host does not know CreateToken."),
    "SDK.HttpError": _unreachable,
    "SDK.ServerUnreachable": _unreachable,
    "SDK.UnknownServerError": _unavailable,
    "SDK.InvalidRegionId": _broken("pop.address", "Check ISI_REGION."),
    "SDK.EndpointResolvingError": _broken("pop.address", "Check ISI_POP_NLS_META."),
}
"""`Code` or `ErrCode` -> meaning. A code with more dots means what its longest known beginning means."""

_BY_OUR_CODE: dict[str, Meaning] = {
    meaning.code: meaning for meaning in (*POP.values(), _unusable, _role_denied, _broken("pop.refused", ""))
}


def token_error(http_status: int, code: str | int) -> TokenError:
    """The error for an answer of the token API.

    Parameters
    ----------
    http_status
        0 when nothing came back.
    code
        `Code`, `ErrCode` or the SDK's `SDK.*`; empty when the answer held neither a token nor a code.

    Returns
    -------
    TokenError
        Unknown codes, by status: 0 `pop.unreachable`, 200 `pop.no_token`, 429 `pop.throttled`, 5xx `pop.unavailable`
        (all retryable), else `pop.refused`.
    """
    name = str(code)
    known = next((known for known in _beginnings(name) if known in POP), None)
    meaning = _by_status(http_status) if known is None else POP[known]
    return cast(TokenError, meaning.error(code or None))


def role_error(http_status: int, code: str | int) -> TokenError:
    """The error for an answer of AssumeRole: as `token_error`, but a refusal is about the tenant's role.

    STS answers 403 `NoPermission` both where the role does not trust our function and where our function may not
    assume roles; only its text tells them apart.
    """
    error = token_error(http_status, code)
    return cast(TokenError, _role_denied.error(code)) if error.code == _denied.code else error


def token_error_again(code: str) -> TokenError:
    """The error of our own code `pop.*`, as another instance met it; `pop.unavailable` for one that is not known."""
    return cast(TokenError, _BY_OUR_CODE.get(code, _unavailable).error())


def _beginnings(code: str) -> Iterator[str]:
    """`A.B.C`, `A.B`, `A`: POP refines codes by adding to them."""
    while code:
        yield code
        code = code.rpartition(".")[0]


def _by_status(http_status: int) -> Meaning:
    if http_status == 0:
        return _unreachable
    if http_status == 200:
        return _unusable
    if http_status == 429:
        return _throttled
    return _unavailable if http_status >= 500 else _broken("pop.refused", TokenError.advice)
