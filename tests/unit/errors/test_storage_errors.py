"""What object storage's exceptions mean. oss2's own classes are used: they are what will come."""

from __future__ import annotations

from typing import Any

import oss2.exceptions
import pytest

from isikit.errors import OSS, AlreadyExists, PositionConflict, StorageError, storage_error

ROWS: list[tuple[int, str, type[StorageError], str, int, bool]] = [
    (404, "NoSuchKey", StorageError, "oss.no_such_key", 404, False),
    (404, "NoSuchVersion", StorageError, "oss.no_such_key", 404, False),
    (404, "SymlinkTargetNotExist", StorageError, "oss.no_such_key", 404, False),
    (404, "NoSuchBucket", StorageError, "oss.no_such_bucket", 503, False),
    (409, "FileAlreadyExists", AlreadyExists, "oss.already_exists", 409, False),
    (409, "PositionNotEqualToLength", PositionConflict, "oss.position_conflict", 409, False),
    (409, "ObjectNotAppendable", StorageError, "oss.not_appendable", 503, False),
    (409, "FileImmutable", StorageError, "oss.immutable", 503, False),
    (403, "AccessDenied", StorageError, "oss.access_denied", 503, False),
    (403, "AccessForbidden", StorageError, "oss.access_denied", 503, False),
    (403, "UserDisable", StorageError, "oss.arrears", 503, False),
    (403, "SignatureDoesNotMatch", StorageError, "oss.signature_mismatch", 503, False),
    (403, "InvalidAccessKeyId", StorageError, "oss.access_key_unknown", 503, False),
    (403, "InvalidSecurityToken", StorageError, "oss.security_token_invalid", 503, True),
    (403, "SecurityTokenExpired", StorageError, "oss.security_token_invalid", 503, True),
    (403, "RequestTimeTooSkewed", StorageError, "oss.clock_skew", 503, True),
    (400, "PublicEndpointForbidden", StorageError, "oss.public_endpoint_forbidden", 503, False),
    (400, "InvalidObjectName", StorageError, "oss.invalid_name", 503, False),
    (400, "InvalidBucketName", StorageError, "oss.invalid_bucket", 503, False),
    (400, "InvalidArgument", StorageError, "oss.invalid_argument", 503, False),
    (400, "InvalidDigest", StorageError, "oss.damaged", 503, True),
    (416, "InvalidRange", StorageError, "oss.invalid_range", 416, False),
    (412, "PreconditionFailed", StorageError, "oss.precondition_failed", 412, False),
    (400, "EntityTooLarge", StorageError, "oss.too_large", 413, False),
    (403, "InvalidObjectState", StorageError, "oss.archived", 503, False),
    (405, "MethodNotAllowed", StorageError, "oss.invalid_argument", 503, False),
    (501, "NotImplemented", StorageError, "oss.not_implemented", 503, False),
    (400, "RequestTimeout", StorageError, "oss.timeout", 503, True),
    (503, "ServiceUnavailable", StorageError, "oss.unavailable", 503, True),
    (500, "InternalError", StorageError, "oss.unavailable", 503, True),
    (503, "ServerBusy", StorageError, "oss.busy", 503, True),
    (503, "DownloadTrafficRateLimitExceeded", StorageError, "oss.busy", 503, True),
    (503, "UploadTrafficRateLimitExceeded", StorageError, "oss.busy", 503, True),
    (503, "QpsLimitExceeded", StorageError, "oss.busy", 503, True),
    (503, "TotalQpsLimitExceeded", StorageError, "oss.busy", 503, True),
    (503, "Throttling", StorageError, "oss.busy", 503, True),
    (403, "", StorageError, "oss.access_denied", 503, False),
    (404, "", StorageError, "oss.no_such_key", 404, False),
    (409, "", StorageError, "oss.conflict", 503, True),
    (429, "", StorageError, "oss.busy", 503, True),
    (502, "", StorageError, "oss.unavailable", 503, True),
    (400, "Unheard", StorageError, "oss.refused", 503, False),
]


def _answer(status: int, code: str) -> Any:
    return oss2.exceptions.ServerError(status, {}, b"", {"Code": code, "Message": "in/acme/secret-name.wav"})


@pytest.mark.parametrize(("status", "code", "kind", "ours", "http", "retryable"), ROWS)
def test_an_answer_means(
    status: int, code: str, kind: type[StorageError], ours: str, http: int, retryable: bool
) -> None:
    error = storage_error(_answer(status, code))
    assert (type(error), error.code, error.status, error.retryable) == (kind, ours, http, retryable)
    assert "secret-name" not in f"{error!r} {error} {vars(error)}"


def test_every_row_of_the_table_is_expected_here() -> None:
    assert set(OSS) <= {row[1] for row in ROWS}


@pytest.mark.parametrize(
    ("exception", "ours", "retryable"),
    [
        (oss2.exceptions.RequestError(OSError("no route")), "oss.unreachable", True),
        (oss2.exceptions.InconsistentError("crc"), "oss.damaged", True),
        (oss2.exceptions.ClientError("bad key"), "oss.invalid_argument", False),
        (TimeoutError(), "oss.unreachable", True),
    ],
)
def test_no_answer_means(exception: Exception, ours: str, retryable: bool) -> None:
    error = storage_error(exception)
    assert (error.code, error.retryable) == (ours, retryable)
