"""What object storage's error codes mean to us (OSS API reference, "Error codes")."""

from __future__ import annotations

from typing import cast

from isikit.errors.meaning import Meaning
from isikit.errors.tree import AlreadyExists, PositionConflict, StorageError

_ROLE = "Check the function's role: it needs oss:GetObject, oss:PutObject and oss:ListObjects on the buckets."
_SHORTLY = "Try again shortly."


def _ours(code: str, advice: str, *, status: int = 503) -> Meaning:
    return Meaning(StorageError, code, advice, status=status)


def _away(code: str, advice: str = _SHORTLY, *, retry_after: int = 1) -> Meaning:
    return Meaning(StorageError, code, advice, retryable=True, retry_after=retry_after)


_conflict = Meaning(PositionConflict, "oss.position_conflict")
_exists = Meaning(AlreadyExists, "oss.already_exists")
_missing = _ours("oss.no_such_key", "The object is not there (any more).", status=404)
_denied = _ours("oss.access_denied", _ROLE)
_signature = _ours("oss.signature_mismatch", "Check the function's role and the region in the settings.")
_key = _ours("oss.access_key_unknown", "Check that the function has a role.")
_sts = _away("oss.security_token_invalid", "Check that the function's credentials are refreshed.")
_busy = _away("oss.busy")
_unavailable = _away("oss.unavailable")
_unreachable = _away("oss.unreachable")
_argument = _ours("oss.invalid_argument", "This is a mistake of this service: report the request id.")

OSS: dict[str, Meaning] = {
    "NoSuchKey": _missing,
    "NoSuchVersion": _missing,
    "SymlinkTargetNotExist": _missing,
    "NoSuchBucket": _ours("oss.no_such_bucket", "Create the bucket, or correct its name in the settings."),
    "FileAlreadyExists": _exists,
    "PositionNotEqualToLength": _conflict,
    "ObjectNotAppendable": _ours("oss.not_appendable", "Something else wrote this object: a journal is only appended."),
    "FileImmutable": _ours("oss.immutable", "A retention policy lies on this bucket: journals cannot live there."),
    "AccessDenied": _denied,
    "AccessForbidden": _denied,
    "UserDisable": _ours("oss.arrears", "The account is in arrears or disabled."),
    "SignatureDoesNotMatch": _signature,
    "InvalidAccessKeyId": _key,
    "InvalidSecurityToken": _sts,
    "SecurityTokenExpired": _sts,
    "RequestTimeTooSkewed": _away("oss.clock_skew", "The machine's clock is wrong by more than 15 minutes."),
    "PublicEndpointForbidden": _ours(
        "oss.public_endpoint_forbidden",
        "Accounts new since 2025-03-20 may not use OSS's public endpoint: set ISI_OSS_INTERNAL to the internal one.",
    ),
    "InvalidObjectName": _ours("oss.invalid_name", "Shorten the key to 1023 bytes; it may not begin with / or \\."),
    "InvalidBucketName": _ours("oss.invalid_bucket", "Correct the bucket's name in the settings."),
    "InvalidArgument": _argument,
    "InvalidDigest": _away("oss.damaged"),
    "InvalidRange": _ours("oss.invalid_range", "The object ends before the range begins.", status=416),
    "PreconditionFailed": _ours("oss.precondition_failed", "Somebody changed it meanwhile: read again.", status=412),
    "EntityTooLarge": _ours("oss.too_large", "The object is larger than storage takes at once.", status=413),
    "InvalidObjectState": _ours("oss.archived", "The object is archived: restore it first."),
    "MethodNotAllowed": _argument,
    "NotImplemented": _ours("oss.not_implemented", "This storage does not offer what was asked."),
    "RequestTimeout": _away("oss.timeout"),
    "ServiceUnavailable": _unavailable,
    "InternalError": _unavailable,
    "ServerBusy": _busy,
    "DownloadTrafficRateLimitExceeded": _busy,
    "UploadTrafficRateLimitExceeded": _busy,
    "QpsLimitExceeded": _busy,
    "TotalQpsLimitExceeded": _busy,
    "Throttling": _busy,
}
"""`Code` of the error body -> meaning."""

_BY_STATUS: dict[int, Meaning] = {403: _denied, 404: _missing, 409: _away("oss.conflict"), 429: _busy}


def storage_error(exc: BaseException) -> StorageError:
    """The error for an exception of oss2.

    oss2 is not imported: any exception with `status` (int) and `code` (str) will do. Negative statuses are oss2's own:
    -1 client, -2 no answer (`RequestError`), -3 checksum mismatch. HEAD answers carry no body, hence no code: then the
    status decides.

    Returns
    -------
    StorageError
        `PositionConflict` and `AlreadyExists` for the two outcomes of a race; the rest tells retryable from final.
    """
    code = str(getattr(exc, "code", "") or "")
    status = getattr(exc, "status", 0)
    status = status if isinstance(status, int) else 0
    meaning = OSS.get(code) or _by_status(status)
    return cast(StorageError, meaning.error(code or (status if status > 0 else None)))


def _by_status(status: int) -> Meaning:
    if status == -3:
        return _away("oss.damaged")
    if status == -1:
        return _argument
    if status <= 0:
        return _unreachable
    return _BY_STATUS.get(status) or (_unavailable if status >= 500 else _ours("oss.refused", StorageError.advice))
